#include "controller/cli/policy_explain.h"

#include <gtest/gtest.h>

#include "controller/cli/policy_commands.h"

namespace walstitch::cli {
namespace {

KeyspaceRule Rule(std::string name, std::vector<std::string> namespaces, std::vector<std::string> keys,
                  std::vector<std::string> types, Tolerance tolerance) {
  KeyspaceRule rule;
  rule.name = std::move(name);
  rule.match = {std::move(namespaces), std::move(keys), std::move(types)};
  rule.on_divergence = tolerance;
  rule.source = "shop.yaml:" + rule.name;
  return rule;
}

TolerancePolicy Shop() {
  TolerancePolicy policy;
  policy.name = "shop";
  policy.keyspaces = {
      Rule("orders", {"orders"}, {}, {}, Tolerance::kFullSync),
      Rule("sessions", {"default"}, {"sess:*"}, {"string", "hash"}, Tolerance::kEvict),
      Rule("bloom", {}, {"sess:*"}, {"bloom"}, Tolerance::kRepair),
      Rule("cache", {"*"}, {"page:*", "sess:*"}, {}, Tolerance::kIgnore),
      Rule("rest", {"cart"}, {}, {}, Tolerance::kRepair),
  };
  return policy;
}

TouchedKey Key(std::string name_space, std::string key, std::string type = "") {
  TouchedKey touched;
  touched.name_space = std::move(name_space);
  touched.key = std::move(key);
  if (!type.empty()) touched.types = {std::move(type)};
  return touched;
}

TEST(PolicyExplain, TheFirstRuleThatMatchesWinsAndTheRestIsNotTried) {
  auto explanation = ExplainKey(Shop(), Key("__namespace", "sess:1", "hash"));
  EXPECT_EQ(explanation.decision.keyspace, "sessions");
  ASSERT_EQ(explanation.trials.size(), 5u);
  EXPECT_EQ(explanation.trials[0].match, RuleMatch::kNo);
  EXPECT_EQ(explanation.trials[0].why, "namespace default is none of: orders");
  EXPECT_EQ(explanation.trials[1].match, RuleMatch::kYes);
  EXPECT_EQ(explanation.trials[2].match, RuleMatch::kNotTried);
  EXPECT_EQ(explanation.trials[4].why, "sessions stands before it");
}

TEST(PolicyExplain, SaysWhyATypeDoesNotMatch) {
  auto explanation = ExplainKey(Shop(), Key("__namespace", "sess:1", "zset"));
  EXPECT_EQ(explanation.trials[1].why, "type zset is none of: string, hash");
  EXPECT_EQ(explanation.decision.keyspace, "cache");
}

TEST(PolicyExplain, EverydayTypeNamesMatchKvrocksOnes) {
  EXPECT_EQ(ExplainKey(Shop(), Key("__namespace", "sess:1", "MBbloom--")).trials[2].match, RuleMatch::kYes);
}

TEST(PolicyExplain, AnUnknownTypeTakesTheStricterRuleThatMayMatch) {
  auto explanation = ExplainKey(Shop(), Key("__namespace", "sess:1"));
  EXPECT_EQ(explanation.decision.keyspace, "bloom");
  EXPECT_EQ(explanation.trials[1].match, RuleMatch::kMaybe);
  EXPECT_NE(explanation.trials[2].why.find("; taken, because it is the strictest"), std::string::npos);
  EXPECT_EQ(explanation.trials[3].match, RuleMatch::kYes);
  EXPECT_NE(explanation.trials[3].why.find("; but a stricter one may match"), std::string::npos);
}

TEST(PolicyExplain, NoRuleLeavesTheDefault) {
  auto key = Key("cart2", "x", "string");
  auto explanation = ExplainKey(Shop(), key);
  EXPECT_EQ(RenderExplanation(Shop(), key, explanation),
            R"(key x in namespace cart2, type string, policy shop

  KEYSPACE  SAYS      RULE                MATCHES  WHY
  orders    fullsync  shop.yaml:orders    no       namespace cart2 is none of: orders
  sessions  evict     shop.yaml:sessions  no       namespace cart2 is none of: default
  bloom     repair    shop.yaml:bloom     no       the key is none of: sess:*
  cache     ignore    shop.yaml:cache     no       the key is none of: page:*, sess:*
  rest      repair    shop.yaml:rest      no       namespace cart2 is none of: cart

decided by default, as no rule matches: fullsync, if this key differs, the node is copied afresh
)");
}

// The explanation is not the decision: they must never part.
TEST(PolicyExplain, AgreesWithTheDecisionForEveryCombination) {
  const auto policy = Shop();
  for (const char* name_space : {"__namespace", "orders", "cart", "other"}) {
    for (const char* name : {"sess:1", "page:1", "x"}) {
      for (const char* type : {"", "string", "hash", "zset", "MBbloom--"}) {
        auto explanation = ExplainKey(policy, Key(name_space, name, type));
        std::string expected = "default";
        for (const auto& trial : explanation.trials) {
          if (trial.match == RuleMatch::kYes) expected = trial.keyspace;
          if (trial.match == RuleMatch::kMaybe && trial.why.find("; taken") != std::string::npos) {
            expected = trial.keyspace;
            break;
          }
        }
        EXPECT_EQ(expected, explanation.decision.keyspace) << name_space << " " << name << " " << type;
      }
    }
  }
}

TEST(PolicyExplain, MatchesAndLimitsAreDescribed) {
  EXPECT_EQ(DescribeMatch({}), "everything");
  EXPECT_EQ(DescribeMatch({{"cart"}, {"a\x01*", "b"}, {"hash"}}),
            "namespaces cart; keys a\\x01*, b; types hash");
  EXPECT_EQ(DescribeLimits({}), "");
  EXPECT_EQ(DescribeLimits({1000, std::nullopt, 64ULL << 20}), "at most 1000 records, 64 MiB");
}

TEST(PolicyExplain, KeysAreTypedWithEscapesOrRawBytes) {
  EXPECT_EQ(BytesFromTyped("o:\\x00\\\\").value(), std::string("o:\0\\", 4));
  EXPECT_EQ(BytesFromTyped("gr\xc3\xbc\xc3\x9f").value(), "gr\xc3\xbc\xc3\x9f");
  EXPECT_FALSE(BytesFromTyped("a\\n"));
}

}  // namespace
}  // namespace walstitch::cli
