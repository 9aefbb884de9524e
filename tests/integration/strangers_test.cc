// Strangers at every relay's listener, while the group fails over: sent away, counted, with bounded memory,
// and the group goes on.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/replication_peer.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kIdle = 700;  // at each relay
constexpr std::uint64_t kMostGrowth = std::uint64_t{64} << 20;

// Of a process, in bytes.
std::uint64_t Memory(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

// Threads that do what strangers do, until they are told to stop.
class Strangers {
 public:
  ~Strangers() { Stop(); }

  void Attack(const std::vector<uint16_t>& ports) {
    Begin([this, ports] { Garbage(ports); });
    Begin([this, ports] { TooLong(ports); });
    Begin([this, ports] { OneByteASecond(ports); });
    Begin([this, ports] { Idle(ports); });
    Begin([this, ports] { PoseAsTheNode(ports); });
  }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Begin(std::function<void()> what) { threads_.emplace_back(std::move(what)); }
  void Rest(milliseconds time) const {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!stop_ && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(10));
  }

  void Garbage(const std::vector<uint16_t>& ports) {
    std::mt19937_64 random(1);
    const std::vector<std::string> openings = {"GET / HTTP/1.1\r\n\r\n", "*1\r\n$-1\r\n", "$4\r\nping\r\n",
                                               std::string("\x16\x03\x01\x02\x00", 5), ""};
    while (!stop_) {
      for (const uint16_t port : ports) {
        RawConnection connection(port);
        std::string bytes = openings[random() % openings.size()];
        for (int i = 0; i < 64; ++i) bytes.push_back(static_cast<char>(random()));
        connection.Send(bytes);
        connection.WaitClosed(milliseconds(20));
      }
      Rest(milliseconds(20));
    }
  }

  void TooLong(const std::vector<uint16_t>& ports) {
    const std::string much(1 << 20, 'x');
    while (!stop_) {
      for (const uint16_t port : ports) {
        RawConnection connection(port);
        connection.Send("*1\r\n$1000000\r\n");
        connection.Send(much);
        connection.WaitClosed(milliseconds(100));
      }
      Rest(milliseconds(50));
    }
  }

  void OneByteASecond(const std::vector<uint16_t>& ports) {
    const std::string command = "*1\r\n$8\r\n_db_name\r\n";
    std::vector<RawConnection> slow;
    for (std::size_t at = 0; !stop_; ++at) {
      if (at % command.size() == 0) {
        slow.clear();
        for (const uint16_t port : ports) {
          for (int i = 0; i < 5; ++i) slow.emplace_back(port);
        }
      }
      for (RawConnection& connection : slow) connection.Send(command.substr(at % command.size(), 1));
      Rest(seconds(1));
    }
  }

  void Idle(const std::vector<uint16_t>& ports) {
    std::vector<RawConnection> idle;
    for (std::size_t i = 0; i < kIdle && !stop_; ++i) {
      for (const uint16_t port : ports) idle.emplace_back(port);
    }
    while (!stop_) Rest(milliseconds(100));
  }

  void PoseAsTheNode(const std::vector<uint16_t>& ports) {
    while (!stop_) {
      for (const uint16_t port : ports) {
        RawConnection connection(port);
        connection.SendCommand({"_db_name"});
        connection.SendCommand({"PSYNC", "1"});
        connection.WaitClosed(milliseconds(50));
      }
      Rest(milliseconds(200));
    }
  }

  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

class StrangersTest : public ClusterTest {
 protected:
  static void SetUpTestSuite() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
};

TEST_F(StrangersTest, AreSentAwayWhileTheGroupFailsOver) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.controller_config = "failover: {automatic: true, blockAfter: 3100ms}\n";
  // Kvrocks says it to whomever it follows; strangers do not know it.
  options.password = "only-the-nodes-know";
  TempDirectory directory;
  const std::string secret = directory.path() + "/masterauth";
  std::ofstream(secret) << options.password << "\n";
  options.relay_config = ", passwordFile: " + secret;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  std::map<std::string, std::uint64_t> before;
  std::vector<uint16_t> ports;
  for (const std::string& node : cluster().Nodes()) {
    before[node] = Memory(cluster().AgentProcess(node).pid());
    ports.push_back(cluster().RelayPort(node));
  }
  Strangers strangers;
  strangers.Attack(ports);
  const auto sent_away = [&](const std::string& node, const std::string& reason) {
    const std::string metrics = cluster().CallAgent(node, "GET", "/metrics").body;
    const std::string line =
        "walstitch_listener_refused_total{listener=\"relay\",reason=\"" + reason + "\"} ";
    const auto at = metrics.find(line);
    return at != std::string::npos && std::stod(metrics.substr(at + line.size())) > 0;
  };
  // All kinds of them are there.
  for (const std::string reason : {"garbage", "tls", "too_large", "evicted", "password"}) {
    EXPECT_TRUE(cluster().WaitUntil([&] { return sent_away("n1", reason); }, seconds(40))) << reason;
  }

  for (int round = 0; round < 3; ++round) {
    const std::string old = cluster().Master();
    RedisClient writer = cluster().Client(old);
    WriteSingles(writer, 50, "round-" + std::to_string(round) + ":");
    ASSERT_TRUE(cluster().WaitSettled());
    cluster().KillNode(old);
    ASSERT_TRUE(cluster().WaitUntil([&] { return !cluster().Master().empty() && cluster().Master() != old; },
                                    seconds(20)));
    const auto error = cluster().RestartNode(old);
    ASSERT_FALSE(error) << *error;
    ASSERT_TRUE(cluster().WaitSettled(seconds(40))) << old << ": " << cluster().Condition(old);
  }
  EXPECT_EQ(cluster().FullSyncsServed(), 0U);
  EXPECT_TRUE(DifferingKeys("n1", "n2").empty());
  EXPECT_TRUE(DifferingKeys("n1", "n3").empty());
  for (const std::string& node : cluster().Nodes()) {
    EXPECT_LT(Memory(cluster().AgentProcess(node).pid()), before[node] + kMostGrowth) << node;
  }
}

// Without a password, who is the node stays the node.
TEST_F(StrangersTest, WhoPosesAsTheNodeDoesNotStopReplication) {
  ClusterOptions options;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const std::string replica = cluster().Master() == "n1" ? "n2" : "n1";
  for (int i = 0; i < 5; ++i) {
    RawConnection stranger(cluster().RelayPort(replica));
    stranger.SendCommand({"PSYNC", std::to_string(i)});
    RedisClient writer = cluster().Client(cluster().Master());
    WriteSingles(writer, 5, "while-" + std::to_string(i) + ":");
    EXPECT_TRUE(stranger.WaitClosed(seconds(5)));
  }
  EXPECT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(cluster().FullSyncsServed(), 0U);
  EXPECT_TRUE(DifferingKeys("n1", "n2").empty());
}

}  // namespace
}  // namespace walstitch::test
