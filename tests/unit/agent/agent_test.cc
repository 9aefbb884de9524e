#include "agents/agent/agent.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/value.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "policies/model/json.h"
#include "tests/unit/agent/agent_fixture.h"

namespace walstitch::agent {
namespace {

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
  config_.access.tokens = {{"token", http::AccessRole::kOperate, "secret", ""}};
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
