#include "controller/core/lag.h"

#include <gtest/gtest.h>

namespace walstitch::core {
namespace {

TEST(LagClock, NothingIsKnownBeforeTheMasterWasSeen) {
  EXPECT_EQ(LagClock().BehindMs(1000, Sequence(1)), std::nullopt);
}

TEST(LagClock, WhoLacksNothingIsNotBehind) {
  LagClock clock;
  clock.Note(1, 1000, Sequence(10));
  EXPECT_EQ(clock.BehindMs(9000, Sequence(10)), 0);
  EXPECT_EQ(clock.BehindMs(9000, Sequence(11)), 0) << "it was heard later than the master";
}

TEST(LagClock, WhoLacksARecordIsBehindSinceTheMasterHadIt) {
  LagClock clock;
  clock.Note(1, 1000, Sequence(10));
  clock.Note(1, 2000, Sequence(20));
  clock.Note(1, 3000, Sequence(30));
  EXPECT_EQ(clock.BehindMs(3500, Sequence(29)), 500);
  EXPECT_EQ(clock.BehindMs(3500, Sequence(20)), 500);
  EXPECT_EQ(clock.BehindMs(3500, Sequence(19)), 1500);
  EXPECT_EQ(clock.BehindMs(3500, Sequence(30)), 0) << "it has caught up";
}

TEST(LagClock, AnIdleMasterMakesNobodyLate) {
  LagClock clock;
  clock.Note(1, 1000, Sequence(10));
  clock.Note(1, 2000, Sequence(20));
  for (std::int64_t now = 3000; now < 90'000; now += 1000) clock.Note(1, now, Sequence(20));
  clock.Note(1, 90'000, Sequence(21));
  EXPECT_EQ(clock.BehindMs(90'100, Sequence(20)), 100);
}

TEST(LagClock, AnotherEpochBeginsAnew) {
  LagClock clock;
  clock.Note(1, 1000, Sequence(10));
  clock.Note(2, 5000, Sequence(8));
  EXPECT_EQ(clock.BehindMs(5100, Sequence(5)), 100);
}

TEST(LagClock, AMasterThatIsBackWithLessCountsFromNow) {
  LagClock clock;
  clock.Note(1, 1000, Sequence(10));
  clock.Note(1, 2000, Sequence(30));
  clock.Note(1, 8000, Sequence(20));
  EXPECT_EQ(clock.BehindMs(8100, Sequence(15)), 100);
  EXPECT_EQ(clock.BehindMs(8100, Sequence(5)), 7100);
}

TEST(LagClock, WhatIsRememberedIsBoundedAndReachesFarBack) {
  LagClock clock;
  for (std::int64_t i = 1; i <= 100'000; ++i) clock.Note(1, i * 100, Sequence(static_cast<std::uint64_t>(i)));
  const auto whole = clock.BehindMs(100'000 * 100, Sequence(0));
  ASSERT_TRUE(whole);
  EXPECT_EQ(*whole, (100'000 - 1) * 100);
  const auto little = clock.BehindMs(100'000 * 100, Sequence(99'999));
  ASSERT_TRUE(little);
  EXPECT_LE(*little, 100);
}

}  // namespace
}  // namespace walstitch::core
