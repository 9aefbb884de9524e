// What an agent tells of the server that its relay follows. The server is one that knows AUTH, INFO and
// whatever a relay asks before it follows.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "tests/unit/agent/agent_fixture.h"
#include "tests/unit/relay/peers.h"

namespace walstitch::agent {
namespace {

class AgentUpstreamTest : public AgentTest {
 protected:
  AgentUpstreamTest() {
    config_.database_name = "my.db";
    config_.upstream_password = "secret";
    replication_ = ReplicaOf("127.0.0.1", std::to_string(config_.relay.port));
  }

  // The agent, and its node at its relay.
  void Start() {
    upstream_ = std::make_unique<FakeKvrocks>(
        [this](const FakeKvrocks::Words& words) { return AnswerAsUpstream(words); }, FreePort());
    StartNode();
    ASSERT_NO_FATAL_FAILURE(StartAgent());
    attached_ = relay::Peer::Connect(config_.relay.port);
    attached_.Send(relay::Words({"_db_name"}));
    EXPECT_EQ(attached_.ReadLine(), "my.db");
    attached_.Send(relay::Words({"PSYNC", "42"}));
    EXPECT_EQ(attached_.ReadLine(), "+OK");
    ASSERT_TRUE(Reports([](const Report& report) {
      return report.relay.state == RelayState::kParked && report.relay.node_attached;
    }));
  }

  [[nodiscard]] Endpoint Upstream() const { return {"127.0.0.1", upstream_->Port()}; }

  // The command's result.
  CommandResult Follow(std::int64_t deadline_ms = 5000) {
    Command command;
    command.id = "follow";
    command.epoch = 1;
    command.group = "shop";
    command.node = "n1";
    FollowAction action;
    action.upstream = Upstream();
    command.action = action;
    command.deadline_ms = deadline_ms;
    const auto response = Fetch("POST", "/v1/command", Dump(ToJson(command)));
    EXPECT_TRUE(response);
    const auto result = CommandResultFromJson(*ParseJson(response->body));
    EXPECT_TRUE(result) << response->body;
    return *result;
  }

  http::ClientResponse AskRole() {
    auto response = Fetch("GET", "/v1/upstream/role");
    EXPECT_TRUE(response) << response.error().Message();
    return response ? *response : http::ClientResponse{};
  }
  [[nodiscard]] std::string Told(const std::string& role) const {
    return R"({"upstream":")" + Upstream().ToString() + R"(","role":")" + role + R"("})";
  }

  std::optional<std::string> AnswerAsUpstream(const FakeKvrocks::Words& words) {
    const std::lock_guard lock(mutex_);
    if (words[0] == "AUTH")
      return words.at(1) == upstreams_password_ ? "+OK\r\n" : "-ERR invalid password\r\n";
    if (words[0] == "_db_name") return "my.db\r\n";
    if (words[0] == "INFO") {
      if (upstream_hangs_) return std::nullopt;
      return FakeKvrocks::Bulk("kvrocks_version:2.11.0\r\nloading:" +
                               std::string(upstream_loads_ ? "1" : "0") + "\r\n" + upstreams_replication_);
    }
    if (words[0] == "PSYNC" && !accepts_) return std::nullopt;
    return "+OK\r\n";
  }
  template <typename Change>
  void Set(Change change) {
    const std::lock_guard lock(mutex_);
    change();
  }

  std::string upstreams_password_ = "secret";
  std::string upstreams_replication_ = "role:master\r\nconnected_slaves:1\r\n";
  bool upstream_hangs_ = false;
  bool upstream_loads_ = false;
  bool accepts_ = true;
  std::unique_ptr<FakeKvrocks> upstream_;
  relay::Peer attached_;
};

TEST_F(AgentUpstreamTest, ItsRoleIsAskedAnewEachTime) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(AskRole().status, 409);
  EXPECT_EQ(AskRole().body, R"({"error":"the relay of n1 follows nobody","code":"conflict"})");

  ASSERT_EQ(Follow().outcome, Outcome::kDone);
  EXPECT_EQ(AskRole().body, Told("master"));
  Set([&] { upstreams_replication_ = ReplicaOf("127.0.0.1", "7666"); });
  EXPECT_EQ(AskRole().body, Told("replica"));
}

TEST_F(AgentUpstreamTest, WhyItDoesNotTellIsOneSentence) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(Follow().outcome, Outcome::kDone);

  Set([&] { upstream_loads_ = true; });
  EXPECT_EQ(AskRole().status, 409);
  EXPECT_NE(AskRole().body.find("it is loading its data"), std::string::npos);
  Set([&] { upstream_loads_ = false; });

  Set([&] { upstreams_replication_.clear(); });
  EXPECT_EQ(AskRole().status, 409);
  EXPECT_NE(AskRole().body.find("does not tell its role"), std::string::npos);

  Set([&] { upstreams_password_ = "another"; });
  EXPECT_EQ(AskRole().status, 400);
  EXPECT_NE(AskRole().body.find("refuses the agent's password: check upstreamPasswordFile"),
            std::string::npos);

  upstream_.reset();
  const http::ClientResponse gone = AskRole();
  EXPECT_EQ(gone.status, 503) << gone.body;
  EXPECT_NE(gone.body.find("connection refused"), std::string::npos) << gone.body;
}

TEST_F(AgentUpstreamTest, OneThatDoesNotAnswerIsGivenASecondAndHoldsUpNothingElse) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(Follow().outcome, Outcome::kDone);
  Set([&] { upstream_hangs_ = true; });

  http::ClientResponse late;
  std::thread asking([&] { late = AskRole(); });
  const auto is_asked = [&] { return upstream_->Commands().back().at(0) == "INFO"; };
  const auto deadline = std::chrono::steady_clock::now() + seconds(10);
  while (!is_asked() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_EQ(AskRole().status, 503) << "whoever comes meanwhile does not wait in a queue";
  EXPECT_EQ(FreshReport().process, ProcessState::kUp);
  asking.join();
  EXPECT_EQ(late.status, 504) << late.body;
  EXPECT_NE(late.body.find("no answer after 1000 ms"), std::string::npos) << late.body;
}

TEST_F(AgentUpstreamTest, ItIsAskedWhileACommandRuns) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Set([&] { accepts_ = false; });
  CommandResult result;
  std::thread following([&] { result = Follow(1500); });
  EXPECT_TRUE(Reports([](const Report& report) { return report.relay.upstream.has_value(); }));
  EXPECT_EQ(AskRole().body, Told("master"));
  following.join();
  EXPECT_EQ(result.outcome, Outcome::kFailed) << "it was over before the question";
}

}  // namespace
}  // namespace walstitch::agent
