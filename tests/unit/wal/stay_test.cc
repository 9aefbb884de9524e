#include "agents/wal/stay.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

TEST(Stay, LogThatIsKeptForATimeMayGoAtItsEnd) {
  const std::vector<LogInfo> logs = [] {
    std::vector<LogInfo> list(2);
    list[0].number = 4;
    list[0].archived = true;
    list[0].bytes = 1000;
    list[0].modified_ms = 1000000;
    list[0].first = Sequence(1);
    list[0].end = Sequence(11);
    list[1].number = 9;
    list[1].bytes = 500;
    list[1].modified_ms = 1100000;
    list[1].first = Sequence(11);
    return list;
  }();
  WalExtent extent;
  extent.oldest = Sequence(1);
  extent.last = Sequence(20);
  EXPECT_EQ(LogHolding(logs, extent, Sequence(10)), logs.data());
  EXPECT_EQ(LogHolding(logs, extent, Sequence(20)), logs.data() + 1);
  EXPECT_EQ(LogHolding(logs, extent, Sequence(21)), nullptr);
  const PurgeRule hour{3600, 0};
  const PurgeForecast forecast = ForecastLog(hour, logs, extent, logs[0], 1200000);
  EXPECT_EQ(forecast.cause, PurgeCause::kAge);
  EXPECT_EQ(forecast.earliest_ms, 1000000 + 3600 * 1000 + 1000);
}

TEST(Stay, DirectoryIsAskedAtThisMoment) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  for (int i = 0; i < 3; ++i) database.Write(BatchText(1).Put(1, "key", "value").Bytes());
  database.Flush();
  database.Write(BatchText(1).Put(1, "key", "value").Bytes());
  WalDirectory wal(directory.Path().string());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  auto stay = ReadStay(wal, Sequence(1), now_ms);
  ASSERT_TRUE(stay) << stay.error().Message();
  EXPECT_EQ(stay->cause, PurgeCause::kAge);
  ASSERT_TRUE(stay->left_ms);
  EXPECT_GT(*stay->left_ms, 0);
  // What follows closely needs what is in the log that is written to.
  stay = ReadStay(wal, Sequence(database.Latest()), now_ms + std::int64_t{1000} * 3600 * 1000);
  ASSERT_TRUE(stay) << stay.error().Message();
  EXPECT_EQ(stay->cause, PurgeCause::kNever);
  EXPECT_FALSE(stay->left_ms);
  EXPECT_EQ(ReadStay(wal, Sequence(database.Latest() + 1), now_ms).error().Code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace walstitch::wal
