#include "agents/wal/purge.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "tests/unit/wal/test_database.h"

namespace walstitch::wal {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr std::int64_t kMinute = 60'000;
constexpr std::uint64_t kMiB = 1 << 20;

// Archived logs 1..n of a MiB each, written ten minutes apart, the last one just now.
std::vector<PurgeLog> Archive(std::uint64_t n) {
  std::vector<PurgeLog> logs;
  for (std::uint64_t i = 1; i <= n; ++i) {
    logs.push_back({i, true, kMiB, kNow - static_cast<std::int64_t>(n - i) * 10 * kMinute});
  }
  return logs;
}

PurgeForecast Of(const PurgeRule& rule, const std::vector<PurgeLog>& logs, std::uint64_t number) {
  return ForecastPurge(rule, logs, number, 10 * kMinute, kNow);
}

TEST(PurgeTest, TheArchiveIsLookedThroughEveryTenMinutesOrTwiceInATtl) {
  EXPECT_EQ((PurgeRule{0, 100}.CheckIntervalSeconds()), 600U);
  EXPECT_EQ((PurgeRule{10800, 0}.CheckIntervalSeconds()), 600U);
  EXPECT_EQ((PurgeRule{60, 100}.CheckIntervalSeconds()), 30U);
  EXPECT_EQ((PurgeRule{1, 0}.CheckIntervalSeconds()), 1U);
}

TEST(PurgeTest, ByAgeALogGoesOneTtlAfterItsLastWrite) {
  const auto forecast = Of({3600, 0}, Archive(3), 1);
  EXPECT_EQ(forecast.cause, PurgeCause::kAge);
  EXPECT_EQ(forecast.earliest_ms, kNow + 40 * kMinute + 1000);  // more than the limit, in whole seconds
  EXPECT_EQ(forecast.latest_ms, forecast.earliest_ms + 10 * kMinute);
  EXPECT_TRUE(forecast.archived);
}

TEST(PurgeTest, ALogThatIsOldEnoughMayGoNow) {
  const auto forecast = Of({60, 0}, Archive(3), 1);
  EXPECT_EQ(forecast.cause, PurgeCause::kAge);
  EXPECT_EQ(forecast.earliest_ms, kNow);
  EXPECT_EQ(forecast.latest_ms, kNow + 30'000);
}

TEST(PurgeTest, BySizeTheOldestGoUntilTheRestWouldFitIfAllWereAsLargeAsTheLargest) {
  auto logs = Archive(5);
  EXPECT_EQ(Of({0, 3}, logs, 1).earliest_ms, kNow);
  EXPECT_EQ(Of({0, 3}, logs, 2).earliest_ms, kNow);
  EXPECT_EQ(Of({0, 3}, logs, 3).earliest_ms, kNow + 10 * kMinute);
  logs[4].bytes = 3 * kMiB;  // now only one fits
  EXPECT_EQ(Of({0, 3}, logs, 4).earliest_ms, kNow);
  EXPECT_EQ(Of({0, 3}, logs, 5).earliest_ms, kNow + 10 * kMinute);
}

TEST(PurgeTest, BySizeALogStaysUntilAsManyMoreAreArchivedAsFit) {
  const auto forecast = Of({0, 10}, Archive(4), 2);
  EXPECT_EQ(forecast.cause, PurgeCause::kSize);
  EXPECT_EQ(forecast.earliest_ms, kNow + 8 * 10 * kMinute);  // when there are twelve
}

TEST(PurgeTest, WhatGoesByAgeAnywayMakesNoRoomNecessary) {
  auto logs = Archive(4);
  logs[0].modified_ms = kNow - 1000 * kMinute;
  logs[1].modified_ms = kNow - 1000 * kMinute;
  EXPECT_GT(Of({3600, 2}, logs, 3).earliest_ms, kNow);
}

TEST(PurgeTest, OfBothRulesTheFirstOneDecides) {
  const auto logs = Archive(4);
  EXPECT_EQ(Of({3600, 1000}, logs, 1).cause, PurgeCause::kAge);
  EXPECT_EQ(Of({360000, 5}, logs, 1).cause, PurgeCause::kSize);
}

TEST(PurgeTest, ALogInDbWaitsForItsTurnInTheArchive) {
  auto logs = Archive(3);
  logs[2].archived = false;
  const auto by_size = Of({0, 1}, logs, 3);
  EXPECT_FALSE(by_size.archived);
  EXPECT_EQ(by_size.earliest_ms, kNow + 2 * 10 * kMinute);  // itself and one more
}

TEST(PurgeTest, WithoutARateThereIsNoTimeBySize) {
  EXPECT_EQ(ForecastPurge({0, 100}, Archive(3), 1, std::nullopt, kNow).cause, PurgeCause::kUnknown);
  EXPECT_EQ(ForecastPurge({3600, 100}, Archive(3), 1, std::nullopt, kNow).cause, PurgeCause::kAge);
  EXPECT_EQ(ForecastPurge({0, 1}, Archive(3), 1, std::nullopt, kNow).cause, PurgeCause::kSize);
}

TEST(PurgeTest, WithNeitherRuleNothingIsArchivedAndWhatIsArchivedStays) {
  auto logs = Archive(2);
  logs[1].archived = false;
  EXPECT_EQ(Of({0, 0}, logs, 1).cause, PurgeCause::kNever);
  EXPECT_EQ(Of({0, 0}, logs, 2).cause, PurgeCause::kObsolete);
}

TEST(PurgeTest, NumbersBeyondReasonDoNotOverflow) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_GT(Of({kMost, 0}, Archive(2), 1).earliest_ms, kNow);
  EXPECT_GT(Of({0, kMost}, Archive(2), 1).earliest_ms, kNow);
}

TEST(PurgeTest, TheRuleStandsInTheDatabasesOptions) {
  const auto rule = ParsePurgeRule(
      "# a comment\n[Version]\n  WAL_ttl_seconds=1\n[DBOptions]\n  WAL_ttl_seconds=10800\n"
      "  WAL_size_limit_MB=16384\r\n[CFOptions \"default\"]\n  WAL_size_limit_MB=7\n");
  ASSERT_TRUE(rule) << rule.error().Message();
  EXPECT_EQ(*rule, (PurgeRule{10800, 16384}));
}

TEST(PurgeTest, OptionsThatDoNotSayAreNoRule) {
  for (const char* text : {"", "[DBOptions]\n", "[DBOptions]\nWAL_ttl_seconds=1\n",
                           "[DBOptions]\nWAL_ttl_seconds=soon\nWAL_size_limit_MB=1\n",
                           "[DBOptions]\nWAL_ttl_seconds=-1\nWAL_size_limit_MB=1\n",
                           "WAL_ttl_seconds=1\nWAL_size_limit_MB=1\n"}) {
    EXPECT_EQ(ParsePurgeRule(text).error().Code(), ErrorCode::kInvalid) << text;
  }
}

TEST(PurgeTest, WhatRocksDbWroteIsRead) {
  TestDirectory directory;
  const std::string database = (directory.Path() / "db").string();
  EXPECT_FALSE(ReadPurgeRule(database));
  { const TestDatabase written(directory.Path()); }
  const auto read = ReadPurgeRule(database);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(read->rule, (PurgeRule{10800, 0}));
}

TEST(PurgeTest, TheNewestOptionsCount) {
  TestDirectory directory;
  const auto write = [&](const std::string& name, const std::string& ttl) {
    std::ofstream(directory.Path() / name)
        << "[DBOptions]\nWAL_ttl_seconds=" << ttl << "\nWAL_size_limit_MB=0\n";
  };
  write("OPTIONS-000009", "9");
  write("OPTIONS-1000010", "10");
  write("OPTIONS-1000011.dbtmp", "11");
  const auto read = ReadPurgeRule(directory.Path().string());
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(read->rule.ttl_seconds, 10U);
  EXPECT_TRUE(read->file.ends_with("/OPTIONS-1000010"));
}

TEST(PurgeTest, ADirectoryWithoutOptionsIsNotFound) {
  TestDirectory directory;
  EXPECT_EQ(ReadPurgeRule(directory.Path().string()).error().Code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace walstitch::wal
