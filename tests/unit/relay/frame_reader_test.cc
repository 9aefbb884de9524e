#include "agents/relay/frame_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace walstitch::relay {
namespace {

std::string Batch(std::uint64_t first, std::uint32_t count, std::string records) {
  std::string batch;
  for (int i = 0; i < 8; ++i) batch.push_back(static_cast<char>(first >> (8 * i)));
  for (int i = 0; i < 4; ++i) batch.push_back(static_cast<char>(count >> (8 * i)));
  return batch + records;
}

std::string Framed(const std::string& body) {
  return "$" + std::to_string(body.size()) + "\r\n" + body + "\r\n";
}

TEST(FrameReader, ABatchIsKnownAsSoonAsItsHeaderIsThere) {
  const std::string bytes = Framed(Batch(0x0102030405060708, 0x0a0b0c0d, std::string(100, 'x')));
  const std::size_t head = bytes.find("\r\n") + 2 + kBatchHeaderBytes;
  for (std::size_t size = 0; size < head; ++size) {
    const auto frame = ReadFrame(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(frame.has_value()) << size;
    EXPECT_FALSE(frame->has_value()) << size;
  }
  for (std::size_t size = head; size <= bytes.size(); ++size) {
    const auto frame = ReadFrame(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(frame.has_value() && frame->has_value()) << size;
    EXPECT_EQ((*frame)->kind, FrameKind::kBatch);
    EXPECT_EQ((*frame)->first, Sequence(0x0102030405060708));
    EXPECT_EQ((*frame)->count, 0x0a0b0c0du);
    EXPECT_EQ((*frame)->bytes, bytes.size());
  }
}

TEST(FrameReader, HeartbeatAndGetAckAreNoBatches) {
  const auto ping = ReadFrame("$4\r\nping\r\n$4");
  ASSERT_TRUE(ping.has_value() && ping->has_value());
  EXPECT_EQ((*ping)->kind, FrameKind::kHeartbeat);
  EXPECT_EQ((*ping)->bytes, 10u);
  const auto getack = ReadFrame("$7\r\n_getack\r\n");
  ASSERT_TRUE(getack.has_value() && getack->has_value());
  EXPECT_EQ((*getack)->kind, FrameKind::kGetAck);
  EXPECT_EQ((*getack)->bytes, 13u);
}

TEST(FrameReader, WhatIsNoneOfTheThreeIsAnError) {
  for (const std::string& bytes :
       {std::string("+OK\r\n"), std::string("*1\r\n"), std::string("$0\r\n\r\n"), std::string("$-1\r\n"),
        std::string("$\r\n"), std::string("$ 12\r\n"), std::string("$12x\r\n"), std::string("$012\r\n"),
        std::string("$123456789012345"), std::string("$1073741825\r\n"), std::string("$4\r\npong\r\n"),
        std::string("$7\r\n_GETACK\r\n"), std::string("$11\r\n12345678901\r\n"), std::string("$4\r\npingxx"),
        "$14\r\n" + Batch(1, 1, "ab") + "xx"}) {
    EXPECT_FALSE(ReadFrame(bytes).has_value()) << bytes;
  }
}

TEST(FrameReader, NoiseNeverCrashesIt) {
  std::mt19937 random(11);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = Framed(Batch(random(), random() % 5, std::string(random() % 20, 'r')));
    for (int i = 0; i < 2; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto frame = ReadFrame(std::string_view(bytes).substr(0, random() % (bytes.size() + 1)));
    if (frame && *frame && (*frame)->kind == FrameKind::kBatch) {
      EXPECT_GE((*frame)->bytes, kBatchHeaderBytes);
    }
  }
}

}  // namespace
}  // namespace walstitch::relay
