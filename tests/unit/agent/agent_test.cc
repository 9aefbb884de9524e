// The whole agent on loopback, beside a server that only knows INFO, CONFIG GET and SLAVEOF.
#include "agents/agent/agent.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/value.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "policies/model/json.h"
#include "tests/unit/agent/scratch_directory.h"
#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::FakeKvrocks;

std::uint16_t FreePort() {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  return acceptor.local_endpoint().port();
}

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    signal(SIGPIPE, SIG_IGN);
    config_.node = "n1";
    config_.group = "shop";
    config_.state_directory = scratch_.Path() + "/state";
    config_.relay.port = FreePort();
    config_.api.port = FreePort();
    config_.kvrocks.port = FreePort();
    config_.announce = {"10.0.0.1", 6666};
  }
  ~AgentTest() override { StopAgent(); }

  void StartNode() {
    node_ = std::make_unique<FakeKvrocks>([this](const FakeKvrocks::Words& words) { return Answer(words); },
                                          config_.kvrocks.port);
  }

  void StartAgent() {
    context_ = std::make_unique<asio::io_context>(1);
    agent_ = std::make_unique<Agent>(context_->get_executor(), config_);
    auto started = agent_->Start();
    ASSERT_TRUE(started) << started.error().Message();
    thread_ = std::thread([this] { context_->run(); });
  }

  void StopAgent() {
    if (!agent_) return;
    asio::post(*context_, [this] {
      agent_->Stop();
      context_->stop();
    });
    thread_.join();
    agent_.reset();
    context_.reset();
  }

  std::optional<std::string> Answer(const FakeKvrocks::Words& words) {
    std::lock_guard lock(mutex_);
    if (words[0] == "INFO") {
      if (hangs_) return std::nullopt;
      return FakeKvrocks::Bulk(
          "kvrocks_version:2.11.0\r\nprocess_id:1\r\nloading:0\r\nsync_full:0\r\n"
          "sync_partial_ok:0\r\nsync_partial_err:0\r\n" +
          replication_ + "sequence:" + std::to_string(sequence_) + "\r\n");
    }
    if (words[0] == "CONFIG") {
      std::string value = words[2] == "db-name" ? "my.db" : "no";
      return "*2\r\n" + FakeKvrocks::Bulk(words[2]) + FakeKvrocks::Bulk(value);
    }
    return "-ERR not known here\r\n";
  }

  Result<http::ClientResponse> Fetch(const std::string& method, const std::string& target,
                                     std::string body = "") {
    return http::FetchBlocking({"127.0.0.1", std::to_string(config_.api.port)}, method, target,
                               std::move(body), config_.token, seconds(10));
  }

  Report FreshReport() {
    auto response = Fetch("GET", "/v1/report?fresh=1");
    EXPECT_TRUE(response) << response.error().Message();
    auto report = ReportFromJson(*ParseJson(response->body));
    EXPECT_TRUE(report) << report.error().Message();
    return *report;
  }

  // Asks until the report is as wanted.
  bool Reports(const std::function<bool(const Report&)>& wanted) {
    for (int i = 0; i < 500; ++i) {
      if (wanted(FreshReport())) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  std::string CommandBody(const std::string& id, std::uint64_t epoch, Action action) {
    Command command;
    command.id = id;
    command.epoch = epoch;
    command.group = "shop";
    command.node = "n1";
    command.action = std::move(action);
    command.deadline_ms = 5000;
    return Dump(ToJson(command));
  }

  tests::ScratchDirectory scratch_;
  AgentConfig config_;
  std::mutex mutex_;
  std::string replication_ = "role:master\r\nconnected_slaves:0\r\n";
  std::uint64_t sequence_ = 41;
  bool hangs_ = false;
  std::unique_ptr<FakeKvrocks> node_;
  std::unique_ptr<asio::io_context> context_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
};

TEST_F(AgentTest, MasterIsReportedAndLeftAlone) {
  StartNode();
  StartAgent();
  ASSERT_TRUE(Reports([](const Report& report) { return report.relay.state == RelayState::kIdle; }));
  Report report = FreshReport();
  EXPECT_EQ(report.process, ProcessState::kUp);
  EXPECT_EQ(report.role, Role::kMaster);
  EXPECT_EQ(report.last, Sequence(41));
  EXPECT_EQ(report.endpoint.ToString(), "10.0.0.1:6666");
  for (const auto& words : node_->Commands())
    EXPECT_TRUE(words[0] == "INFO" || words[0] == "CONFIG") << words[0];
}

TEST_F(AgentTest, ReplicaOfSomebodyElseIsLeftAlone) {
  replication_ =
      "role:slave\r\nmaster_host:10.0.0.2\r\nmaster_port:6666\r\nmaster_link_status:up\r\n"
      "master_sync_in_progress:0\r\n";
  StartNode();
  StartAgent();
  ASSERT_TRUE(Reports([](const Report& report) { return report.relay.state == RelayState::kIdle; }));
  EXPECT_FALSE(FreshReport().upstream_is_relay);
}

TEST_F(AgentTest, ReplicaOfTheRelayIsParkedAgainAfterIdle) {
  StartNode();
  StartAgent();
  ASSERT_TRUE(Reports([](const Report& report) { return report.relay.state == RelayState::kIdle; }));
  {
    std::lock_guard lock(mutex_);
    replication_ =
        "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:" + std::to_string(config_.relay.port) +
        "\r\nmaster_link_status:down\r\nmaster_sync_in_progress:0\r\n";
  }
  EXPECT_TRUE(Reports([](const Report& report) {
    return report.relay.state == RelayState::kParked && report.upstream_is_relay;
  }));
}

TEST_F(AgentTest, NodeThatIsNotThereIsDown) {
  StartAgent();
  Report report = FreshReport();
  EXPECT_EQ(report.process, ProcessState::kDown);
  EXPECT_EQ(report.role, Role::kUnknown);
  EXPECT_FALSE(report.last);
  EXPECT_EQ(report.relay.state, RelayState::kParked);  // a node that boots finds it so
}

TEST_F(AgentTest, NodeThatDoesNotAnswerIsHung) {
  StartNode();
  StartAgent();
  EXPECT_EQ(FreshReport().process, ProcessState::kUp);
  {
    std::lock_guard lock(mutex_);
    hangs_ = true;
  }
  Report report = FreshReport();
  EXPECT_EQ(report.process, ProcessState::kHung);
  EXPECT_EQ(report.role, Role::kMaster);
  EXPECT_FALSE(report.last);
}

TEST_F(AgentTest, AdoptMasterTakesNoteOfTheEpochForGood) {
  StartNode();
  StartAgent();
  auto response = Fetch("POST", "/v1/command", CommandBody("c1", 7, AdoptMasterAction{}));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200) << response->body;
  EXPECT_EQ(CommandResultFromJson(*ParseJson(response->body))->outcome, Outcome::kDone) << response->body;
  StopAgent();
  StartAgent();
  EXPECT_EQ(FreshReport().epoch, 7U);
  EXPECT_EQ(Fetch("POST", "/v1/command", CommandBody("c2", 6, AdoptMasterAction{}))->status, 409);
  auto again = Fetch("POST", "/v1/command", CommandBody("c1", 7, AdoptMasterAction{}));
  EXPECT_EQ(again->body, response->body);
}

TEST_F(AgentTest, FailedCommandIsAnAnswer) {
  StartAgent();
  auto response = Fetch("POST", "/v1/command", CommandBody("c1", 1, AdoptMasterAction{}));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  auto result = CommandResultFromJson(*ParseJson(response->body));
  EXPECT_EQ(result->outcome, Outcome::kFailed);
  EXPECT_NE(result->error.find("connection refused"), std::string::npos) << result->error;
}

TEST_F(AgentTest, WalThatCannotBeReadIsASentence) {
  StartAgent();
  auto response = Fetch("GET", "/v1/wal/extent");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503) << response->body;
}

TEST_F(AgentTest, StreamTellsEveryChange) {
  StartNode();
  StartAgent();
  struct Heard {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Report> reports;
  };
  auto heard = std::make_shared<Heard>();
  auto wait = [&heard](const std::function<bool(const std::vector<Report>&)>& condition) {
    std::unique_lock lock(heard->mutex);
    return heard->changed.wait_for(lock, seconds(10), [&] { return condition(heard->reports); });
  };
  asio::io_context context(1);
  auto subscription = std::make_unique<http::Subscription>(
      context.get_executor(), http::Url{"127.0.0.1", std::to_string(config_.api.port)}, "/v1/stream", "",
      milliseconds(50), seconds(5),
      [heard](const std::string& message) {
        auto report = ReportFromJson(*ParseJson(message));
        std::lock_guard lock(heard->mutex);
        if (report) heard->reports.push_back(*report);
        heard->changed.notify_all();
      },
      [](bool) {});
  std::thread thread([&context] { context.run(); });
  EXPECT_TRUE(
      wait([](const auto& reports) { return !reports.empty() && reports.back().last == Sequence(41); }));
  {
    std::lock_guard lock(mutex_);
    sequence_ = 50;
  }
  EXPECT_TRUE(wait([](const auto& reports) { return reports.back().last == Sequence(50); }));
  // Unasked, and although nothing changes.
  std::size_t before = 0;
  {
    std::lock_guard lock(heard->mutex);
    before = heard->reports.size();
  }
  EXPECT_TRUE(wait([&](const auto& reports) { return reports.size() > before + 1; }));
  node_.reset();
  EXPECT_TRUE(wait([](const auto& reports) { return reports.back().process == ProcessState::kDown; }));
  for (std::size_t i = 1; i < heard->reports.size(); ++i) {
    EXPECT_GT(heard->reports[i].number, heard->reports[i - 1].number);
  }
  context.stop();
  thread.join();
}

TEST_F(AgentTest, TokenIsNeededExceptForHealth) {
  config_.token = "secret";
  StartAgent();
  http::Url url{"127.0.0.1", std::to_string(config_.api.port)};
  EXPECT_EQ(http::FetchBlocking(url, "GET", "/v1/report", "", "", seconds(5))->status, 401);
  EXPECT_EQ(http::FetchBlocking(url, "GET", "/v1/report", "", "secret", seconds(5))->status, 200);
  EXPECT_EQ(http::FetchBlocking(url, "GET", "/healthz", "", "", seconds(5))->status, 200);
}

TEST_F(AgentTest, DatabaseNameIsKeptForTheNextStart) {
  StartNode();
  StartAgent();
  EXPECT_TRUE(Reports([this](const Report&) {
    std::ifstream file(config_.state_directory + "/agent.json");
    std::string state((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return state.find("\"database_name\":\"my.db\"") != std::string::npos;
  }));
}

TEST_F(AgentTest, PortThatIsTakenIsASentence) {
  StartAgent();
  AgentConfig other = config_;
  other.state_directory += "2";
  asio::io_context context(1);
  Agent second(context.get_executor(), other);
  auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().Message().rfind("relay: ", 0), 0U) << started.error().Message();
}

TEST_F(AgentTest, StateThatIsDamagedIsNotForgotten) {
  StartAgent();
  Fetch("POST", "/v1/command", CommandBody("c1", 7, AdoptMasterAction{}));
  StopAgent();
  std::filesystem::resize_file(config_.state_directory + "/agent.json", 10);
  asio::io_context context(1);
  Agent agent(context.get_executor(), config_);
  auto started = agent.Start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().Message().find("agent.json"), std::string::npos);
}

}  // namespace
}  // namespace walstitch::agent
