#include "controller/core/reconsider.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <string>

#include "controller/core/log_chain.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

TolerancePolicy Policy(Tolerance tolerance) {
  TolerancePolicy policy;
  policy.name = std::string(ToString(tolerance));
  policy.default_tolerance = tolerance;
  return policy;
}

Touched OneKey(std::uint64_t from, std::uint64_t to, const std::string& name) {
  Touched touched;
  touched.range = {Sequence(from), Sequence(to)};
  touched.records = touched.range.Size();
  touched.bytes = 10 * touched.records;
  TouchedKey& key = touched.keys.emplace_back();
  key.name_space = "__namespace";
  key.key = name;
  key.types = {"string"};
  key.records = touched.records;
  key.bytes = touched.bytes;
  return touched;
}

// n1 has a tail of 2 records, and would miss 4.
DecisionRecord Rejoin(const std::string& id, Verdict verdict, const std::string& group = "shop") {
  DecisionRecord record;
  Decision& decision = record.decision;
  decision.id = id;
  decision.group = group;
  decision.node = "n1";
  decision.survivor = "n2";
  decision.policy_name = "then";
  Evidence& evidence = decision.evidence.emplace();
  evidence.rejoiner = {"n1", Sequence(102), Sequence(1), "files", "2.12.0", false, false};
  evidence.survivor = {"n2", Sequence(150), Sequence(1), "files", "2.12.0", false, false};
  evidence.fork = Sequence(100);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.target = Sequence(105);
  evidence.tail = OneKey(101, 103, "tail");
  evidence.missed = OneKey(101, 105, "missed");
  decision.verdict.emplace().verdict = verdict;
  record.outcome.emplace().outcome = Outcome::kDone;
  if (verdict == Verdict::kFull) record.outcome->bytes_to_node = 1000;
  return record;
}

class PolicyTrialTest : public testing::Test {
 protected:
  void Log(EntryKind kind, const std::string& id, const boost::json::value& body) {
    const SealedEntry sealed = Seal(head_, kind, id, 1, body);
    head_ = sealed.head;
    const auto added = trial_.Add(sealed.line);
    EXPECT_TRUE(added) << added.error().Message();
  }
  void Log(const DecisionRecord& record) {
    Log(EntryKind::kDecision, record.decision.id, ToJson(record.decision));
    if (record.outcome) Log(EntryKind::kOutcome, record.decision.id, ToJson(*record.outcome));
  }

  std::map<std::string, TolerancePolicy> policies_ = {{"shop", Policy(Tolerance::kIgnore)},
                                                      {"bank", Policy(Tolerance::kFullSync)}};
  PolicyTrial trial_{
      [this](const std::string& group) -> Result<const TolerancePolicy*> { return &policies_.at(group); }};

 private:
  LogHead head_;
};

TEST(ReconsiderTest, TheSameEvidenceIsJudgedByTheOtherPolicy) {
  const DecisionRecord record = Rejoin("a", Verdict::kFull);
  EXPECT_NE(Verdict::kFull, Reconsider(record.decision, Policy(Tolerance::kIgnore))->verdict);
  EXPECT_EQ(Verdict::kFull, Reconsider(record.decision, Policy(Tolerance::kFullSync))->verdict);
}

TEST(ReconsiderTest, WhatNoPolicyJudgesIsRefusedByItsKind) {
  DecisionRecord record = Rejoin("a", Verdict::kFull);
  record.decision.kind = DecisionKind::kFailover;
  const auto refused = ReconsiderRecord(record, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ("decision a is a failover: only a rejoin has evidence that a policy judges",
            refused.error().Message());
  record = Rejoin("a", Verdict::kFull);
  record.decision.evidence.reset();
  EXPECT_FALSE(ReconsiderRecord(record, {}));
}

TEST_F(PolicyTrialTest, EachGroupIsJudgedByItsOwnPolicy) {
  Log(Rejoin("a", Verdict::kFull, "shop"));
  Log(Rejoin("b", Verdict::kFull, "bank"));
  const Trial trial = trial_.Finish();
  ASSERT_EQ(2U, trial.rejoins.size());
  EXPECT_TRUE(trial.rejoins[0].Changed());
  EXPECT_FALSE(trial.rejoins[1].Changed());
  EXPECT_EQ(1U, trial.Changed());
}

TEST_F(PolicyTrialTest, CostsAreCountedOnBothSides) {
  policies_["shop"].prefer = {Verdict::kAligned, Verdict::kPadded, Verdict::kFull};
  Log(Rejoin("a", Verdict::kFull));
  Log(Rejoin("b", Verdict::kPadded));
  const Trial trial = trial_.Finish();
  EXPECT_EQ(1U, trial.recorded.full_syncs);
  EXPECT_EQ(1000U, trial.recorded.measured_bytes);
  EXPECT_EQ(2U, trial.recorded.keys);
  EXPECT_EQ(60U, trial.recorded.bytes);
  EXPECT_EQ(0U, trial.now.full_syncs);
  EXPECT_EQ(4U, trial.now.keys);
  EXPECT_EQ((std::map<Verdict, std::uint64_t>{{Verdict::kPadded, 2}}), trial.now.verdicts);
}

TEST_F(PolicyTrialTest, AfterASpliceOnlyTheTailsKeysMayDiffer) {
  policies_["shop"] = Policy(Tolerance::kFullSync);
  Log(Rejoin("a", Verdict::kSpliced));
  const Trial trial = trial_.Finish();
  EXPECT_EQ(1U, trial.recorded.keys);
  EXPECT_EQ(20U, trial.recorded.bytes);
}

TEST_F(PolicyTrialTest, FullSyncThatNeverHappenedIsEstimatedByTheGroupsMean) {
  policies_["shop"] = Policy(Tolerance::kFullSync);
  Log(Rejoin("a", Verdict::kPadded));
  DecisionRecord large = Rejoin("b", Verdict::kFull);
  large.outcome->bytes_to_node = 3000;
  Log(large);
  Log(Rejoin("c", Verdict::kFull));
  Log(Rejoin("d", Verdict::kPadded, "bank"));
  const Trial trial = trial_.Finish();
  EXPECT_EQ(4U, trial.now.full_syncs);
  EXPECT_EQ(4000U, trial.now.measured_bytes);
  EXPECT_EQ(1U, trial.now.estimated);
  EXPECT_EQ(2000U, trial.now.estimated_bytes);
  EXPECT_EQ(1U, trial.now.unknown) << "nothing was ever measured in that group";
}

TEST_F(PolicyTrialTest, RejoinThatFailedIsLeftToTheOneThatFollowed) {
  DecisionRecord failed = Rejoin("a", Verdict::kPadded);
  failed.outcome->outcome = Outcome::kFailed;
  Log(failed);
  Log(Rejoin("b", Verdict::kPadded));
  const Trial trial = trial_.Finish();
  EXPECT_EQ(1U, trial.failed);
  EXPECT_EQ(2U, trial.recorded.keys) << "of the second one";
}

TEST_F(PolicyTrialTest, HoldThatOnlyWaitedForAFullSyncIsNoOtherVerdict) {
  policies_["shop"] = Policy(Tolerance::kFullSync);
  DecisionRecord queued = Rejoin("a", Verdict::kHold);
  queued.decision.verdict->reasons = {{std::string(reason::kFullSyncQueued), "it waits"}};
  Log(queued);
  DecisionRecord held = Rejoin("b", Verdict::kHold);
  held.decision.verdict->reasons = {{std::string(reason::kTailLimit), "the policy says hold"}};
  Log(held);
  const Trial trial = trial_.Finish();
  EXPECT_FALSE(trial.rejoins[0].Changed());
  EXPECT_TRUE(trial.rejoins[1].Changed());
  EXPECT_EQ(1U, trial.now.full_syncs);
}

TEST_F(PolicyTrialTest, OtherDecisionsAndTheirOutcomesArePassedOver) {
  DecisionRecord record = Rejoin("a", Verdict::kFull);
  record.decision.kind = DecisionKind::kFailover;
  Log(record);
  EXPECT_TRUE(trial_.Finish().rejoins.empty());
  EXPECT_FALSE(trial_.Add("{}"));
}

}  // namespace
}  // namespace walstitch::core
