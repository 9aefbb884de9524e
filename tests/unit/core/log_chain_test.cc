#include "controller/core/log_chain.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "controller/core/ulid.h"
#include "policies/model/json.h"

namespace walstitch::core {
namespace {

Decision FailoverTo(const std::string& id, const std::string& node) {
  Decision decision;
  decision.id = id;
  decision.group = "shop";
  decision.kind = DecisionKind::kFailover;
  decision.node = node;
  return decision;
}

struct Log {
  std::vector<std::string> lines;
  LogHead head;

  void Add(EntryKind kind, const std::string& id, const boost::json::value& body) {
    SealedEntry sealed = Seal(head, kind, id, 1000, body);
    lines.push_back(sealed.line);
    head = sealed.head;
  }
};

Log ThreeEntries() {
  Log log;
  log.Add(EntryKind::kDecision, "A1", ToJson(FailoverTo("A1", "n2")));
  StepRecord step;
  step.node = "n2";
  step.action = "promote";
  step.outcome = Outcome::kDone;
  log.Add(EntryKind::kStep, "A1", ToJson(step));
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  log.Add(EntryKind::kOutcome, "A1", ToJson(outcome));
  return log;
}

std::string Verify(const std::vector<std::string>& lines, const LogHead& head) {
  ChainVerifier verifier;
  for (const auto& line : lines) {
    if (auto added = verifier.Add(line); !added) return added.error().Message();
  }
  auto finished = verifier.Finish(head);
  return finished ? "ok" : finished.error().Message();
}

TEST(LogChainTest, AnUntouchedLogVerifies) {
  const Log log = ThreeEntries();
  EXPECT_EQ(Verify(log.lines, log.head), "ok");
  EXPECT_EQ(Verify({}, LogHead{}), "ok");
}

TEST(LogChainTest, AChangedEntryShows) {
  Log log = ThreeEntries();
  log.lines[0].replace(log.lines[0].find("n2"), 2, "n3");
  EXPECT_EQ(Verify(log.lines, log.head),
            "decision log: entry 2: does not follow the entry before it: one of the two was changed");
}

TEST(LogChainTest, AChangedLastEntryShows) {
  Log log = ThreeEntries();
  log.lines[2].replace(log.lines[2].find("done"), 4, "fail");
  EXPECT_EQ(Verify(log.lines, log.head),
            "decision log: entry 3: was changed: its hash is not the one that was stored");
}

TEST(LogChainTest, AMissingEntryShows) {
  Log log = ThreeEntries();
  log.lines.erase(log.lines.begin() + 1);
  EXPECT_EQ(Verify(log.lines, log.head), "decision log: entry 2: is missing: entry 3 stands in its place");
}

TEST(LogChainTest, ALogCutOffAtItsEndShows) {
  Log log = ThreeEntries();
  log.lines.pop_back();
  EXPECT_EQ(Verify(log.lines, log.head),
            "decision log: entry 2: is the last one found, but the log was written up to entry 3");
}

TEST(LogChainTest, RubbishIsNamedWithItsEntry) {
  Log log = ThreeEntries();
  log.lines[1] = "{\"index\": 2}";
  EXPECT_EQ(Verify(log.lines, log.head),
            "decision log: entry 2: decision log entry: a field is missing or of a wrong type");
}

TEST(LogChainTest, EntriesFoldIntoRecords) {
  RecordFolder folder;
  for (const auto& line : ThreeEntries().lines) ASSERT_TRUE(folder.Add(line));
  ASSERT_EQ(folder.Records().size(), 1U);
  EXPECT_EQ(folder.Records()[0].decision.node, "n2");
  EXPECT_EQ(folder.Records()[0].steps.size(), 1U);
  EXPECT_EQ(folder.Records()[0].outcome->outcome, Outcome::kDone);
}

TEST(LogChainTest, AnOutcomeWithoutItsDecisionIsDamage) {
  Log log;
  log.Add(EntryKind::kOutcome, "B2", ToJson(OutcomeRecord{}));
  RecordFolder folder;
  auto added = folder.Add(log.lines[0]);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().Message(), "decision log: entry 1: belongs to decision B2, which is not there");
}

TEST(UlidTest, SortsByTimeAndHasTheSpecsForm) {
  // The example of the specification: 2016-07-30T23:54:10.259Z.
  const std::string id =
      MakeUlid(1469922850259, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  EXPECT_EQ(id, "01ARZ3NDEKZZZZZZZZZZZZZZZZ");
  EXPECT_LT(id, MakeUlid(1469922850260, {}));
}

}  // namespace
}  // namespace walstitch::core
