#include "controller/core/failover_gate.h"

#include <gtest/gtest.h>

#include "controller/core/candidate.h"
#include "policies/model/reason_codes.h"
#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

// A healthy group of which the master's agent says that its process is gone, with all that it held known.
GroupSnapshot Crashed() {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kDown;
  snapshot.nodes["n1"].report->last = Sequence(100);
  return snapshot;
}

// Nobody hears the master.
GroupSnapshot Lost() {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].connected = false;
  snapshot.master_probe = false;
  return snapshot;
}

FailoverFacts LeaseOver() {
  FailoverFacts facts;
  facts.now_ms = 100000;
  facts.unix_ms = 5000000;
  facts.lease_until_ms = 100000;
  facts.since_ms = 90000;
  return facts;
}

GateAnswer Judge(const GroupSnapshot& snapshot, const FailoverFacts& facts) {
  const auto trouble = FindMasterTrouble(snapshot);
  EXPECT_TRUE(trouble);
  return JudgeFailover(snapshot, *trouble, facts);
}

TEST(FailoverGateTest, ACrashedProcessIsReplacedWithinItsLease) {
  FailoverFacts facts = LeaseOver();
  facts.lease_until_ms = facts.now_ms + 3000;
  const GateAnswer answer = Judge(Crashed(), facts);
  EXPECT_EQ(answer.gate, Gate::kGo);
  EXPECT_TRUE(answer.holder_fenced);
}

TEST(FailoverGateTest, AMasterThatNobodyHearsIsReplacedOnlyOnceItsLeaseIsOver) {
  FailoverFacts facts = LeaseOver();
  facts.lease_until_ms = facts.now_ms + 1;
  const GateAnswer early = Judge(Lost(), facts);
  EXPECT_EQ(early.gate, Gate::kWait);
  EXPECT_EQ(early.code, reason::kLeaseRuns);
  EXPECT_EQ(early.wait_ms, 1);
  facts.lease_until_ms = facts.now_ms;
  const GateAnswer now = Judge(Lost(), facts);
  EXPECT_EQ(now.gate, Gate::kGo);
  EXPECT_FALSE(now.holder_fenced) << "promises to it are not void: it may live";
}

TEST(FailoverGateTest, AServerThatTheControllerFencedItselfIsNotWaitedFor) {
  FailoverFacts facts = LeaseOver();
  facts.lease_until_ms = facts.now_ms + 3000;
  GroupSnapshot snapshot = Lost();
  snapshot.seen_replica.emplace().by_hand = true;
  const GateAnswer answer = Judge(snapshot, facts);
  EXPECT_EQ(answer.gate, Gate::kGo);
  EXPECT_TRUE(answer.holder_fenced);
}

// It cannot be a master again but by a command to its agent, which is out of reach: neither its lease nor the
// promises that it was given are waited for.
TEST(FailoverGateTest, AServerThatWasSeenToBeAReplicaIsNotWaitedForThoughAReplicaHearsIt) {
  GroupSnapshot snapshot = Lost();
  snapshot.nodes["n3"].report->relay.upstream_silent_ms = 100;
  snapshot.nodes["n3"].report->promised_left_ms = 700;
  FailoverFacts facts = LeaseOver();
  facts.lease_until_ms = facts.now_ms + 3000;
  EXPECT_EQ(Judge(snapshot, facts).code, reason::kMasterOutOfSight);

  snapshot.seen_replica.emplace().through = {"n3"};
  const GateAnswer answer = Judge(snapshot, facts);
  EXPECT_EQ(answer.gate, Gate::kGo) << answer.sentence;
  EXPECT_TRUE(answer.holder_fenced);

  snapshot.nodes["n1"].connected = true;
  snapshot.nodes["n1"].report->process = ProcessState::kHung;
  EXPECT_FALSE(KnownFenced(snapshot)) << "its own agent knows better";
}

TEST(FailoverGateTest, TheOperatorsWordStandsBeforeWhatWasSeenOfTheServer) {
  GroupSnapshot snapshot = Lost();
  snapshot.seen_replica.emplace().probed = true;
  snapshot.state.paused = Hold{};
  EXPECT_EQ(Judge(snapshot, LeaseOver()).code, reason::kPaused);
}

TEST(FailoverGateTest, AControllerThatAloneLostTheMasterDoesNothing) {
  GroupSnapshot heard = Lost();
  heard.nodes["n2"].report->relay.upstream_silent_ms = 900;
  EXPECT_EQ(Judge(heard, LeaseOver()).code, reason::kMasterOutOfSight);
  EXPECT_EQ(Judge(heard, LeaseOver()).gate, Gate::kNo);

  GroupSnapshot stale = Lost();
  stale.nodes["n2"].report->relay.upstream_silent_ms = kPeerSilenceMs + 1;
  EXPECT_EQ(Judge(stale, LeaseOver()).gate, Gate::kGo);

  GroupSnapshot answers = Lost();
  answers.master_probe = true;
  EXPECT_EQ(Judge(answers, LeaseOver()).code, reason::kMasterOutOfSight);
}

TEST(FailoverGateTest, AMasterThatGoesOnByPromisesIsOutOfSightAndNotLost) {
  GroupSnapshot snapshot = Lost();
  snapshot.nodes["n3"].report->promised_left_ms = 700;
  EXPECT_EQ(Judge(snapshot, LeaseOver()).code, reason::kMasterOutOfSight);
}

TEST(FailoverGateTest, APromiseToAHungMasterIsWaitedOut) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kHung;
  snapshot.nodes["n1"].durations.hung_ms = snapshot.settings.hung_ms;
  snapshot.nodes["n3"].report->promised_left_ms = 700;
  const GateAnswer answer = Judge(snapshot, LeaseOver());
  EXPECT_EQ(answer.code, reason::kLeaseRuns);
  EXPECT_EQ(answer.wait_ms, 700);
}

TEST(FailoverGateTest, AServerThatHungForAMomentIsNotReplaced) {
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n1"].report->process = ProcessState::kHung;
  snapshot.nodes["n1"].durations.hung_ms = snapshot.settings.hung_ms - 10;
  const GateAnswer answer = Judge(snapshot, LeaseOver());
  EXPECT_EQ(answer.gate, Gate::kWait);
  EXPECT_EQ(answer.wait_ms, 10);
  EXPECT_EQ(answer.code, "") << "too early to write anything down";
}

TEST(FailoverGateTest, TheOperatorsWordStandsBeforeEverythingElse) {
  GroupSnapshot paused = Crashed();
  paused.state.paused = Hold{1, "moving house"};
  EXPECT_EQ(Judge(paused, LeaseOver()).code, reason::kPaused);
  EXPECT_NE(Judge(paused, LeaseOver()).sentence.find("moving house"), std::string::npos);

  GroupSnapshot maintained = Crashed();
  maintained.state.maintenance["n1"] = Hold{};
  EXPECT_EQ(Judge(maintained, LeaseOver()).code, reason::kInMaintenance);

  GroupSnapshot by_hand = Crashed();
  by_hand.settings.automatic = false;
  EXPECT_EQ(Judge(by_hand, LeaseOver()).code, reason::kNotAutomatic);
}

TEST(FailoverGateTest, AGroupIsNotFailedOverAgainAndAgain) {
  GroupSnapshot snapshot = Crashed();
  FailoverFacts facts = LeaseOver();
  snapshot.state.blocked_until_ms = facts.unix_ms + 1500;
  const GateAnswer answer = Judge(snapshot, facts);
  EXPECT_EQ(answer.code, reason::kBlocked);
  EXPECT_EQ(answer.wait_ms, 1500);
  snapshot.state.blocked_until_ms = facts.unix_ms;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo);
}

TEST(FailoverGateTest, GroupsWaitForTheirTurn) {
  FailoverFacts facts = LeaseOver();
  GroupSnapshot snapshot = Crashed();
  facts.failing_over = snapshot.settings.max_concurrent;
  EXPECT_EQ(Judge(snapshot, facts).code, reason::kTooManyAtOnce);
}

TEST(FailoverGateTest, WithoutACandidateTheReasonsAreTheAnswer) {
  FailoverFacts facts = LeaseOver();
  facts.nobody_eligible = "no node can be promoted: n2: it is loading its data";
  const GateAnswer answer = Judge(Crashed(), facts);
  EXPECT_EQ(answer.gate, Gate::kNo);
  EXPECT_EQ(answer.code, reason::kNotEligible);
  EXPECT_EQ(answer.sentence, *facts.nobody_eligible);
}

TEST(FailoverGateTest, WhatADeadMasterHoldsIsLookedForButNotForEver) {
  GroupSnapshot snapshot = Crashed();
  snapshot.nodes["n1"].report->last.reset();
  snapshot.nodes["n1"].report->wal_readable = true;
  FailoverFacts facts = LeaseOver();
  facts.since_ms = facts.now_ms - 10;
  EXPECT_EQ(Judge(snapshot, facts).code, reason::kReadingTail);
  facts.since_ms = facts.now_ms - 10000;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo);
}

TEST(FailoverGateTest, ANodeThatIsKnownToHoldMoreIsWaitedForButNotForEver) {
  GroupSnapshot snapshot = Crashed();
  snapshot.nodes["n3"].known_last = Sequence(150);
  snapshot.nodes["n3"].connected = false;
  FailoverFacts facts = LeaseOver();
  facts.best_last = Sequence(100);
  facts.since_ms = facts.now_ms - 100;
  const GateAnswer answer = Judge(snapshot, facts);
  EXPECT_EQ(answer.code, reason::kBetterMissing);
  EXPECT_EQ(answer.wait_ms, snapshot.settings.lease.duration_ms - 100);
  facts.since_ms = facts.now_ms - snapshot.settings.lease.duration_ms;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo);
}

// Its machine crashed, and a replica's with it: what the master had sent just before, nobody has told.
TEST(FailoverGateTest, WhoMayHoldWhatAReturnedMasterHasLostIsWaitedForButNotForEver) {
  GroupSnapshot snapshot = Crashed();
  Report& returned = *snapshot.nodes["n1"].report;
  returned.process = ProcessState::kUp;
  returned.role = Role::kReplica;
  returned.upstream_is_relay = true;
  returned.relay.state = RelayState::kParked;
  ASSERT_TRUE(Fenced(returned));
  snapshot.nodes["n3"].connected = false;
  snapshot.nodes["n3"].known_last = Sequence(90);
  FailoverFacts facts = LeaseOver();
  facts.best_last = Sequence(100);
  facts.since_ms = facts.now_ms - 100;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo) << "nothing is known to be lost";
  snapshot.most_held = Sequence(140);
  EXPECT_EQ(Judge(snapshot, facts).code, reason::kBetterMissing);
  facts.since_ms = facts.now_ms - snapshot.settings.lease.duration_ms;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo);
}

// Its server says that it is a replica: it may be heard again, and win.
TEST(FailoverGateTest, AParkedMasterThatIsKnownToHoldMoreIsWaitedForButNotForEver) {
  GroupSnapshot snapshot = Lost();
  snapshot.nodes["n1"].known_last = Sequence(150);
  FailoverFacts facts = LeaseOver();
  facts.best_last = Sequence(100);
  facts.since_ms = facts.now_ms - 100;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo) << "a lost one is not";
  snapshot.seen_replica.emplace().through = {"n3"};
  EXPECT_EQ(Judge(snapshot, facts).code, reason::kBetterMissing);
  facts.since_ms = facts.now_ms - snapshot.settings.lease.duration_ms;
  EXPECT_EQ(Judge(snapshot, facts).gate, Gate::kGo);
}

TEST(FailoverGateTest, BesideAnotherMasterNobodyIsPromoted) {
  GroupSnapshot snapshot = Crashed();
  snapshot.nodes["n3"].report->role = Role::kMaster;
  EXPECT_EQ(Judge(snapshot, LeaseOver()).code, reason::kOtherMaster);
}

std::string WhyNone(const GroupSnapshot& snapshot, const CandidateRules& rules = {},
                    const std::string& store_problem = "") {
  const auto why = WhyNoFailover(snapshot, 5000000, store_problem, rules);
  return why ? std::string(why->code) : std::string();
}

TEST(FailoverGateTest, AHealthyGroupWouldHaveANewMasterByItself) {
  CandidateRules rules;
  rules.members_only = true;
  EXPECT_EQ(WhyNone(HealthyGroup(), rules), "");
  EXPECT_EQ(WhyNone(Crashed(), rules), "");
  GroupSnapshot snapshot = HealthyGroup();
  snapshot.nodes["n2"].connected = false;
  EXPECT_EQ(WhyNone(snapshot, rules), "") << "n3 is left";
}

TEST(FailoverGateTest, AGroupOfWhichNobodyCouldTakeOverWouldHaveNone) {
  GroupSnapshot snapshot = HealthyGroup();
  for (const char* node : {"n2", "n3"}) snapshot.nodes[node].connected = false;
  const auto why = WhyNoFailover(snapshot, 5000000, "", {});
  ASSERT_TRUE(why) << "the master itself is none of those who could replace it";
  EXPECT_EQ(why->code, reason::kNotEligible);
  for (const char* node : {"n2", "n3"}) EXPECT_NE(why->sentence.find(node), std::string::npos);
  // Also if the operator has it left alone: what no order can help is said first.
  snapshot.settings.automatic = false;
  EXPECT_EQ(WhyNone(snapshot), reason::kNotEligible);
  // A master that is not in its role any more may be made one again.
  snapshot.nodes["n1"].report = ReportOf("n1", 100);
  snapshot.settings.automatic = true;
  EXPECT_EQ(WhyNone(snapshot), "");

  CandidateRules rules;
  rules.max_lag = 10;
  rules.master_last = Sequence(200);
  EXPECT_EQ(WhyNone(HealthyGroup(), rules), reason::kNotEligible);
}

TEST(FailoverGateTest, AGroupThatIsLeftAloneWouldHaveNone) {
  const GroupSnapshot healthy = HealthyGroup();
  EXPECT_EQ(WhyNone(NewGroup()), kNotManaged);
  EXPECT_EQ(WhyNone(healthy, {}, "the decision log cannot be written"), kStoreProblem);
  GroupSnapshot snapshot = healthy;
  snapshot.settings.automatic = false;
  EXPECT_EQ(WhyNone(snapshot), reason::kNotAutomatic);
  snapshot = healthy;
  snapshot.state.paused.emplace();
  EXPECT_EQ(WhyNone(snapshot), reason::kPaused);
  snapshot = healthy;
  snapshot.state.maintenance["n1"];
  EXPECT_EQ(WhyNone(snapshot), reason::kInMaintenance);
  snapshot = healthy;
  snapshot.state.blocked_until_ms = 5000001;
  EXPECT_EQ(WhyNone(snapshot), reason::kBlocked);
  snapshot = healthy;
  snapshot.nodes["n3"].report->role = Role::kMaster;
  EXPECT_EQ(WhyNone(snapshot), reason::kOtherMaster);
}

}  // namespace
}  // namespace walstitch::core
