#include "agents/wal/records.h"

#include <gtest/gtest.h>

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
  auto records = ListRecords(source, kAll, {});
  ASSERT_TRUE(records) << records.error().Message();
  ASSERT_EQ(records->size(), 5U);
  const RecordInfo& field = records->at(0);
  EXPECT_EQ(field.sequence, Sequence(5));
  EXPECT_EQ(field.column_family_name, "default");
  EXPECT_EQ(field.operation, "Put");
  EXPECT_EQ(field.name_space, "ns");
  EXPECT_EQ(field.user_key, "h");
  EXPECT_TRUE(field.has_user_key);
  EXPECT_EQ(field.type, "hash");
  EXPECT_EQ(field.key, SubkeyKey("ns", "h", 7, "f"));
  EXPECT_EQ(field.value_bytes, 5U);
  EXPECT_EQ(records->at(1).column_family_name, "metadata");
  EXPECT_EQ(records->at(1).type, "hash");
  const RecordInfo& range = records->at(2);
  EXPECT_EQ(range.operation, "DeleteRange");
  EXPECT_FALSE(range.has_user_key);
  EXPECT_EQ(range.key, "a");
  EXPECT_EQ(range.value_bytes, 3U);
  EXPECT_EQ(records->at(3).column_family_name, "pubsub");
  EXPECT_FALSE(records->at(3).has_user_key);
  EXPECT_EQ(records->at(4).column_family_name, "unknown");
  EXPECT_EQ(records->at(4).column_family, 9U);
}

TEST(RecordsTest, OnlyTheRangeAndOnlySoMany) {
  ListSource source = TwoBatches();
  auto inside = ListRecords(source, {Sequence(6), Sequence(8)}, {});
  ASSERT_TRUE(inside);
  ASSERT_EQ(inside->size(), 2U);
  EXPECT_EQ(inside->front().sequence, Sequence(6));
  EXPECT_EQ(ListRecords(source, kAll, {.max_records = 3})->size(), 3U);
  EXPECT_EQ(ListRecords(source, kAll, {.max_records = 0})->size(), 0U);
}

TEST(RecordsTest, ABatchThatDoesNotDecodeIsDamage) {
  ListSource source({BatchText(5).Raw("\x14", 1).Bytes()});
  auto records = ListRecords(source, kAll, {});
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().Code(), ErrorCode::kDamaged);
}

}  // namespace
}  // namespace walstitch::wal
