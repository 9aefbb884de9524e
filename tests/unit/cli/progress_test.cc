#include "controller/cli/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace walstitch::cli {
namespace {

using std::chrono::milliseconds;
constexpr std::uint64_t kMiB = 1 << 20;

class ProgressTest : public testing::Test {
 protected:
  Progress::Clock Clock() {
    return [this] { return std::chrono::steady_clock::time_point(now_); };
  }
  milliseconds now_{1000};
  std::ostringstream out_;
};

TEST_F(ProgressTest, ItTellsDoneAndAllAndRateAndWhatIsLeft) {
  EXPECT_EQ(DescribeProgress(20 * kMiB, 100 * kMiB, milliseconds(2000)),
            "20 MiB of 100 MiB, 10 MiB/s, 8 s left");
  EXPECT_EQ(DescribeProgress(kMiB, 1000 * kMiB, milliseconds(1000)),
            "1 MiB of 1000 MiB, 1 MiB/s, 16 min 39 s left");
  EXPECT_EQ(DescribeProgress(kMiB, 0, milliseconds(1000)), "1 MiB, 1 MiB/s");
  EXPECT_EQ(DescribeProgress(0, kMiB, milliseconds(1000)), "0 B of 1 MiB, 0 B/s");
}

TEST_F(ProgressTest, MoreThanAllIsAll) {
  EXPECT_EQ(DescribeProgress(9 * kMiB, 4 * kMiB, milliseconds(1000)), "4 MiB of 4 MiB, 4 MiB/s, 1 s left");
}

TEST_F(ProgressTest, WhatIsQuickShowsNothing) {
  {
    Progress progress(&out_, 10, Clock());
    now_ += milliseconds(499);
    progress.Show(5);
  }
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, TheLineIsRewrittenNowAndThenAndTakenAwayAtTheEnd) {
  {
    Progress progress(&out_, 10, Clock());
    now_ += milliseconds(1000);
    progress.Show(5);
    progress.Show(6);  // too soon
    EXPECT_EQ(out_.str(), "\r\x1b[K  5 B of 10 B, 5 B/s, 1 s left");
    now_ += milliseconds(1000);
    progress.Show(8);
    EXPECT_EQ(out_.str(), "\r\x1b[K  5 B of 10 B, 5 B/s, 1 s left\r\x1b[K  8 B of 10 B, 4 B/s, 1 s left");
    out_.str("");
  }
  EXPECT_EQ(out_.str(), "\r\x1b[K");
}

TEST_F(ProgressTest, WhenNobodyLooksNothingIsWritten) {
  Progress progress(nullptr, 10, Clock());
  now_ += milliseconds(10000);
  progress.Show(5);
  progress.Clear();
}

}  // namespace
}  // namespace walstitch::cli
