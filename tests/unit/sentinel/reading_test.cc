#include "controller/sentinel/reading.h"

#include <gtest/gtest.h>

namespace walstitch::sentinel {
namespace {

constexpr std::int64_t kTimeout = 10000;

TEST(ReadingTest, WhoTakesEverythingIsNeverSlow) {
  Reading reading;
  EXPECT_FALSE(reading.IsSlow(1000000, kTimeout)) << "nothing waits";
  reading.Waits(1000);
  reading.Took(7, 0);
  EXPECT_FALSE(reading.IsSlow(1000000, kTimeout));
}

TEST(ReadingTest, WhoTakesNothingIsSlowAfterTheTimeout) {
  Reading reading;
  reading.Waits(1000);
  reading.Waits(9000);
  EXPECT_FALSE(reading.IsSlow(1000 + kTimeout, kTimeout));
  EXPECT_TRUE(reading.IsSlow(1001 + kTimeout, kTimeout));
}

TEST(ReadingTest, AFewBytesNowAndThenAreNotEnough) {
  Reading reading;
  reading.Waits(0);
  for (int i = 0; i < 10; ++i) reading.Took(7, 100000);
  EXPECT_TRUE(reading.IsSlow(kTimeout + 1, kTimeout));
}

TEST(ReadingTest, ASlowLineIsNotAnIdleOne) {
  Reading reading;
  reading.Waits(0);
  reading.Took(Reading::kAtLeast, 100000);
  EXPECT_FALSE(reading.IsSlow(kTimeout + 1, kTimeout));
  // The next time begins here.
  EXPECT_FALSE(reading.IsSlow(2 * kTimeout, kTimeout));
  EXPECT_TRUE(reading.IsSlow(2 * kTimeout + 2, kTimeout));
}

}  // namespace
}  // namespace walstitch::sentinel
