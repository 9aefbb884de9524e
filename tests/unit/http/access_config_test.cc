#include "agents/http/access_config.h"

#include <gtest/gtest.h>

#include "policies/yaml_tree.h"
#include "tests/support/environment.h"
#include "tests/support/kubernetes/certificates.h"

namespace walstitch::http {
namespace {

class AccessConfigTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    test::WritePrivateFile(directory_.path() + "/" + name, content);
    return directory_.path() + "/" + name;
  }

  Result<ApiAccess> Read(const std::string& yaml) {
    auto tree = ParseYaml("file", yaml);
    if (!tree) return Fail(tree.error());
    ConfigReader reader("file", *tree);
    ApiAccess access;
    ReadApiAccess(reader, access);
    if (auto finished = reader.Finish(); !finished) return Fail(finished.error());
    return access;
  }

  std::string WhyBad(const std::string& yaml) {
    auto read = Read(yaml);
    return read ? "" : read.error().Message();
  }

  test::TempDirectory directory_;
};

TEST_F(AccessConfigTest, TokensHaveNamesRolesAndFiles) {
  const std::string a = Write("a", "aa\n");
  const std::string b = Write("b", "bb\n");
  const auto access = Read("tokenFile: " + a + "\ntokens: [{name: grafana, role: view, file: " + b +
                           "}, {name: ops, role: operate, file: " + a + "}, {name: guest, file: " + b + "}]");
  ASSERT_TRUE(access) << access.error().Message();
  ASSERT_EQ(access->tokens.size(), 4U);
  EXPECT_EQ(access->tokens[0].name, "token");
  EXPECT_EQ(access->tokens[0].role, AccessRole::kOperate);
  EXPECT_EQ(access->tokens[1].name, "grafana");
  EXPECT_EQ(access->tokens[1].role, AccessRole::kView);
  EXPECT_EQ(access->tokens[2].role, AccessRole::kOperate);
  EXPECT_EQ(access->tokens[3].role, AccessRole::kView) << "less is safer where nothing is said";
  EXPECT_EQ(access->Own().file, a);
}

TEST_F(AccessConfigTest, WhatIsWrongIsSaidAtItsPlace) {
  const std::string good = Write("good", "token\n");
  const std::string spaced = Write("spaced", "hunter2 hunter3\n");
  EXPECT_NE(WhyBad("tokens: [{name: a, role: admin, file: " + good + "}]").find("view or operate"),
            std::string::npos);
  EXPECT_NE(WhyBad("tokens: [{name: a, file: " + good + "}, {name: a, file: " + good + "}]").find("twice"),
            std::string::npos);
  EXPECT_NE(WhyBad("tokens: [{name: 'a b', file: " + good + "}]").find("1 to 64"), std::string::npos);
  EXPECT_NE(WhyBad("tokens: [{name: a}]").find("file is missing"), std::string::npos);
  EXPECT_NE(WhyBad("tokenFile: /no/such/file").find("/no/such/file"), std::string::npos);
  EXPECT_NE(WhyBad("token: hunter2").find("name that in tokenFile"), std::string::npos);
  EXPECT_NE(WhyBad("{tokenFile: " + good + ", withoutToken: true}").find("take one of them away"),
            std::string::npos);
  const std::string why = WhyBad("tokenFile: " + spaced);
  EXPECT_NE(why.find(spaced), std::string::npos) << why;
  EXPECT_EQ(why.find("hunter"), std::string::npos) << why;
  EXPECT_EQ(WhyBad("token: hunter2").find("hunter"), std::string::npos);
}

TEST_F(AccessConfigTest, TlsFilesAreReadAtOnce) {
  test::CertificateAuthority authority("test authority");
  const auto one = authority.Issue("one", test::LoopbackNames());
  const auto other = authority.Issue("other", test::LoopbackNames());
  const std::string certificate = Write("tls.crt", one.certificate_pem);
  const std::string key = Write("tls.key", one.key_pem);
  const std::string wrong_key = Write("other.key", other.key_pem);
  const std::string ca = Write("ca.crt", authority.Pem());
  const auto access =
      Read("tls: {certificateFile: " + certificate + ", keyFile: " + key + ", clientCaFile: " + ca + "}");
  ASSERT_TRUE(access) << access.error().Message();
  EXPECT_EQ(access->tls->authority, ca);
  EXPECT_NE(WhyBad("tls: {certificateFile: " + certificate + ", keyFile: " + wrong_key + "}")
                .find("does not belong"),
            std::string::npos);
  EXPECT_NE(WhyBad("tls: {certificateFile: " + certificate + "}").find("keyFile is missing"),
            std::string::npos);
  EXPECT_NE(WhyBad("tls: {certificateFile: " + key + ", keyFile: " + key + "}").find("no certificate in it"),
            std::string::npos);
}

TEST_F(AccessConfigTest, ElsewhereThanOnLoopbackSomethingMustBeAskedForOrTheLackOfItSaid) {
  ApiAccess open;
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"})
    EXPECT_EQ(WhyNotListen(host, open), "") << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "walstitch.shop"}) {
    EXPECT_EQ(
        WhyNotListen(host, open),
        std::string("the API would listen on ") + host +
            " and obey whoever reaches it: name a token (tokenFile, tokens) or a clientCaFile in api.tls, "
            "listen on 127.0.0.1, or say withoutToken: true");
  }
  ApiAccess said = open;
  said.without_token = true;
  EXPECT_EQ(WhyNotListen("0.0.0.0", said), "");
  ApiAccess with_token = open;
  with_token.tokens.push_back({"token", AccessRole::kOperate, "secret", ""});
  EXPECT_EQ(WhyNotListen("0.0.0.0", with_token), "");
  ApiAccess with_tls = open;
  with_tls.tls = TlsFiles{"c", "k", "", ""};
  EXPECT_NE(WhyNotListen("0.0.0.0", with_tls), "") << "encrypted, and still anybody's";
  with_tls.tls->authority = "ca";
  EXPECT_EQ(WhyNotListen("0.0.0.0", with_tls), "");
}

}  // namespace
}  // namespace walstitch::http
