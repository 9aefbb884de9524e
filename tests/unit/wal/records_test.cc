#include "agents/wal/records.h"

#include <gtest/gtest.h>

#include "agents/wal/marker.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

const SequenceRange kAll{Sequence(0), Sequence(1000000)};

ListSource TwoBatches() {
  return ListSource({BatchText(5)
                         .Log("2")
                         .Put(0, SubkeyKey("ns", "h", 7, "f"), "value")
                         .Put(1, MetadataKey("ns", "h"), MetadataValue(2))
                         .Bytes(),
                     BatchText(7).DeleteRange(1, "a", "bcd").Put(3, "channel", "m").Put(9, "k", "").Bytes()});
}

TEST(RecordsTest, EachRecordIsDecoded) {
  ListSource source = TwoBatches();
  auto list = ListRecords(source, kAll, {});
  ASSERT_TRUE(list) << list.error().Message();
  const std::vector<RecordInfo>& records = list->records;
  ASSERT_EQ(records.size(), 5U);
  EXPECT_FALSE(list->next);
  const RecordInfo& field = records.at(0);
  EXPECT_EQ(field.sequence, Sequence(5));
  EXPECT_EQ(field.column_family_name, "default");
  EXPECT_EQ(field.operation, "Put");
  EXPECT_EQ(field.name_space, "ns");
  EXPECT_EQ(field.user_key, "h");
  EXPECT_TRUE(field.has_user_key);
  EXPECT_EQ(field.type, "hash");
  EXPECT_EQ(field.key, SubkeyKey("ns", "h", 7, "f"));
  EXPECT_EQ(field.value_bytes, 5U);
  EXPECT_EQ(records.at(1).column_family_name, "metadata");
  EXPECT_EQ(records.at(1).type, "hash");
  const RecordInfo& range = records.at(2);
  EXPECT_EQ(range.operation, "DeleteRange");
  EXPECT_FALSE(range.has_user_key);
  EXPECT_EQ(range.internal, "flush");
  EXPECT_EQ(range.key, "a");
  EXPECT_EQ(range.value_bytes, 3U);
  EXPECT_EQ(records.at(3).column_family_name, "pubsub");
  EXPECT_FALSE(records.at(3).has_user_key);
  EXPECT_EQ(records.at(3).internal, "pubsub");
  EXPECT_EQ(records.at(4).column_family_name, "unknown");
  EXPECT_EQ(records.at(4).column_family, 9U);
}

TEST(RecordsTest, OnlyTheRangeAndOnlySoMany) {
  ListSource source = TwoBatches();
  auto inside = ListRecords(source, {Sequence(6), Sequence(8)}, {});
  ASSERT_TRUE(inside);
  ASSERT_EQ(inside->records.size(), 2U);
  EXPECT_EQ(inside->records.front().sequence, Sequence(6));
  EXPECT_EQ(ListRecords(source, kAll, {.max_records = 0})->records.size(), 0U);
}

TEST(RecordsTest, AListThatIsCutOffSaysWhereToGoOn) {
  ListSource source = TwoBatches();
  auto cut_off = ListRecords(source, kAll, {.max_records = 3});
  ASSERT_TRUE(cut_off);
  EXPECT_EQ(cut_off->records.size(), 3U);
  EXPECT_EQ(cut_off->next, Sequence(8));
  EXPECT_FALSE(ListRecords(source, kAll, {.max_records = 5})->next);
}

TEST(RecordsTest, OnlyWhatTheFilterTakes) {
  ListSource source = TwoBatches();
  RecordOptions options;
  options.matches = [](const KvrocksRecord& record) { return record.type == "hash"; };
  auto hashes = ListRecords(source, kAll, options);
  ASSERT_TRUE(hashes);
  EXPECT_EQ(hashes->records.size(), 2U);
}

TEST(RecordsTest, WalstitchsOwnNoOpIsAPad) {
  ListSource source({BatchText(5).Delete(3, NoopKey()).Put(3, NoopKey(), "m").Bytes()});
  auto list = ListRecords(source, kAll, {});
  ASSERT_TRUE(list);
  ASSERT_EQ(list->records.size(), 2U);
  EXPECT_EQ(list->records[0].internal, "pad");
  EXPECT_EQ(list->records[1].internal, "pubsub");
}

TEST(RecordsTest, WhatIsNotKvrocksEncodingIsOfNoUserKey) {
  ListSource source({BatchText(5).Log("2").Put(0, "\x7fshort", "").Bytes()});
  auto list = ListRecords(source, kAll, {});
  ASSERT_TRUE(list);
  ASSERT_EQ(list->records.size(), 1U);
  EXPECT_EQ(list->records[0].internal, "unknown");
  EXPECT_EQ(list->records[0].type, "");
}

TEST(RecordsTest, ABatchThatDoesNotDecodeIsDamage) {
  ListSource source({BatchText(5).Raw("\x14", 1).Bytes()});
  auto records = ListRecords(source, kAll, {});
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().Code(), ErrorCode::kDamaged);
  EXPECT_TRUE(records.error().Message().starts_with("the batch at sequence 5: "))
      << records.error().Message();
}

}  // namespace
}  // namespace walstitch::wal
