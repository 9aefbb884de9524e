#include "controller/core/leadership.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace walstitch::core {
namespace {

using Step = Leadership::Step;

constexpr std::int64_t kNow = 1'000'000;
constexpr std::int64_t kHeld = 14'850;     // 15 s, less 1 %
constexpr std::int64_t kAwaited = 15'150;  // 15 s, and 1 %

LeaderRecord Of(const std::string& holder) {
  LeaderRecord record;
  record.holder = holder;
  record.duration_ms = 15000;
  record.renewed = "12:00:00";
  return record;
}

Leadership Other(std::int64_t now_ms) {
  Leadership other("b", "1", {});
  other.Saw(Of("a/1"), true, now_ms);
  return other;
}

TEST(LeadershipTest, WhoHasNotLookedWaits) { EXPECT_EQ(Leadership("a", "1", {}).Next(kNow), Step::kWait); }

TEST(LeadershipTest, TheFirstCreatesTheRecord) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  EXPECT_EQ(first.Next(kNow), Step::kCreate);
  EXPECT_FALSE(first.Leads(kNow));
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  EXPECT_TRUE(first.Leads(kNow));
}

TEST(LeadershipTest, ItLeadsFromBeforeItWroteAndForLessThanItSays) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow + 400);
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  EXPECT_TRUE(first.Leads(kNow + kHeld - 1));
  EXPECT_FALSE(first.Leads(kNow + kHeld));
}

TEST(LeadershipTest, AnotherTakesOverOnlyWhenTheRecordStoodStillForLonger) {
  Leadership other = Other(kNow);
  other.Saw(Of("a/1"), true, kNow + 10'000);
  EXPECT_EQ(other.Next(kNow + kAwaited - 1), Step::kWait);
  EXPECT_EQ(other.Next(kNow + kAwaited), Step::kTake);
}

TEST(LeadershipTest, ARenewalBeginsTheWaitAnew) {
  Leadership other = Other(kNow);
  LeaderRecord renewed = Of("a/1");
  renewed.renewed = "12:00:03";
  other.Saw(renewed, true, kNow + 3000);
  EXPECT_EQ(other.Next(kNow + kAwaited), Step::kWait);
  EXPECT_EQ(other.Next(kNow + 3000 + kAwaited), Step::kTake);
}

TEST(LeadershipTest, ARecordThatWasGivenBackIsFree) {
  Leadership other("b", "1", {});
  other.Saw(Of(""), true, kNow);
  EXPECT_EQ(other.Next(kNow), Step::kTake);
}

// Whoever led may not know: it is out of the record's reach, and goes on to the end of its time.
TEST(LeadershipTest, ARecordThatWasTakenAwayOrEmptiedByHandIsWaitedForAllTheSame) {
  Leadership other("b", "1", {});
  other.Saw(std::nullopt, true, kNow);
  EXPECT_EQ(other.Next(kNow + kAwaited - 1), Step::kWait);
  EXPECT_EQ(other.Next(kNow + kAwaited), Step::kCreate);
  LeaderRecord emptied = Of("");
  emptied.address = "http://a:7700";
  other.Saw(emptied, true, kNow);
  EXPECT_EQ(other.Next(kNow + kAwaited - 1), Step::kWait);
  EXPECT_EQ(other.Next(kNow + kAwaited), Step::kTake);
}

TEST(LeadershipTest, APredecessorInTheSamePlaceIsGone) {
  Leadership again("a", "2", {});
  again.Saw(Of("a/1"), true, kNow);
  EXPECT_EQ(again.Next(kNow), Step::kTake);
  Leadership alike("aa", "2", {});
  alike.Saw(Of("a/1"), true, kNow);
  EXPECT_EQ(alike.Next(kNow), Step::kWait);
}

TEST(LeadershipTest, AHolderThatSaysALongerDurationIsWaitedForThatLong) {
  Leadership other("b", "1", {});
  LeaderRecord slow = Of("a/1");
  slow.duration_ms = 60000;
  other.Saw(slow, true, kNow);
  EXPECT_EQ(other.Next(kNow + kAwaited), Step::kWait);
  EXPECT_EQ(other.Next(kNow + 60600), Step::kTake);
}

TEST(LeadershipTest, WhoLeadsRenewsInTime) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  EXPECT_EQ(first.Next(kNow + 2999), Step::kWait);
  EXPECT_EQ(first.Next(kNow + 3000), Step::kRenew);
}

TEST(LeadershipTest, WhoReadsAnotherNameInTheRecordLeadsNoMore) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  first.Saw(Of("b/1"), true, kNow + 1000);
  EXPECT_FALSE(first.Leads(kNow + 1000));
}

TEST(LeadershipTest, ARecordThatWasTakenAwayLeadsNobody) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  first.Saw(std::nullopt, true, kNow + 1000);
  EXPECT_FALSE(first.Leads(kNow + 1000));
}

// A write whose answer was lost may have counted; it says nothing to the one who wrote it before it is read.
TEST(LeadershipTest, AWriteWithoutAnAnswerExtendsNothing) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  first.Wrote(first.Mine("12:00:00", ""), kNow);
  LeaderRecord lost = first.Mine("12:00:03", "");
  first.Saw(lost, true, kNow + 9000);
  EXPECT_TRUE(first.Leads(kNow + kHeld - 1));
  EXPECT_FALSE(first.Leads(kNow + kHeld));
  EXPECT_EQ(first.Next(kNow + 9000), Step::kRenew);
}

TEST(LeadershipTest, TransitionsCountTheHolders) {
  Leadership first("a", "1", {});
  first.Saw(std::nullopt, false, kNow);
  EXPECT_EQ(first.Mine("", "").transitions, 0U);
  first.Wrote(first.Mine("", ""), kNow);
  EXPECT_EQ(first.Mine("", "").transitions, 0U);
  Leadership other = Other(kNow);
  EXPECT_EQ(other.Mine("", "").transitions, 1U);
}

// Clocks at both ends of what they may do: as soon as another may take over, the first leads no more.
TEST(LeadershipTest, NoTwoLeadAtOnceHoweverTheClocksRun) {
  for (const std::int64_t duration : {2000, 15000, 60000}) {
    for (const std::int64_t drift : {1, 10, 100}) {
      LeaderTerms terms{duration, drift};
      Leadership first("a", "1", terms);
      first.Saw(std::nullopt, false, kNow);
      first.Wrote(first.Mine("x", ""), kNow);  // at true time 0
      Leadership other("b", "1", terms);
      other.Saw(first.Record(), true, kNow);  // no sooner than true time 0
      for (std::int64_t ms = 0; ms < 2 * duration; ++ms) {
        const auto slow = kNow + ms - ms * drift / 1000;  // the first's clock loses
        const auto fast = kNow + ms + ms * drift / 1000;  // the other's gains
        ASSERT_FALSE(first.Leads(slow) && other.Next(fast) == Step::kTake)
            << duration << " " << drift << " " << ms;
      }
    }
  }
}

}  // namespace
}  // namespace walstitch::core
