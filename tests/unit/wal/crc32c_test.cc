#include "agents/wal/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace walstitch::wal {
namespace {

// RFC 3720, B.4.
TEST(Crc32cTest, KnownAnswers) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending.push_back(c);
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
}

// One bit at a time, by the definition.
std::uint32_t ByDefinition(std::string_view bytes) {
  std::uint32_t state = ~0U;
  for (const char byte : bytes) {
    state ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1U) != 0 ? 0x82f63b78U : 0);
  }
  return ~state;
}

TEST(Crc32cTest, AgreesWithTheDefinitionAtEveryLengthAndAlignment) {
  std::string bytes;
  for (int i = 0; i < 700; ++i) bytes.push_back(static_cast<char>(i * 37 + i / 7));
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t length = 0; length + from <= bytes.size(); ++length) {
      const auto part = std::string_view(bytes).substr(from, length);
      ASSERT_EQ(Crc32c(part), ByDefinition(part)) << from << " " << length;
    }
  }
}

TEST(Crc32cTest, GoesOnBehindAPrefix) { EXPECT_EQ(Crc32c("world", Crc32c("hello ")), Crc32c("hello world")); }

TEST(Crc32cTest, MaskingIsUndone) {
  for (const std::uint32_t crc : {0U, 1U, 0xffffffffU, 0x8a9136aaU}) {
    EXPECT_NE(MaskCrc(crc), crc);
    EXPECT_EQ(UnmaskCrc(MaskCrc(crc)), crc);
  }
}

}  // namespace
}  // namespace walstitch::wal
