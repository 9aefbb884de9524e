#include "controller/core/plan.h"

#include <gtest/gtest.h>

#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

std::string Steps(const std::vector<PlanStep>& plan) {
  std::string text;
  for (const auto& step : plan)
    text += (text.empty() ? "" : ", ") + step.node + " " + std::string(ActionName(step.action));
  return text;
}

Evidence Of(std::uint64_t last, std::uint64_t target) {
  Evidence evidence;
  evidence.rejoiner.node = "n3";
  evidence.rejoiner.last = Sequence(last);
  evidence.survivor.node = "n1";
  evidence.target = Sequence(target);
  evidence.replication_id = "0123456789ABCDEF";
  return evidence;
}

TEST(PlanTest, APaddedRejoinPadsToTheTargetAndFollowsFromThere) {
  const auto plan = PlanRejoin("D", Verdict::kPadded, Of(99, 105), EndpointOf("n1"));
  ASSERT_EQ(Steps(plan), "n3 pad, n3 follow");
  const auto& pad = std::get<PadAction>(plan[0].action);
  EXPECT_EQ(pad.expected_next, Sequence(100));
  EXPECT_EQ(pad.target, Sequence(105));
  EXPECT_EQ(pad.decision, "D");
  EXPECT_EQ(pad.replication_id, "0123456789ABCDEF");
  EXPECT_EQ(std::get<FollowAction>(plan[1].action).expected_next, Sequence(105));
}

TEST(PlanTest, AServerThatPadsReplicasItselfIsAskedToOnlyWhereThePolicyWantsIt) {
  Evidence evidence = Of(99, 105);
  evidence.survivor.offers_padding = true;
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kPadded, evidence, EndpointOf("n1"))), "n3 pad, n3 follow");
  const auto plan = PlanRejoin("D", Verdict::kPadded, evidence, EndpointOf("n1"), Padding::kNative);
  ASSERT_EQ(Steps(plan), "n1 offer_padding, n3 follow, n1 offer_padding");
  EXPECT_TRUE(std::get<OfferPaddingAction>(plan[0].action).on);
  EXPECT_EQ(std::get<FollowAction>(plan[1].action).expected_next, Sequence(100));
  EXPECT_FALSE(std::get<FollowAction>(plan[1].action).last_batch);
  EXPECT_FALSE(std::get<OfferPaddingAction>(plan[2].action).on);
  evidence.survivor.offers_padding = false;
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kPadded, evidence, EndpointOf("n1"), Padding::kNative)),
            "n3 pad, n3 follow");
  evidence = Of(99, 100);
  evidence.survivor.offers_padding = true;
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kPadded, evidence, EndpointOf("n1"), Padding::kNative)),
            "n3 pad, n3 follow")
      << "a pad of 0 is no pad";
}

TEST(PlanTest, AnAlignedRejoinOnlyFollows) {
  const auto plan = PlanRejoin("D", Verdict::kAligned, Of(99, 100), EndpointOf("n1"));
  ASSERT_EQ(Steps(plan), "n3 follow");
  EXPECT_EQ(std::get<FollowAction>(plan[0].action).expected_next, Sequence(100));
}

TEST(PlanTest, WhatAnotherNodeLendsIsTakenBeforeTheNodeFollows) {
  Evidence evidence = Of(99, 105);
  evidence.target.reset();
  const BatchInfo joint{Sequence(138), 2, 40, {}, ""};
  evidence.borrow = BorrowEvidence{"n2", "http://n2:7667", {Sequence(100), Sequence(140)}, 2048, joint};
  Decision decision;
  decision.plan = PlanRejoin("D", Verdict::kAligned, evidence, EndpointOf("n1"));
  ASSERT_EQ(Steps(decision.plan), "n3 rescue, n3 follow");
  const auto& take = std::get<RescueAction>(decision.plan[0].action);
  EXPECT_EQ(take.source, "n2");
  EXPECT_EQ(take.source_url, "http://n2:7667");
  EXPECT_EQ(take.target, Sequence(140));
  EXPECT_TRUE(take.alive);
  EXPECT_EQ(take.last_batch, joint);
  const auto& follow = std::get<FollowAction>(decision.plan[1].action);
  EXPECT_EQ(follow.upstream, EndpointOf("n1"));
  EXPECT_EQ(follow.expected_next, Sequence(140));
  EXPECT_EQ(follow.last_batch, joint);
  EXPECT_EQ(CommandOf(decision, 0).deadline_ms, 600000);
}

TEST(PlanTest, ATailIsSalvagedBeforeAnythingElse) {
  Evidence evidence = Of(99, 105);
  evidence.rejoiner.oldest = Sequence(1);
  evidence.fork = Sequence(90);
  evidence.proof = ForkProof::kEqualBatches;
  auto plan = PlanRejoin("D", Verdict::kPadded, evidence, EndpointOf("n1"));
  ASSERT_EQ(Steps(plan), "n3 salvage, n3 pad, n3 follow");
  const auto& salvage = std::get<SalvageAction>(plan[0].action);
  EXPECT_EQ(salvage.range, (SequenceRange{Sequence(91), Sequence(100)}));
  EXPECT_EQ(salvage.fork, Sequence(90));
  EXPECT_EQ(salvage.decision, "D");
  EXPECT_EQ(salvage.survivor, "n1");
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kFull, evidence, EndpointOf("n1"))), "n3 salvage, n3 full_sync");
  Decision decision;
  decision.plan = std::move(plan);
  EXPECT_EQ(CommandOf(decision, 0).deadline_ms, 600000);
}

TEST(PlanTest, ASpliceAdvancesTheSurvivorByWhatTheRejoinerHoldsAfterTheFork) {
  Evidence evidence = Of(99, 105);
  evidence.survivor.last = Sequence(200);
  evidence.fork = Sequence(90);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.last_common = BatchInfo{Sequence(89), 2, 40, {}, ""};
  Decision decision;
  decision.id = "D";
  decision.plan = PlanRejoin("D", Verdict::kSpliced, evidence, EndpointOf("n1"));
  ASSERT_EQ(Steps(decision.plan), "n3 salvage, n1 advance, n3 splice");
  const auto& advance = std::get<AdvanceAction>(decision.plan[1].action);
  EXPECT_EQ(advance.from, Sequence(201));
  EXPECT_EQ(advance.count, 9U);
  EXPECT_EQ(advance.decision, "D");
  const auto& splice = std::get<SpliceAction>(decision.plan[2].action);
  EXPECT_EQ(splice.upstream, EndpointOf("n1"));
  EXPECT_EQ(splice.fork, Sequence(90));
  EXPECT_EQ(splice.expected_next, Sequence(100));
  EXPECT_EQ(splice.shift, 9U);
  EXPECT_EQ(splice.decision, "D");
  EXPECT_EQ(splice.last_common, evidence.last_common);
  EXPECT_EQ(CommandOf(decision, 2).deadline_ms, 600000);
}

TEST(PlanTest, TheSurvivorIsAdvancedToWhereTheRejoinerEnds) {
  Evidence evidence = Of(99, 100);
  evidence.survivor.last = Sequence(91);
  const auto plan = PlanAdvance("D", evidence);
  ASSERT_EQ(Steps(plan), "n1 advance");
  const auto& advance = std::get<AdvanceAction>(plan[0].action);
  EXPECT_EQ(advance.from, Sequence(92));
  EXPECT_EQ(advance.count, 8U);
}

TEST(PlanTest, WithoutATailNothingIsSalvaged) {
  Evidence evidence = Of(99, 100);
  evidence.fork = Sequence(99);
  evidence.proof = ForkProof::kEqualBatches;
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kFull, evidence, EndpointOf("n1"))), "n3 full_sync");
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kAligned, evidence, EndpointOf("n1"))), "n3 follow");
}

TEST(PlanTest, AHoldDoesNothing) {
  EXPECT_EQ(Steps(PlanRejoin("D", Verdict::kHold, Of(99, 100), EndpointOf("n1"))), "");
}

TEST(PlanTest, CommandIdsAreTheSameWheneverThePlanIsCarriedOut) {
  Decision decision;
  decision.id = "01ARZ";
  decision.epoch = 7;
  decision.group = "shop";
  decision.plan = PlanRejoin("01ARZ", Verdict::kPadded, Of(99, 105), EndpointOf("n1"));
  EXPECT_EQ(CommandOf(decision, 0).id, "01ARZ-1");
  EXPECT_EQ(CommandOf(decision, 1).id, "01ARZ-2");
  EXPECT_EQ(CommandOf(decision, 1).epoch, 7U);
  EXPECT_EQ(CommandOf(decision, 1).node, "n3");
}

GroupSnapshot DirectGroup() {
  GroupSnapshot snapshot = NewGroup();
  Report& master = *snapshot.nodes["n1"].report;
  master.role = Role::kMaster;
  master.upstream_is_relay = false;
  for (const std::string node : {"n2", "n3"}) {
    snapshot.nodes[node].report->upstream_is_relay = false;
    snapshot.nodes[node].report->master = EndpointOf("n1");
  }
  return snapshot;
}

std::string Adopt(const GroupSnapshot& snapshot) {
  std::string master;
  auto plan = PlanAdopt(snapshot, &master);
  return plan ? master + ": " + Steps(*plan) : "refused: " + plan.error().Message();
}

TEST(PlanTest, AnAdoptionMovesEachReplicaAndLeavesTheMasterAlone) {
  EXPECT_EQ(Adopt(DirectGroup()), "n1: n1 adopt_master, n2 follow, n3 follow");
}

TEST(PlanTest, AGroupThatCannotBeAdoptedSafelyIsRefused) {
  GroupSnapshot two_masters = DirectGroup();
  two_masters.nodes["n2"].report->role = Role::kMaster;
  EXPECT_EQ(Adopt(two_masters),
            "refused: both n1 and n2 are masters: make one the replica of the other first");
  GroupSnapshot chain = DirectGroup();
  chain.nodes["n3"].report->master = EndpointOf("n2");
  EXPECT_EQ(Adopt(chain).substr(0, 45), "refused: node n3 replicates from 10.0.0.2:666");
  GroupSnapshot silent = DirectGroup();
  silent.nodes["n3"].connected = false;
  EXPECT_EQ(Adopt(silent).substr(0, 34), "refused: node n3 has not reported:");
  GroupSnapshot no_master = DirectGroup();
  no_master.nodes["n1"].report->role = Role::kReplica;
  no_master.nodes["n1"].report->master = EndpointOf("n2");
  EXPECT_EQ(Adopt(no_master), "refused: no node of the group is a master");
  GroupSnapshot broken_link = DirectGroup();
  broken_link.nodes["n2"].report->link_up = false;
  EXPECT_EQ(Adopt(broken_link), "refused: node n2's link to its master is down: try again when it is up");
}

TEST(PlanTest, AReleaseLeavesNobodyBehind) {
  auto plan = PlanRelease(HealthyGroup());
  ASSERT_TRUE(plan);
  EXPECT_EQ(Steps(*plan), "n2 release, n3 release, n1 release");
  GroupSnapshot behind = HealthyGroup();
  behind.nodes["n3"].report = ReportOf("n3", 90);
  auto refused = PlanRelease(behind);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().Message().substr(0, 33), "node n3 does not follow n1 yet; r");
}

TEST(PlanTest, ASpliceThatTakesTheTailBackShiftsByThatToo) {
  Evidence evidence = Of(99, 105);
  evidence.survivor.last = Sequence(150);
  evidence.fork = Sequence(89);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.replay_from = Sequence(90);
  evidence.undo = UndoEvidence{"d1", 4, 2, {}, ""};
  const auto plan = PlanRejoin("D", Verdict::kSpliced, evidence, EndpointOf("n1"));
  const auto& advance = std::get<AdvanceAction>(plan[plan.size() - 2].action);
  const auto& splice = std::get<SpliceAction>(plan.back().action);
  EXPECT_EQ(advance.count, 14U);
  EXPECT_EQ(splice.shift, 14U);
  EXPECT_EQ(splice.expected_next, Sequence(100));
  EXPECT_EQ(splice.undo, "d1");
  EXPECT_EQ(splice.undo_records, 4U);
}

TEST(PlanTest, BehindARescueAPromotionMayHaveBeenCommandedOnlyOnceItIsOnRecordAsDone) {
  DecisionRecord record;
  record.decision.plan = PlanRescue("n1", "http://n1", "n2", Sequence(10), 100);
  EXPECT_FALSE(MayHavePromoted(record));
  record.steps.push_back({"n2", "rescue", "D-1", 0, 0, Outcome::kUnknown, ""});
  EXPECT_FALSE(MayHavePromoted(record));
  record.steps.push_back({"n2", "rescue", "D-1-again-1", 0, 0, Outcome::kDone, ""});
  EXPECT_TRUE(MayHavePromoted(record));
}

TEST(PlanTest, WithoutARescueAPromotionMayHaveBeenCommandedThoughNothingIsOnRecord) {
  DecisionRecord record;
  record.decision.plan = PlanPromotion(std::nullopt, "n2", Sequence(10));
  EXPECT_TRUE(MayHavePromoted(record));
}

}  // namespace
}  // namespace walstitch::core
