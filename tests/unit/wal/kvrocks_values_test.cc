#include "agents/wal/kvrocks_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace walstitch::wal {
namespace {

std::string BigEndian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

TEST(KvrocksValuesTest, AStringsValueFollowsItsExpiry) {
  const std::string value = "\x81" + BigEndian(1700000000123, 8) + "text";
  const auto fields = ParseMetadata(value);
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->type, 1);
  EXPECT_EQ(fields->expire_ms, 1700000000123U);
  EXPECT_FALSE(fields->version);
  EXPECT_EQ(fields->rest, "text");
}

TEST(KvrocksValuesTest, AHashHasVersionAndSize) {
  const std::string value = "\x82" + BigEndian(0, 8) + BigEndian(77, 8) + BigEndian(3, 8);
  const auto fields = ParseMetadata(value);
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->expire_ms, 0U);
  EXPECT_EQ(fields->version, 77U);
  EXPECT_EQ(fields->size, 3U);
  EXPECT_TRUE(fields->rest.empty());
}

TEST(KvrocksValuesTest, TheOlderEncodingCountsSecondsAndHasSmallSizes) {
  const std::string value = "\x03" + BigEndian(1700000000, 4) + BigEndian(77, 8) + BigEndian(3, 4) + "ht";
  const auto fields = ParseMetadata(value);
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->expire_ms, 1700000000000U);
  EXPECT_EQ(fields->size, 3U);
  EXPECT_EQ(fields->rest, "ht");
}

TEST(KvrocksValuesTest, WhatIsCutOffOrUnknownIsNoGuess) {
  const std::string whole = "\x82" + BigEndian(0, 8) + BigEndian(77, 8) + BigEndian(3, 8);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseMetadata(whole.substr(0, size))) << size;
  EXPECT_FALSE(ParseMetadata("\x80" + std::string(32, '\0')));  // none
  EXPECT_FALSE(ParseMetadata("\x8e" + std::string(32, '\0')));  // of a later version
}

// As Kvrocks turns them: the sign bit of what is not negative is set, the bits of what is are inverted.
std::string Score(double score) {
  std::uint64_t bits = 0;
  static_assert(sizeof bits == sizeof score);
  std::copy_n(reinterpret_cast<const char*>(&score), sizeof bits, reinterpret_cast<char*>(&bits));
  bits = (bits >> 63) != 0 ? ~bits : bits | (std::uint64_t{1} << 63);
  return BigEndian(bits, 8);
}

TEST(KvrocksValuesTest, ScoresComeBack) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double score : {0.0, -0.0, 1.0, -1.0, 2.5, -1e300, 1e-300, infinity, -infinity}) {
    const std::string text = Score(score) + "member";
    std::string_view input = text;
    EXPECT_EQ(TakeScore(&input), score);
    EXPECT_EQ(input, "member");
  }
  std::string_view cut_off = "1234567";
  EXPECT_FALSE(TakeScore(&cut_off));
  EXPECT_FALSE(TakeIndex(&cut_off));
}

}  // namespace
}  // namespace walstitch::wal
