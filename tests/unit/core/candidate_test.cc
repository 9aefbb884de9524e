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

TEST(CandidateTest, OfEqualPriorityTheOldMastersZoneIsPreferred) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n1"].zone = snapshot.nodes["n3"].zone = "eu-1";
  snapshot.nodes["n2"].zone = "eu-2";
  EXPECT_EQ(Chosen(snapshot), "n3");
  snapshot.nodes["n2"].priority = 1;
  EXPECT_EQ(Chosen(snapshot), "n2");
}

TEST(CandidateTest, WhoIsExcludedOrInMaintenanceOrBeingRejoinedIsNotPromoted) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].candidate = false;
  EXPECT_EQ(Chosen(snapshot), "n3");
  snapshot.state.maintenance["n3"] = Hold{};
  EXPECT_EQ(Chosen(snapshot).substr(0, 7), "refused");
  snapshot.state.maintenance.clear();
  snapshot.nodes["n3"].rejoining = true;
  EXPECT_EQ(Chosen(snapshot).substr(0, 7), "refused");
}

TEST(CandidateTest, WhoCannotWriteIsNotPromoted) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].report->disk = DiskReport{1, 1, true};
  EXPECT_EQ(Chosen(snapshot), "n3");
}

TEST(CandidateTest, WhoLacksMoreThanThePolicyAllowsIsNotPromoted) {
  const GroupSnapshot snapshot = MasterDown();  // n2 and n3 stand at 100
  CandidateRules rules;
  rules.max_lag = 10;
  rules.master_last = Sequence(110);
  EXPECT_TRUE(RankCandidates(snapshot, "", rules).front().eligible);
  rules.master_last = Sequence(111);
  const auto ranked = RankCandidates(snapshot, "", rules);
  EXPECT_FALSE(ranked.front().eligible);
  EXPECT_NE(ranked.back().reason.find("failover.maxLag"), std::string::npos);
}

TEST(CandidateTest, WithoutAnOrderOnlyMembersOfTheMastersStreamArePromoted) {
  GroupSnapshot snapshot = MasterDown();
  ApplyPromotion(snapshot.state, "n2", 2, Sequence(100));
  snapshot.nodes["n2"].report->process = ProcessState::kDown;
  CandidateRules rules;
  rules.members_only = true;
  EXPECT_FALSE(RankCandidates(snapshot, "", rules).front().eligible);
  ApplyJoin(snapshot.state, "n3", Sequence(1));
  EXPECT_EQ(RankCandidates(snapshot, "", rules).front().node, "n3");
  EXPECT_TRUE(RankCandidates(snapshot, "", rules).front().eligible);
}

TEST(CandidateTest, WhatARejoinThatWasNotFinishedLeftCountsForNothing) {
  GroupSnapshot snapshot = MasterDown();  // n2 and n3 stand at 100
  snapshot.nodes["n2"].report->last = Sequence(120);
  ApplyBegun(snapshot.state, "n2", Sequence(99));
  EXPECT_EQ(Chosen(snapshot), "n3");
  EXPECT_TRUE(ChooseCandidate(RankCandidates(snapshot, ""), "n3"));
  EXPECT_FALSE(ChooseCandidate(RankCandidates(snapshot, ""), "n2"));
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

TEST(CandidateTest, OneThatIsAboutToBeStoppedIsChosenByAFailoverOnly) {
  GroupSnapshot snapshot = MasterDown();
  snapshot.nodes["n2"].report->leaving = true;
  snapshot.nodes["n2"].report->last = Sequence(101);
  EXPECT_EQ(Chosen(snapshot), "n2");  // it holds what n3 does not
  CandidateRules rules;
  rules.not_leaving = true;
  EXPECT_EQ(RankCandidates(snapshot, "", rules).front().node, "n3");
}

}  // namespace
}  // namespace walstitch::core
