#include "controller/sentinel/share.h"

#include <gtest/gtest.h>

namespace walstitch::sentinel {
namespace {

constexpr std::int64_t kNow = 50 * Share::kSliceUs;

TEST(ShareTest, SoManyRequestsAreHandledInASliceAndNoMore) {
  Share share;
  int handled = 0;
  while (share.MayHandle(kNow)) {
    share.Handled(kNow, 1);
    ++handled;
  }
  EXPECT_EQ(handled, Share::kRequests);
  EXPECT_FALSE(share.MayHandle(kNow + Share::kSliceUs - 1));
  EXPECT_TRUE(share.MayHandle(kNow + Share::kSliceUs));
}

TEST(ShareTest, RequestsThatTakeLongAreFewer) {
  Share share;
  int handled = 0;
  while (share.MayHandle(kNow)) {
    share.Handled(kNow, 500);
    ++handled;
  }
  EXPECT_EQ(handled, 6);
}

TEST(ShareTest, WhatWasTakenBeyondTheShareIsMissingLater) {
  Share share;
  share.Handled(kNow, 3 * Share::kTimeUs);
  for (const int slice : {0, 1, 2}) EXPECT_FALSE(share.MayHandle(kNow + slice * Share::kSliceUs)) << slice;
  EXPECT_TRUE(share.MayHandle(kNow + 3 * Share::kSliceUs));
  // Clients are never put off for ever.
  share.Handled(kNow + 3 * Share::kSliceUs, 1000000000);
  EXPECT_TRUE(share.MayHandle(kNow + 110 * Share::kSliceUs));
}

TEST(ShareTest, OverALongTimeClientsHaveLessThanAThirdOfTheThread) {
  for (const std::int64_t cost : {1, 40, 700, 2999, 5000, 20000}) {
    Share share;
    std::int64_t now = kNow;
    std::int64_t spent = 0;
    while (now < kNow + 10000000) {
      if (!share.MayHandle(now)) {
        now += Share::LeftUs(now);
        continue;
      }
      now += cost;
      spent += cost;
      share.Handled(now, cost);
    }
    EXPECT_LT(spent, (now - kNow) / 3) << cost;
  }
}

TEST(ShareTest, TimeThatWasSpentOnNoRequestCountsAsTime) {
  Share share;
  share.Spent(kNow, Share::kTimeUs);
  EXPECT_FALSE(share.MayHandle(kNow));
  EXPECT_TRUE(share.MayHandle(kNow + Share::kSliceUs));
}

}  // namespace
}  // namespace walstitch::sentinel
