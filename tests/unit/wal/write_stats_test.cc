#include "agents/wal/write_stats.h"

#include <gtest/gtest.h>

#include <limits>

#include "agents/wal/marker.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

const SequenceRange kAll{Sequence(0), Sequence(std::numeric_limits<std::uint64_t>::max())};

BatchView View(std::uint64_t first, const std::string& bytes) {
  return {Sequence(first), static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[8])), bytes};
}

void Add(WriteStats* stats, std::uint64_t first, const std::string& bytes) {
  const auto added = stats->Add(View(first, bytes), kAll);
  ASSERT_TRUE(added) << added.error().Message();
}

// "default/user:=2"
std::vector<std::string> Show(const WriteTable& table) {
  std::vector<std::string> rows;
  for (const WriteRow& row : table.rows) {
    rows.push_back((row.internal ? "!" : "") + (row.name_space.empty() ? "" : row.name_space + "/") +
                   row.name + "=" + std::to_string(row.count.records));
  }
  return rows;
}

std::string Set(std::uint64_t sequence, std::string_view key, std::size_t bytes = 1) {
  return BatchText(sequence)
      .Put(1, MetadataKey("ns", key), MetadataValue(1, std::string(bytes, 'x')))
      .Bytes();
}

TEST(WriteStatsTest, EveryRecordCountsOnceInEachTable) {
  WriteStats stats({});
  Add(&stats, 1,
      BatchText(1)
          .Log("2")
          .Put(0, SubkeyKey("shop", "cart:7", 1, "field"), "value")
          .Put(1, MetadataKey("shop", "cart:7"), MetadataValue(2))
          .Bytes());
  Add(&stats, 3, Set(3, "page"));
  Add(&stats, 4, BatchText(4).Delete(1, MetadataKey("ns", "page")).Bytes());
  const WriteReport report = stats.Report(10);
  EXPECT_EQ(report.total.records, 4U);
  EXPECT_EQ(report.total.batches, 3U);
  EXPECT_EQ(Show(report.namespaces), (std::vector<std::string>{"shop=2", "ns=2"}));
  EXPECT_EQ(Show(report.prefixes), (std::vector<std::string>{"shop/cart:=2", "ns/page=2"}));
  EXPECT_EQ(Show(report.types), (std::vector<std::string>{"hash=2", "string=1", "!untold=1"}));
  EXPECT_EQ(Show(report.families), (std::vector<std::string>{"metadata=3", "default=1"}));
  for (const WriteTable* table : {&report.namespaces, &report.prefixes, &report.types, &report.families}) {
    std::uint64_t bytes = table->others.bytes;
    for (const WriteRow& row : table->rows) bytes += row.count.bytes;
    EXPECT_EQ(bytes, report.total.bytes);
  }
}

TEST(WriteStatsTest, ABatchCountsOnceForEachRow) {
  WriteStats stats({});
  Add(&stats, 1,
      BatchText(1)
          .Put(1, MetadataKey("ns", "a:1"), MetadataValue(1))
          .Put(1, MetadataKey("ns", "b:1"), MetadataValue(1))
          .Put(1, MetadataKey("ns", "a:2"), MetadataValue(1))
          .Bytes());
  Add(&stats, 4, Set(4, "a:3", 100));
  const WriteReport report = stats.Report(10);
  ASSERT_EQ(Show(report.prefixes), (std::vector<std::string>{"ns/a:=3", "ns/b:=1"}));
  EXPECT_EQ(report.prefixes.rows[0].count.batches, 2U);
  EXPECT_EQ(report.prefixes.rows[1].count.batches, 1U);
}

TEST(WriteStatsTest, APrefixGoesUpToTheDelimiterThatIsAskedFor) {
  WriteStats stats({.delimiter = "::", .depth = 2});
  Add(&stats, 1, Set(1, "a::b::c"));
  Add(&stats, 2, Set(2, "a::b::d"));
  Add(&stats, 3, Set(3, "a::b"));
  Add(&stats, 4, Set(4, "a:b"));
  EXPECT_EQ(Show(stats.Report(10).prefixes),
            (std::vector<std::string>{"ns/a::b::=2", "ns/a::b=1", "ns/a:b=1"}));
}

TEST(WriteStatsTest, TheSamePrefixOfTwoNamespacesIsTwoRows) {
  WriteStats stats({});
  Add(&stats, 1,
      BatchText(1).Put(1, MetadataKey("one", "a:1"), "").Put(1, MetadataKey("two", "a:1"), "").Bytes());
  EXPECT_EQ(stats.Report(10).prefixes.rows.size(), 2U);
}

TEST(WriteStatsTest, WhatIsOfNoUserKeyHasAWord) {
  WriteStats stats({});
  Add(&stats, 1,
      BatchText(1)
          .Put(3, "channel", "message")
          .Delete(3, NoopKey())
          .DeleteRange(1, MetadataKey("ns", ""), "z")
          .Put(4, "lua_f_1", "return 1 + 1 + 1")
          .Put(77, "k", "")
          .Bytes());
  EXPECT_EQ(Show(stats.Report(10).namespaces),
            (std::vector<std::string>{"!propagate=1", "!pubsub=1", "!pad=1", "!flush=1", "!unknown=1"}));
  EXPECT_EQ(Show(stats.Report(10).families).back(), "77=1");
}

TEST(WriteStatsTest, WhatIsNotAmongTheTopIsOthers) {
  WriteStats stats({});
  Add(&stats, 1, Set(1, "a:1", 300));
  Add(&stats, 2, Set(2, "b:1", 200));
  Add(&stats, 3, Set(3, "c:1", 100));
  const WriteTable table = stats.Report(1).prefixes;
  EXPECT_EQ(Show(table), (std::vector<std::string>{"ns/a:=1"}));
  EXPECT_EQ(table.others.records, 2U);
  EXPECT_GT(table.others.bytes, 300U);
  EXPECT_EQ(table.names, 3U);
  EXPECT_FALSE(table.folded);
}

TEST(WriteStatsTest, ManyNamesTakeBoundedMemoryAndTheHeavyOneStays) {
  WriteStats stats({.max_rows = 100});
  std::uint64_t sequence = 1;
  for (int i = 0; i < 10000; ++i, sequence += 2) {
    Add(&stats, sequence, Set(sequence, "key" + std::to_string(i)));
    Add(&stats, sequence + 1, Set(sequence + 1, "heavy:" + std::to_string(i)));
  }
  const WriteTable table = stats.Report(1000).prefixes;
  EXPECT_LE(table.rows.size(), 100U);
  EXPECT_TRUE(table.folded);
  EXPECT_EQ(table.rows.front().name, "heavy:");
  EXPECT_EQ(table.rows.front().count.records, 10000U);
  std::uint64_t records = table.others.records;
  for (const WriteRow& row : table.rows) records += row.count.records;
  EXPECT_EQ(records, 20000U);
}

TEST(WriteStatsTest, ALongNameIsCutOff) {
  WriteStats stats({});
  Add(&stats, 1, Set(1, std::string(100000, 'k')));
  EXPECT_EQ(stats.Report(1).prefixes.rows.at(0).name.size(), kMaxName);
}

TEST(WriteStatsTest, OnlyTheRecordsInTheRangeCount) {
  WriteStats stats({});
  const std::string batch = BatchText(1).Put(3, "a", "").Put(3, "b", "").Put(3, "c", "").Bytes();
  ASSERT_TRUE(stats.Add(View(1, batch), {Sequence(2), Sequence(3)}));
  EXPECT_EQ(stats.Report(1).total.records, 1U);
}

TEST(WriteStatsTest, ABatchThatDoesNotDecodeIsDamage) {
  WriteStats stats({});
  const std::string batch = BatchText(1).Raw("\x14", 1).Bytes();
  const auto added = stats.Add(View(1, batch), kAll);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().Code(), ErrorCode::kDamaged);
}

}  // namespace
}  // namespace walstitch::wal
