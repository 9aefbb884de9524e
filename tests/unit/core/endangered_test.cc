#include "controller/core/endangered.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "controller/core/decide.h"
#include "policies/model/reason_codes.h"
#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

TolerancePolicy Copying() {
  TolerancePolicy policy;
  policy.on_endangered = OnEndangered::kFullSync;
  return policy;
}

// n3 follows n1, is behind by 50, and its resume point has a minute left.
GroupSnapshot FallenBehind() {
  GroupSnapshot snapshot = HealthyGroup();
  NodeView& view = snapshot.nodes["n3"];
  view.report->last = view.known_last = Sequence(50);
  view.resume_left_ms = 60000;
  view.resume_falls = kFallsToAct;
  return snapshot;
}

// The same, and n3 is parked.
GroupSnapshot Parked() {
  GroupSnapshot snapshot = FallenBehind();
  snapshot.nodes["n3"].report->relay.state = RelayState::kParked;
  snapshot.nodes["n3"].resume_falls = 0;
  return snapshot;
}

TEST(LacksFromTest, ANodeThatHoldsAllIsNotWatched) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n3"].known_last = Sequence(100);
  EXPECT_FALSE(LacksFrom(snapshot, snapshot.nodes["n3"]));
  EXPECT_FALSE(LacksFrom(snapshot, snapshot.nodes["n1"])) << "the master";
}

TEST(LacksFromTest, ANodeThatIsAwayIsWatchedByWhatItWasKnownToHold) {
  GroupSnapshot snapshot = FallenBehind();
  snapshot.nodes["n3"].connected = false;
  EXPECT_EQ(LacksFrom(snapshot, snapshot.nodes["n3"]), Sequence(50));
  snapshot.nodes["n3"].known_last.reset();
  EXPECT_FALSE(LacksFrom(snapshot, snapshot.nodes["n3"]));
}

TEST(LacksFromTest, BehindAPromotionWhatItHoldsIsItsOwnTail) {
  GroupSnapshot snapshot = FallenBehind();
  ApplyPromotion(snapshot.state, "n1", 2, Sequence(40));
  EXPECT_EQ(LacksFrom(snapshot, snapshot.nodes["n3"]), Sequence(40));
}

TEST(LacksFromTest, ANodeThatIsBeingCopiedIsNotWatched) {
  GroupSnapshot snapshot = Parked();
  snapshot.nodes["n3"].report->relay.state = RelayState::kFullSync;
  EXPECT_FALSE(LacksFrom(snapshot, snapshot.nodes["n3"]));
}

TEST(FallsBehindTest, WhoComesNearerToItsMasterDoesNot) {
  EXPECT_TRUE(FallsBehind({60000, 100}, {50000, 100}));
  EXPECT_TRUE(FallsBehind({60000, 100}, {60000, 120}));
  EXPECT_FALSE(FallsBehind({60000, 100}, {50000, 99}));
  EXPECT_FALSE(FallsBehind({60000, 100}, {60001, 100}));
  EXPECT_FALSE(FallsBehind({}, {50000, 100})) << "the first look";
  EXPECT_FALSE(FallsBehind({60000, 100}, {std::nullopt, 100})) << "in the log that is written to";
}

TEST(WhyNotCalmTest, EveryOtherNodeIsInServiceAndNothingIsWrongWithTheMaster) {
  EXPECT_EQ(WhyNotCalm(Parked(), "n3", 1000), "");
  GroupSnapshot snapshot = Parked();
  snapshot.nodes["n2"].report->relay.upstream_connected = false;
  EXPECT_EQ(WhyNotCalm(snapshot, "n3", 1000), "n2 is not in service");
  snapshot = Parked();
  snapshot.nodes["n2"].full_sync_open = true;
  EXPECT_NE(WhyNotCalm(snapshot, "n3", 1000), "");
  snapshot = Parked();
  snapshot.nodes["n1"].report->writes_refused = "max-db-size is reached";
  EXPECT_NE(WhyNotCalm(snapshot, "n3", 1000), "");
  snapshot = Parked();
  snapshot.nodes["n1"].connected = false;
  EXPECT_NE(WhyNotCalm(snapshot, "n3", 1000), "");
  snapshot = Parked();
  snapshot.state.blocked_until_ms = 1001;
  EXPECT_NE(WhyNotCalm(snapshot, "n3", 1000), "");
  snapshot = Parked();
  snapshot.state.suspects["n2"] = {};
  EXPECT_NE(WhyNotCalm(snapshot, "n3", 1000), "");
}

TEST(WhyNotCalmTest, TheOperatorsWordStands) {
  GroupSnapshot snapshot = Parked();
  snapshot.state.paused = Hold{};
  EXPECT_EQ(WhyNotCalm(snapshot, "n3", 1000), "the group is paused");
  snapshot = Parked();
  snapshot.state.maintenance["n3"] = Hold{};
  EXPECT_EQ(WhyNotCalm(snapshot, "n3", 1000), "n3 is in maintenance");
}

TEST(FindEndangeredTest, OnlyWhereThePolicyWantsIt) {
  EXPECT_TRUE(FindEndangered(Parked(), "n3", Copying(), 1000));
  EXPECT_FALSE(FindEndangered(Parked(), "n3", TolerancePolicy{}, 1000));
}

TEST(FindEndangeredTest, WhoFollowsMustFallBehind) {
  GroupSnapshot snapshot = FallenBehind();
  ASSERT_TRUE(FindEndangered(snapshot, "n3", Copying(), 1000));
  EXPECT_TRUE(FindEndangered(snapshot, "n3", Copying(), 1000)->falls_behind);
  snapshot.nodes["n3"].resume_falls = kFallsToAct - 1;
  EXPECT_FALSE(FindEndangered(snapshot, "n3", Copying(), 1000));
}

TEST(FindEndangeredTest, ThereIsTimeEnough) {
  GroupSnapshot snapshot = Parked();
  snapshot.nodes["n3"].resume_left_ms = snapshot.settings.purge_warning_ms;
  EXPECT_FALSE(FindEndangered(snapshot, "n3", Copying(), 1000));
  snapshot.nodes["n3"].resume_left_ms.reset();
  EXPECT_FALSE(FindEndangered(snapshot, "n3", Copying(), 1000));
}

TEST(FindEndangeredTest, ANodeThatIsAwayCannotBeCopied) {
  GroupSnapshot snapshot = Parked();
  snapshot.nodes["n3"].report->process = ProcessState::kDown;
  EXPECT_FALSE(FindEndangered(snapshot, "n3", Copying(), 1000));
  snapshot.nodes["n3"].connected = false;
  EXPECT_FALSE(FindEndangered(snapshot, "n3", Copying(), 1000));
}

// n3 has a tail of 3, and the policy asks about every tail.
Evidence Held() {
  Evidence evidence;
  evidence.rejoiner = {"n3", Sequence(103), Sequence(1), "files", "2.12.0", false, false};
  evidence.survivor = {"n1", Sequence(200), Sequence(1), "files", "2.12.0", false, false};
  evidence.fork = Sequence(100);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.target = Sequence(104);
  Touched three;
  three.range = {Sequence(101), Sequence(104)};
  three.records = 3;
  evidence.tail = evidence.missed = three;
  evidence.replay_from = Sequence(101);
  evidence.endangered = EndangeredEvidence{60000, false};
  return evidence;
}

TolerancePolicy Asking() {
  TolerancePolicy policy = Copying();
  policy.default_tolerance = Tolerance::kIgnore;
  policy.limits.tail = 0;
  policy.on_limit = OnLimit::kHold;
  return policy;
}

Evidence Prefix() {
  Evidence evidence = Held();
  evidence.rejoiner.last = Sequence(100);
  evidence.target = Sequence(101);
  evidence.tail.reset();
  evidence.missed.reset();
  return evidence;
}

TEST(CopyIfEndangeredTest, ANodeThatIsHeldIsCopiedBeforeItsResumePointIsGone) {
  const VerdictDecision decision = Decide(Held(), Asking());
  EXPECT_EQ(decision.verdict, Verdict::kFull);
  EXPECT_EQ(decision.reasons.front().code, reason::kResumePointEndangered);
  EXPECT_GT(decision.reasons.size(), 1U) << "why it was held is said, too";
  EXPECT_TRUE(std::none_of(decision.alternatives.begin(), decision.alternatives.end(),
                           [](const Alternative& one) { return one.verdict == Verdict::kFull; }));
}

TEST(CopyIfEndangeredTest, WithoutDangerOrThePolicysWordItIsHeld) {
  Evidence evidence = Held();
  TolerancePolicy telling = Asking();
  telling.on_endangered = OnEndangered::kTell;
  EXPECT_EQ(Decide(evidence, telling).verdict, Verdict::kHold);
  evidence.endangered.reset();
  EXPECT_EQ(Decide(evidence, Asking()).verdict, Verdict::kHold);
}

TEST(CopyIfEndangeredTest, ABetterHistoryIsNeverCopiedOver) {
  Evidence evidence = Held();
  evidence.same_stream = true;
  const VerdictDecision decision = Decide(evidence, Asking());
  EXPECT_EQ(decision.verdict, Verdict::kHold);
  EXPECT_EQ(decision.reasons.front().code, reason::kMasterLostRecords);
}

TEST(CopyIfEndangeredTest, EvidenceThatIsExpectedToComeIsWaitedFor) {
  Evidence evidence = Held();
  evidence.missing = {"the WAL of n1: its agent is starting"};
  evidence.expected_to_come = true;
  EXPECT_EQ(Decide(evidence, Asking()).verdict, Verdict::kHold);
}

TEST(CopyIfEndangeredTest, ANodeThatCanFollowFollowsUnlessItFellBehind) {
  Evidence evidence = Prefix();
  EXPECT_EQ(Decide(evidence, Asking()).verdict, Verdict::kAligned);
  evidence.endangered->falls_behind = true;
  EXPECT_EQ(Decide(evidence, Asking()).verdict, Verdict::kFull);
}

TEST(CopyIfEndangeredTest, WhatComesBackByAStitchIsStitched) {
  TolerancePolicy policy = Asking();
  policy.limits.tail = 100;
  Evidence evidence = Held();
  evidence.endangered->falls_behind = true;
  EXPECT_EQ(Decide(evidence, policy).verdict, Verdict::kSpliced);
}

}  // namespace
}  // namespace walstitch::core
