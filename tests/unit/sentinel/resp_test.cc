#include "controller/sentinel/resp.h"

#include <gtest/gtest.h>

namespace walstitch::sentinel {
namespace {

// All requests of the bytes, then "…" if one has begun, or the error.
std::vector<std::string> Read(std::string_view bytes, std::size_t at_once = 1 << 20,
                              RequestLimits limits = {}) {
  RequestReader reader(limits);
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < bytes.size(); at += at_once) {
    reader.Append(bytes.substr(at, at_once));
    while (true) {
      auto next = reader.Next();
      if (!next) {
        texts.push_back(next.error().Message());
        return texts;
      }
      if (!*next) break;
      std::string text;
      for (const std::string& word : **next) text += "[" + word + "]";
      texts.push_back(text);
    }
  }
  if (reader.HasBegun()) texts.push_back("…");
  return texts;
}

using Texts = std::vector<std::string>;

TEST(RequestReaderTest, ArraysAndLinesAreRequests) {
  EXPECT_EQ(Read("*2\r\n$4\r\nPING\r\n$2\r\na\n\r\nPING  'b c' \"\\x41\\n\"\r\n\r\n*0\r\n*-1\r\nROLE\n"),
            (Texts{"[PING][a\n]", "[PING][b c][A\n]", "[ROLE]"}));
}

TEST(RequestReaderTest, CutsMakeNoDifference) {
  const std::string bytes =
      "*3\r\n$8\r\nSENTINEL\r\n$6\r\nmaster\r\n$0\r\n\r\nPING hello\r\n*1\r\n$4\r\nROLE\r\n";
  const Texts whole = Read(bytes);
  ASSERT_EQ(whole.size(), 3U);
  for (std::size_t at_once = 1; at_once < bytes.size(); ++at_once) EXPECT_EQ(Read(bytes, at_once), whole);
}

TEST(RequestReaderTest, UnfinishedRequestHasBegun) {
  for (const char* bytes : {"*", "*2\r\n", "*1\r\n$4\r\nPIN", "PING", "*1\r\n$4\r\nPING\r"})
    EXPECT_EQ(Read(bytes), Texts{"…"}) << bytes;
  EXPECT_EQ(Read(""), Texts{});
}

TEST(RequestReaderTest, GarbageIsRefusedInRedisWords) {
  EXPECT_EQ(Read("*x\r\n"), Texts{"Protocol error: invalid multibulk length"});
  EXPECT_EQ(Read("*1\r\n+4\r\n"), Texts{"Protocol error: expected '$', got '+'"});
  EXPECT_EQ(Read("*1\r\n$-3\r\n"), Texts{"Protocol error: invalid bulk length"});
  EXPECT_EQ(Read("*1\r\n$1\r\nabc"), Texts{"Protocol error: a bulk string longer than its length"});
  EXPECT_EQ(Read("PING \"a\r\n"), Texts{"Protocol error: unbalanced quotes in request"});
  EXPECT_EQ(Read("\x16\x03\x01\x02"), Texts{"Protocol error: neither an array nor a line of text"});
  EXPECT_EQ(Read("GET / HTTP/1.1\r\n"), Texts{"Protocol error: this is Sentinel's protocol, and no HTTP"});
}

TEST(RequestReaderTest, WhatIsBeyondTheLimitsIsRefusedBeforeItHasCome) {
  RequestLimits limits;
  limits.arguments = 3;
  limits.bytes = 64;
  EXPECT_EQ(Read("*4\r\n", 1, limits), Texts{"Protocol error: invalid multibulk length"});
  EXPECT_EQ(Read("*2000000000\r\n", 1, limits), Texts{"Protocol error: invalid multibulk length"});
  EXPECT_EQ(Read("*1\r\n$65\r\n", 1, limits), Texts{"Protocol error: invalid bulk length"});
  EXPECT_EQ(Read("*2\r\n$40\r\n" + std::string(40, 'a') + "\r\n$40\r\n", 1, limits),
            Texts{"Protocol error: invalid bulk length"});
  EXPECT_EQ(Read(std::string(65, 'a'), 1, limits), Texts{"Protocol error: too big inline request"});
  EXPECT_EQ(Read("a b c d\r\n", 1, limits), Texts{"Protocol error: too many words in an inline request"});
  EXPECT_EQ(Read("*" + std::string(40, '1'), 1, limits), Texts{"Protocol error: invalid multibulk length"});
}

TEST(ReplyTest, EachProtocolHasItsOwnWords) {
  const Reply reply =
      Reply::Array({Reply::Simple("a\r\nb"), Reply::Fault("ERR x"), Reply::Number(-1), Reply::Bulk("c\r\n"),
                    Reply::Verbatim("v"), Reply::Null(), Reply::NullArray(),
                    Reply::Map({Reply::Bulk("k"), Reply::Number(2)}), Reply::Set({Reply::Simple("s")})});
  EXPECT_EQ(Encode(reply, Protocol::kResp2),
            "*9\r\n+a  b\r\n-ERR x\r\n:-1\r\n$3\r\nc\r\n\r\n$1\r\nv\r\n$-1\r\n*-1\r\n*2\r\n$1\r\nk\r\n:2\r\n"
            "*1\r\n+s\r\n");
  EXPECT_EQ(Encode(reply, Protocol::kResp3),
            "*9\r\n+a  b\r\n-ERR x\r\n:-1\r\n$3\r\nc\r\n\r\n=5\r\ntxt:v\r\n_\r\n_\r\n%1\r\n$1\r\nk\r\n:2\r\n"
            "~1\r\n+s\r\n");
  EXPECT_EQ(Encode(Reply::Push({Reply::Bulk("m")}), Protocol::kResp3), ">1\r\n$1\r\nm\r\n");
  EXPECT_EQ(Encode(Reply::Push({Reply::Bulk("m")}), Protocol::kResp2), "*1\r\n$1\r\nm\r\n");
}

}  // namespace
}  // namespace walstitch::sentinel
