// The check that every chaos test ends with, on histories made up for it: it must see what is wrong, and
// nothing else.
#include "tests/support/ack_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace walstitch::test {
namespace {

using ::testing::Test;

DecisionRecord Promotion(uint64_t epoch, const std::string& node) {
  DecisionRecord record;
  record.decision.id = "P" + std::to_string(epoch);
  record.decision.epoch = epoch;
  record.decision.kind = epoch == 1 ? DecisionKind::kBootstrap : DecisionKind::kFailover;
  record.decision.node = node;
  record.outcome.emplace().outcome = Outcome::kDone;
  return record;
}

Touched TouchedKeys(const std::vector<std::string>& keys) {
  Touched touched;
  touched.records = keys.size();
  touched.range = {Sequence(11), Sequence(11 + keys.size())};
  for (const std::string& key : keys) {
    TouchedKey& named = touched.keys.emplace_back();
    named.name_space = "__namespace";
    named.key = key;
    named.records = 1;
  }
  return touched;
}

DecisionRecord Rejoin(const std::string& node, Verdict verdict, const std::vector<std::string>& tail,
                      const std::vector<std::string>& missed = {}) {
  DecisionRecord record;
  record.decision.id = "R" + node;
  record.decision.kind = DecisionKind::kRejoin;
  record.decision.node = node;
  record.decision.verdict.emplace().verdict = verdict;
  record.decision.evidence.emplace();
  record.decision.evidence->tail = TouchedKeys(tail);
  record.decision.evidence->missed = TouchedKeys(missed);
  record.outcome.emplace().outcome = Outcome::kDone;
  if (!tail.empty()) {
    SalvageRef& salvage = record.outcome->salvage.emplace();
    salvage.range = record.decision.evidence->tail->range;
    salvage.records = record.decision.evidence->tail->records;
  }
  return record;
}

class AckCheckTest : public Test {
 protected:
  AckCheckTest() {
    observed_.masters = {"n2"};
    observed_.decisions = {Promotion(2, "n2"), Promotion(1, "n1")};
  }

  void Acknowledged(const std::string& node, int64_t sent_us, int64_t done_us, const std::string& key = "key",
                    const std::string& value = "value") {
    log_.Add(node, {{key, value}}, WriteState::kAcknowledged, sent_us, done_us);
  }
  // On every node.
  void Holds(const std::string& key, const std::string& dumped) {
    for (const std::string node : {"n1", "n2"}) observed_.keyspaces[node]["__namespace:" + key] = dumped;
  }
  AckFindings Findings(const std::vector<Excuse>& excuses = {}) const {
    return Check(log_, observed_, excuses);
  }

  AckLog log_;
  Observed observed_;
};

TEST_F(AckCheckTest, NothingIsWrongWithWhatIsThere) {
  Acknowledged("n1", 10, 20, "key", "a");
  Acknowledged("n2", 30, 40, "key", "b");
  Acknowledged("n2", 50, 60, std::string("hash") + kFieldMark + "field", "c");
  Holds("key", "string \"b\"");
  Holds("hash", "hash \"another\"=>\"x\",\"field\"=>\"c\"");
  EXPECT_EQ(std::vector<std::string>(), Findings().Sentences());
}

TEST_F(AckCheckTest, WriteThatIsNowhereIsLost) {
  Acknowledged("n1", 10, 20);
  Holds("other", "string \"x\"");
  EXPECT_EQ(std::vector<std::string>({"key is absent, and n1 acknowledged 'value'"}), Findings().lost);
}

TEST_F(AckCheckTest, ValueThatWasOverwrittenBeforeIsLost) {
  log_.Add("n1", {{"key", "unanswered"}}, WriteState::kUnknown, 1, 2);
  Acknowledged("n1", 10, 20, "key", "a");
  Acknowledged("n1", 30, 40, "key", "b");
  Holds("key", "string \"a\"");
  EXPECT_EQ(1U, Findings().lost.size());
  Holds("key", "string \"unanswered\"");
  EXPECT_TRUE(Findings().lost.empty()) << "it may have happened at any time";
}

TEST_F(AckCheckTest, OfTwoWritesAtOnceEitherMayBeTheLast) {
  Acknowledged("n1", 10, 30, "key", "a");
  Acknowledged("n1", 20, 25, "key", "b");
  for (const std::string value : {"a", "b"}) {
    Holds("key", "string \"" + value + "\"");
    EXPECT_TRUE(Findings().lost.empty()) << value;
  }
}

TEST_F(AckCheckTest, ValueThatWasRefusedIsNoValue) {
  log_.Add("n1", {{"key", "refused"}}, WriteState::kRefused, 10, 20);
  log_.Add("n1", {{"key", "unanswered"}}, WriteState::kUnknown, 30, 40);
  Holds("key", "string \"refused\"");
  EXPECT_EQ(1U, Findings().lost.size());
}

TEST_F(AckCheckTest, WriteThatARejoinNamesInItsTailIsGivenUp) {
  Acknowledged("n1", 10, 20);
  Holds("other", "string \"x\"");
  observed_.decisions.push_back(Rejoin("n1", Verdict::kHold, {"key"}));
  EXPECT_EQ(1U, Findings().lost.size()) << "who is held gives up nothing yet";
  observed_.decisions.back() = Rejoin("n1", Verdict::kPadded, {"key"});
  EXPECT_TRUE(Findings().IsClean());
  EXPECT_EQ(1U, Findings().given_up);
}

TEST_F(AckCheckTest, TailThatIsGivenUpMustBeInASalvageOrTheRecordSaysWhyNot) {
  Acknowledged("n1", 1, 2, "key");
  DecisionRecord& rejoin = observed_.decisions.emplace_back(Rejoin("n1", Verdict::kPadded, {"key"}));

  --rejoin.outcome->salvage->records;
  EXPECT_EQ(1U, Findings().not_salvaged.size()) << "a part of it only";
  rejoin.outcome->salvage.reset();
  EXPECT_EQ(1U, Findings().not_salvaged.size());
  rejoin.outcome->outcome = Outcome::kFailed;
  EXPECT_EQ(0U, Findings().not_salvaged.size()) << "it was not given up";
  rejoin.outcome->outcome = Outcome::kDone;
  StepRecord& step = rejoin.steps.emplace_back();
  step.action = "salvage";
  step.outcome = Outcome::kDone;
  EXPECT_EQ(0U, Findings().not_salvaged.size());
  rejoin.steps.clear();
  rejoin.decision.verdict->reasons = {{"tail-not-salvaged", "its WAL is gone"}};
  EXPECT_EQ(0U, Findings().not_salvaged.size());
}

TEST_F(AckCheckTest, WriteThatAPaddedNodeMissedIsGivenUpWhenThatIsTheMaster) {
  Acknowledged("n1", 10, 20);
  Holds("other", "string \"x\"");
  observed_.keyspaces["n1"]["__namespace:key"] = "string \"value\"";
  observed_.decisions.push_back(Rejoin("n2", Verdict::kPadded, {}, {"key"}));
  EXPECT_TRUE(Findings().IsClean());
  EXPECT_EQ(1U, Findings().given_up);
}

TEST_F(AckCheckTest, HalfABatchIsTorn) {
  log_.Add("n1", {{"batch:n1:0:0", "v"}, {"batch:n1:0:1", "v"}}, WriteState::kUnknown, 10, 20);
  Holds("batch:n1:0:0", "string \"v\"");
  EXPECT_EQ(std::vector<std::string>({"half of a batch is there: batch:n1:0"}), Findings().lost);
  Holds("batch:n1:0:1", "string \"v\"");
  EXPECT_TRUE(Findings().IsClean());
}

TEST_F(AckCheckTest, CounterIsAtLeastWhatWasAcknowledged) {
  for (const WriteState state :
       {WriteState::kAcknowledged, WriteState::kAcknowledged, WriteState::kUnknown}) {
    log_.End(log_.Begin("n1", {}, "counter:0"), state, AckLog::NowMicros());
  }
  for (const auto& [value, lost, other] :
       {std::tuple("1", 1U, 0U), std::tuple("2", 0U, 0U), std::tuple("3", 0U, 0U), std::tuple("4", 0U, 1U)}) {
    Holds("counter:0", "string \"" + std::string(value) + "\"");
    EXPECT_EQ(lost, Findings().lost.size()) << value;
    EXPECT_EQ(other, Findings().other.size()) << value;
  }
  Holds("counter:0", "string \"1\"");
  observed_.decisions.push_back(Rejoin("n1", Verdict::kPadded, {"counter:0"}));
  EXPECT_TRUE(Findings().IsClean());
}

TEST_F(AckCheckTest, KeysThatDifferMustBeNamed) {
  Holds("key", "string \"a\"");
  observed_.keyspaces["n1"]["__namespace:key"] = "string \"b\"";
  EXPECT_EQ(std::vector<std::string>({"__namespace:key is not the same on n2 and n1"}), Findings().different);
  observed_.decisions.push_back(Rejoin("n1", Verdict::kPadded, {}, {"key"}));
  EXPECT_TRUE(Findings().different.empty());
}

TEST_F(AckCheckTest, TwoNodesThatTakeTurnsWithoutAPromotionOverlap) {
  Acknowledged("n1", 10, 20);
  Acknowledged("n2", 30, 40);
  Holds("key", "string \"value\"");
  EXPECT_TRUE(Findings().IsClean());
  Acknowledged("n1", 35, 50);
  EXPECT_TRUE(Findings().IsClean()) << "it was sent before n2 had acknowledged anything";
  Acknowledged("n1", 3000, 4000);
  EXPECT_EQ(std::vector<std::string>({"n1 acknowledged 1 writes, the last of them sent 2 ms after n2 had "
                                      "acknowledged one, and was not promoted in between"}),
            Findings().overlapping);
  observed_.decisions.push_back(Promotion(3, "n1"));
  EXPECT_TRUE(Findings().overlapping.empty());
}

TEST_F(AckCheckTest, NodeThatWasNeverPromotedHasNothingToAcknowledge) {
  Acknowledged("n3", 10, 20);
  Holds("key", "string \"value\"");
  EXPECT_EQ(std::vector<std::string>({"n3 acknowledged 1 writes, and was never promoted"}),
            Findings().overlapping);
}

TEST_F(AckCheckTest, ExcusedWritesAreCountedAndMeasured) {
  Acknowledged("n1", 10, 20);
  Acknowledged("n2", 30, 40);
  Acknowledged("n1", 105, 110);
  Acknowledged("n1", 115, 120);
  Holds("key", "string \"value\"");
  EXPECT_EQ(1U, Findings().overlapping.size());
  const AckFindings findings = Findings({{"n1", 100, 130}});
  EXPECT_TRUE(findings.IsClean());
  EXPECT_EQ(2U, findings.excused);
  EXPECT_EQ(20, findings.longest_excused_us);
}

TEST_F(AckCheckTest, FullSyncsAndOutcomesAreCounted) {
  Holds("key", "string \"value\"");
  observed_.full_syncs = 1;
  EXPECT_EQ(1U, Findings().full_syncs.size());
  observed_.decisions.push_back(Rejoin("n1", Verdict::kFull, {}));
  EXPECT_TRUE(Findings().full_syncs.empty());
  observed_.full_syncs = 2;
  EXPECT_EQ(1U, Findings().full_syncs.size());
  OutcomeRecord& outcome = *observed_.decisions.back().outcome;
  outcome.survivor_before.emplace();
  outcome.survivor_after.emplace().sync_full = 2;
  EXPECT_TRUE(Findings().full_syncs.empty()) << "the first one broke off, and the record says so";
  observed_.decisions.back().outcome.reset();
  observed_.full_syncs = 1;
  EXPECT_EQ(std::vector<std::string>({"decision Rn1 (rejoin n1) has no outcome"}), Findings().open);
}

TEST_F(AckCheckTest, GroupHasOneMaster) {
  Holds("key", "string \"value\"");
  observed_.masters = {"n1", "n2"};
  EXPECT_EQ(1U, Findings().other.size());
  observed_.masters.clear();
  EXPECT_EQ(1U, Findings().other.size());
}

}  // namespace
}  // namespace walstitch::test
