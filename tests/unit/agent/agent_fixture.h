// The whole agent on loopback, beside a server that only knows INFO, CONFIG GET and SLAVEOF.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "agents/agent/agent.h"
#include "agents/http/http_client.h"
#include "policies/model/json.h"
#include "tests/support/environment.h"
#include "tests/unit/agent/scratch_directory.h"
#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::FakeKvrocks;

// Not of the kernel's own choice: that may be taken by somebody's outgoing connection a moment later.
inline std::uint16_t FreePort() { return test::PickFreePort(); }

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
    if (words[0] == "SLAVEOF") {
      if (hangs_) return std::nullopt;
      replication_ = words[1] == "NO" ? std::string("role:master\r\nconnected_slaves:0\r\n")
                                      : ReplicaOf(words[1], words[2]);
      return "+OK\r\n";
    }
    return "-ERR not known here\r\n";
  }

  static std::string ReplicaOf(const std::string& host, const std::string& port) {
    return "role:slave\r\nmaster_host:" + host + "\r\nmaster_port:" + port +
           "\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\n";
  }

  Result<http::ClientResponse> Fetch(const std::string& method, const std::string& target,
                                     std::string body = "") {
    return http::FetchBlocking({"127.0.0.1", std::to_string(config_.api.port)}, method, target,
                               std::move(body), config_.access.Own().text, seconds(10));
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

}  // namespace walstitch::agent
