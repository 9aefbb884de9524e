#include "agents/agent/salvage_format.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/marker.h"
#include "policies/model/json.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::agent {
namespace {

using wal::BatchText;
using wal::MetadataKey;
using wal::SubkeyKey;

constexpr SequenceRange kAll{Sequence(0), Sequence(1000000)};

std::vector<boost::json::object> LinesOf(const std::string& batch, SequenceRange range = kAll,
                                         bool slot_encoded = false) {
  const auto header = wal::ParseBatchHeader(batch);
  EXPECT_TRUE(header);
  std::string text;
  RecordCounts counts;
  AppendRecordLines({header->first, header->count, batch}, range, slot_encoded, 17, &text, &counts);
  std::vector<boost::json::object> lines;
  std::istringstream stream(text);
  std::string line;
  while (std::getline(stream, line)) {
    auto json = ParseJson(line);
    EXPECT_TRUE(json) << line;
    if (json) lines.push_back(json->as_object());
  }
  return lines;
}

std::string Text(const boost::json::object& line, const char* name) {
  const auto* value = line.if_contains(name);
  return value == nullptr ? "(none)" : value->is_string() ? std::string(value->get_string()) : Dump(*value);
}

std::string BigEndian(std::uint64_t value) {
  std::string out;
  for (int i = 7; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

TEST(SalvageFormatTest, AStringIsShownWithoutItsHeader) {
  const std::string value = "\x81" + BigEndian(1700000000123) + "hello";
  const auto lines = LinesOf(BatchText(5).Log("1").Put(1, MetadataKey("ns", "k"), value).Bytes());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(Text(lines[0], "operation"), "log_data");
  EXPECT_EQ(Text(lines[0], "value"), "1");
  EXPECT_EQ(Text(lines[1], "sequence"), "5");
  EXPECT_EQ(Text(lines[1], "batch"), "5");
  EXPECT_EQ(Text(lines[1], "family"), "metadata");
  EXPECT_EQ(Text(lines[1], "operation"), "put");
  EXPECT_EQ(Text(lines[1], "namespace"), "ns");
  EXPECT_EQ(Text(lines[1], "key"), "k");
  EXPECT_EQ(Text(lines[1], "type"), "string");
  EXPECT_EQ(Text(lines[1], "expire_ms"), "1700000000123");
  EXPECT_EQ(Text(lines[1], "value"), "hello");
}

TEST(SalvageFormatTest, BytesThatAreNoTextAreBase64) {
  const std::string value = "\x81" + BigEndian(0) + std::string("\0\xff", 2);
  const auto lines = LinesOf(BatchText(5).Put(1, MetadataKey("ns", "\xfe"), value).Bytes());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(Text(lines[0], "key"), R"({"base64":"/g=="})");
  EXPECT_EQ(Text(lines[0], "value"), R"({"base64":"AP8="})");
  EXPECT_FALSE(lines[0].contains("expire_ms"));
}

TEST(SalvageFormatTest, SubkeysAreShownByTheirType) {
  const std::string score = BigEndian(0xbff8000000000000ULL | (1ULL << 63));  // 1.5, see kvrocks_values.h
  const auto lines =
      LinesOf(BatchText(5)
                  .Log("2")
                  .Put(0, SubkeyKey("ns", "h", 7, "f"), "v")
                  .Put(1, MetadataKey("ns", "h"), wal::MetadataValue(2, BigEndian(7) + BigEndian(1)))
                  .Log("3 6")
                  .Put(0, SubkeyKey("ns", "l", 7, BigEndian(9)), "e")
                  .Log("4")
                  .Put(0, SubkeyKey("ns", "s", 7, "m"), "")
                  .Log("5")
                  .Put(0, SubkeyKey("ns", "z", 7, "m"), score)
                  .Put(2, SubkeyKey("ns", "z", 7, score + "m"), "")
                  .Put(5, SubkeyKey("ns", "x", 7, BigEndian(11) + BigEndian(12)), "entry")
                  .Bytes());
  ASSERT_EQ(lines.size(), 11U);
  EXPECT_EQ(Text(lines[1], "field"), "f");
  EXPECT_EQ(Text(lines[1], "value"), "v");
  EXPECT_EQ(Text(lines[1], "version"), "7");
  EXPECT_EQ(Text(lines[1], "type"), "hash");
  EXPECT_EQ(Text(lines[2], "size"), "1");
  EXPECT_FALSE(lines[2].contains("value"));
  EXPECT_EQ(Text(lines[4], "index"), "9");
  EXPECT_EQ(Text(lines[4], "value"), "e");
  EXPECT_EQ(Text(lines[6], "member"), "m");
  EXPECT_FALSE(lines[6].contains("value"));
  EXPECT_EQ(Text(lines[8], "member"), "m");
  EXPECT_EQ(Text(lines[8], "score"), "1.5");
  EXPECT_EQ(Text(lines[9], "family"), "zset_score");
  EXPECT_EQ(Text(lines[9], "member"), "m");
  EXPECT_EQ(Text(lines[9], "score"), "1.5");
  EXPECT_EQ(Text(lines[10], "entry"), "11-12");
  EXPECT_EQ(Text(lines[10], "value"), "entry");
}

TEST(SalvageFormatTest, WhatIsNotKnownIsGivenAsItIs) {
  const auto lines = LinesOf(BatchText(5)
                                 .Put(0, SubkeyKey("ns", "k", 7, "rest"), "value")  // nobody told the type
                                 .Put(1, MetadataKey("ns", "k"),
                                      "\x8e"
                                      "later")  // a type of a later version
                                 .Put(0, "no such key", "v")
                                 .Delete(3, wal::NoopKey())
                                 .Put(9, "k", "v")
                                 .DeleteRange(1, "a", "b")
                                 .Bytes());
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_FALSE(lines[0].contains("type"));
  EXPECT_EQ(Text(lines[0], "subkey"), "rest");
  EXPECT_EQ(Text(lines[0], "value"), "value");
  EXPECT_NE(Text(lines[1], "value"), "(none)");
  EXPECT_EQ(Text(lines[2], "internal"), "unknown");
  EXPECT_EQ(Text(lines[2], "raw_key"), "no such key");
  EXPECT_EQ(Text(lines[2], "value"), "v");
  EXPECT_EQ(Text(lines[3], "internal"), "pad");
  EXPECT_FALSE(lines[3].contains("value"));
  EXPECT_EQ(Text(lines[4], "family"), "unknown");
  EXPECT_EQ(Text(lines[4], "family_id"), "9");
  EXPECT_EQ(Text(lines[5], "operation"), "delete_range");
  EXPECT_EQ(Text(lines[5], "internal"), "flush");
  EXPECT_EQ(Text(lines[5], "raw_key"), "a");
  EXPECT_EQ(Text(lines[5], "to"), "b");
}

TEST(SalvageFormatTest, DeletesHaveNoValue) {
  const auto lines = LinesOf(BatchText(5)
                                 .Log("2")
                                 .Delete(0, SubkeyKey("ns", "h", 7, "f"))
                                 .Delete(1, MetadataKey("ns", "h"))
                                 .Bytes());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(Text(lines[1], "operation"), "delete");
  EXPECT_EQ(Text(lines[1], "field"), "f");
  EXPECT_FALSE(lines[1].contains("value"));
  EXPECT_FALSE(lines[2].contains("type"));
  EXPECT_FALSE(lines[2].contains("value"));
}

TEST(SalvageFormatTest, OnlyTheRangesRecordsAreShown) {
  const std::string batch = BatchText(5)
                                .Put(1, MetadataKey("ns", "a"), "\x81" + BigEndian(0))
                                .Put(1, MetadataKey("ns", "b"), "\x81" + BigEndian(0))
                                .Put(1, MetadataKey("ns", "c"), "\x81" + BigEndian(0))
                                .Bytes();
  const auto lines = LinesOf(batch, {Sequence(6), Sequence(7)});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(Text(lines[0], "key"), "b");
  EXPECT_EQ(Text(lines[0], "batch"), "5");
}

TEST(SalvageFormatTest, ABatchThatMakesNoSenseIsKeptWhole) {
  const auto lines =
      LinesOf(BatchText(5).Put(1, MetadataKey("ns", "a"), "\x81" + BigEndian(0)).Raw("\x7f rest").Bytes());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(Text(lines[1], "operation"), "undecoded");
  EXPECT_EQ(Text(lines[1], "raw_at"), "17");
  EXPECT_NE(Text(lines[1], "value").find("base64"), std::string::npos);
}

TEST(SalvageFormatTest, AVeryLargeValueStandsInTheRawFileOnly) {
  const std::string value = "\x81" + BigEndian(0) + std::string(kMaxRecordValue + 1, 'x');
  const auto lines = LinesOf(BatchText(5).Put(1, MetadataKey("ns", "a"), value).Bytes());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_FALSE(lines[0].contains("value"));
  EXPECT_EQ(Text(lines[0], "raw_at"), "17");
  EXPECT_EQ(Text(lines[0], "value_bytes"), std::to_string(kMaxRecordValue + 1));
}

// Whatever bytes records hold, every line is JSON, and there is one for each record of the range.
TEST(SalvageFormatTest, AnyBytesBecomeLines) {
  EXPECT_TRUE(rc::check([] {
    BatchText batch(5);
    const auto records = *rc::gen::inRange(0, 8);
    for (int i = 0; i < records; ++i) {
      const auto family = *rc::gen::inRange<std::uint32_t>(0, 9);
      const auto raw = *rc::gen::arbitrary<std::string>();
      const bool valid = *rc::gen::arbitrary<bool>();
      const std::string key = !valid        ? raw
                              : family == 1 ? MetadataKey("ns", raw)
                                            : SubkeyKey("ns", "k", 3, raw);
      if (*rc::gen::arbitrary<bool>())
        batch.Log(*rc::gen::element<std::string>("1", "2", "3 6", "4", "5", "x", ""));
      if (*rc::gen::inRange(0, 4) == 0) {
        batch.Delete(family, key);
      } else {
        batch.Put(family, key, *rc::gen::arbitrary<std::string>());
      }
    }
    std::size_t with_sequence = 0;
    for (const auto& line : LinesOf(batch.Bytes())) {
      const std::string operation = Text(line, "operation");
      if (operation == "put" || operation == "delete") ++with_sequence;
    }
    RC_ASSERT(with_sequence == static_cast<std::size_t>(records));
  }));
}

SalvagedValue AnyValue() {
  SalvagedValue value;
  value.key.name_space = *rc::gen::arbitrary<std::string>();
  value.key.key = *rc::gen::arbitrary<std::string>();
  value.key.type = *rc::gen::element<std::string>("string", "hash", "list", "set", "zset", "stream");
  value.key.kept = *rc::gen::element(KeptAs::kValue, KeptAs::kAbsent, KeptAs::kNotKept);
  if (*rc::gen::arbitrary<bool>()) value.key.expire_ms = *rc::gen::inRange<std::int64_t>(0, 1LL << 50);
  if (value.key.kept != KeptAs::kValue) {
    value.key.why = "some \"reason\"";
  } else if (value.key.type == "string") {
    value.elements = {*rc::gen::arbitrary<std::string>()};
  } else {
    value.elements = *rc::gen::arbitrary<std::vector<std::string>>();
  }
  return value;
}

TEST(SalvageFormatTest, ValuesComeBackByteForByte) {
  EXPECT_TRUE(rc::check([] {
    const SalvagedValue value = AnyValue();
    std::string line = ValueLine(value);
    RC_ASSERT(!line.empty() && line.back() == '\n');
    RC_ASSERT(line.find('\n') == line.size() - 1);
    line.pop_back();
    const auto read = ParseValueLine(line);
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->key == value.key);
    RC_ASSERT(read->elements == value.elements);
  }));
}

TEST(SalvageFormatTest, ALineThatIsNoValueIsDamaged) {
  for (const char* line : {"", "{", "[]", "{}", R"({"namespace":"a","key":"b","type":"hash","kept":"value"})",
                           R"({"namespace":"a","key":"b","type":"hash","kept":"value","value":"x"})",
                           R"({"namespace":"a","key":"b","type":"string","kept":"value","value":["x"]})",
                           R"({"namespace":"a","key":{"base64":"?"},"type":"","kept":"absent"})",
                           R"({"namespace":"a","key":"b","type":"","kept":"so"})"}) {
    const auto read = ParseValueLine(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().Code(), ErrorCode::kDamaged) << line;
  }
}

TEST(SalvageFormatTest, OnlyAUlidIsAnId) {
  EXPECT_TRUE(ValidSalvageId("01JD3Z6Q7R8S9T0V1W2X3Y4Z5A"));
  for (const char* id :
       {"", "..", "01JD3Z6Q7R8S9T0V1W2X3Y4Z5", "01JD3Z6Q7R8S9T0V1W2X3Y4Z5AB", "01jd3z6q7r8s9t0v1w2x3y4z5a",
        "../../../../../../etc/pass", "01JD3Z6Q7R8S9T0V1W2X3Y4Z5I"}) {
    EXPECT_FALSE(ValidSalvageId(id)) << id;
  }
}

TEST(SalvageFormatTest, AManifestThatWasChangedIsDamaged) {
  SalvageManifest manifest;
  manifest.id = "01JD3Z6Q7R8S9T0V1W2X3Y4Z5A";
  manifest.group = "shop";
  manifest.node = "n1";
  manifest.range = {Sequence(101), Sequence(111)};
  manifest.records = 10;
  manifest.files = {{"records.jsonl", 5, "00"}};
  const std::string text = ManifestText(manifest);
  const auto read = ParseManifest(text);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(*read, manifest);
  std::string changed = text;
  changed.replace(changed.find("\"records\": 10"), 13, "\"records\": 11");
  ASSERT_FALSE(ParseManifest(changed));
  EXPECT_EQ(ParseManifest(changed).error().Code(), ErrorCode::kDamaged);
  EXPECT_FALSE(ParseManifest(text.substr(0, text.size() / 2)));
  EXPECT_FALSE(ParseManifest("{}"));
}

}  // namespace
}  // namespace walstitch::agent
