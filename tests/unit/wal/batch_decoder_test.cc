#include "agents/wal/batch_decoder.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

struct Seen {
  Operation operation;
  std::uint32_t family;
  std::uint64_t sequence;
  std::string key;
  std::string value;
  bool operator==(const Seen&) const = default;
};

Result<std::vector<Seen>> Decode(std::string_view bytes) {
  std::vector<Seen> seen;
  Result<void> decoded = DecodeBatch(bytes, [&](const BatchRecord& record) {
    seen.push_back({record.operation, record.column_family, record.sequence.Value(), std::string(record.key),
                    std::string(record.value)});
    return true;
  });
  if (!decoded) return Fail(decoded.error());
  return seen;
}

std::string ErrorOf(std::string_view bytes) {
  auto decoded = Decode(bytes);
  if (decoded) return "no error";
  EXPECT_EQ(decoded.error().Code(), ErrorCode::kDamaged);
  return decoded.error().Message();
}

TEST(BatchDecoderTest, RecordsCarryTheirOwnSequences) {
  const std::string bytes =
      BatchText(100).Log("5").Put(0, "a", "1").Log("0").Delete(1, "b").Put(9, "c", "").Bytes();
  auto decoded = Decode(bytes);
  ASSERT_TRUE(decoded) << decoded.error().Message();
  const std::vector<Seen> expected = {{Operation::kLogData, 0, 100, "", "5"},
                                      {Operation::kPut, 0, 100, "a", "1"},
                                      {Operation::kLogData, 0, 101, "", "0"},
                                      {Operation::kDelete, 1, 101, "b", ""},
                                      {Operation::kPut, 9, 102, "c", ""}};
  EXPECT_EQ(*decoded, expected);
}

// The table of kvrocks-facts: every tag, its column family variant, and what it consumes.
TEST(BatchDecoderTest, KnowsEveryTag) {
  struct Case {
    int tag;
    int strings;
    bool family;
    bool consumes;
    Operation operation;
  };
  const Operation mark = Operation::kTransactionMark;
  const std::vector<Case> cases = {{0x00, 1, false, true, Operation::kDelete},
                                   {0x04, 1, true, true, Operation::kDelete},
                                   {0x01, 2, false, true, Operation::kPut},
                                   {0x05, 2, true, true, Operation::kPut},
                                   {0x02, 2, false, true, Operation::kMerge},
                                   {0x06, 2, true, true, Operation::kMerge},
                                   {0x07, 1, false, true, Operation::kSingleDelete},
                                   {0x08, 1, true, true, Operation::kSingleDelete},
                                   {0x0f, 2, false, true, Operation::kDeleteRange},
                                   {0x0e, 2, true, true, Operation::kDeleteRange},
                                   {0x11, 2, false, true, Operation::kBlobIndex},
                                   {0x10, 2, true, true, Operation::kBlobIndex},
                                   {0x16, 2, false, true, Operation::kPutEntity},
                                   {0x17, 2, true, true, Operation::kPutEntity},
                                   {0x18, 2, false, true, Operation::kTimedPut},
                                   {0x19, 2, true, true, Operation::kTimedPut},
                                   {0x03, 1, false, false, Operation::kLogData},
                                   {0x09, 0, false, false, mark},
                                   {0x0a, 1, false, false, mark},
                                   {0x0b, 1, false, false, mark},
                                   {0x0c, 1, false, false, mark},
                                   {0x0d, 0, false, false, mark},
                                   {0x12, 0, false, false, mark},
                                   {0x13, 0, false, false, mark},
                                   {0x15, 2, false, false, mark}};
  for (const Case& c : cases) {
    std::string record(1, static_cast<char>(c.tag));
    if (c.family) record += "\xac\x02";  // 300
    for (int i = 0; i < c.strings; ++i) record += "\x03xyz";
    auto decoded = Decode(BatchText(7).Raw(record, c.consumes ? 1 : 0).Bytes());
    ASSERT_TRUE(decoded) << c.tag << ": " << decoded.error().Message();
    ASSERT_EQ(decoded->size(), 1U) << c.tag;
    EXPECT_EQ(decoded->front().operation, c.operation) << c.tag;
    EXPECT_EQ(decoded->front().family, c.family ? 300U : 0U) << c.tag;
  }
}

TEST(BatchDecoderTest, ABatchWithoutRecordsIsNormal) {
  auto decoded = Decode(BatchText(5).Bytes());
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->empty());
}

TEST(BatchDecoderTest, AShortHeaderIsDamage) {
  EXPECT_NE(ErrorOf("").find("shorter than its header"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(11, '\0')).find("shorter than its header"), std::string::npos);
}

TEST(BatchDecoderTest, AnUnknownTagIsDamage) {
  EXPECT_EQ(ErrorOf(BatchText(5).Raw("\x14", 1).Bytes()), "batch at sequence 5: byte 12: unknown tag 20");
}

TEST(BatchDecoderTest, ACountThatIsTooLargeIsDamage) {
  std::string bytes = BatchText(5).Put(1, "k", "v").Bytes();
  bytes[8] = 2;
  EXPECT_EQ(ErrorOf(bytes), "batch at sequence 5: byte 18: it holds 1 records, and its count says 2");
}

TEST(BatchDecoderTest, ACountThatIsTooSmallIsDamage) {
  std::string bytes = BatchText(5).Put(1, "k", "v").Bytes();
  bytes[8] = 0;
  EXPECT_NE(ErrorOf(bytes).find("more records than its count of 0"), std::string::npos);
}

TEST(BatchDecoderTest, ARecordCutOffAnywhereIsDamage) {
  const std::string bytes = BatchText(5).Put(300, std::string(200, 'k'), "value").Bytes();
  for (std::size_t length = 13; length < bytes.size(); ++length) {
    EXPECT_NE(ErrorOf(bytes.substr(0, length)).find("cut off"), std::string::npos) << length;
  }
}

TEST(BatchDecoderTest, ALengthOfMoreThan32BitsIsDamage) {
  EXPECT_NE(ErrorOf(BatchText(5).Raw("\x03\xff\xff\xff\xff\x7f").Bytes()).find("malformed"),
            std::string::npos);
  EXPECT_NE(ErrorOf(BatchText(5).Raw("\x03\x80\x80\x80\x80\x80\x01").Bytes()).find("malformed"),
            std::string::npos);
}

TEST(BatchDecoderTest, SequencesBeyond56BitsAreDamage) {
  EXPECT_NE(ErrorOf(BatchText(std::uint64_t{1} << 56).Bytes()).find("beyond"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(12, '\xff')).find("beyond"), std::string::npos);
}

TEST(BatchDecoderTest, EveryTagThatIsNotKnownIsDamage) {
  for (int tag = 0; tag < 256; ++tag) {
    if (tag <= 0x19 && tag != 0x14) continue;  // KnowsEveryTag
    const std::string bytes = BatchText(5).Raw(std::string(1, static_cast<char>(tag)) + "\x01k", 1).Bytes();
    EXPECT_EQ(ErrorOf(bytes), "batch at sequence 5: byte 12: unknown tag " + std::to_string(tag));
  }
}

TEST(BatchDecoderTest, AnUnknownTagBehindGoodRecordsIsSaidAtItsByte) {
  const std::string bytes = BatchText(5).Put(1, "k", "v").Raw("\x7f").Bytes();
  EXPECT_EQ(ErrorOf(bytes), "batch at sequence 5: byte 18: unknown tag 127");
}

TEST(BatchDecoderTest, AColumnFamilyOfMoreThan32BitsIsDamage) {
  EXPECT_NE(ErrorOf(BatchText(5).Raw("\x04\xff\xff\xff\xff\x1f\x01k", 1).Bytes()).find("malformed"),
            std::string::npos);
}

TEST(BatchDecoderTest, ALengthBeyondTheBatchIsDamage) {
  EXPECT_NE(ErrorOf(BatchText(5).Raw("\x05\x01\x01k\xff\xff\xff\xff\x0fv", 1).Bytes()).find("cut off"),
            std::string::npos);
}

TEST(BatchDecoderTest, ACountOverTheLastSequenceIsDamage) {
  const std::uint64_t last = (std::uint64_t{1} << 56) - 1;
  EXPECT_TRUE(ParseBatchHeader(Fixed(last - 5, 8) + Fixed(5, 4)));
  EXPECT_FALSE(ParseBatchHeader(Fixed(last - 5, 8) + Fixed(6, 4)));
}

TEST(BatchDecoderTest, AVisitorStops) {
  int seen = 0;
  Result<void> decoded =
      DecodeBatch(BatchText(5).Put(1, "a", "").Raw("\x14").Bytes(), [&](const BatchRecord&) {
        ++seen;
        return false;
      });
  EXPECT_TRUE(decoded);
  EXPECT_EQ(seen, 1);
}

RC_GTEST_PROP(BatchDecoderProperty, RandomBytesNeverCrash, (const std::string& bytes)) {
  (void)DecodeBatch(
      bytes, [](const BatchRecord& record) { return record.key.size() + record.value.size() < 1000000; });
}

RC_GTEST_PROP(BatchDecoderProperty, AGoodBatchWithOneByteChangedNeverCrashes,
              (const std::vector<std::string>& keys, std::uint16_t at, std::uint8_t by)) {
  BatchText text(1);
  for (const std::string& key : keys) text.Log(key).Put(1, key, key).Delete(0, key).DeleteRange(2, key, key);
  std::string bytes = text.Bytes();
  bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ by);
  (void)Decode(bytes);
}

RC_GTEST_PROP(BatchDecoderProperty, WhatWasEncodedIsDecoded,
              (const std::vector<std::pair<std::uint32_t, std::string>>& puts)) {
  BatchText text(10);
  std::vector<Seen> expected;
  for (const auto& [family, key] : puts) {
    text.Put(family, key, key + key);
    expected.push_back({Operation::kPut, family, 10 + expected.size(), key, key + key});
  }
  auto decoded = Decode(text.Bytes());
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == expected);
}

}  // namespace
}  // namespace walstitch::wal
