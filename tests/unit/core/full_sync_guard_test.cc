#include "controller/core/full_sync_guard.h"

#include <gtest/gtest.h>

#include "policies/model/reason_codes.h"
#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// n3 is to be copied from n1, which holds 10 GiB.
GroupSnapshot Group(std::uint64_t free_bytes) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->data_bytes = 10 * kGiB;
  Report& target = *snapshot.nodes["n3"].report;
  target.data_bytes = 9 * kGiB;
  target.disk = DiskReport{free_bytes, 100 * kGiB, false};
  return snapshot;
}

std::string WhyNot(const GroupSnapshot& snapshot, const FullSyncQueue& queue = {}) {
  const auto reason = WhyNoFullSync(snapshot, "n3", queue);
  return reason ? reason->code : "";
}

TEST(FullSyncGuardTest, ACopyThatFitsMayBegin) { EXPECT_EQ(WhyNot(Group(11 * kGiB)), ""); }

TEST(FullSyncGuardTest, ACopyThatDoesNotFitBesideWhatTheNodeKeepsIsHeld) {
  EXPECT_EQ(WhyNot(Group(11 * kGiB - 1)), reason::kFullSyncNoRoom);
}

TEST(FullSyncGuardTest, ANodeThatEmptiesItselfFirstHasThatRoomToo) {
  GroupSnapshot snapshot = Group(2 * kGiB);
  snapshot.nodes["n3"].report->empties_before_full_sync = true;
  EXPECT_EQ(WhyNot(snapshot), "");
  snapshot.nodes["n3"].report->data_bytes = 8 * kGiB;
  EXPECT_EQ(WhyNot(snapshot), reason::kFullSyncNoRoom);
}

TEST(FullSyncGuardTest, ANodeThatEmptiesItselfFirstIsHeldWhereNobodyElseCouldBePromoted) {
  GroupSnapshot snapshot = Group(50 * kGiB);
  snapshot.nodes["n3"].report->empties_before_full_sync = true;
  EXPECT_EQ(WhyNot(snapshot), "");
  snapshot.nodes["n2"].connected = false;
  EXPECT_EQ(WhyNot(snapshot), reason::kFullSyncLastCopy);
  snapshot.nodes["n3"].report->empties_before_full_sync = false;
  EXPECT_EQ(WhyNot(snapshot), "") << "it keeps what it has until the copy is there";
}

TEST(FullSyncGuardTest, WhatIsNotKnownStandsAgainstNothing) {
  GroupSnapshot snapshot = Group(0);
  snapshot.nodes["n1"].report->data_bytes.reset();
  EXPECT_EQ(WhyNot(snapshot), "");
  snapshot = Group(0);
  snapshot.nodes["n3"].report->disk.reset();
  EXPECT_EQ(WhyNot(snapshot), "");
}

TEST(FullSyncGuardTest, OnlySoManyRunAtOnce) {
  FullSyncQueue queue;
  queue.limit = 2;
  queue.Begin("");
  EXPECT_EQ(WhyNot(Group(50 * kGiB), queue), "");
  queue.Begin("a");
  EXPECT_EQ(WhyNot(Group(50 * kGiB), queue), reason::kFullSyncQueued);
  queue.End("a");
  EXPECT_EQ(WhyNot(Group(50 * kGiB), queue), "");
}

TEST(FullSyncGuardTest, OnlySoManyRunAtOnceInAZone) {
  GroupSnapshot snapshot = Group(50 * kGiB);
  snapshot.nodes["n3"].zone = "a";
  FullSyncQueue queue;
  queue.limit = 10;
  queue.zone_limit = 1;
  queue.Begin("b");
  EXPECT_EQ(WhyNot(snapshot, queue), "");
  queue.Begin("a");
  EXPECT_EQ(WhyNot(snapshot, queue), reason::kFullSyncQueued);
  queue.End("a");
  EXPECT_EQ(WhyNot(snapshot, queue), "");
}

TEST(FullSyncGuardTest, WhatNoWaitingHelpsAgainstIsSaidBeforeTheQueue) {
  FullSyncQueue queue;
  queue.Begin("");
  EXPECT_EQ(WhyNot(Group(0), queue), reason::kFullSyncNoRoom);
}

TEST(FullSyncGuardTest, ProgressIsToldWithTheTimeThatIsLeftAtTheRateSoFar) {
  EXPECT_EQ(Describe(ProgressOf(kGiB / 2, 2 * kGiB, 10000)), "512 MiB of 2 GiB, about 30 s left");
  EXPECT_EQ(Describe(ProgressOf(0, 2 * kGiB, 10000)), "0 B of 2 GiB");
  EXPECT_EQ(Describe(ProgressOf(kGiB, std::nullopt, 10000)), "1 GiB");
  EXPECT_EQ(Describe(ProgressOf(3 * kGiB, 2 * kGiB, 10000)), "3 GiB of 3 GiB, about 0 s left")
      << "the survivor's count was too low";
}

}  // namespace
}  // namespace walstitch::core
