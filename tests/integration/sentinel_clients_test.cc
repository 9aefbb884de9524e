// Clients that speak Sentinel's protocol: they find the master by the controller, and follow it when it
// changes.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <fstream>
#include <vector>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/sentinel_writer.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kQuick =
    "lease: {duration: 1s, drift: 1%, park: 100ms}\n"
    "failover: {unreachableAfter: 500ms, hungAfter: 500ms, stuckFeedAfter: 1s, blockAfter: 1100ms}\n";
constexpr const char* kByHand = "failover: {automatic: false}\n";

class SentinelTest : public ClusterTest {
 protected:
  void StartServing(const std::string& config, const std::string& sentinel = "",
                    const std::string& token = "") {
    port_ = PickFreePort();
    ClusterOptions options;
    options.nodes = {"n1", "n2", "n3"};
    options.token = token;
    options.controller_config = config + "sentinel: {port: " + std::to_string(port_) + sentinel + "}\n";
    StartCluster(options);
  }
  RedisClient Ask() const { return RedisClient(port_, "127.0.0.1", seconds(5)); }
  // "n1"; empty: nobody is told of a master.
  std::string Told() {
    RedisClient client = Ask();
    const Reply reply = client("SENTINEL", "get-master-addr-by-name", "shop");
    if (reply.items.size() != 2) return "";
    for (const std::string& node : cluster().Nodes()) {
      if (std::to_string(cluster().Node(node).port()) == reply.items[1].text) return node;
    }
    return "somebody else: " + ToString(reply);
  }
  std::string FlagsOfMaster() {
    RedisClient client = Ask();
    return client("SENTINEL", "master", "shop").Field("flags").text;
  }
  uint16_t PortOf(const std::string& node) { return cluster().Node(node).port(); }

  uint16_t port_ = 0;
};

TEST_F(SentinelTest, MasterIsToldWhileItTakesWritesAndNobodyWhileNoneDoes) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  EXPECT_TRUE(cluster().WaitUntil([&] { return Told() == "n1" && FlagsOfMaster() == "master"; }));
  RedisClient client = Ask();
  const Reply replicas = client("SENTINEL", "replicas", "shop");
  ASSERT_EQ(replicas.items.size(), 2U) << replicas;
  EXPECT_EQ(replicas.items[0].Field("flags").text, "slave");

  cluster().KillNode("n1");
  EXPECT_TRUE(cluster().WaitUntil([&] { return Told().empty(); })) << Told();
  EXPECT_EQ(FlagsOfMaster(), "s_down,o_down,master,disconnected");
  EXPECT_EQ(client("SENTINEL", "master", "shop").Field("port").text, std::to_string(PortOf("n1")));

  ASSERT_TRUE(cluster().Failover("n2").IsDone());
  EXPECT_EQ(Told(), "n2");
  EXPECT_EQ(FlagsOfMaster(), "master");
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(Told(), "n2");
}

TEST_F(SentinelTest, HungMasterIsNobodysMaster) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Told() == "n1"; }));
  cluster().Node("n1").process().Signal(SIGSTOP);
  EXPECT_TRUE(cluster().WaitUntil([&] { return Told().empty(); }));
  cluster().Node("n1").process().Signal(SIGCONT);
  EXPECT_TRUE(cluster().WaitUntil([&] { return Told() == cluster().Master(); }));
}

TEST_F(SentinelTest, MasterWhoseAgentAloneIsGoneIsStillTold) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Told() == "n1"; }));
  cluster().KillAgent("n1");
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("MasterOutOfSight"); }));
  EXPECT_EQ(Told(), "n1");
}

TEST_F(SentinelTest, SubscribersAreToldOfASwitchInSentinelsWords) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  RedisClient subscriber = Ask();
  ASSERT_FALSE(subscriber("PSUBSCRIBE", "*").IsBroken());
  ASSERT_TRUE(cluster().Switchover("n2").IsDone());
  std::vector<std::string> channels;
  std::string payload;
  while (channels.empty() || channels.back() != "+switch-master") {
    const Reply message = subscriber.ReadReply();
    ASSERT_EQ(message.items.size(), 4U) << message;
    channels.push_back(message.items[2].text);
    payload = message.items[3].text;
  }
  EXPECT_EQ(payload,
            "shop 127.0.0.1 " + std::to_string(PortOf("n1")) + " 127.0.0.1 " + std::to_string(PortOf("n2")));
  ASSERT_GE(channels.size(), 2U);
  EXPECT_EQ(channels[channels.size() - 2], "+failover-end");
}

// As a pod that dies and is made anew elsewhere.
TEST_F(SentinelTest, SubscribersAreToldOfTheSameMasterAtAnotherAddress) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Told() == "n1"; }));
  RedisClient subscriber = Ask();
  ASSERT_FALSE(subscriber("SUBSCRIBE", "+switch-master").IsBroken());
  cluster().KillNode("n1");
  cluster().KillAgent("n1");
  const std::string port = std::to_string(PortOf("n1"));
  std::ofstream(cluster().directory() + "/agent-n1.yaml", std::ios::app)
      << "announce: {host: 127.0.0.2, port: " << port << "}\n";
  ASSERT_FALSE(cluster().StartAgent("n1"));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  RedisClient client = Ask();
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const Reply master = client("SENTINEL", "master", "shop");
    return master.Field("ip").text == "127.0.0.2" && master.Field("flags").text == "s_down,o_down,master";
  })) << client("SENTINEL", "master", "shop");

  ASSERT_TRUE(cluster().WaitCondition("n1", "parked"));
  ASSERT_TRUE(cluster().Failover("n1").IsDone());
  const Reply message = subscriber.ReadReply();
  ASSERT_EQ(message.items.size(), 3U) << message;
  EXPECT_EQ(message.items[2].text, "shop 127.0.0.1 " + port + " 127.0.0.2 " + port);
}

TEST_F(SentinelTest, QuorumIsThereOnlyWhileTheMasterWouldBeReplaced) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kQuick));
  RedisClient client = Ask();
  std::string answer;
  const auto becomes = [&](const std::string& begin) {
    return cluster().WaitUntil([&] {
      answer = client("SENTINEL", "ckquorum", "shop").text;
      return answer.starts_with(begin);
    });
  };
  EXPECT_TRUE(becomes("OK 1 usable Sentinels.")) << answer;
  cluster().KillAgent("n2");
  cluster().KillAgent("n3");
  ASSERT_TRUE(becomes("NOQUORUM 1 usable Sentinels. ")) << answer;
  for (const char* node : {"n2", "n3"}) EXPECT_NE(answer.find(node), std::string::npos) << answer;
  ASSERT_FALSE(cluster().RestartAgent("n2"));
  EXPECT_TRUE(becomes("OK ")) << answer;

  ASSERT_EQ(cluster().CallController("POST", "/v1/groups/shop/pause", R"({"reason": "a test"})").status, 200);
  EXPECT_TRUE(becomes("NOQUORUM ")) << answer;
  EXPECT_NE(answer.find("the group is paused (a test)"), std::string::npos) << answer;
  ASSERT_EQ(cluster().CallController("POST", "/v1/groups/shop/resume").status, 200);
  EXPECT_TRUE(becomes("OK ")) << answer;
}

TEST_F(SentinelTest, FailoverThatIsAskedForTwiceAtOnceIsCarriedOutOnce) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Told() == "n1"; }));
  RedisClient first = Ask();
  RedisClient second = Ask();
  ASSERT_TRUE(first("PING").text == "PONG" && second("PING").text == "PONG");
  ASSERT_TRUE(first.Send({"SENTINEL", "FAILOVER", "shop"}));
  ASSERT_TRUE(second.Send({"SENTINEL", "FAILOVER", "shop"}));
  std::vector<std::string> answers = {first.ReadReply().text, second.ReadReply().text};
  std::sort(answers.begin(), answers.end());
  EXPECT_EQ(answers, (std::vector<std::string>{"INPROG Failover already in progress", "OK"}));
  const auto decisions = cluster().Decisions();
  EXPECT_EQ(std::count_if(decisions.begin(), decisions.end(),
                          [](const DecisionRecord& record) {
                            return record.decision.kind == DecisionKind::kSwitchover;
                          }),
            1);

  // Whoever saw another master wants something else replaced.
  const std::string master = cluster().Master();
  const Answer late = cluster().Switchover("", {{"node", "n1"}});
  EXPECT_EQ(late.status, 409);
  EXPECT_EQ(late.error, "n1 is not the master any more: " + master + " is");
  EXPECT_EQ(cluster().Failover("", {{"node", "n1"}}).status, 409);
  EXPECT_EQ(cluster().Master(), master);
}

TEST_F(SentinelTest, FailoverThatIsAskedForIsASwitchoverAndIsLogged) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand, "", "secret-token"));
  RedisClient client = Ask();
  EXPECT_EQ(client("SENTINEL", "FAILOVER", "shop").text.substr(0, 6), "NOAUTH");
  ASSERT_TRUE(client("AUTH", "secret-token").IsOk());
  const Reply reply = client("SENTINEL", "FAILOVER", "shop");
  ASSERT_TRUE(reply.IsOk()) << reply;
  EXPECT_NE(cluster().Master(), "n1");
  const auto decisions = cluster().Decisions();
  ASSERT_FALSE(decisions.empty());
  const auto order = std::find_if(decisions.begin(), decisions.end(), [](const DecisionRecord& record) {
    return record.decision.kind == DecisionKind::kSwitchover;
  });
  ASSERT_NE(order, decisions.end());
  const auto& reasons = order->decision.reasons;
  EXPECT_TRUE(std::any_of(reasons.begin(), reasons.end(), [](const Reason& reason) {
    return reason.sentence.starts_with("an operator (token) asked for a switchover");
  })) << Dump(ToJson(*order));
  // As a controller that stands by passes it on.
  const HttpAnswer passed_on =
      cluster().CallController("POST", "/v1/groups/shop/switchover", R"({"by": "ops", "dry_run": true})");
  EXPECT_EQ(passed_on.status, 200) << passed_on.body;
  EXPECT_NE(passed_on.body.find("an operator (token for ops) asked for a switchover"), std::string::npos)
      << passed_on.body;
  EXPECT_NE(cluster().Logs(1000000).find("SENTINEL failover shop: 200 after"), std::string::npos);
  EXPECT_EQ(cluster().Logs(1000000).find("secret-token"), std::string::npos);
}

TEST_F(SentinelTest, FailoverThatIsRefusedSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  cluster().KillNode("n2");
  cluster().KillNode("n3");
  ASSERT_TRUE(cluster().WaitUntil(
      [&] { return cluster().Condition("n3") == "down" && cluster().Condition("n2") == "down"; }));
  RedisClient client = Ask();
  const Reply reply = client("SENTINEL", "FAILOVER", "shop");
  EXPECT_TRUE(reply.IsError()) << reply;
  EXPECT_TRUE(reply.text.starts_with("NOGOODSLAVE No suitable replica to promote: ")) << reply;
  EXPECT_NE(reply.text.find("no node can take over"), std::string::npos) << reply;
  EXPECT_EQ(Told(), "n1");
}

// Whoever restarts knows nothing yet: nobody is told of a master that is down only because nobody was heard.
TEST_F(SentinelTest, ControllerThatRestartsTellsOfNoMasterThatItDoesNotKnow) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kByHand));
  cluster().KillController();
  ASSERT_FALSE(cluster().RestartController());
  std::vector<std::string> flags;
  EXPECT_TRUE(cluster().WaitUntil([&] {
    RedisClient client = Ask();
    const Reply reply = client("SENTINEL", "master", "shop");
    if (reply.IsBroken()) return false;
    flags.push_back(reply.IsError() ? reply.text.substr(0, 7) : reply.Field("flags").text);
    return flags.back() == "master";
  }));
  for (const std::string& seen : flags) EXPECT_TRUE(seen == "master" || seen == "LOADING") << seen;
}

class SentinelClientTest : public SentinelTest, public ::testing::WithParamInterface<ClientLibrary> {};
INSTANTIATE_TEST_SUITE_P(Libraries, SentinelClientTest,
                         ::testing::Values(ClientLibrary::kRedisPy, ClientLibrary::kIoredis),
                         [](const auto& parameter) {
                           return std::string(parameter.param == ClientLibrary::kRedisPy ? "RedisPy"
                                                                                         : "Ioredis");
                         });

TEST_P(SentinelClientTest, FindsTheMasterAndFollowsASwitchoverAndAFailover) {
  if (VersionOf(GetParam()).empty())
    GTEST_SKIP() << ToString(GetParam()) << " is not installed here: ./x test installs it";
  ASSERT_NO_FATAL_FAILURE(StartServing(kQuick));
  SentinelWriter writer(GetParam());
  WriterTarget target;
  target.sentinels = {port_};
  target.prefix = "w:";
  ASSERT_FALSE(writer.Start(target));
  const auto writes_on = [&](const std::string& node, std::int64_t since_us) {
    return cluster().WaitUntil([&] { return writer.FirstAckOn(PortOf(node), since_us).has_value(); },
                               seconds(30));
  };
  ASSERT_TRUE(writes_on("n1", 0)) << writer.LastError();

  std::int64_t since_us = SentinelWriter::NowUs();
  ASSERT_TRUE(cluster().Switchover("n2").IsDone());
  ASSERT_TRUE(writes_on("n2", since_us)) << writer.LastError();

  ASSERT_TRUE(cluster().WaitSettled());
  since_us = SentinelWriter::NowUs();
  cluster().KillNode("n2");
  ASSERT_TRUE(cluster().WaitUntil([&] { return !cluster().Master().empty() && cluster().Master() != "n2"; }));
  ASSERT_TRUE(writes_on(cluster().Master(), since_us)) << writer.LastError();
  writer.Stop();

  ASSERT_FALSE(cluster().RestartNode("n2"));
  ASSERT_TRUE(cluster().WaitSettled());
  auto client = cluster().Client(cluster().Master());
  std::size_t missing = 0;
  for (const auto& ack : writer.Acks()) missing += client("GET", writer.Key(ack.number)).IsNil() ? 1 : 0;
  EXPECT_EQ(missing, 0U) << "of " << writer.Acks().size();
}

// Connections that ask nothing, or nothing that can be answered.
class Crowd {
 public:
  explicit Crowd(uint16_t port) : endpoint_(boost::asio::ip::make_address("127.0.0.1"), port) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  void Add(std::size_t count, const std::string& bytes) {
    for (std::size_t i = 0; i < count; ++i) {
      boost::system::error_code error;
      if (sockets_.size() >= kMost) sockets_.pop_front();
      auto& socket = sockets_.emplace_back(context_);
      socket.connect(endpoint_, error);
      if (!error && !bytes.empty()) boost::asio::write(socket, boost::asio::buffer(bytes), error);
    }
  }
  // One byte more on each.
  void Drip(const std::string& byte) {
    for (auto& socket : sockets_) {
      boost::system::error_code error;
      socket.non_blocking(true, error);
      socket.write_some(boost::asio::buffer(byte), error);
    }
  }
  void Leave() { sockets_.clear(); }

 private:
  static constexpr std::size_t kMost = 2500;  // this process has no more files than others

  boost::asio::io_context context_;
  boost::asio::ip::tcp::endpoint endpoint_;
  std::deque<boost::asio::ip::tcp::socket> sockets_;
};

std::uint64_t ResidentKiB(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  }
  return 0;
}

TEST_F(SentinelTest, HostileClientsAreRefusedAndCountedAndTheGroupFailsOverMeanwhile) {
  ASSERT_NO_FATAL_FAILURE(StartServing(kQuick, ", maxConnections: 300, requestTimeout: 1s"));
  ASSERT_TRUE(cluster().WaitUntil([&] { return Told() == "n1"; }));
  const pid_t pid = cluster().ControllerProcess().pid();
  const std::uint64_t before = ResidentKiB(pid);

  Crowd idle(port_);
  Crowd slow(port_);
  Crowd loud(port_);
  idle.Add(2500, "");
  slow.Add(50, "*");
  loud.Add(200, "\x16\x03\x01 no such protocol\r\n");
  loud.Add(200, "*1000000000\r\n");
  loud.Add(50, "*1\r\n$10000\r\n" + std::string(9000, 'a'));
  cluster().KillNode("n1");
  std::size_t answered = 0;
  const bool failed_over = cluster().WaitUntil(
      [&] {
        slow.Drip("1");
        loud.Add(20, std::string(20000, 'a'));
        idle.Add(20, "");
        const std::string told = Told();
        answered += told.empty() ? 0 : 1;
        return !told.empty() && told != "n1" && told == cluster().Master();
      },
      seconds(60));
  EXPECT_TRUE(failed_over);
  EXPECT_GE(answered, 1U);

  RedisClient client = Ask();
  const Reply info = client("INFO", "stats");
  const auto number = [&](const std::string& name) {
    const auto at = info.text.find(name + ":");
    return at == std::string::npos ? 0 : std::stoull(info.text.substr(at + name.size() + 1));
  };
  EXPECT_GE(number("total_connections_received"), 3000U) << info;
  EXPECT_GE(number("total_error_replies"), 100U) << info;
  const Reply clients = client("INFO", "clients");
  EXPECT_NE(clients.text.find("maxclients:300"), std::string::npos) << clients;
  EXPECT_LT(ResidentKiB(pid), before + 48 * 1024) << "before: " << before << " KiB";
  idle.Leave();
  slow.Leave();
  loud.Leave();
  EXPECT_TRUE(cluster().WaitUntil([&] { return !Told().empty(); }));
}

}  // namespace
}  // namespace walstitch::test
