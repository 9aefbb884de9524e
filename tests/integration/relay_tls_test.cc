// Replication between nodes by TLS: through the agents' gates, and to servers that speak it themselves.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/integration/metrics_fixture.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/support/replication_peer.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

class RelayTlsTest : public MetricsClusterTest {
 protected:
  void SetUp() override {
    Write("ca.pem", authority_.Pem());
    Issue();
  }

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) const {
    WritePrivateFile(Path(name), content);
  }
  void Issue(int days = 1) {
    const Certificate certificate = authority_.Issue("node", {"DNS:nodes.example.org"}, days);
    Write("tls.pem", certificate.certificate_pem);
    Write("key.pem", certificate.key_pem);
  }
  std::string Files() const {
    return "caFile: " + Path("ca.pem") + ", certificateFile: " + Path("tls.pem") +
           ", keyFile: " + Path("key.pem") + ", serverName: nodes.example.org";
  }

  // Each node has an address of its own, where nothing but its gate listens.
  ClusterOptions WithGates() {
    ClusterOptions options;
    options.nodes = {"n1", "n2", "n3"};
    const std::string port = std::to_string(PickFreePort());
    options.agent_config = "upstreamTls: {" + Files() + "}\nupstreamPort: " + port + "\n";
    options.agent_config_of = [this, port](size_t node) {
      const std::string host = "127.0.0." + std::to_string(11 + node);
      return "announce: {host: " + host + "}\ngate: {host: " + host + ", port: " + port +
             ", certificateFile: " + Path("tls.pem") + ", keyFile: " + Path("key.pem") +
             ", clientCaFile: " + Path("ca.pem") + "}\n";
    };
    options.controller_config =
        "failover: {automatic: false}\nkvrocksTls: {" + Files() + "}\nkvrocksPort: " + port + "\n";
    return options;
  }

  TempDirectory directory_;
  CertificateAuthority authority_{"nodes"};
};

TEST_F(RelayTlsTest, GroupFailsOverAndRejoinsThroughItsGates) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(WithGates()));
  RedisClient writer = cluster().Client("n1");
  WriteSingles(writer, 100, "before:");
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail:"); },
                                  [](RedisClient& client) { WriteSingles(client, 5, "missed:"); }));
  const DecisionRecord record = Rejoin();
  EXPECT_NE(VerdictOf(record), Verdict::kFull);
  EXPECT_EQ(cluster().FullSyncsServed(), 0U);
  ASSERT_TRUE(cluster().WaitSettled());
}

TEST_F(RelayTlsTest, FullSyncPassesThroughAGate) {
  ClusterOptions options = WithGates();
  options.policy = kFullSyncAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  RedisClient writer = cluster().Client("n1");
  for (int i = 0; i < 200; ++i) writer("SET", "large:" + std::to_string(i), std::string(20000, 'x'));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail:"); },
                                  [](RedisClient& client) { WriteSingles(client, 5, "missed:"); }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(VerdictOf(record), Verdict::kFull);
  EXPECT_TRUE(DifferingKeys("n1", "n2").empty());
}

TEST_F(RelayTlsTest, GateThatIsGoneWithItsAgentIsNoReasonForAFailoverWhileTheServerLives) {
  ClusterOptions options = WithGates();
  // Its clients reach it there, and the controller sees that it lives.
  options.node_config_of = [](size_t node) {
    return NodeConfig{{"bind", "127.0.0.1 127.0.0." + std::to_string(11 + node)}};
  };
  options.controller_config.replace(options.controller_config.find("automatic: false"), 16,
                                    "automatic: true, blockAfter: 3100ms");
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  cluster().KillAgent("n1");
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("MasterOutOfSight"); }));
  // Until long after its lease is over.
  EXPECT_FALSE(cluster().WaitUntil([&] { return cluster().Master() != "n1"; }, seconds(5)));
  RedisClient client = cluster().Client("n1");
  EXPECT_TRUE(client("SET", "key", "value").IsOk());
  cluster().KillNode("n1");
  EXPECT_TRUE(cluster().WaitUntil([&] { return cluster().Master() != "n1"; }));
}

TEST_F(RelayTlsTest, CertificatesAreExchangedWithoutABrokenLink) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(WithGates()));
  const auto ends = [](const std::string& use) {
    return "walstitch_certificate_expiry_timestamp_seconds{use=\"" + use + "\"}";
  };
  for (int round = 0; round < 3; ++round) {
    const std::optional<double> of_gate = Agent("n1").Find(ends("gate"));
    const std::optional<double> of_upstream = Agent("n1").Find(ends("upstream"));
    const std::optional<double> of_controller = Controller().Find(ends("kvrocks"));
    ASSERT_TRUE(of_gate && of_upstream && of_controller);
    Issue(round + 2);
    ExpectAbove(OfAgent("n1"), ends("gate"), *of_gate + 80'000);
    ExpectAbove(OfAgent("n1"), ends("upstream"), *of_upstream + 80'000);
    ExpectAbove(OfController(), ends("kvrocks"), *of_controller + 80'000);
    RedisClient writer = cluster().Client("n1");
    WriteSingles(writer, 20, "round-" + std::to_string(round) + ":");
    ASSERT_TRUE(cluster().WaitSettled());
  }
  const Answer answer = cluster().Switchover("n2");  // by links that are new
  EXPECT_TRUE(answer.IsDone()) << answer.error;
  ASSERT_TRUE(cluster().WaitSettled());
}

TEST_F(RelayTlsTest, NobodyWithoutACertificateReachesAServerThroughItsGate) {
  ClusterOptions options = WithGates();
  options.nodes = {"n1"};
  const std::string host_and_port = options.agent_config_of(0);
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const size_t at = host_and_port.find("port: ") + 6;
  const auto port = static_cast<uint16_t>(std::stoul(host_and_port.substr(at)));
  RawConnection stranger("127.0.0.11", port);
  ASSERT_TRUE(stranger.IsOpen());
  stranger.SendCommand({"PING"});
  EXPECT_TRUE(stranger.WaitClosed(seconds(10)));
}

TEST_F(RelayTlsTest, ServersThatSpeakTlsThemselvesAreFollowed) {
  if (std::getenv("KVROCKS_HAS_TLS") == nullptr)
    GTEST_SKIP() << "KVROCKS_HAS_TLS says that KVROCKS_BIN is a Kvrocks with TLS; then this is tried";
  ClusterOptions options;
  const auto port = std::make_shared<std::vector<uint16_t>>();
  for (size_t i = 0; i < options.nodes.size(); ++i) port->push_back(PickFreePort());
  options.node_config_of = [this, port](size_t node) {
    return NodeConfig{{"tls-port", std::to_string((*port)[node])},
                      {"tls-cert-file", Path("tls.pem")},
                      {"tls-key-file", Path("key.pem")},
                      {"tls-ca-cert-file", Path("ca.pem")}};
  };
  options.agent_config = "upstreamTls: {" + Files() + "}\n";
  options.agent_config_of = [port](size_t node) {
    return "announce: {port: " + std::to_string((*port)[node]) + "}\n";
  };
  options.controller_config = "failover: {automatic: false}\nkvrocksTls: {" + Files() + "}\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  RedisClient writer = cluster().Client("n1");
  WriteSingles(writer, 100, "before:");
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail:"); },
                                  [](RedisClient& client) { WriteSingles(client, 5, "missed:"); }));
  (void)Rejoin();
  EXPECT_EQ(cluster().FullSyncsServed(), 0U);
}

}  // namespace
}  // namespace walstitch::test
