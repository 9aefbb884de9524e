#include "controller/kubernetes/credentials.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"
#include "tests/support/kubernetes/certificates.h"

namespace walstitch::kubernetes {
namespace {

class CredentialsTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    test::WritePrivateFile(directory_.path() + "/" + name, text);
  }
  test::TempDirectory directory_;
  ServiceAccount account_{directory_.path()};
};

TEST_F(CredentialsTest, FilesAreReadAnewAndTrimmed) {
  Write("token", "first\n");
  EXPECT_EQ(account_.Token(), "first");
  Write("token", "second");
  EXPECT_EQ(account_.Token(), "second");
  Write("namespace", "db\n");
  EXPECT_EQ(account_.Namespace(), "db");
}

TEST_F(CredentialsTest, WhatCannotBeReadNamesTheFile) {
  const auto missing = account_.Token();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().Code(), ErrorCode::kUnavailable);
  EXPECT_NE(missing.error().Message().find(directory_.path() + "/token"), std::string::npos);
  const auto directory = ServiceAccount("/proc/self").CaPem();
  EXPECT_FALSE(directory);
}

TEST_F(CredentialsTest, ATokenOfSeveralLinesOrOfNothingIsInvalid) {
  for (const std::string bad : {"", " \n", "a b", "a\nX-Header: b", "caf\xc3\xa9"}) {
    Write("token", bad);
    const auto token = account_.Token();
    ASSERT_FALSE(token) << bad;
    EXPECT_EQ(token.error().Code(), ErrorCode::kInvalid);
  }
  Write("token", std::string("a\0b", 3));
  EXPECT_FALSE(account_.Token());
  Write("token", std::string(2U << 20, 'a'));
  EXPECT_FALSE(account_.Token());
}

TEST_F(CredentialsTest, ANamespaceMustBeOne) {
  for (const char* bad : {"A", "a/b", "-a", "a.b", "../x"}) {
    Write("namespace", bad);
    EXPECT_FALSE(account_.Namespace()) << bad;
  }
}

TEST(ApiServerOriginTest, ComesFromTheUrlOrFromTheEnvironment) {
  auto origin = ApiServerOrigin("https://api.example:6443", "10.0.0.1", "443");
  ASSERT_TRUE(origin);
  EXPECT_EQ(http::ToString(*origin), "https://api.example:6443");
  origin = ApiServerOrigin("", "10.0.0.1", "443");
  ASSERT_TRUE(origin);
  EXPECT_TRUE(origin->tls);
  EXPECT_EQ(http::ToString(*origin), "https://10.0.0.1:443");
  for (const char* v6 : {"fd00::1", "[fd00::1]"}) {
    origin = ApiServerOrigin("", v6, "443");
    ASSERT_TRUE(origin) << v6;
    EXPECT_EQ(origin->host, "fd00::1");
    EXPECT_EQ(http::ToString(*origin), "https://[fd00::1]:443");
  }
}

TEST(ApiServerOriginTest, OutsideAPodItSaysSo) {
  const auto origin = ApiServerOrigin("", std::nullopt, std::nullopt);
  ASSERT_FALSE(origin);
  EXPECT_NE(origin.error().Message().find("KUBERNETES_SERVICE_HOST"), std::string::npos);
  EXPECT_FALSE(ApiServerOrigin("", "10.0.0.1", "tcp://10.0.0.1:443"));
  EXPECT_FALSE(ApiServerOrigin("ftp://x", std::nullopt, std::nullopt));
}

}  // namespace
}  // namespace walstitch::kubernetes
