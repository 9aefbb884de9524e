#include "agents/relay/resp_reader.h"

#include <gtest/gtest.h>

#include <random>

namespace walstitch::relay {
namespace {

TEST(RespReader, CommandsComeOutByteByByte) {
  const RespCommand first{"PSYNC", "42"};
  const RespCommand second{"_fetch_file", std::string("a\r\n\0b", 5), ""};
  RespReader reader;
  std::vector<RespCommand> seen;
  for (const char byte : EncodeResp(first) + EncodeResp(second)) {
    reader.Append(std::string_view(&byte, 1));
    const auto command = reader.Next();
    ASSERT_TRUE(command.has_value());
    if (*command) seen.push_back(**command);
  }
  EXPECT_EQ(seen, (std::vector<RespCommand>{first, second}));
}

TEST(RespReader, SeveralCommandsInOnePieceComeOutOneByOne) {
  RespReader reader;
  reader.Append(EncodeResp({"AUTH", "x"}) + EncodeResp({"AUTH", "x"}) + EncodeResp({"_db_name"}) +
                "*1\r\n$4");
  EXPECT_EQ((*reader.Next())->at(0), "AUTH");
  EXPECT_EQ((*reader.Next())->at(0), "AUTH");
  EXPECT_EQ((*reader.Next())->at(0), "_db_name");
  EXPECT_FALSE(reader.Next()->has_value());
  EXPECT_EQ(reader.TakeRest(), "*1\r\n$4");
}

TEST(RespReader, WhatIsNoCommandIsAnError) {
  for (const std::string_view bytes :
       {"GET / HTTP/1.1\r\n", "*0\r\n", "*-1\r\n", "*65\r\n", "*\r\n", "*x\r\n", "*1\r\n*1\r\n",
        "*1\r\n$-1\r\n", "*1\r\n$2\r\nabc\r\n", "*11111111111111111111111", "*1\r\n$1048577\r\n",
        "*99999999999999\r\n"}) {
    RespReader reader;
    reader.Append(bytes);
    EXPECT_FALSE(reader.Next().has_value()) << bytes;
  }
}

TEST(RespReader, ACommandThatGrowsForEverIsAnError) {
  RespReader reader;
  reader.Append("*3\r\n");
  const std::string argument = "$400000\r\n" + std::string(400000, 'a') + "\r\n";
  reader.Append(argument);
  EXPECT_TRUE(reader.Next().has_value());
  reader.Append(argument);
  EXPECT_TRUE(reader.Next().has_value());
  reader.Append("$400000\r\n");
  EXPECT_FALSE(reader.Next().has_value());
}

TEST(RespReader, NoiseNeverCrashesIt) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    RespReader reader;
    std::string bytes = EncodeResp({"psync", "12", "x"});
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    for (std::size_t at = 0; at < bytes.size(); at += 5) {
      reader.Append(std::string_view(bytes).substr(at, 5));
      if (!reader.Next()) break;
    }
  }
}

}  // namespace
}  // namespace walstitch::relay
