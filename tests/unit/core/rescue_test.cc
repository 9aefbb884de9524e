#include "controller/core/rescue.h"

#include <gtest/gtest.h>

#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

// n1 died at 105; n2, in its stream, stands at 100.
GroupSnapshot DeadWithATail() {
  GroupSnapshot snapshot = HealthyGroup();
  Report& dead = *snapshot.nodes["n1"].report;
  dead.process = ProcessState::kDown;
  dead.last = Sequence(105);
  dead.wal_readable = true;
  return snapshot;
}

std::optional<TailOnDisk> TailFor(const GroupSnapshot& snapshot, const std::string& node) {
  for (const Candidate& candidate : RankCandidates(snapshot, "")) {
    if (candidate.node == node) return FindTailOnDisk(snapshot, candidate);
  }
  return std::nullopt;
}

TEST(RescueTest, WhatTheCandidateLacksCanBeRescued) {
  const auto tail = TailFor(DeadWithATail(), "n2");
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->range, (SequenceRange{Sequence(101), Sequence(106)}));
  EXPECT_EQ(tail->why_not, "");
}

TEST(RescueTest, ATailThatIsBeingLookedForMayBeRead) {
  GroupSnapshot snapshot = DeadWithATail();
  EXPECT_TRUE(TailCanBeRead(snapshot, "n2"));
  EXPECT_FALSE(TailIsBeingLookedFor(snapshot));
  snapshot.nodes["n1"].report->last.reset();
  EXPECT_TRUE(TailIsBeingLookedFor(snapshot));
  EXPECT_TRUE(TailCanBeRead(snapshot, "n2"));
  snapshot.nodes["n1"].report->wal_readable = false;
  EXPECT_FALSE(TailCanBeRead(snapshot, "n2"));
}

TEST(RescueTest, ATailThatTheNodeHasNeedNotBeRead) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n2"].report->last = Sequence(105);
  EXPECT_FALSE(TailCanBeRead(snapshot, "n2"));
}

TEST(RescueTest, ACandidateThatHasEverythingNeedsNone) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n2"].report->last = Sequence(105);
  EXPECT_FALSE(TailFor(snapshot, "n2"));
}

TEST(RescueTest, ALivingMasterHasNoTailOnDisk) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n1"].report->process = ProcessState::kHung;
  EXPECT_FALSE(TailFor(snapshot, "n2"));
}

TEST(RescueTest, AnAgentThatDoesNotAnswerTellsOfNoTail) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n1"].connected = false;
  EXPECT_FALSE(TailFor(snapshot, "n2"));
}

TEST(RescueTest, AnUnknownEndIsSaid) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n1"].report->last.reset();
  const auto tail = TailFor(snapshot, "n2");
  ASSERT_TRUE(tail);
  EXPECT_FALSE(tail->range);
  EXPECT_EQ(tail->why_not, "what n1 holds on its disk is not known");
}

TEST(RescueTest, UnreadableFilesCannotBeRescued) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.nodes["n1"].report->wal_readable = false;
  EXPECT_EQ(TailFor(snapshot, "n2")->why_not, "the WAL files of n1 cannot be read");
}

TEST(RescueTest, ACandidateOfAnotherStreamTakesNothing) {
  GroupSnapshot snapshot = DeadWithATail();
  snapshot.state.nodes["n2"].epoch = 0;
  EXPECT_EQ(TailFor(snapshot, "n2")->why_not, "n2 did not follow n1 in its last epoch");
}

}  // namespace
}  // namespace walstitch::core
