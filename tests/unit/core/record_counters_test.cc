#include "controller/core/record_counters.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

Decision DecisionOf(DecisionKind kind) {
  Decision decision;
  decision.group = "shop";
  decision.kind = kind;
  decision.time_ms = 10'000;
  return decision;
}

Decision RejoinOf(Verdict verdict, Tolerance tolerance = Tolerance::kIgnore, std::uint64_t keys = 0) {
  Decision decision = DecisionOf(DecisionKind::kRejoin);
  decision.verdict.emplace();
  decision.verdict->verdict = verdict;
  decision.verdict->reasons = {{"within-policy", ""}, {"nothing-missed", ""}};
  decision.verdict->keyspaces.emplace_back();
  decision.verdict->keyspaces.back().tolerance = tolerance;
  decision.verdict->keyspaces.back().keys = keys;
  return decision;
}

DecisionRecord RecordOf(Decision decision, Outcome outcome) {
  DecisionRecord record;
  record.decision = std::move(decision);
  record.outcome.emplace();
  record.outcome->outcome = outcome;
  record.outcome->time_ms = 12'000;
  return record;
}

GroupCounts After(const DecisionRecord& record) {
  RecordCounters counters;
  counters.Closed(record);
  return counters.Groups().at("shop");
}

TEST(RecordCounters, AGroupThatIsKnownBeginsAtZero) {
  RecordCounters counters;
  counters.Know("shop");
  const GroupCounts& counts = counters.Groups().at("shop");
  EXPECT_EQ(counts.decisions.at({DecisionKind::kRejoin, "padded"}), 0U);
  EXPECT_EQ(counts.decisions.at({DecisionKind::kFailover, "none"}), 0U);
  EXPECT_EQ(counts.outcomes.at({DecisionKind::kFailover, Outcome::kDone}), 0U);
  EXPECT_EQ(counts.divergent_keys.at(Tolerance::kIgnore), 0U);
  EXPECT_FALSE(counts.divergent_keys.contains(Tolerance::kFullSync)) << "such keys never differ";
  EXPECT_EQ(counts.without_master.size(), 2U);
}

TEST(RecordCounters, DecisionsAreCountedWhenTheyAreOpened) {
  RecordCounters counters;
  counters.Opened(RejoinOf(Verdict::kPadded));
  counters.Opened(RejoinOf(Verdict::kPadded));
  counters.Opened(RejoinOf(Verdict::kFull));
  const GroupCounts& counts = counters.Groups().at("shop");
  EXPECT_EQ(counts.decisions.at({DecisionKind::kRejoin, "padded"}), 2U);
  EXPECT_EQ(counts.decisions.at({DecisionKind::kRejoin, "full"}), 1U);
  EXPECT_EQ(counts.decisions.at({DecisionKind::kRejoin, "hold"}), 0U);
  EXPECT_EQ(counts.reasons.at({{DecisionKind::kRejoin, "padded"}, "within-policy"}), 2U);
  EXPECT_EQ(counts.reasons.at({{DecisionKind::kRejoin, "full"}, "nothing-missed"}), 1U);
}

TEST(RecordCounters, OneThatIsStillOpenHasNoOutcome) {
  DecisionRecord record;
  record.decision = RejoinOf(Verdict::kAligned);
  RecordCounters counters;
  counters.Closed(record);
  EXPECT_TRUE(counters.Groups().empty());
}

TEST(RecordCounters, ANodeThatGoesOnWithoutACopyIsAPartialSync) {
  for (const Verdict verdict : {Verdict::kAligned, Verdict::kSpliced}) {
    const GroupCounts counts = After(RecordOf(RejoinOf(verdict), Outcome::kDone));
    EXPECT_EQ(counts.partial_ok, 1U);
    EXPECT_EQ(counts.partial_padding, 0U);
    EXPECT_EQ(counts.partial_err, 0U);
  }
}

TEST(RecordCounters, APaddedNodeIsCountedApart) {
  const GroupCounts counts = After(RecordOf(RejoinOf(Verdict::kPadded), Outcome::kDone));
  EXPECT_EQ(counts.partial_ok, 0U);
  EXPECT_EQ(counts.partial_padding, 1U);
  EXPECT_EQ(counts.partial_err, 0U);
}

TEST(RecordCounters, ACopiedNodeIsNoPartialSync) {
  const GroupCounts counts = After(RecordOf(RejoinOf(Verdict::kFull), Outcome::kDone));
  EXPECT_EQ(counts.partial_ok, 0U);
  EXPECT_EQ(counts.partial_err, 1U);
  EXPECT_EQ(counts.full_syncs, 1U);
}

TEST(RecordCounters, AnAttemptThatFailedIsNoPartialSync) {
  const GroupCounts counts =
      After(RecordOf(RejoinOf(Verdict::kPadded, Tolerance::kIgnore, 3), Outcome::kFailed));
  EXPECT_EQ(counts.partial_padding, 0U);
  EXPECT_EQ(counts.partial_err, 1U);
  EXPECT_EQ(counts.divergent_keys.at(Tolerance::kIgnore), 0U);
}

TEST(RecordCounters, OneThatIsHeldIsNeither) {
  const GroupCounts counts = After(RecordOf(RejoinOf(Verdict::kHold), Outcome::kDone));
  EXPECT_EQ(counts.partial_ok + counts.partial_err + counts.partial_padding, 0U);
}

TEST(RecordCounters, KeysThatMayDifferAreCountedByWhatThePolicySays) {
  const GroupCounts counts =
      After(RecordOf(RejoinOf(Verdict::kPadded, Tolerance::kRepair, 5), Outcome::kDone));
  EXPECT_EQ(counts.divergent_keys.at(Tolerance::kRepair), 5U);
  EXPECT_EQ(counts.divergent_keys.at(Tolerance::kIgnore), 0U);
}

TEST(RecordCounters, KeysOfACopiedNodeDoNotDiffer) {
  const GroupCounts counts = After(RecordOf(RejoinOf(Verdict::kFull, Tolerance::kIgnore, 5), Outcome::kDone));
  EXPECT_EQ(counts.divergent_keys.at(Tolerance::kIgnore), 0U);
}

TEST(RecordCounters, KeysThatWereMendedAreCountedAndThoseThatWereNot) {
  DecisionRecord record = RecordOf(RejoinOf(Verdict::kPadded), Outcome::kDone);
  record.outcome->keys.emplace();
  record.outcome->keys->repair = {4, 3, 2, {}};
  record.outcome->keys->after.differ = 1;
  const GroupCounts counts = After(record);
  EXPECT_EQ(counts.keys_repaired, 4U);
  EXPECT_EQ(counts.keys_evicted, 3U);
  EXPECT_EQ(counts.keys_not_mended, 3U);
}

TEST(RecordCounters, AFailoverIsTimedFromTheLossToThePromotion) {
  DecisionRecord record = RecordOf(DecisionOf(DecisionKind::kFailover), Outcome::kDone);
  record.decision.noticed_ms = 9'000;
  record.steps.push_back({"n2", "promote", "a", 10'000, 10'500, Outcome::kFailed, ""});
  record.steps.push_back({"n2", "promote", "b", 10'500, 11'000, Outcome::kDone, ""});
  record.steps.push_back({"n3", "follow", "c", 11'000, 11'500, Outcome::kDone, ""});
  const GroupCounts counts = After(record);
  EXPECT_EQ(counts.failover.Count(), 1U);
  EXPECT_EQ(counts.failover.SumSeconds(), 2.0);
}

TEST(RecordCounters, AnOrderedFailoverIsTimedFromTheOrder) {
  EXPECT_EQ(After(RecordOf(DecisionOf(DecisionKind::kFailover), Outcome::kDone)).failover.SumSeconds(), 2.0);
}

TEST(RecordCounters, AFailoverThatFailedIsNotTimed) {
  DecisionRecord record = RecordOf(DecisionOf(DecisionKind::kFailover), Outcome::kFailed);
  record.outcome->without_master_ms = 5'000;
  const GroupCounts counts = After(record);
  EXPECT_EQ(counts.failover.Count(), 0U);
  EXPECT_EQ(counts.without_master.at(DecisionKind::kFailover).Count(), 0U);
  EXPECT_EQ(counts.outcomes.at({DecisionKind::kFailover, Outcome::kFailed}), 1U);
}

TEST(RecordCounters, APromotionThatTurnedOutToHaveHappenedIsNotTimed) {
  Decision decision = DecisionOf(DecisionKind::kFailover);
  decision.reasons = {{std::string(reason::kPromotionHappened), "n2 is the master of epoch 2 after all"}};
  const GroupCounts counts = After(RecordOf(decision, Outcome::kDone));
  EXPECT_EQ(counts.failover.Count(), 0U);
  EXPECT_EQ(counts.outcomes.at({DecisionKind::kFailover, Outcome::kDone}), 1U);
}

TEST(RecordCounters, StandstillIsCountedOfSwitchoversToo) {
  DecisionRecord record = RecordOf(DecisionOf(DecisionKind::kSwitchover), Outcome::kDone);
  record.outcome->without_master_ms = 40;
  const GroupCounts counts = After(record);
  EXPECT_EQ(counts.without_master.at(DecisionKind::kSwitchover).SumSeconds(), 0.04);
  EXPECT_EQ(counts.without_master.at(DecisionKind::kFailover).Count(), 0U);
  EXPECT_EQ(counts.failover.Count(), 0U);
}

TEST(RecordCounters, SalvagesAreCountedWithTheirRecords) {
  DecisionRecord record = RecordOf(RejoinOf(Verdict::kFull), Outcome::kDone);
  record.outcome->salvage.emplace();
  record.outcome->salvage->records = 11;
  const GroupCounts counts = After(record);
  EXPECT_EQ(counts.salvages, 1U);
  EXPECT_EQ(counts.salvaged_records, 11U);
}

TEST(DurationCounts, BucketsAreCumulative) {
  DurationCounts counts;
  counts.Add(100);        // just within the first bound
  counts.Add(101);        // not any more
  counts.Add(7'200'000);  // beyond the last
  counts.Add(-5);         // a clock went back
  EXPECT_EQ(counts.UpTo().front(), 2U);
  EXPECT_EQ(counts.UpTo()[1], 3U);
  EXPECT_EQ(counts.UpTo().back(), 3U);
  EXPECT_EQ(counts.Count(), 4U);
}

}  // namespace
}  // namespace walstitch::core
