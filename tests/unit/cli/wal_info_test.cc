#include "controller/cli/wal_info.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::cli {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr std::int64_t kHour = 3600 * 1000;

wal::LogInfo Log(std::uint64_t number, std::uint64_t first, std::uint64_t end, std::int64_t hours_ago) {
  wal::LogInfo log;
  log.number = number;
  log.path = "/data/db/archive/" + std::to_string(number) + ".log";
  log.archived = true;
  log.bytes = 64 << 20;
  log.modified_ms = kNow - hours_ago * kHour;
  log.first = Sequence(first);
  log.end = Sequence(end);
  return log;
}

// Three logs, two hours apart; the last one is in db/.
DirectoryView View() {
  WalExtent extent;
  extent.oldest = Sequence(100);
  extent.last = Sequence(399);
  DirectoryView view{extent,
                     {Log(11, 100, 200, 4), Log(12, 200, 300, 2), Log(13, 300, 400, 0)},
                     {},
                     wal::ReadRule{{5 * 3600, 16384}, "/data/db/OPTIONS-000009"},
                     kNow};
  view.logs[2].archived = false;
  view.logs[2].path = "/data/db/13.log";
  view.lock.use = wal::DatabaseUse::kNotInUse;
  return view;
}

bool Says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(WalInfoTest, ItReadsLikeThis) {
  DirectoryView view = View();
  view.lock = {wal::DatabaseUse::kLive, 4711, "kvrocks", ""};
  EXPECT_EQ(
      RenderInfo("/data", view, Sequence(250)),
      "/data: live: held by process 4711 (kvrocks); the answer is of this moment\n"
      "  oldest   100\n"
      "  last     399\n"
      "  next     400\n"
      "  holds    300 sequences\n"
      "  logs     3, 192 MiB: 1 in db/, 2 in db/archive/\n"
      "  grows    by 32 MiB and 50 sequences an hour, by the logs' times over 4 h\n"
      "  purge    5 h after a log's last write; the oldest when the archive is larger than 16 GiB\n"
      "           11.log, the oldest, stays 1 h more, and goes at a flush or compaction within 10 min of "
      "that\n"
      "           sequence 250 is in 12.log, which stays 3 h more, and goes at a flush or compaction within "
      "10 min of that\n"
      "\n"
      "LOG     WHERE     BYTES  FIRST  LAST   WRITTEN\n"
      "11.log  archive  64 MiB    100   199   4 h ago\n"
      "12.log  archive  64 MiB    200   299   2 h ago\n"
      "13.log  db       64 MiB    300   399  0 ms ago\n");
}

TEST(WalInfoTest, WhatIsMissingBetweenLogsIsSaidAndNotCounted) {
  DirectoryView view = View();
  view.logs.erase(view.logs.begin() + 1);
  const std::string text = RenderInfo("/data", view, std::nullopt);
  EXPECT_TRUE(Says(text, "  missing  the sequences [200, 300)\n")) << text;
  EXPECT_TRUE(Says(text, "  holds    200 sequences\n")) << text;
}

TEST(WalInfoTest, ACopyIsNotPurged) {
  DirectoryView view = View();
  view.lock.use = wal::DatabaseUse::kCopied;
  const std::string text = RenderInfo("/data", view, Sequence(250));
  EXPECT_TRUE(text.starts_with("/data: copied (no LOCK file)\n")) << text;
  EXPECT_TRUE(Says(text, "           nothing purges a copy\n           sequence 250 is in 12.log\n")) << text;
  EXPECT_FALSE(Says(text, "stays")) << text;
}

TEST(WalInfoTest, WithoutAServerNothingIsPurgedYet) {
  EXPECT_TRUE(Says(RenderInfo("/data", View(), std::nullopt), "nothing is purged as long as no server runs"));
}

TEST(WalInfoTest, ALogInDbMustBeArchivedFirst) {
  EXPECT_TRUE(
      Says(RenderInfo("/data", View(), Sequence(399)),
           "sequence 399 is in 13.log, which stays 5 h more, and goes at a flush or compaction within 10 "
           "min of that, if it is in db/archive/ by then\n"));
}

TEST(WalInfoTest, ASequenceThatIsNotThereIsPurgedOrInNoLog) {
  EXPECT_TRUE(Says(RenderInfo("/data", View(), Sequence(99)), "sequence 99 is purged\n"));
  EXPECT_TRUE(Says(RenderInfo("/data", View(), Sequence(400)), "sequence 400 is in no log\n"));
}

TEST(WalInfoTest, NotesOfALogStandBehindIt) {
  DirectoryView view = View();
  view.logs[0].compressed = true;
  view.logs[1].damage = Error(ErrorCode::kDamaged, "wrong checksum");
  view.logs[1].first.reset();
  view.logs[2].tail_note = "torn tail";
  const std::string text = RenderInfo("/data", view, std::nullopt);
  EXPECT_TRUE(Says(text, "ago  compressed\n")) << text;
  EXPECT_TRUE(Says(text, "ago  damaged: wrong checksum\n")) << text;
  EXPECT_TRUE(Says(text, "ago  torn tail\n")) << text;
}

TEST(WalInfoTest, AWalThatIsBrokenStillHasItsLogsListed) {
  DirectoryView view = View();
  view.extent = Fail(ErrorCode::kDamaged, "the last log is damaged");
  const std::string text = RenderInfo("/data", view, Sequence(250));
  EXPECT_TRUE(Says(text, "  broken   the last log is damaged\n")) << text;
  EXPECT_TRUE(Says(text, "13.log")) << text;
}

TEST(WalInfoTest, OptionsThatCannotBeReadAreSaid) {
  DirectoryView view = View();
  view.rule = Fail(ErrorCode::kNotFound, "there is no OPTIONS file");
  EXPECT_TRUE(
      Says(RenderInfo("/data", view, std::nullopt), "  purge    not known: there is no OPTIONS file\n"));
}

TEST(WalInfoTest, OfManyLogsTheOldestAndTheNewestAreShown) {
  DirectoryView view = View();
  view.logs.clear();
  for (std::uint64_t i = 0; i < 100; ++i) view.logs.push_back(Log(1000 + i, 100 + i, 101 + i, 1));
  const std::string text = RenderInfo("/data", view, std::nullopt);
  EXPECT_TRUE(Says(text, "1019.log")) << text;
  EXPECT_FALSE(Says(text, "1020.log")) << text;
  EXPECT_TRUE(Says(text, "60 logs not shown; --output json has all\n")) << text;
  EXPECT_FALSE(Says(text, "1079.log")) << text;
  EXPECT_TRUE(Says(text, "1080.log")) << text;
}

TEST(WalInfoTest, TheRateIsThatOfTheLogsAfterTheOldest) {
  const DirectoryView view = View();
  const auto rate = wal::EstimateRate(view.logs, *view.extent);
  ASSERT_TRUE(rate);
  EXPECT_EQ(rate->span_ms, 4 * kHour);
  EXPECT_EQ(rate->bytes_per_hour, 32U << 20);
  EXPECT_EQ(rate->sequences_per_hour, 50U);
  EXPECT_EQ(rate->per_log_ms, 2 * kHour);
}

TEST(WalInfoTest, TimesThatDoNotTellGiveNoRate) {
  DirectoryView view = View();
  view.logs[1].modified_ms = kNow + 1;  // later than the next one: a copy
  EXPECT_FALSE(wal::EstimateRate(view.logs, *view.extent));
  for (auto& log : view.logs) log.modified_ms = kNow;  // a copy, too
  EXPECT_FALSE(wal::EstimateRate(view.logs, *view.extent));
  EXPECT_FALSE(wal::EstimateRate({view.logs[0]}, *view.extent));
  EXPECT_FALSE(wal::EstimateRate({}, *view.extent));
}

TEST(WalInfoTest, JsonHasAllOfIt) {
  DirectoryView view = View();
  view.logs.erase(view.logs.begin() + 1);
  const boost::json::object json = InfoJson(view, Sequence(350));
  EXPECT_EQ(json.at("oldest"), 100);
  EXPECT_EQ(json.at("logs").as_array().size(), 2U);
  EXPECT_EQ(json.at("logs").at(0).at("archived"), true);
  EXPECT_EQ(json.at("gaps").at(0).at("from"), 200);
  EXPECT_EQ(json.at("purge").at("ttl_seconds"), 5 * 3600);
  EXPECT_EQ(json.at("purge").at("oldest").at("cause"), "age");
  EXPECT_EQ(json.at("purge").at("oldest").at("earliest_ms"), kNow + kHour + 1000);
  EXPECT_EQ(json.at("purge").at("sequence").at("log"), 13);
  EXPECT_EQ(json.at("rate").at("sequences_per_hour"), 50);
}

}  // namespace
}  // namespace walstitch::cli
