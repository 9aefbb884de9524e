#include "agents/agent/key_compare.h"

#include <gtest/gtest.h>

namespace walstitch::agent {
namespace {

constexpr std::int64_t kNow = 1'000'000;

ValueState Text(const std::string& digest) {
  ValueState state;
  state.type = "string";
  state.digest = digest;
  return state;
}

ValueState Expiring(const std::string& digest, std::int64_t at_ms) {
  ValueState state = Text(digest);
  state.expire_ms = at_ms;
  return state;
}

ValueState Unread(const std::string& type) {
  ValueState state;
  state.type = type;
  state.why = "no command reads it";
  return state;
}

TEST(KeyCompareTest, SameTypeAndDigestAreEqual) {
  EXPECT_EQ(CompareValue(Text("a"), Text("a"), false, kNow), Compared::kEqual);
  EXPECT_EQ(CompareValue({}, {}, false, kNow), Compared::kEqual);
}

TEST(KeyCompareTest, AnotherDigestOrTypeDiffers) {
  EXPECT_EQ(CompareValue(Text("a"), Text("b"), false, kNow), Compared::kDiffer);
  ValueState hash = Text("a");
  hash.type = "hash";
  EXPECT_EQ(CompareValue(Text("a"), hash, false, kNow), Compared::kDiffer);
  EXPECT_EQ(CompareValue(Text("a"), {}, false, kNow), Compared::kDiffer);
}

TEST(KeyCompareTest, NothingIsKnownOfAKeyThatChanged) {
  EXPECT_EQ(CompareValue(Text("a"), Text("a"), true, kNow), Compared::kChanged);
  EXPECT_EQ(CompareValue(Text("a"), Text("b"), true, kNow), Compared::kChanged);
}

TEST(KeyCompareTest, TimesToLiveDifferByAMillisecond) {
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 50000), Expiring("a", kNow + 50000), false, kNow),
            Compared::kEqual);
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 50000), Expiring("a", kNow + 50001), false, kNow),
            Compared::kDiffer);
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 50000), Text("a"), false, kNow), Compared::kDiffer);
}

TEST(KeyCompareTest, TimesThatAreNotKnownExactlyMayDifferByTheirError) {
  ValueState own = Expiring("a", kNow + 50400);
  own.expire_error_ms = 1000;
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 50000), own, false, kNow), Compared::kEqual);
}

TEST(KeyCompareTest, KeyThatIsJustExpiringIsLookedAtAgain) {
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 1), {}, false, kNow), Compared::kExpiring);
  EXPECT_EQ(CompareValue({}, Expiring("a", kNow - 1), false, kNow), Compared::kExpiring);
  EXPECT_EQ(CompareValue(Expiring("a", kNow + 1), Expiring("nothing by now", kNow + 1), false, kNow),
            Compared::kExpiring);
  EXPECT_EQ(CompareValue({}, Expiring("a", kNow + kExpiryDoubtMs + 1), false, kNow), Compared::kDiffer);
}

TEST(KeyCompareTest, WhatCannotBeReadIsSaidToBeSoUnlessItDiffersAnyway) {
  EXPECT_EQ(CompareValue(Unread("bloom"), Unread("bloom"), false, kNow), Compared::kUnreadable);
  EXPECT_EQ(CompareValue(Unread("string"), Text("a"), false, kNow), Compared::kUnreadable);
  EXPECT_EQ(CompareValue(Unread("bloom"), Text("a"), false, kNow), Compared::kDiffer);
  EXPECT_EQ(CompareValue(Unread("bloom"), {}, false, kNow), Compared::kDiffer);
  EXPECT_EQ(CompareValue(Unread(""), Text("a"), false, kNow), Compared::kUnreadable)
      << "a namespace that cannot be entered";
}

TEST(KeyCompareTest, WhatCouldNotBeReadThisTimeIsLookedAtAgain) {
  ValueState slow = Unread("string");
  slow.passing = true;
  EXPECT_EQ(CompareValue(slow, Text("a"), false, kNow), Compared::kChanged);
  EXPECT_EQ(CompareValue(Text("a"), slow, false, kNow), Compared::kChanged);
}

TEST(KeyCompareTest, FewerKeysAreReadAtATimeFromRoundToRound) {
  const std::vector<UserKeyName> keys(40);
  EXPECT_EQ(PartsOfRound(keys, 0).size(), 1U);
  EXPECT_EQ(PartsOfRound(keys, 1).size(), 3U);
  EXPECT_EQ(PartsOfRound(keys, 2).size(), 40U);
  EXPECT_EQ(PartsOfRound(std::vector<UserKeyName>(250), 0).size(), 3U);
  EXPECT_TRUE(PartsOfRound({}, 0).empty());
}

}  // namespace
}  // namespace walstitch::agent
