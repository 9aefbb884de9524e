#include "policies/evaluate.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "policies/loader.h"
#include "policies/model/types.h"

namespace walstitch {
namespace {

KeyspaceRule Rule(std::string name, Tolerance tolerance, KeyspaceMatch match, KeyspaceLimits limits = {}) {
  return {name, std::move(match), tolerance, limits, "shop.yaml:1:" + name};
}

TouchedKey Key(std::string key, std::vector<std::string> types = {"string"},
               std::string name_space = "__namespace") {
  return {"", std::move(name_space), std::move(key), std::move(types), 1, 10};
}

TouchedKey Internal(std::string internal, std::uint64_t records = 1) {
  return {std::move(internal), "", "", {}, records, 5};
}

Touched Touches(std::vector<TouchedKey> keys) {
  Touched touched;
  for (const auto& key : keys) touched.records += key.records;
  touched.keys = std::move(keys);
  return touched;
}

TolerancePolicy Policy(std::vector<KeyspaceRule> rules, Tolerance by_default = Tolerance::kFullSync) {
  TolerancePolicy policy;
  policy.keyspaces = std::move(rules);
  policy.default_tolerance = by_default;
  return policy;
}

TEST(Evaluate, TheFirstRuleThatMatchesDecides) {
  auto policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {"page:*"}, {}}),
                        Rule("b", Tolerance::kFullSync, {{}, {"page:1"}, {}})});
  EXPECT_EQ(DecideKey(policy, Key("page:1")).keyspace, "a");
  EXPECT_EQ(DecideKey(policy, Key("page:1")).rule, "shop.yaml:1:a");
  std::swap(policy.keyspaces[0], policy.keyspaces[1]);
  EXPECT_EQ(DecideKey(policy, Key("page:1")).keyspace, "b");
}

TEST(Evaluate, WhatNoRuleMatchesIsTheDefaults) {
  auto decision = DecideKey(Policy({Rule("a", Tolerance::kIgnore, {{}, {"page:*"}, {}})}), Key("order:1"));
  EXPECT_EQ(decision.keyspace, "default");
  EXPECT_EQ(decision.rule, "default");
  EXPECT_EQ(decision.tolerance, Tolerance::kFullSync);
}

TEST(Evaluate, NamespaceKeyAndTypeMustAllMatch) {
  auto policy = Policy({Rule("a", Tolerance::kIgnore, {{"cart*"}, {"x*"}, {"hash"}})});
  EXPECT_EQ(DecideKey(policy, Key("x1", {"hash"}, "carts")).keyspace, "a");
  EXPECT_EQ(DecideKey(policy, Key("x1", {"hash"}, "orders")).keyspace, "default");
  EXPECT_EQ(DecideKey(policy, Key("y1", {"hash"}, "carts")).keyspace, "default");
  EXPECT_EQ(DecideKey(policy, Key("x1", {"set"}, "carts")).keyspace, "default");
}

TEST(Evaluate, DefaultIsTheNamespaceThatKvrocksWritesAsUnderscores) {
  auto policy = Policy({Rule("a", Tolerance::kIgnore, {{"default"}, {}, {}})});
  EXPECT_EQ(DecideKey(policy, Key("x", {"string"}, "__namespace")).keyspace, "a");
  EXPECT_EQ(DecideKey(policy, Key("x", {"string"}, "default")).keyspace, "default");
  EXPECT_EQ(DecideKey(policy, Key("x", {"string"}, "cart")).keyspace, "default");
  policy.keyspaces[0].match.namespaces = {"[d]efault"};
  EXPECT_EQ(DecideKey(policy, Key("x", {"string"}, "default")).keyspace, "a");
}

TEST(Evaluate, AnUnknownTypeMatchesATypedRuleOnlyIfThatIsStricter) {
  auto mild = Policy({Rule("a", Tolerance::kIgnore, {{}, {}, {"hash"}})}, Tolerance::kFullSync);
  EXPECT_EQ(DecideKey(mild, Key("x", {})).keyspace, "default");
  EXPECT_EQ(DecideKey(mild, Key("x", {"hash"})).keyspace, "a");

  auto strict = Policy({Rule("a", Tolerance::kFullSync, {{}, {}, {"hash"}})}, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(strict, Key("x", {})).keyspace, "a");
  EXPECT_EQ(DecideKey(strict, Key("x", {"string"})).keyspace, "default");

  auto middle = Policy({Rule("a", Tolerance::kRepair, {{}, {}, {"hash"}})}, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(middle, Key("x", {})).tolerance, Tolerance::kRepair);
}

TEST(Evaluate, ARuleBehindOneThatTakesEveryTypeDoesNotCount) {
  auto policy = Policy(
      {Rule("a", Tolerance::kIgnore, {{}, {}, {}}), Rule("b", Tolerance::kFullSync, {{}, {}, {"hash"}})});
  EXPECT_EQ(DecideKey(policy, Key("x", {})).keyspace, "a");
}

TEST(Evaluate, ATypeOfALaterKvrocksIsAsGoodAsUnknown) {
  auto policy = Policy({Rule("a", Tolerance::kFullSync, {{}, {}, {"hash"}})}, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(policy, Key("x", {"quantum-list"})).keyspace, "a");
}

TEST(Evaluate, BothNamesOfATypeAreTheSame) {
  auto policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {}, {"ReJSON-RL"}})});
  EXPECT_EQ(DecideKey(policy, Key("x", {"json"})).keyspace, "a");
  EXPECT_EQ(DecideKey(policy, Key("x", {"ReJSON-RL"})).keyspace, "a");
}

TEST(Evaluate, AKeyThatHadTwoTypesGetsTheStricterRule) {
  auto policy = Policy({Rule("strings", Tolerance::kIgnore, {{}, {}, {"string"}}),
                        Rule("hashes", Tolerance::kFullSync, {{}, {}, {"hash"}})},
                       Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(policy, Key("x", {"hash", "string"})).keyspace, "hashes");
}

TEST(Evaluate, NothingTouchedIsTheMildest) {
  auto findings = EvaluateTouched(DefaultPolicy(), {}, {});
  EXPECT_TRUE(findings.keyspaces.empty());
  EXPECT_EQ(findings.strictest, Tolerance::kIgnore);
  EXPECT_FALSE(findings.limit_passed);
}

TEST(Evaluate, BothSidesCountAndAKeyOfBothIsOneKey) {
  auto policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {"*"}, {}})});
  auto findings = EvaluateTouched(policy, Touches({Key("x"), Key("y")}), Touches({Key("x")}));
  ASSERT_EQ(findings.keyspaces.size(), 1U);
  const KeyspaceFinding& finding = findings.keyspaces[0];
  EXPECT_EQ(finding.tail_records, 2U);
  EXPECT_EQ(finding.missed_records, 1U);
  EXPECT_EQ(finding.keys, 2U);
  EXPECT_EQ(finding.bytes, 30U);
  EXPECT_EQ(finding.rule, "shop.yaml:1:a");
}

TEST(Evaluate, FindingsStandInTheOrderOfTheRules) {
  auto policy = Policy(
      {Rule("z", Tolerance::kIgnore, {{}, {"z*"}, {}}), Rule("a", Tolerance::kIgnore, {{}, {"a*"}, {}})});
  auto findings = EvaluateTouched(
      policy, Touches({Key("a"), Key("other"), Key("z"), Internal("search"), Internal("pubsub")}), {});
  std::vector<std::string> names;
  for (const auto& finding : findings.keyspaces) names.push_back(finding.keyspace);
  EXPECT_EQ(names, (std::vector<std::string>{"z", "a", "default", "internal/pubsub", "internal/search"}));
}

TEST(Evaluate, TheStrictestKeyspaceDecides) {
  auto policy = Policy(
      {Rule("a", Tolerance::kIgnore, {{}, {"a*"}, {}}), Rule("b", Tolerance::kRepair, {{}, {"b*"}, {}})});
  EXPECT_EQ(EvaluateTouched(policy, Touches({Key("a")}), {}).strictest, Tolerance::kIgnore);
  EXPECT_EQ(EvaluateTouched(policy, Touches({Key("a")}), Touches({Key("b")})).strictest, Tolerance::kRepair);
  EXPECT_EQ(EvaluateTouched(policy, Touches({Key("a"), Key("c")}), {}).strictest, Tolerance::kFullSync);
}

TEST(Evaluate, InternalRecordsHaveTheirOwnRules) {
  TolerancePolicy policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {"*"}, {}})}, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(policy, Internal("pubsub")).tolerance, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(policy, Internal("propagate")).tolerance, Tolerance::kFullSync);
  EXPECT_EQ(DecideKey(policy, Internal("search")).tolerance, Tolerance::kFullSync);
  policy.internal = {Tolerance::kFullSync, Tolerance::kIgnore, Tolerance::kIgnore};
  EXPECT_EQ(DecideKey(policy, Internal("pubsub")).tolerance, Tolerance::kFullSync);
  EXPECT_EQ(DecideKey(policy, Internal("propagate")).tolerance, Tolerance::kIgnore);
  EXPECT_EQ(DecideKey(policy, Internal("search")).keyspace, "internal/search");
  // Not understood: never ignored.
  EXPECT_EQ(DecideKey(policy, Internal("unknown")).tolerance, Tolerance::kFullSync);
  EXPECT_EQ(DecideKey(policy, Internal("something-new")).tolerance, Tolerance::kFullSync);
  auto findings = EvaluateTouched(policy, Touches({Internal("propagate", 7)}), {});
  EXPECT_EQ(findings.keyspaces[0].tail_records, 7U);
  EXPECT_EQ(findings.keyspaces[0].keys, 0U);
}

TEST(Evaluate, ARangeDeleteIsAsStrictAsAnythingInThePolicy) {
  TolerancePolicy policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {"a*"}, {}})}, Tolerance::kIgnore);
  policy.internal = {Tolerance::kIgnore, Tolerance::kIgnore, Tolerance::kIgnore};
  Touched flushed;
  flushed.range_deletes = 2;
  auto findings = EvaluateTouched(policy, {}, flushed);
  ASSERT_EQ(findings.keyspaces.size(), 1U);
  EXPECT_EQ(findings.keyspaces[0].keyspace, "internal/flush");
  EXPECT_EQ(findings.keyspaces[0].missed_records, 2U);
  EXPECT_EQ(findings.strictest, Tolerance::kIgnore);

  policy.keyspaces.push_back(Rule("b", Tolerance::kRepair, {{}, {"b*"}, {}}));
  findings = EvaluateTouched(policy, flushed, {});
  EXPECT_EQ(findings.strictest, Tolerance::kRepair);
  EXPECT_EQ(findings.keyspaces[0].rule, "shop.yaml:1:b");

  policy.internal.search = Tolerance::kFullSync;
  EXPECT_EQ(EvaluateTouched(policy, flushed, {}).strictest, Tolerance::kFullSync);
  policy.internal.search = Tolerance::kIgnore;
  policy.default_tolerance = Tolerance::kFullSync;
  EXPECT_EQ(EvaluateTouched(policy, flushed, {}).strictest, Tolerance::kFullSync);
}

TEST(Evaluate, ATruncatedListIsNeverIgnored) {
  Touched touched = Touches({Key("a")});
  touched.truncated = true;
  auto findings = EvaluateTouched(Policy({}, Tolerance::kIgnore), {}, touched);
  ASSERT_EQ(findings.keyspaces.size(), 2U);
  EXPECT_EQ(findings.keyspaces[1].keyspace, "internal/truncated");
  EXPECT_EQ(findings.strictest, Tolerance::kFullSync);
}

TEST(Evaluate, ALimitIsPassedByOneMoreThanItSays) {
  auto with = [](KeyspaceLimits limits) {
    auto policy = Policy({Rule("a", Tolerance::kIgnore, {{}, {"*"}, {}}, limits)});
    return EvaluateTouched(policy, Touches({Key("x"), Key("y")}), Touches({Key("x")}));
  };
  EXPECT_FALSE(with({3, 2, 30}).limit_passed);
  auto records = with({2, {}, {}});
  EXPECT_TRUE(records.limit_passed);
  EXPECT_EQ(records.keyspaces[0].limits_passed,
            std::vector<std::string>{"keyspace a: 3 records differ, its limit is 2"});
  EXPECT_EQ(with({{}, 1, {}}).keyspaces[0].limits_passed,
            std::vector<std::string>{"keyspace a: 2 keys differ, its limit is 1"});
  EXPECT_EQ(with({{}, {}, 29}).keyspaces[0].limits_passed,
            std::vector<std::string>{"keyspace a: 30 bytes differ, its limit is 29"});
  EXPECT_EQ(with({0, 0, 0}).keyspaces[0].limits_passed.size(), 3U);
}

TEST(Evaluate, APolicyWithoutGroupsIsForAll) {
  TolerancePolicy policy;
  EXPECT_TRUE(AppliesToGroup(policy, "any"));
  policy.groups = {"shop-*", "cart"};
  EXPECT_TRUE(AppliesToGroup(policy, "shop-1"));
  EXPECT_TRUE(AppliesToGroup(policy, "cart"));
  EXPECT_FALSE(AppliesToGroup(policy, "carts"));
}

// --- properties ------------------------------------------------------------------------------------

rc::Gen<Tolerance> AnyTolerance() {
  return rc::gen::element(Tolerance::kIgnore, Tolerance::kEvict, Tolerance::kRepair, Tolerance::kFullSync);
}

TolerancePolicy AnyPolicy() {
  TolerancePolicy policy;
  auto count = *rc::gen::inRange(0, 6);
  for (int i = 0; i < count; ++i) {
    KeyspaceMatch match;
    match.keys = *rc::gen::element(std::vector<std::string>{}, std::vector<std::string>{"a*"},
                                   std::vector<std::string>{"*b"}, std::vector<std::string>{"a", "b"});
    match.namespaces = *rc::gen::element(std::vector<std::string>{}, std::vector<std::string>{"default"},
                                         std::vector<std::string>{"n*"});
    match.types =
        *rc::gen::element(std::vector<std::string>{}, std::vector<std::string>{"string"},
                          std::vector<std::string>{"hash", "set"}, std::vector<std::string>{"bloom"});
    policy.keyspaces.push_back(Rule("r" + std::to_string(i), *AnyTolerance(), match));
  }
  policy.default_tolerance = *AnyTolerance();
  policy.internal = {*AnyTolerance(), *AnyTolerance(), *AnyTolerance()};
  return policy;
}

TouchedKey AnyKey() {
  return Key(
      *rc::gen::element<std::string>("a", "ab", "b", "c"),
      *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>("string", "hash", "json")),
      *rc::gen::element<std::string>("__namespace", "n1", "m"));
}

RC_GTEST_PROP(Evaluate, NotKnowingTheTypeIsNeverMilderThanAnyType, ()) {
  TolerancePolicy policy = AnyPolicy();
  TouchedKey unknown = AnyKey();
  unknown.types.clear();
  Tolerance without = DecideKey(policy, unknown).tolerance;
  for (std::string_view type : KvrocksTypeNames()) {
    TouchedKey known = unknown;
    known.types = {std::string(type)};
    RC_ASSERT(without >= DecideKey(policy, known).tolerance);
  }
}

RC_GTEST_PROP(Evaluate, OneMoreTypeIsNeverMilder, ()) {
  TolerancePolicy policy = AnyPolicy();
  TouchedKey key = AnyKey();
  RC_PRE(!key.types.empty());
  TouchedKey more = key;
  more.types.push_back(*rc::gen::element<std::string>("set", "bloom", "never-heard-of"));
  RC_ASSERT(DecideKey(policy, more).tolerance >= DecideKey(policy, key).tolerance);
}

RC_GTEST_PROP(Evaluate, OneMoreKeyIsNeverMilder, ()) {
  TolerancePolicy policy = AnyPolicy();
  std::vector<TouchedKey> keys;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) keys.push_back(AnyKey());
  auto before = EvaluateTouched(policy, Touches(keys), {});
  TouchedKey one = AnyKey();
  auto after = EvaluateTouched(policy, Touches(keys), Touches({one}));
  RC_ASSERT(after.strictest >= before.strictest);
  RC_ASSERT(after.strictest >= DecideKey(policy, one).tolerance);
}

RC_GTEST_PROP(Evaluate, TheStrictestIsThatOfSomeKeyAndEveryRecordIsCounted, ()) {
  TolerancePolicy policy = AnyPolicy();
  std::vector<TouchedKey> keys;
  for (int i = *rc::gen::inRange(1, 8); i > 0; --i) keys.push_back(AnyKey());
  auto findings = EvaluateTouched(policy, Touches(keys), Touches(keys));
  Tolerance strictest = Tolerance::kIgnore;
  for (const auto& key : keys) strictest = std::max(strictest, DecideKey(policy, key).tolerance);
  RC_ASSERT(findings.strictest == strictest);
  std::uint64_t tail = 0;
  std::uint64_t missed = 0;
  for (const auto& finding : findings.keyspaces) {
    tail += finding.tail_records;
    missed += finding.missed_records;
  }
  RC_ASSERT(tail == keys.size());
  RC_ASSERT(missed == keys.size());
}

RC_GTEST_PROP(Evaluate, ARangeDeleteIsNeverMilderThanAnyKey, ()) {
  TolerancePolicy policy = AnyPolicy();
  Touched flushed;
  flushed.range_deletes = 1;
  RC_ASSERT(EvaluateTouched(policy, flushed, {}).strictest >= DecideKey(policy, AnyKey()).tolerance);
}

RC_GTEST_PROP(Evaluate, RulesBehindTheFirstCertainMatchChangeNothing, ()) {
  TolerancePolicy policy = AnyPolicy();
  policy.keyspaces.push_back(Rule("all", Tolerance::kIgnore, {}));
  TouchedKey key = AnyKey();
  auto before = DecideKey(policy, key);
  policy.keyspaces.push_back(Rule("late", Tolerance::kFullSync, {}));
  auto after = DecideKey(policy, key);
  RC_ASSERT(before.keyspace == after.keyspace);
  RC_ASSERT(before.tolerance == after.tolerance);
}

}  // namespace
}  // namespace walstitch
