#include "agents/wal/marker.h"

#include <gtest/gtest.h>

#include <string>

#include "agents/wal/batch_decoder.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

using namespace std::string_literals;

const std::string kDecision = "01J8ZQ4T6M3X9V5B7N1K2C0D8E";

std::vector<std::string> LogDataOf(const std::string& batch) {
  std::vector<std::string> found;
  EXPECT_TRUE(DecodeBatch(batch, [&](const BatchRecord& record) {
    if (record.operation == Operation::kLogData) found.emplace_back(record.value);
    return true;
  }));
  return found;
}

TEST(MarkerTest, NothingToPadIsNoBatch) {
  EXPECT_TRUE(MakePadBatches(Sequence(7), Sequence(7), kDecision, "0123456789ABCDEF").empty());
}

TEST(MarkerTest, APadIsDeletesOfTheReservedKeyInThePubsubFamily) {
  const auto batches = MakePadBatches(Sequence(258), Sequence(260), "D", "");
  ASSERT_EQ(batches.size(), 1U);
  const std::string record = "\x04\x03\x0c\x00\xff\xffwalstitch"s;
  EXPECT_EQ(batches[0],
            "\x02\x01\x00\x00\x00\x00\x00\x00"s
            "\x02\x00\x00\x00"s
            "\x03\x0crWalstitch:D"s +
                record + record);
}

TEST(MarkerTest, ALongPadComesInChunksThatJoinUp) {
  const auto batches = MakePadBatches(Sequence(10), Sequence(10 + 2 * kMaxPadBatch + 5), kDecision, "");
  ASSERT_EQ(batches.size(), 3U);
  std::uint64_t next = 10;
  for (const std::string& batch : batches) {
    const auto header = ParseBatchHeader(batch);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->first.Value(), next);
    EXPECT_LE(header->count, kMaxPadBatch);
    next += header->count;
    EXPECT_EQ(LogDataOf(batch), std::vector<std::string>{"rWalstitch:" + kDecision});
  }
  EXPECT_EQ(next, 10 + 2 * kMaxPadBatch + 5);
}

TEST(MarkerTest, OnlyTheLastBatchCarriesTheReplicationIdAndAtItsEnd) {
  const auto batches =
      MakePadBatches(Sequence(1), Sequence(1 + kMaxPadBatch + 1), kDecision, "0123456789ABCDEF");
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(LogDataOf(batches[0]).size(), 1U);
  const auto last = LogDataOf(batches[1]);
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(ParseReplicationId(last[1]), "0123456789ABCDEF");
  EXPECT_TRUE(batches[1].ends_with("r 0123456789ABCDEF"));
}

// 1. A marker of 18 bytes that begins with r. 2. Kvrocks takes it for a replication id.
TEST(MarkerTest, AMarkerNeverHasTheLengthOfAReplicationId) {
  for (std::size_t length = 0; length < 40; ++length) {
    const std::string decision(length, 'd');
    const auto batches = MakePadBatches(Sequence(1), Sequence(2), decision, "");
    const auto log_data = LogDataOf(batches[0]);
    ASSERT_EQ(log_data.size(), 1U);
    EXPECT_NE(log_data[0].size(), 18U);
    EXPECT_EQ(log_data[0].front(), 'r');
    EXPECT_EQ(ParseMarker(log_data[0]), decision);
    EXPECT_FALSE(ParseReplicationId(log_data[0]));
  }
}

TEST(MarkerTest, OtherLogDataIsNoMarker) {
  for (const char* other : {"", "r", "1", "r 0123456789ABCDEF", "rWalstitch", "Walstitch:x"}) {
    EXPECT_FALSE(ParseMarker(other)) << other;
  }
}

TEST(MarkerTest, OnlySixteenDigitsAndCapitalsAreAReplicationId) {
  EXPECT_EQ(ParseReplicationId("r ABCDEFGHIJKLMNOP"), "ABCDEFGHIJKLMNOP");
  EXPECT_FALSE(ParseReplicationId("r abcdefghijklmnop"));
  EXPECT_FALSE(ParseReplicationId("r ABCDEFGHIJKLMNO"));
  EXPECT_FALSE(ParseReplicationId("x ABCDEFGHIJKLMNOP"));
}

TEST(MarkerTest, DescribeFindsTheMarker) {
  const auto batches = MakePadBatches(Sequence(5), Sequence(9), kDecision, "");
  const BatchInfo info = Describe({Sequence(5), 4, batches[0]});
  EXPECT_EQ(info.marker, kDecision);
  EXPECT_EQ(info.count, 4U);
  EXPECT_EQ(info.bytes, batches[0].size());
}

TEST(MarkerTest, TheMarkersTextInAValueIsNoMarker) {
  const std::string batch = BatchText(5).Put(1, "\x01nk", "rWalstitch:x").Bytes();
  EXPECT_EQ(Describe({Sequence(5), 1, batch}).marker, "");
}

TEST(MarkerTest, TheDigestIsTheBeginningOfSha256) {
  const BatchInfo info = Describe({Sequence(0), 0, "abc"});
  const std::array<std::uint8_t, 16> expected = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                                 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23};
  EXPECT_EQ(info.digest.bytes, expected);
}

}  // namespace
}  // namespace walstitch::wal
