// The wires between controller, agents, people and strangers: who gets in, who does not and what that costs,
// and what happens while certificates and tokens are exchanged.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <functional>
#include <list>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "tests/integration/metrics_fixture.h"
#include "tests/support/kubernetes/certificates.h"

namespace walstitch::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using http::AccessRole;
using http::Credentials;
using http::TlsFiles;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

const std::string kQuick =
    "lease: {duration: 3s, drift: 1%, park: 300ms}\n"
    "failover: {unreachableAfter: 1s, hungAfter: 1s, blockAfter: 3100ms}\n";

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string FileOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

// Of a process, in MiB.
int ResidentMiB(Process& process) {
  std::ifstream file("/proc/" + std::to_string(process.pid()) + "/status");
  std::string word;
  while (file >> word) {
    int kib = 0;
    if (word == "VmRSS:" && file >> kib) return kib / 1024;
  }
  return -1;
}

// A group whose APIs ask for tokens and, with `tls`, speak mutual TLS.
class WiresTest : public MetricsClusterTest {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) { WritePrivateFile(Path(name), content); }

  // The key first: for a moment the two do not fit together.
  void Show(const std::string& name, const Certificate& certificate) {
    Write(name + ".key", certificate.key_pem);
    Write(name + ".crt", certificate.certificate_pem);
  }

  void IssueAll(const CertificateAuthority& authority, int days = 1) {
    Show("agent", authority.Issue("agents", LoopbackNames(), days));
    Show("controller", authority.Issue("controller", LoopbackNames(), days));
    Show("operator", authority.Issue("somebody", {}));
  }

  TlsFiles TlsOf(const std::string& name) const {
    return {Path(name + ".crt"), Path(name + ".key"), Path("ca.crt"), ""};
  }

  void StartWires(bool tls, const std::string& controller_config = kQuick) {
    tls_ = tls;
    Write("ca.crt", authority_.Pem());
    IssueAll(authority_);
    Write("agents-token", "agents-secret\n");
    Write("ops-token", "ops-secret\n");
    Write("view-token", "view-secret\n");
    const auto tls_text = [&](const std::string& name, const std::string& authority) {
      return "{certificateFile: " + Path(name + ".crt") + ", keyFile: " + Path(name + ".key") + ", " +
             authority + ": " + Path("ca.crt") + "}\n";
    };
    ClusterOptions options;
    options.nodes = {"n1", "n2", "n3"};
    options.agent_api = "  tokenFile: " + Path("agents-token") +
                        "\n  tokens:\n    - {name: grafana, role: view, file: " + Path("view-token") + "}\n";
    options.controller_api = "  tokens:\n    - {name: ops, role: operate, file: " + Path("ops-token") +
                             "}\n    - {name: grafana, role: view, file: " + Path("view-token") + "}\n";
    options.controller_config = controller_config + "agentTokenFile: " + Path("agents-token") + "\n";
    options.cli_environment = {{"WALSTITCH_TOKEN_FILE", Path("ops-token")}};
    if (tls) {
      options.scheme = "https";
      options.agent_api += "  tls: " + tls_text("agent", "clientCaFile");
      options.agent_config = "peerTls: " + tls_text("agent", "caFile");
      options.controller_api += "  tls: " + tls_text("controller", "clientCaFile");
      options.controller_config += "agentTls: " + tls_text("controller", "caFile");
      options.cli_environment.merge(
          std::map<std::string, std::string>{{"WALSTITCH_CA_FILE", Path("ca.crt")},
                                             {"WALSTITCH_CERTIFICATE_FILE", Path("operator.crt")},
                                             {"WALSTITCH_KEY_FILE", Path("operator.key")}});
    }
    operator_ = ReadCredentials("ops-token");
    agents_ = ReadCredentials("agents-token");
    options.call = [this](uint16_t port, const std::string& method, const std::string& target,
                          const std::string& body) {
      const bool controller = port == controller_port_;
      auto answer = http::FetchBlocking(UrlOf(port), method, target, body, controller ? operator_ : agents_,
                                        seconds(60));
      return answer ? HttpAnswer{answer->status, answer->body} : HttpAnswer{0, answer.error().Message()};
    };
    MakeCluster(std::move(options));
    controller_port_ = cluster().ControllerPort();
    const auto error = cluster().Start();
    ASSERT_FALSE(error) << *error;
  }

  Credentials ReadCredentials(const std::string& token_file) {
    auto loaded = Credentials::Load({"token", AccessRole::kOperate, "", Path(token_file)},
                                    tls_ ? std::optional(TlsOf("operator")) : std::nullopt);
    if (!loaded) throw std::runtime_error(loaded.error().Message());
    return *loaded;
  }

  http::Url UrlOf(uint16_t port) const { return {"127.0.0.1", std::to_string(port), tls_}; }

  // The status of an answer; 0: none.
  int StatusOf(uint16_t port, const std::string& method, const std::string& target,
               const Credentials& credentials, const std::string& body = "") const {
    auto answer = http::FetchBlocking(UrlOf(port), method, target, body, credentials, seconds(20));
    return answer ? answer->status : 0;
  }

  std::vector<std::string> Programs() { return {"controller", "agent-n1", "agent-n2", "agent-n3"}; }

  std::string AllLogs() {
    std::string all;
    for (const std::string& program : Programs()) all += cluster().LogOf(program);
    return all;
  }

  // What those who should not get in have said is written down, and nothing that is secret.
  void ExpectNoSecretInLogs() {
    const std::string all = AllLogs();
    for (const char* secret : {"agents-secret", "ops-secret", "view-secret", "guessed-secret", "BEGIN"})
      EXPECT_FALSE(Contains(all, secret)) << secret;
  }

  bool tls_ = false;
  TempDirectory directory_;
  CertificateAuthority authority_{"walstitch test"};
  CertificateAuthority foreign_{"somebody else"};
  Credentials operator_;
  Credentials agents_;
  uint16_t controller_port_ = 0;
};

// Those who should not be there, all at once, at every API.
class Crowd {
 public:
  explicit Crowd(std::vector<uint16_t> ports) : ports_(std::move(ports)) {}
  ~Crowd() { Stop(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Again and again, at one port after the other.
  using Deed = std::function<void(uint16_t port)>;
  void Add(milliseconds pause, Deed deed) {
    threads_.emplace_back([this, pause, deed = std::move(deed)] {
      for (std::size_t i = 0; !stop_; ++i) {
        deed(ports_[i % ports_.size()]);
        Pause(pause);
      }
    });
  }

  // So many connections that say nothing, at each port; whichever is closed is made again.
  void AddIdle(std::size_t count) {
    threads_.emplace_back([this, count] {
      asio::io_context context;
      std::vector<tcp::socket> sockets;
      for (std::size_t i = 0; i < count * ports_.size(); ++i) sockets.emplace_back(context);
      while (!stop_) {
        for (std::size_t i = 0; i < sockets.size() && !stop_; ++i) {
          boost::system::error_code error;
          char byte = 0;
          if (sockets[i].is_open()) {
            sockets[i].non_blocking(true, error);
            sockets[i].read_some(asio::buffer(&byte, 1), error);
            if (error == asio::error::would_block) continue;
          }
          sockets[i].close(error);
          sockets[i].connect({asio::ip::make_address("127.0.0.1"), ports_[i % ports_.size()]}, error);
          ++idle_;
          if (i % 100 == 0) Pause(milliseconds(10));
        }
        Pause(milliseconds(500));
      }
    });
  }

  // Connections that say one byte of `text` every second, for ever.
  void AddDrip(std::size_t count, std::string text) {
    threads_.emplace_back([this, count, text = std::move(text)] {
      asio::io_context context;
      std::vector<tcp::socket> sockets;
      for (std::size_t i = 0; i < count * ports_.size(); ++i) sockets.emplace_back(context);
      for (std::size_t at = 0; !stop_; ++at) {
        for (std::size_t i = 0; i < sockets.size() && !stop_; ++i) {
          boost::system::error_code error;
          if (!sockets[i].is_open())
            sockets[i].connect({asio::ip::make_address("127.0.0.1"), ports_[i % ports_.size()]}, error);
          asio::write(sockets[i], asio::buffer(&text[at % text.size()], 1), error);
          if (!error) continue;
          ++cut_off_;
          sockets[i].close(error);
        }
        Pause(seconds(1));
      }
    });
  }

  // Says `text` and hears what is answered, at most.
  static std::string Say(uint16_t port, const std::string& text) {
    asio::io_context context;
    tcp::socket socket(context);
    boost::system::error_code error;
    socket.connect({asio::ip::make_address("127.0.0.1"), port}, error);
    if (!error) asio::write(socket, asio::buffer(text), error);
    socket.shutdown(tcp::socket::shutdown_send, error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer, 100000), error);
    return answer;
  }

  void Stop() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  [[nodiscard]] std::uint64_t Idle() const { return idle_; }
  [[nodiscard]] std::uint64_t CutOff() const { return cut_off_; }

 private:
  void Pause(milliseconds pause) const {
    for (const auto until = steady_clock::now() + pause; !stop_ && steady_clock::now() < until;)
      std::this_thread::sleep_for(std::min(pause, milliseconds(20)));  // the pace of an attack
  }

  std::vector<uint16_t> ports_;
  std::list<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> idle_{0};
  std::atomic<std::uint64_t> cut_off_{0};
};

class StrangersTest : public WiresTest, public ::testing::WithParamInterface<bool> {
 protected:
  // A client that has a good certificate, where one is needed, and that token.
  Credentials Guest(const std::string& token) {
    std::shared_ptr<http::TlsIdentity> identity;
    if (tls_) identity = *http::TlsIdentity::Load(http::TlsEnd::kClient, TlsOf("operator"));
    return {token, identity};
  }

  void Invite(Crowd& crowd) {
    const auto order = [this](uint16_t port, const Credentials& who) {
      const bool controller = port == controller_port_;
      const std::string target = controller ? "/v1/groups/shop/release" : "/v1/command";
      const int status = StatusOf(port, "POST", target, who, "{}");
      if (status == 200) ++got_in_;
      if (status == 401 || status == 403 || status == 0) ++refused_;
      // And by WebSocket.
      if (!controller && StatusOf(port, "GET", "/v1/wal/info", who) == 200) ++got_in_;
    };
    crowd.Add(milliseconds(50), [=, guest = Guest("guessed-secret")](uint16_t port) { order(port, guest); });
    crowd.Add(milliseconds(50), [=, guest = Guest("view-secret")](uint16_t port) { order(port, guest); });
    crowd.Add(milliseconds(50), [this, guest = Guest("guessed-secret")](uint16_t port) {
      const int status = StatusOf(port, "POST", "/v1/command", guest, std::string(5 << 20, 'x'));
      if (status == 200) ++got_in_;
    });
    // A good token, and more than is taken.
    crowd.Add(milliseconds(100), [this, guest = Guest("ops-secret")](uint16_t port) {
      const std::string target = port == controller_port_ ? "/v1/groups/shop/release" : "/v1/command";
      if (StatusOf(port, "POST", target, guest, std::string(5 << 20, 'x')) == 200) ++got_in_;
    });
    crowd.Add(milliseconds(50), [](uint16_t port) {
      thread_local std::mt19937 random(port);
      std::string bytes(1000, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      (void)Crowd::Say(port, bytes);
      (void)Crowd::Say(port, "GET / HTTP/1.1\r\nX: " + std::string(60000, 'x') + "\r\n\r\n");
      (void)Crowd::Say(port,
                       "GET /v1/stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
      (void)Crowd::Say(port, "*1\r\n$4\r\nPING\r\n");
      bytes.insert(0, "\x16\x03\x01");
      (void)Crowd::Say(port, bytes);
    });
    if (tls_) {
      Show("foreign", foreign_.Issue("operator", {}));
      Show("late", authority_.Issue("operator", {}, -1));
      for (const char* name : {"foreign", "late"}) {
        const Credentials who("ops-secret", *http::TlsIdentity::Load(http::TlsEnd::kClient, TlsOf(name)));
        crowd.Add(milliseconds(50), [=](uint16_t port) { order(port, who); });
      }
      TlsFiles nameless = TlsOf("operator");
      nameless.certificate.clear();
      nameless.key.clear();
      const Credentials who("ops-secret", *http::TlsIdentity::Load(http::TlsEnd::kClient, nameless));
      crowd.Add(milliseconds(50), [=](uint16_t port) { order(port, who); });
    }
    crowd.AddDrip(
        10, tls_ ? std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(1000, 'r')
                 : "GET /healthz HTTP/1.1\r\nX: " + std::string(1000, 'x'));
  }

  std::vector<uint16_t> Ports() {
    std::vector<uint16_t> ports = {cluster().ControllerPort()};
    for (const std::string& node : cluster().Nodes()) ports.push_back(cluster().AgentPort(node));
    return ports;
  }

  // The sum of what a program has told of its refusals for that reason.
  std::uint64_t Told(const std::string& program, const std::string& reason) {
    std::istringstream log(cluster().LogOf(program));
    std::uint64_t sum = 0;
    for (std::string line; std::getline(log, line);) {
      const auto begin = line.find("refused lately, by reason: ");
      const auto at = begin == std::string::npos ? begin : line.find(" " + reason + " ", begin);
      if (at != std::string::npos) sum += std::strtoull(line.c_str() + at + reason.size() + 2, nullptr, 10);
    }
    return sum;
  }

  std::atomic<int> got_in_{0};
  std::atomic<int> refused_{0};
};

TEST_P(StrangersTest, AreShutOutAndCountedAndTheGroupFailsOverMeanwhile) {
  ASSERT_NO_FATAL_FAILURE(StartWires(GetParam()));
  RedisClient client = cluster().Client("n1");
  ASSERT_TRUE(client("SET", "before", "1").IsOk());
  std::map<std::string, int> memory;
  const auto process_of = [&](const std::string& program) -> Process& {
    return program == "controller" ? cluster().ControllerProcess()
                                   : cluster().AgentProcess(program.substr(6));
  };
  for (const std::string& program : Programs()) memory[program] = ResidentMiB(process_of(program));

  Crowd crowd(Ports());
  Invite(crowd);
  // Whoever is slow is told before the idle ones come, for whose sake it would be put out. The sums come
  // every ten seconds.
  std::vector<std::string> reasons = {"token", "role", "garbage", "too_large", "slow"};
  if (GetParam()) reasons.insert(reasons.end(), {"certificate", "handshake", "plain_http"});
  const auto wait_told = [&](const std::string& reason) {
    for (const std::string& program : Programs()) {
      EXPECT_TRUE(cluster().WaitUntil([&] { return Told(program, reason) > 0; }, seconds(60)))
          << program << " refuses nobody for " << reason;
    }
  };
  for (const std::string& reason : reasons) wait_told(reason);
  EXPECT_GT(crowd.CutOff(), 0U);
  crowd.AddIdle(1500);
  ASSERT_TRUE(cluster().WaitUntil([&] { return crowd.Idle() > 4 * 1500; }, seconds(60)));
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Master() == "n1"; }));

  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitUntil(
      [&] {
        const std::string master = cluster().Master();
        return !master.empty() && master != "n1";
      },
      seconds(30)));
  const std::string heir = cluster().Master();
  RedisClient there = cluster().Client(heir);
  EXPECT_TRUE(cluster().WaitUntil([&] { return there("SET", "after", "1").IsOk(); }));
  EXPECT_FALSE(cluster().RestartNode("n1"));
  EXPECT_TRUE(cluster().WaitSettled(seconds(60)));
  const Answer back = cluster().Switchover("n1");
  EXPECT_TRUE(back.IsDone()) << back.error;

  wait_told("evicted");
  for (const std::string& program : Programs()) {
    EXPECT_TRUE(process_of(program).IsRunning()) << program;
    EXPECT_LT(ResidentMiB(process_of(program)), memory[program] + 100)
        << program << ", before: " << memory[program];
  }
  EXPECT_EQ(got_in_, 0);
  EXPECT_GT(refused_, 100);
  crowd.Stop();
  ExpectNoSecretInLogs();
  EXPECT_EQ(cluster().Client("n1")("GET", "before").text, "1");
}

INSTANTIATE_TEST_SUITE_P(Wires, StrangersTest, ::testing::Values(false, true),
                         [](const auto& wires) { return wires.param ? "InTls" : "InPlainHttp"; });

// Questions and orders without an end; whatever is not answered as it should be is remembered.
class Load {
 public:
  explicit Load(std::function<std::string()> ask) {
    thread_ = std::thread([this, ask = std::move(ask)] {
      while (!stop_) {
        const std::string wrong = ask();
        ++asked_;
        if (wrong.empty()) continue;
        const std::lock_guard lock(mutex_);
        wrong_ += wrong + "\n";
      }
    });
  }
  ~Load() { Stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] int Asked() const { return asked_; }
  std::string Wrong() {
    const std::lock_guard lock(mutex_);
    return wrong_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> asked_{0};
  std::mutex mutex_;
  std::string wrong_;
  std::thread thread_;
};

TEST_F(WiresTest, CertificatesAndTokensAreExchangedUnderLoadWithoutALostReportOrAFailedCommand) {
  ASSERT_NO_FATAL_FAILURE(StartWires(true));
  const std::vector<std::string> nodes = cluster().Nodes();
  // Reports: each agent gives its own, and the controller never misses one for long.
  Load reports([&] {
    std::string wrong;
    for (const std::string& node : nodes) {
      const HttpAnswer answer = cluster().CallAgent(node, "GET", "/v1/report");
      if (answer.status != 200)
        wrong += "report of " + node + ": " + std::to_string(answer.status) + " " + answer.body;
    }
    const boost::json::value status = cluster().Status();
    if (!status.is_object()) return wrong + "no status";
    for (const auto& node : status.at("nodes").as_array()) {
      const std::string condition(node.at("condition").as_string());
      if (condition == "unreachable" || condition == "lost") wrong += " " + condition;
    }
    return wrong;
  });
  // Commands: each switchover is a dozen of them, between controller and agents and among agents.
  std::size_t turn = 0;
  Load commands([&]() -> std::string {
    const Answer answer = cluster().Switchover(nodes[++turn % nodes.size()]);
    if (answer.IsDone()) return cluster().WaitSettled() ? "" : "the group does not settle";
    return "switchover: " + std::to_string(answer.status) + " " + answer.error +
           (answer.record && answer.record->outcome ? " " + answer.record->outcome->sentence : "");
  });
  const auto after = [&](int more) {
    const int reports_then = reports.Asked();
    const int commands_then = commands.Asked();
    // Two seconds: whoever reads the files has read them by then.
    const auto until = steady_clock::now() + milliseconds(2500);
    return cluster().WaitUntil(
        [&] {
          return steady_clock::now() > until && reports.Asked() >= reports_then + more &&
                 commands.Asked() >= commands_then + 1;
        },
        seconds(60));
  };
  const Credentials before = operator_;
  ASSERT_TRUE(after(3));

  const auto ends = [](const std::string& use) {
    return "walstitch_certificate_expiry_timestamp_seconds{use=\"" + use + "\"}";
  };
  const auto until = [&] {
    return std::array{Agent("n1").Find(ends("api")), Agent("n1").Find(ends("peers")),
                      Controller().Find(ends("api")), Controller().Find(ends("agents"))};
  };
  const auto first = until();
  IssueAll(authority_, 2);
  ASSERT_TRUE(after(3)) << "certificates of the same authority";
  const auto second = until();
  for (std::size_t i = 0; i < first.size(); ++i) {
    ASSERT_TRUE(first[i] && second[i]) << i;
    EXPECT_GT(*second[i], *first[i] + 80'000) << i;
  }
  Write("agents-token", "agents-secret-2\nagents-secret\n");
  Write("ops-token", "ops-secret-2\nops-secret\n");
  ASSERT_TRUE(after(3)) << "the new tokens beside the old ones";
  Write("agents-token", "agents-secret-2\n");
  Write("ops-token", "ops-secret-2\n");
  ASSERT_TRUE(after(3)) << "the new tokens alone";
  CertificateAuthority next("walstitch test, the next one");
  Write("ca.crt", authority_.Pem() + next.Pem());
  ASSERT_TRUE(after(3)) << "both authorities";
  IssueAll(next);
  ASSERT_TRUE(after(3)) << "certificates of the new authority";
  Write("ca.crt", next.Pem());
  ASSERT_TRUE(after(3)) << "the new authority alone";

  reports.Stop();
  commands.Stop();
  EXPECT_EQ(reports.Wrong(), "");
  EXPECT_EQ(commands.Wrong(), "");
  EXPECT_GE(reports.Asked(), 20);
  EXPECT_GE(commands.Asked(), 7);

  // What was taken away is worth nothing any more.
  const auto& tls = operator_.Tls();
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/status", Credentials("ops-secret", tls)), 401);
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/status", Credentials("ops-secret-2", tls)), 200);
  Show("old", authority_.Issue("somebody", {}));
  const Credentials old("ops-secret-2", *http::TlsIdentity::Load(http::TlsEnd::kClient, TlsOf("old")));
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/status", old), 0);
  ExpectNoSecretInLogs();
}

TEST_F(WiresTest, EveryChangeIsToldWithWhoAskedAndSecretsAreNowhereToBeSeen) {
  ASSERT_NO_FATAL_FAILURE(StartWires(true, "failover: {automatic: false}\n"));
  const CommandOutput status = cluster().Cli({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.error;
  const CommandOutput order = cluster().Cli({"switchover", "shop", "--to", "n2"});
  EXPECT_EQ(order.exit_code, 0) << order.error;
  EXPECT_TRUE(
      Contains(cluster().LogOf("controller"), "audit: token ops, certificate CN=somebody, from 127.0.0.1:"))
      << cluster().LogOf("controller");
  EXPECT_TRUE(Contains(cluster().LogOf("controller"), "POST /v1/groups/shop/switchover: 200 after "));
  EXPECT_TRUE(Contains(cluster().LogOf("agent-n2"),
                       "audit: token token, certificate CN=controller, from 127.0.0.1:"));

  const std::string decisions = cluster().CallController("GET", "/v1/decisions").body;
  EXPECT_TRUE(Contains(decisions, "an operator (ops) asked for a switchover to n2")) << decisions;

  const Credentials viewer("view-secret", operator_.Tls());
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/status", viewer), 200);
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/decisions", viewer), 200);
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/metrics", viewer), 200);
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/salvage", viewer), 403);
  EXPECT_EQ(StatusOf(controller_port_, "GET", "/v1/log", viewer), 403);
  EXPECT_EQ(StatusOf(controller_port_, "POST", "/v1/groups/shop/switchover", viewer, "{}"), 403);
  EXPECT_EQ(StatusOf(cluster().AgentPort("n1"), "GET", "/v1/report", viewer), 200);
  EXPECT_EQ(StatusOf(cluster().AgentPort("n1"), "GET", "/v1/wal/info", viewer), 403);

  for (const std::string& program : Programs()) {
    const pid_t pid = program == "controller" ? cluster().ControllerProcess().pid()
                                              : cluster().AgentProcess(program.substr(6)).pid();
    const std::string seen = FileOf("/proc/" + std::to_string(pid) + "/cmdline") +
                             FileOf("/proc/" + std::to_string(pid) + "/environ");
    EXPECT_FALSE(Contains(seen, "-secret")) << program;
  }
  const std::string said = cluster().CallController("GET", "/v1/status").body +
                           cluster().CallController("GET", "/v1/decisions").body +
                           cluster().CallController("GET", "/v1/log").body;
  EXPECT_FALSE(Contains(said, "-secret"));
  ExpectNoSecretInLogs();

  // The command line without what it needs says so in a sentence.
  const CommandOutput foreign = cluster().Cli({"status", "--ca-file", "/dev/null"});
  EXPECT_EQ(foreign.exit_code, 2);
  EXPECT_TRUE(Contains(foreign.error, "there is no certificate in it")) << foreign.error;
}

}  // namespace
}  // namespace walstitch::test
