#include <gtest/gtest.h>

#include <string>

#include "agents/wal/marker.h"
#include "agents/wal/wal_source.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

using namespace std::string_literals;

const SequenceRange kAll{Sequence(0), Sequence(1000000)};

Touched Touch(std::vector<std::string> batches, SequenceRange range = kAll, TouchOptions options = {}) {
  ListSource source(std::move(batches));
  auto touched = ListTouched(source, range, options);
  EXPECT_TRUE(touched) << touched.error().Message();
  return touched ? *touched : Touched{};
}

std::string Key(std::string_view key) { return MetadataKey("__namespace", key); }
std::string Sub(std::string_view key, std::string_view rest) {
  return SubkeyKey("__namespace", key, 7, rest);
}

TEST(TouchedTest, AStringIsKnownByItsMetadata) {
  const std::string key = Key("a");
  const std::string value = MetadataValue(1, "value");
  const Touched touched = Touch({BatchText(5).Log("1").Put(1, key, value).Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  TouchedKey expected;
  expected.name_space = "__namespace";
  expected.key = "a";
  expected.types = {"string"};
  expected.records = 1;
  expected.bytes = key.size() + value.size();
  EXPECT_EQ(touched.keys[0], expected);
  EXPECT_EQ(touched.records, 1U);
  EXPECT_EQ(touched.bytes, expected.bytes);
}

TEST(TouchedTest, AFieldThatOnlyChangesIsKnownByTheCommandsLogData) {
  const Touched touched = Touch({BatchText(5).Log("2").Put(0, Sub("h", "f"), "v").Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_EQ(touched.keys[0].key, "h");
  EXPECT_EQ(touched.keys[0].types, std::vector<std::string>{"hash"});
}

TEST(TouchedTest, InASharedBatchEachWritersLogDataCountsForItsOwnRecords) {
  const Touched touched = Touch({BatchText(5)
                                     .Log("2")
                                     .Put(0, Sub("h", "f"), "v")
                                     .Log("4")
                                     .Put(0, Sub("s", "m"), "")
                                     .Log("r 0123456789ABCDEF")
                                     .Put(0, Sub("x", "m"), "")
                                     .Bytes()});
  ASSERT_EQ(touched.keys.size(), 3U);
  EXPECT_EQ(touched.keys[0].types, std::vector<std::string>{"hash"});
  EXPECT_EQ(touched.keys[1].types, std::vector<std::string>{"set"});
  EXPECT_TRUE(touched.keys[2].types.empty());
}

TEST(TouchedTest, LogDataDoesNotReachIntoTheNextBatch) {
  const Touched touched =
      Touch({BatchText(5).Log("2").Bytes(), BatchText(5).Put(0, Sub("x", "f"), "v").Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_TRUE(touched.keys[0].types.empty());
}

TEST(TouchedTest, ScoresAreZsetsAndEntriesAreStreams) {
  const Touched touched = Touch(
      {BatchText(5).Put(2, Sub("z", "12345678m"), "").Put(5, Sub("t", "1234567812345678"), "e").Bytes()});
  ASSERT_EQ(touched.keys.size(), 2U);
  EXPECT_EQ(touched.keys[0].types, std::vector<std::string>{"stream"});
  EXPECT_EQ(touched.keys[1].types, std::vector<std::string>{"zset"});
}

TEST(TouchedTest, ADeletedKeysTypeIsNotKnown) {
  const Touched touched = Touch({BatchText(5).Log("0").Delete(1, Key("a")).Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_TRUE(touched.keys[0].types.empty());
}

// 1. DEL of a hash. 2. SET of the same key. 3. "Only a string was touched" would be untrue.
TEST(TouchedTest, AKeyDeletedFirstAndSetAfterwardsHasNoKnownType) {
  const Touched touched =
      Touch({BatchText(5).Delete(1, Key("a")).Put(1, Key("a"), MetadataValue(1)).Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_TRUE(touched.keys[0].types.empty());
  EXPECT_EQ(touched.keys[0].records, 2U);
}

TEST(TouchedTest, AKeySetFirstAndDeletedAfterwardsHasAKnownType) {
  const Touched touched =
      Touch({BatchText(5).Put(1, Key("a"), MetadataValue(2)).Delete(1, Key("a")).Bytes()});
  EXPECT_EQ(touched.keys.at(0).types, std::vector<std::string>{"hash"});
}

TEST(TouchedTest, EveryTypeOfAKeyIsListed) {
  const Touched touched =
      Touch({BatchText(5).Put(1, Key("a"), MetadataValue(5)).Put(1, Key("a"), MetadataValue(2)).Bytes()});
  EXPECT_EQ(touched.keys.at(0).types, (std::vector<std::string>{"hash", "zset"}));
}

TEST(TouchedTest, ARangeThatBeginsInsideABatchCountsOnlyItsRecords) {
  BatchText text(10);
  for (int i = 0; i < 5; ++i) text.Log("1").Put(1, Key(std::to_string(i)), MetadataValue(1));
  const Touched touched = Touch({text.Bytes()}, {Sequence(12), Sequence(14)});
  EXPECT_EQ(touched.records, 2U);
  ASSERT_EQ(touched.keys.size(), 2U);
  EXPECT_EQ(touched.keys[0].key, "2");
  EXPECT_EQ(touched.keys[1].key, "3");
}

TEST(TouchedTest, AnEmptyRangeTouchesNothing) {
  const Touched touched = Touch({BatchText(5).Put(1, Key("a"), "").Bytes()}, {Sequence(5), Sequence(5)});
  EXPECT_EQ(touched.records, 0U);
  EXPECT_TRUE(touched.keys.empty());
}

TEST(TouchedTest, AFlushIsCountedNotListed) {
  const Touched touched =
      Touch({BatchText(5).DeleteRange(1, "\x02na", "\x02nb").DeleteRange(0, "a", "b").Bytes()});
  EXPECT_EQ(touched.range_deletes, 2U);
  EXPECT_EQ(touched.records, 2U);
  EXPECT_TRUE(touched.keys.empty());
}

TEST(TouchedTest, InternalRecordsComeOncePerKeyspace) {
  const Touched touched = Touch({BatchText(5)
                                     .Put(3, "channel", "message")
                                     .Put(3, "other", "message")
                                     .Put(4, "lua_f_1", "code")
                                     .DeleteRange(4, "a", "b")
                                     .Put(6, "index", "x")
                                     .Put(7, "later", "x")
                                     .Put(300, "later", "x")
                                     .Bytes()});
  ASSERT_EQ(touched.keys.size(), 4U);
  EXPECT_EQ(touched.keys[0].internal, "propagate");
  EXPECT_EQ(touched.keys[0].records, 2U);
  EXPECT_EQ(touched.keys[1].internal, "pubsub");
  EXPECT_EQ(touched.keys[1].records, 2U);
  EXPECT_EQ(touched.keys[2].internal, "search");
  EXPECT_EQ(touched.keys[3].internal, "unknown");
  EXPECT_EQ(touched.keys[3].records, 2U);
  EXPECT_EQ(touched.range_deletes, 0U);
  for (const TouchedKey& key : touched.keys) EXPECT_EQ(key.name_space + key.key, "");
}

TEST(TouchedTest, AMalformedKeyIsInternalUnknown) {
  const Touched touched =
      Touch({BatchText(5).Put(1, "\x50too short", "x").Put(0, "\x01n123", "x").Put(1, "", "").Bytes()});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_EQ(touched.keys[0].internal, "unknown");
  EXPECT_EQ(touched.keys[0].records, 3U);
}

TEST(TouchedTest, OurOwnNoopsTouchNothing) {
  const Touched touched = Touch(MakePadBatches(Sequence(5), Sequence(15), "decision", "0123456789ABCDEF"));
  EXPECT_EQ(touched.records, 10U);
  EXPECT_TRUE(touched.keys.empty());
}

TEST(TouchedTest, OtherRecordsOfTheReservedKeyAreNotExcused) {
  const Touched touched = Touch({BatchText(5).Put(3, NoopKey(), "x").Delete(4, NoopKey()).Bytes()});
  EXPECT_EQ(touched.keys.size(), 2U);
}

TEST(TouchedTest, TheReplicationIdTouchesNothing) {
  const Touched touched = Touch({BatchText(5).Put(4, "replication_id_", "0123456789ABCDEF").Bytes()});
  EXPECT_EQ(touched.records, 1U);
  EXPECT_TRUE(touched.keys.empty());
}

TEST(TouchedTest, MoreKeysThanTheCapAreTruncatedAndStillCounted) {
  BatchText text(1);
  for (int i = 0; i < 10; ++i) text.Put(1, Key(std::to_string(i)), MetadataValue(1));
  text.Put(3, "channel", "m");
  const Touched touched = Touch({text.Bytes()}, kAll, {.max_keys = 4});
  EXPECT_TRUE(touched.truncated);
  EXPECT_EQ(touched.records, 11U);
  ASSERT_EQ(touched.keys.size(), 5U);
  EXPECT_EQ(touched.keys.back().internal, "pubsub");
  EXPECT_FALSE(Touch({text.Bytes()}, kAll, {.max_keys = 10}).truncated);
}

TEST(TouchedTest, InClusterModeASlotStandsBehindTheNamespace) {
  const Touched touched = Touch({BatchText(5)
                                     .Put(1, "\x02ns\x12\x34key"s, MetadataValue(1))
                                     .Put(0, "\x02ns\x12\x34\x00\x00\x00\x03keyVERSION!rest"s, "")
                                     .Bytes()},
                                kAll, {.slot_encoded = true});
  ASSERT_EQ(touched.keys.size(), 1U);
  EXPECT_EQ(touched.keys[0].key, "key");
  EXPECT_EQ(touched.keys[0].records, 2U);
}

TEST(TouchedTest, KeysAreSorted) {
  const Touched touched = Touch({BatchText(5)
                                     .Put(1, MetadataKey("b", "1"), MetadataValue(1))
                                     .Put(1, MetadataKey("a", "2"), MetadataValue(1))
                                     .Put(3, "c", "m")
                                     .Put(1, MetadataKey("a", "1"), MetadataValue(1))
                                     .Bytes()});
  ASSERT_EQ(touched.keys.size(), 4U);
  EXPECT_EQ(touched.keys[0].name_space + touched.keys[0].key, "a1");
  EXPECT_EQ(touched.keys[1].name_space + touched.keys[1].key, "a2");
  EXPECT_EQ(touched.keys[2].name_space + touched.keys[2].key, "b1");
  EXPECT_EQ(touched.keys[3].internal, "pubsub");
}

TEST(TouchedTest, ABatchThatDoesNotDecodeIsDamage) {
  ListSource source({BatchText(5).Raw("\x14", 1).Bytes()});
  auto touched = ListTouched(source, kAll, {});
  ASSERT_FALSE(touched);
  EXPECT_EQ(touched.error().Code(), ErrorCode::kDamaged);
}

TEST(ReplicationIdTest, TheLastOneOfTheBatchCounts) {
  ListSource source({BatchText(5).Put(1, "a", "").Log("r AAAAAAAAAAAAAAAA").Log("r BBBBBBBBBBBBBBBB").Bytes(),
                     BatchText(6).Put(1, "a", "").Bytes()});
  EXPECT_EQ(*ReplicationIdAt(source, Sequence(5)), "BBBBBBBBBBBBBBBB");
  EXPECT_EQ(*ReplicationIdAt(source, Sequence(6)), "");
}

}  // namespace
}  // namespace walstitch::wal
