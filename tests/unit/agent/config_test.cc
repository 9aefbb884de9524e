#include "agents/agent/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/kubernetes/certificates.h"
#include "tests/unit/agent/scratch_directory.h"

namespace walstitch::agent {
namespace {

constexpr const char* kLeast = "node: n1\ngroup: shop\nstateDir: /tmp/x\n";

std::string ErrorOf(const std::string& content) {
  auto config = ParseConfig("agent.yaml", content);
  return config ? "" : config.error().Message();
}

TEST(Config, LeastIsEnough) {
  auto config = ParseConfig("agent.yaml", kLeast);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->kvrocks.ToString(), "127.0.0.1:6666");
  EXPECT_EQ(config->announce, config->kvrocks);
  EXPECT_EQ(config->relay.ToString(), "127.0.0.1:7666");
  EXPECT_EQ(config->api.ToString(), "127.0.0.1:7667");
}

TEST(Config, EverythingIsRead) {
  auto config = ParseConfig("agent.yaml", R"(
node: n1
group: shop
kvrocks: {host: 127.0.0.2, port: 1, dir: /data}
announce: {host: 10.0.0.1, port: 2}
relay: {host: 127.0.0.3, port: 3}
api: {host: 127.0.0.4, port: 4}
stateDir: /state
databaseName: d
logLevel: debug
)");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->kvrocks.ToString(), "127.0.0.2:1");
  EXPECT_EQ(config->data_directory, "/data");
  EXPECT_EQ(config->announce.ToString(), "10.0.0.1:2");
  EXPECT_EQ(config->relay.ToString(), "127.0.0.3:3");
  EXPECT_EQ(config->api.ToString(), "127.0.0.4:4");
  EXPECT_EQ(config->state_directory, "/state");
  EXPECT_EQ(config->database_name, "d");
  EXPECT_EQ(config->log_level, "debug");
}

TEST(Config, UnknownKeyIsRefusedWithItsPlace) {
  EXPECT_EQ(ErrorOf(std::string(kLeast) + "colour: red\n").rfind("agent.yaml:4:1", 0), 0U)
      << ErrorOf(std::string(kLeast) + "colour: red\n");
  EXPECT_EQ(ErrorOf(std::string(kLeast) + "kvrocks:\n  prot: 1\n").rfind("agent.yaml:5:3", 0), 0U);
}

TEST(Config, BadValuesAreRefused) {
  for (std::string line :
       {"relay: {port: 0}", "relay: {port: 65536}", "relay: {port: x}", "api: 7", "kvrocks: {host: ''}",
        "logLevel: loud", "relay: {port: 7667}", "relay: {port: 6666}", "api: {port: 6666}", "node: again",
        "kvrocks: {passwordFile: /no/such/file}", "upstreamPasswordFile: /no/such/file", "- x", "a: [",
        "kvrocks: &a {}\nrelay: *a"}) {
    EXPECT_NE(ErrorOf(std::string(kLeast) + line + "\n"), "") << line;
  }
  EXPECT_NE(ErrorOf(""), "");
  EXPECT_NE(ErrorOf("node: n1\nstateDir: /x\n"), "");
  EXPECT_NE(ErrorOf("node: 'n 1'\ngroup: g\nstateDir: /x\n"), "");
  EXPECT_NE(ErrorOf("node: " + std::string(65, 'n') + "\ngroup: g\nstateDir: /x\n"), "");
}

TEST(Config, SecretsComeFromFiles) {
  tests::ScratchDirectory scratch;
  std::ofstream(scratch.Path() + "/secret") << "s3cret\n";
  auto config = ParseConfig("agent.yaml", std::string(kLeast) + "kvrocks: {passwordFile: " + scratch.Path() +
                                              "/secret}\nupstreamPasswordFile: " + scratch.Path() +
                                              "/secret\napi: {tokenFile: " + scratch.Path() + "/secret}\n");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->password, "s3cret");
  EXPECT_EQ(config->upstream_password, "s3cret");
  ASSERT_EQ(config->access.tokens.size(), 1U);
  EXPECT_EQ(config->access.tokens[0].file, scratch.Path() + "/secret");
}

TEST(Config, SecretWrittenOutIsRefusedAndNotRepeated) {
  for (const auto& [line, file_key] : {std::pair("kvrocks: {password: hunter2}", "passwordFile"),
                                       {"relay: {password: hunter2}", "passwordFile"},
                                       {"upstreamPassword: hunter2", "upstreamPasswordFile"},
                                       {"api: {token: hunter2}", "tokenFile"}}) {
    const std::string why = ErrorOf(std::string(kLeast) + line + "\n");
    EXPECT_NE(
        why.find(std::string("a secret is not written here: put it into a file that nobody else can read, "
                             "and name that in ") +
                 file_key),
        std::string::npos)
        << line << ": " << why;
    EXPECT_EQ(why.find("hunter2"), std::string::npos) << why;
  }
}

TEST(Config, ExampleIsGoodBesideItsSecretFiles) {
  // Its only fault is that the secret files are not on this machine.
  EXPECT_NE(ErrorOf(std::string(ExampleConfig())).find("/etc/walstitch/requirepass"), std::string::npos)
      << ErrorOf(std::string(ExampleConfig()));
}

TEST(Config, FileThatIsNotThereIsASentence) {
  auto config = LoadConfig("/no/such/agent.yaml");
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().Message().find("/no/such/agent.yaml"), std::string::npos);
}

TEST(Config, CommandLineCountsMoreThanTheFileWhereOneFileIsForManyNodes) {
  ConfigOverrides overrides;
  overrides.node = "shop-1";
  overrides.host = "10.1.2.3";
  auto config = ParseConfig("agent.yaml",
                            "group: shop\nstateDir: /s\nannounce: {port: 6666}\n"
                            "api: {port: 7667, withoutToken: true}\n"
                            "leave: {directory: /run/walstitch}\n",
                            overrides);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->node, "shop-1");
  EXPECT_EQ(config->announce, (Endpoint{"10.1.2.3", 6666}));
  EXPECT_EQ(config->api, (Endpoint{"10.1.2.3", 7667}));
  EXPECT_EQ(config->relay.host, "127.0.0.1");
  EXPECT_EQ(config->leave_directory, "/run/walstitch");
}

TEST(Config, ListeningElsewhereThanOnLoopbackNeedsATokenOrThatSaidInSoManyWords) {
  const std::string why = ErrorOf(std::string(kLeast) + "api: {host: 0.0.0.0}\n");
  EXPECT_NE(why.find("the API would listen on 0.0.0.0 and obey whoever reaches it"), std::string::npos)
      << why;
  EXPECT_EQ(ErrorOf(std::string(kLeast) + "api: {host: 0.0.0.0, withoutToken: true}\n"), "");
  ConfigOverrides overrides;
  overrides.host = "10.1.2.3";
  EXPECT_FALSE(ParseConfig("agent.yaml", kLeast, overrides));
}

TEST(Config, AnApiThatNoTokenMayOperateIsRefused) {
  tests::ScratchDirectory scratch;
  const std::string file = scratch.Path() + "/token";
  std::ofstream(file) << "t\n";
  const std::string api =
      std::string(kLeast) + "api: {tokens: [{name: metrics, role: view, file: " + file + "}]";
  EXPECT_NE(ErrorOf(api + "}\n").find("none of its tokens may operate"), std::string::npos)
      << ErrorOf(api + "}\n");
  EXPECT_EQ(ErrorOf(api + ", tokenFile: " + file + "}\n"), "");
}

TEST(Config, RelayElsewhereThanOnLoopbackNeedsAPasswordOrThatSaidInSoManyWords) {
  tests::ScratchDirectory scratch;
  const std::string secret = scratch.Path() + "/secret";
  std::ofstream(secret) << "s3cret\n";
  const std::string relay = std::string(kLeast) + "relay: {host: 10.0.0.1";
  EXPECT_NE(ErrorOf(relay + "}\n").find("anybody could pose as the node"), std::string::npos);
  EXPECT_EQ(ErrorOf(relay + ", passwordFile: " + secret + "}\n"), "");
  EXPECT_EQ(ErrorOf(relay + ", withoutPassword: true}\n"), "");
}

TEST(Config, UpstreamPortMeansNothingWithoutTls) {
  EXPECT_NE(ErrorOf(std::string(kLeast) + "upstreamPort: 7668\n").find("upstreamTls"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(kLeast) + "upstreamPort: 0\n").find("1 to 65535"), std::string::npos);
}

TEST(Config, GateWithoutItsCertificatesIsRefused) {
  EXPECT_NE(ErrorOf(std::string(kLeast) + "gate: {port: 7668}\n").find("certificateFile"), std::string::npos);
  const std::string missing =
      ErrorOf(std::string(kLeast) + "gate: {certificateFile: /no/c, keyFile: /no/k, clientCaFile: /no/a}\n");
  EXPECT_NE(missing.find("/no/"), std::string::npos) << missing;
}

TEST(Config, HostOfTheCommandLineIsTheGatesToo) {
  tests::ScratchDirectory scratch;
  test::CertificateAuthority authority("nodes");
  const test::Certificate own = authority.Issue("node", {"DNS:nodes.example.org"});
  test::WritePrivateFile(scratch.Path() + "/ca.crt", authority.Pem());
  test::WritePrivateFile(scratch.Path() + "/tls.crt", own.certificate_pem);
  test::WritePrivateFile(scratch.Path() + "/tls.key", own.key_pem);
  const std::string file =
      std::string(kLeast) + "api: {withoutToken: true}\ngate: {certificateFile: " + scratch.Path() +
      "/tls.crt, keyFile: " + scratch.Path() + "/tls.key, clientCaFile: " + scratch.Path() + "/ca.crt}\n";
  auto config = ParseConfig("agent.yaml", file);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->gate, (Endpoint{"127.0.0.1", 7668}));
  ConfigOverrides overrides;
  overrides.host = "10.1.2.3";
  config = ParseConfig("agent.yaml", file, overrides);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->gate, (Endpoint{"10.1.2.3", 7668}));
  config = ParseConfig("agent.yaml", std::string(kLeast) + "api: {withoutToken: true}\n", overrides);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->gate.port, 0) << "without a gate there is none";
}

TEST(Config, NameOfTheCommandLineIsANameToo) {
  ConfigOverrides overrides;
  overrides.node = "not a name";
  auto config = ParseConfig("agent.yaml", "group: shop\nstateDir: /s\n", overrides);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().Message(),
            "--node: expected a name of at most 64 letters, digits, '-', '_' and '.'");
}

}  // namespace
}  // namespace walstitch::agent
