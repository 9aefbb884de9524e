#include "controller/core/candidate.h"

#include <gtest/gtest.h>

#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

GroupSnapshot MasterDown() {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  return snapshot;
}

std::string Chosen(const GroupSnapshot& snapshot, std::optional<std::string> to = std::nullopt) {
  auto chosen = ChooseCandidate(RankCandidates(snapshot, ""), to);
  return chosen ? chosen->node : "refused: " + chosen.error().Message();
}

TEST(CandidateTest, TheMostAdvancedNodeWins) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n3"].report->last = Sequence(101);
  snapshot.nodes["n2"].priority = 1000;
  EXPECT_EQ(Chosen(snapshot), "n3");
}

TEST(CandidateTest, OfEqualNodesTheHigherPriorityThenTheNameWins) {
  GroupSnapshot snapshot = MasterDown();
  EXPECT_EQ(Chosen(snapshot), "n2");
  snapshot.nodes["n3"].priority = 1;
  EXPECT_EQ(Chosen(snapshot), "n3");
}

TEST(CandidateTest, ALongerTailOfAnOlderStreamNeverWins) {
  GroupSnapshot snapshot = MasterDown();
  ApplyPromotion(snapshot.state, "n2", 2, Sequence(100));
  ApplyJoin(snapshot.state, "n3", Sequence(101));
  snapshot.nodes["n2"].report->process = ProcessState::kDown;
  snapshot.nodes["n1"].report = ReportOf("n1", 5000);
  EXPECT_EQ(Chosen(snapshot), "n3");
  EXPECT_EQ(Chosen(snapshot, "n1").substr(0, 47), "refused: n1 cannot be promoted: it is behind n3");
}

TEST(CandidateTest, AWishThatWouldLoseWritesIsRefused) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n3"].report->last = Sequence(101);
  EXPECT_EQ(Chosen(snapshot, "n2"),
            "refused: n2 cannot be promoted: it is behind n3 (stream of epoch 1, last 100, priority 0; n3: "
            "stream of "
            "epoch 1, last 101, priority 0), and writes would be lost");
  EXPECT_EQ(Chosen(snapshot, "n3"), "n3");
  EXPECT_EQ(Chosen(snapshot, "n9"), "refused: no node 'n9' to promote in this group");
}

TEST(CandidateTest, WhoMayNotBePromotedIsNamedWithTheReason) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].report->loading = true;
  snapshot.nodes["n3"].report->full_sync = FullSyncState::kFetching;
  EXPECT_EQ(Chosen(snapshot),
            "refused: no node can be promoted: n1: its server does not answer; n2: it is loading its data; "
            "n3: it is in "
            "a full sync");
}

TEST(CandidateTest, AnUnfinishedFullSyncExcludes) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].full_sync_open = true;
  EXPECT_EQ(Chosen(snapshot), "n3");
}

TEST(CandidateTest, AnUnreachableNodeIsNotEligible) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].connected = false;
  EXPECT_EQ(Chosen(snapshot), "n3");
}

TEST(CandidateTest, NobodyIsPromotedBesideAVisibleMaster) {
  GroupSnapshot snapshot = MasterDown();
  EXPECT_EQ(OtherMaster(snapshot, 0, ""), std::nullopt);
  snapshot.nodes["n3"].report->role = Role::kMaster;
  EXPECT_EQ(OtherMaster(snapshot, 0, "")->substr(0, 14), "n3 is a master");
  EXPECT_EQ(OtherMaster(snapshot, 0, "n3"), std::nullopt);
}

TEST(CandidateTest, ASuspectMustBeSeenFencedOrBeSilentLongEnough) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.state.suspects["n2"] = {2, Sequence(100), 1000};
  snapshot.nodes["n2"].report = ReportOf("n2", 100);  // parked
  EXPECT_TRUE(OtherMaster(snapshot, 1000 + kSuspicionMs - 1, ""));
  EXPECT_FALSE(OtherMaster(snapshot, 1000 + kSuspicionMs, ""));
  snapshot.nodes["n2"].connected = false;
  EXPECT_TRUE(OtherMaster(snapshot, 1000 + kSuspicionMs - 1, ""));
  EXPECT_FALSE(OtherMaster(snapshot, 1000 + kSuspicionMs, "")) << "its lease has run out long ago";
}

}  // namespace
}  // namespace walstitch::core
