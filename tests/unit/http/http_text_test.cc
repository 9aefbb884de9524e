#include "agents/http/http_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agents/http/http_client.h"

namespace walstitch::http {
namespace {

TEST(Target, IsSplitAndDecoded) {
  auto target = ParseTarget("/v1/groups/a%2Fb/?fresh=1&who=x+y%26&empty");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"v1", "groups", "a/b"}));
  EXPECT_EQ(target->path, "/v1/groups/a/b");
  EXPECT_EQ(target->query.at("fresh"), "1");
  EXPECT_EQ(target->query.at("who"), "x y&");
  EXPECT_EQ(target->query.at("empty"), "");
}

TEST(Target, RootHasNoSegments) {
  auto target = ParseTarget("/");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/");
  EXPECT_TRUE(target->segments.empty());
}

TEST(Target, BadTargetsAreRefused) {
  for (std::string text :
       {"", "*", "http://host/path", "/%", "/%4", "/%zz", "/a%00b", "/?a=1&a=2", "/?a=%"}) {
    EXPECT_FALSE(ParseTarget(text)) << text;
  }
}

TEST(PercentCode, EveryByteButNulComesBack) {
  std::string bytes;
  for (int i = 1; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  auto decoded = PercentDecode(PercentEncode(bytes), true);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, bytes);
}

TEST(Bearer, TokenIsTakenInAnyCaseOfTheScheme) {
  EXPECT_EQ(BearerToken("Bearer abc"), "abc");
  EXPECT_EQ(BearerToken("bearer  abc "), "abc");
  EXPECT_EQ(BearerToken("Basic abc"), "");
  EXPECT_EQ(BearerToken("Bearer "), "");
}

TEST(Url, GoodOnesAreRead) {
  auto url = ParseUrl("http://10.0.0.1:7667");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "10.0.0.1");
  EXPECT_EQ(url->port, "7667");
  EXPECT_EQ(ParseUrl("http://node/")->port, "80");
  EXPECT_EQ(ParseUrl("http://[::1]:81")->host, "::1");
}

TEST(Url, BadOnesAreRefused) {
  for (std::string text : {"", "10.0.0.1:1", "ftp://a:1", "http://", "https://", "http://a:", "http://a:0",
                           "http://a:65536", "http://a:1/path", "http://user@a:1", "http://::1:80",
                           "http://[::1", "http://[::1]x", "http://a b:1"}) {
    EXPECT_FALSE(ParseUrl(text)) << text;
  }
}

}  // namespace
}  // namespace walstitch::http
