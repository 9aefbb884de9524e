#include "controller/core/repair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

namespace walstitch::core {
namespace {

TouchedKey Key(const std::string& name, std::vector<std::string> types = {"string"}) {
  TouchedKey key;
  key.name_space = "__namespace";
  key.key = name;
  key.types = std::move(types);
  key.records = 1;
  return key;
}

UserKeyName Name(const std::string& key) { return {"__namespace", key}; }

Touched Of(std::vector<TouchedKey> keys) {
  Touched touched;
  touched.keys = std::move(keys);
  return touched;
}

KeyspaceRule Rule(const std::string& name, const std::string& glob, Tolerance tolerance) {
  KeyspaceRule rule;
  rule.name = name;
  rule.match.keys = {glob};
  rule.on_divergence = tolerance;
  return rule;
}

TolerancePolicy Shop() {
  TolerancePolicy policy;
  policy.keyspaces = {Rule("pages", "page:*", Tolerance::kIgnore),
                      Rule("carts", "cart:*", Tolerance::kRepair),
                      Rule("sessions", "sess:*", Tolerance::kEvict)};
  policy.keyspaces[1].limits.bytes = 1000;
  return policy;
}

Evidence Diverged() {
  Evidence evidence;
  evidence.rejoiner.node = "n1";
  evidence.survivor.node = "n2";
  evidence.tail = Of({Key("cart:2"), Key("page:1"), Key("sess:1")});
  evidence.missed = Of({Key("cart:1"), Key("cart:2"), Key("sess:2")});
  return evidence;
}

std::vector<std::string> Shape(const std::vector<PlanStep>& steps) {
  std::vector<std::string> shape;
  for (const PlanStep& step : steps) {
    if (const auto* repair = std::get_if<RepairAction>(&step.action)) {
      shape.push_back(step.node + " repair " + std::to_string(repair->repair.size()) + " evict " +
                      std::to_string(repair->evict.size()) + " of " + repair->keyspace);
    } else if (const auto* compare = std::get_if<CompareAction>(&step.action)) {
      shape.push_back(step.node + " compare " + std::to_string(compare->keys.size()) +
                      (compare->must_equal ? " equal" : "") + (compare->rewritten ? " rewritten" : ""));
    }
  }
  return shape;
}

using Shapes = std::vector<std::string>;

TEST(RepairTest, PaddedNodeNeedsWhatEitherSideTouched) {
  const auto repairs = FindRepairs(Verdict::kPadded, Diverged(), Shop());
  ASSERT_EQ(repairs.size(), 2U);
  EXPECT_EQ(repairs[0].keyspace, "carts");
  EXPECT_EQ(repairs[0].how, Tolerance::kRepair);
  EXPECT_EQ(repairs[0].max_bytes, 1000U);
  EXPECT_EQ(repairs[0].keys, (std::vector{Name("cart:1"), Name("cart:2")}));
  EXPECT_EQ(repairs[1].keys, (std::vector{Name("sess:1"), Name("sess:2")}));
}

TEST(RepairTest, SplicedNodeNeedsWhatItsTailTouchedOnly) {
  const auto repairs = FindRepairs(Verdict::kSpliced, Diverged(), Shop());
  ASSERT_EQ(repairs.size(), 2U);
  EXPECT_EQ(repairs[0].keys, (std::vector{Name("cart:2")}));
  EXPECT_EQ(repairs[1].keys, (std::vector{Name("sess:1")}));
}

TEST(RepairTest, SplicedNodeNeedsNothingOfWhatWasTakenBack) {
  Evidence evidence = Diverged();
  evidence.undo.emplace();
  evidence.undo->left = Of({Key("sess:1")});
  const auto repairs = FindRepairs(Verdict::kSpliced, evidence, Shop());
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].keyspace, "sessions");
}

TEST(RepairTest, NoOtherVerdictNeedsAny) {
  for (const Verdict verdict : {Verdict::kAligned, Verdict::kFull, Verdict::kHold}) {
    EXPECT_TRUE(FindRepairs(verdict, Diverged(), Shop()).empty());
    EXPECT_TRUE(PlanRepairs("D", verdict, Diverged(), Shop(), "http://n2").empty());
  }
}

TEST(RepairTest, KeyOfTwoTypesIsDealtWithByTheStricterRule) {
  TolerancePolicy policy;
  policy.keyspaces = {Rule("strings", "*", Tolerance::kEvict), Rule("hashes", "*", Tolerance::kRepair)};
  policy.keyspaces[0].match.types = {"string"};
  Evidence evidence = Diverged();
  evidence.tail = Of({Key("k", {"string"})});
  evidence.missed = Of({Key("k", {"hash"})});
  const auto repairs = FindRepairs(Verdict::kPadded, evidence, policy);
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].keyspace, "hashes");
}

TEST(RepairTest, KeysThatNoRuleMatchesFollowTheDefault) {
  TolerancePolicy policy;
  policy.default_tolerance = Tolerance::kRepair;
  const auto repairs = FindRepairs(Verdict::kSpliced, Diverged(), policy);
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].keyspace, "default");
  EXPECT_EQ(repairs[0].keys.size(), 3U);
}

TEST(RepairTest, KeysAreComparedBeforeTheyAreMadeEqualAndAfterwards) {
  EXPECT_EQ(Shape(PlanRepairs("D", Verdict::kPadded, Diverged(), Shop(), "http://n2")),
            (Shapes{"n1 compare 4", "n2 repair 2 evict 0 of carts", "n2 repair 0 evict 2 of sessions",
                    "n1 compare 4 equal rewritten"}));
}

TEST(RepairTest, WhatWasTakenBackIsComparedFirstUnlessItMayDiffer) {
  Evidence evidence = Diverged();
  evidence.undo.emplace();
  evidence.undo->undone = {Name("cart:2"), Name("other"), Name("page:1")};
  EXPECT_EQ(Shape(PlanRepairs("D", Verdict::kSpliced, evidence, Shop(), "http://n2")),
            (Shapes{"n1 compare 2 equal"}));
}

TEST(RepairTest, ManyKeysAreSpreadOverSteps) {
  TolerancePolicy policy;
  policy.default_tolerance = Tolerance::kRepair;
  Evidence evidence = Diverged();
  evidence.missed.reset();
  evidence.tail->keys.clear();
  for (int i = 0; i < 2500; ++i) evidence.tail->keys.push_back(Key("k" + std::to_string(i)));
  const Shapes shape = Shape(PlanRepairs("D", Verdict::kSpliced, evidence, policy, "http://n2"));
  EXPECT_EQ(shape.size(), 15U);
  EXPECT_EQ(std::count(shape.begin(), shape.end(), "n2 repair 500 evict 0 of default"), 5);
}

TEST(RepairTest, LongNamesMakeForShortSteps) {
  TolerancePolicy policy;
  policy.default_tolerance = Tolerance::kEvict;
  Evidence evidence = Diverged();
  evidence.missed.reset();
  evidence.tail->keys.clear();
  for (int i = 0; i < 10; ++i) {
    evidence.tail->keys.push_back(Key(std::to_string(i) + std::string(60 * 1024, '\x01')));
  }
  for (const PlanStep& step : PlanRepairs("D", Verdict::kSpliced, evidence, policy, "http://n2")) {
    const auto* repair = std::get_if<RepairAction>(&step.action);
    EXPECT_LE(repair == nullptr ? 0U : repair->evict.size(), 1U);
  }
}

TEST(RepairTest, DifferenceAfterwardsIsAFailureAndBeforehandIsNot) {
  Comparison comparison;
  comparison.equal = 3;
  comparison.differ = 1;
  comparison.differing = {Name("cart:1")};
  CompareAction action;
  EXPECT_EQ(WhyNot(action, comparison), "1 key differs: cart:1");
  action.must_equal = false;
  EXPECT_EQ(WhyNot(action, comparison), std::nullopt);
}

TEST(RepairTest, KeyThatNeverStandsStillIsEqualOnlyIfItWasRewritten) {
  Comparison comparison;
  comparison.restless = 1;
  comparison.never_still = {Name("cart:1")};
  CompareAction action;
  EXPECT_EQ(WhyNot(action, comparison), "1 key changed whenever it was compared: cart:1");
  action.rewritten = true;
  EXPECT_EQ(WhyNot(action, comparison), std::nullopt);
}

TEST(RepairTest, DescriptionsNameTheFirstKeys) {
  KeysMended keys;
  keys.before.equal = 1;
  keys.before.differ = 2;
  keys.repair.repaired = 2;
  keys.repair.evicted = 1;
  keys.after.equal = 3;
  EXPECT_EQ(Describe(keys),
            "of 3 divergent keys, 2 differed; 2 keys rewritten, 1 key deleted; 3 keys are equal");
  RepairReport report;
  report.failed = 1;
  report.failures = {{{"cart", "a\x01"}, "it is too large"}};
  EXPECT_EQ(Describe(report), "1 key could not be made equal: cart:a\\x01: it is too large");
}

TEST(RepairTest, OnlyKeysToBeMadeEqualAreAskedAbout) {
  EXPECT_EQ(KeysToMend(Shop(), Diverged()),
            (std::vector{Name("cart:1"), Name("cart:2"), Name("sess:1"), Name("sess:2")}));
}

TEST(RepairTest, TypeThatTheSurvivorHasCountsForTheRuleToo) {
  TolerancePolicy policy;
  policy.keyspaces = {Rule("strings", "*", Tolerance::kEvict)};
  policy.keyspaces[0].match.types = {"string"};
  Evidence evidence = Diverged();
  evidence.tail = Of({Key("a"), Key("b"), Key("unknown", {})});
  evidence.missed.reset();
  NoteTypes({Name("a"), Name("b"), Name("unknown")}, {"hash", "", "hash"}, &evidence);
  EXPECT_EQ(evidence.tail->keys[0].types, (std::vector<std::string>{"hash", "string"}));
  EXPECT_EQ(evidence.tail->keys[1].types, (std::vector<std::string>{"string"}));
  EXPECT_TRUE(evidence.tail->keys[2].types.empty()) << "what is not known is not made milder";
  const auto repairs = FindRepairs(Verdict::kPadded, evidence, policy);
  ASSERT_EQ(repairs.size(), 1U);
  EXPECT_EQ(repairs[0].keys, (std::vector{Name("b")}));
}

}  // namespace
}  // namespace walstitch::core
