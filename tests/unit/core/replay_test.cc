#include "controller/core/replay.h"

#include <gtest/gtest.h>

namespace walstitch::core {
namespace {

TolerancePolicy Shop() {
  TolerancePolicy policy;
  KeyspaceRule carts;
  carts.name = "carts";
  carts.match.keys = {"cart:*"};
  policy.keyspaces = {carts};
  return policy;
}

SalvagedKey Key(const std::string& key, const std::string& name_space = "__namespace") {
  SalvagedKey salvaged;
  salvaged.name_space = name_space;
  salvaged.key = key;
  salvaged.type = "string";
  return salvaged;
}

TEST(ReplayTest, WithoutAnyFilterEveryKeyIsChosen) { EXPECT_TRUE(IsChosen({}, Shop(), Key("a"))); }

TEST(ReplayTest, EveryKindOfFilterMustFit) {
  const ReplayChoice choice{{"default"}, {"cart:*", "order:*"}, {}};
  EXPECT_TRUE(IsChosen(choice, Shop(), Key("cart:1")));
  EXPECT_TRUE(IsChosen(choice, Shop(), Key("order:1")));
  EXPECT_FALSE(IsChosen(choice, Shop(), Key("page:1")));
  EXPECT_FALSE(IsChosen(choice, Shop(), Key("cart:1", "tenant")));
}

TEST(ReplayTest, AKeyspaceIsThePolicysOwn) {
  EXPECT_TRUE(IsChosen({{}, {}, {"carts"}}, Shop(), Key("cart:1")));
  EXPECT_FALSE(IsChosen({{}, {}, {"carts"}}, Shop(), Key("page:1")));
  EXPECT_TRUE(IsChosen({{}, {}, {"default"}}, Shop(), Key("page:1")));
  EXPECT_TRUE(CheckChoice({{}, {}, {"carts", "default"}}, Shop()));
  const auto unknown = CheckChoice({{}, {}, {"orders"}}, Shop());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().Message(),
            "no keyspace 'orders' in the policy in force; there are: carts, default");
}

TEST(ReplayTest, TheSentenceCountsWhatBecameOfTheKeys) {
  ReplaySummary summary;
  EXPECT_EQ(summary.Sentence(false), "no key was chosen");
  for (int i = 0; i < 3; ++i) summary.Add({"__namespace", "k", "string", ReplayResult::kWritten, ""});
  summary.Add({"__namespace", "k", "string", ReplayResult::kChanged, ""});
  EXPECT_EQ(summary.Sentence(false), "3 keys written; 1 key left alone, changed since");
  EXPECT_EQ(summary.Sentence(true), "3 keys would be written; 1 key left alone, changed since");
  summary.ended_early = "the agent is gone";
  EXPECT_NE(summary.Sentence(false).find("it ended early: the agent is gone"), std::string::npos);
}

}  // namespace
}  // namespace walstitch::core
