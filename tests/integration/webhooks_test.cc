// Webhooks of a real controller: told in order and signed, whatever the receivers do; and no failover waits.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <set>

#include "policies/model/json.h"
#include "tests/integration/metrics_fixture.h"
#include "tests/support/webhook_receiver.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kSecret[] = "3f6f0c0a1f2f4ccf8a61c1b5b2a7d0aa";
constexpr char kPath[] = "/hooks/not-for-every-eye";

class WebhooksClusterTest : public MetricsClusterTest {
 protected:
  void SetUp() override { WritePrivateFile(SecretFile(), std::string(kSecret) + "\n"); }
  void TearDown() override {
    MetricsClusterTest::TearDown();
    if (!HasFailure()) return;
    for (const ReceivedHook& request : good_.Received())
      std::cerr << request.fields.at("walstitch-delivery") << ": " << request.body << "\n";
  }

  std::string SecretFile() const { return directory_.path() + "/secret"; }

  std::string Hook(const std::string& name, const std::string& url, const std::string& more = "") const {
    return "  - {name: " + name + ", url: '" + url + kPath + "', secretFile: " + SecretFile() + more + "}\n";
  }

  static std::vector<std::string> Ids(const WebhookReceiver& receiver, const std::string& event = "") {
    std::vector<std::string> ids;
    for (const ReceivedHook& request : receiver.Received()) {
      if (event.empty() || request.fields.at("walstitch-event") == event)
        ids.push_back(request.fields.at("walstitch-delivery"));
    }
    return ids;
  }

  static bool Has(const WebhookReceiver& receiver, const std::string& id) {
    const auto ids = Ids(receiver);
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  // The newest decision of that kind; empty: there is none.
  std::string DecisionOf(DecisionKind kind) {
    for (const DecisionRecord& record : cluster().Decisions()) {
      if (record.decision.kind == kind) return record.decision.id;
    }
    return "";
  }

  static std::string Text(const ReceivedHook& request, const char* key) {
    const auto body = ParseJson(request.body);
    const auto* value = body && body->is_object() ? body->get_object().if_contains(key) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  }

  // Of the last notice of a group without a master: "begin", "end"; empty: there was none.
  static std::string MasterState(const WebhookReceiver& receiver) {
    std::string state;
    for (const ReceivedHook& request : receiver.Received()) {
      if (request.fields.at("walstitch-event") == "without_master") state = Text(request, "state");
    }
    return state;
  }

  TempDirectory directory_;
  WebhookReceiver good_;
};

TEST_F(WebhooksClusterTest, NoFailoverWaitsForReceiversThatAreDeadOrSlow) {
  WebhookReceiver dead;
  dead.StopListening();
  WebhookReceiver slow;
  slow.AnswerWith([](const ReceivedHook&) { return WebhookReceiver::Reply{200, "", seconds(25)}; });
  ClusterOptions options;
  options.controller_config = "failover: {automatic: true}\nwebhooks:\n" + Hook("dead", dead.Url()) +
                              Hook("slow", slow.Url(), ", timeout: 20s") + Hook("good", good_.Url());
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  // The slow one holds on to what came of the beginning.
  ASSERT_TRUE(slow.WaitFor(1));
  const auto before = std::chrono::steady_clock::now();
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Master() == "n2"; }, seconds(10)));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(10));

  const std::string decision = DecisionOf(DecisionKind::kFailover);
  ASSERT_NE(decision, "");
  ASSERT_TRUE(cluster().WaitUntil([&] { return Has(good_, decision + "/outcome"); }));
  const auto ids = Ids(good_);
  EXPECT_LT(std::find(ids.begin(), ids.end(), decision + "/decision"),
            std::find(ids.begin(), ids.end(), decision + "/outcome"));
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size()) << "something was told twice";
  for (const ReceivedHook& request : good_.Received()) {
    EXPECT_TRUE(SignatureHolds(request, kSecret));
    EXPECT_EQ(request.target, kPath);
    EXPECT_EQ(Text(request, "group"), "shop");
  }
  ExpectAbove(OfController(), R"(walstitch_webhooks_total{webhook="good",result="sent"})", 1);
  ExpectAbove(OfController(), R"(walstitch_webhooks_total{webhook="dead",result="failed"})", 0);
  ExpectAbove(OfController(), R"(walstitch_webhooks_waiting{webhook="dead"})", 0);
  // The operator sees who does not take what waits, and nothing that is secret.
  const auto status = [&] { return cluster().CallController("GET", "/v1/status").body; };
  EXPECT_TRUE(cluster().WaitUntil([&] { return status().find("webhook dead") != std::string::npos; }));
  for (const std::string& text : {status(), cluster().Logs(1000000)}) {
    EXPECT_EQ(text.find(kSecret), std::string::npos);
    EXPECT_EQ(text.find("not-for-every-eye"), std::string::npos);
  }
  ExpectIs(OfController(), R"(walstitch_webhooks_total{webhook="dead",result="sent"})", 0);
  dead.Listen();
  ExpectIs(OfController(), R"(walstitch_webhooks_waiting{webhook="dead"})", 0);
  ExpectAbove(OfController(), R"(walstitch_webhooks_total{webhook="dead",result="sent"})", 1);
  ExpectIs(OfController(), R"(walstitch_webhooks_total{webhook="dead",result="dropped"})", 0);
}

TEST_F(WebhooksClusterTest, GroupWithoutAMasterIsToldAndItsEnd) {
  ClusterOptions options;
  options.controller_config = "failover: {automatic: false}\nwebhooks:\n" + Hook("good", good_.Url());
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_TRUE(cluster().WaitUntil([&] { return MasterState(good_) == "end"; }));
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitUntil([&] { return MasterState(good_) == "begin"; }));
  const Answer answer = cluster().Failover();
  ASSERT_TRUE(answer.IsDone()) << answer.error;
  ASSERT_TRUE(cluster().WaitUntil([&] { return MasterState(good_) == "end"; }));
  std::vector<std::string> states;
  for (const ReceivedHook& request : good_.Received()) {
    if (request.fields.at("walstitch-event") == "without_master") states.push_back(Text(request, "state"));
  }
  EXPECT_EQ(states, (std::vector<std::string>{"end", "begin", "end"}));
  EXPECT_EQ(Text(good_.Received().back(), "master"), "n2");
}

TEST_F(WebhooksClusterTest, WhatARunCouldNotDeliverTheNextOneDoes) {
  good_.AnswerWith([](const ReceivedHook&) { return WebhookReceiver::Reply{503, "", {}}; });
  ClusterOptions options;
  options.controller_config = "failover: {automatic: false}\nwebhooks:\n" + Hook("good", good_.Url());
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_TRUE(good_.WaitFor(2));  // it fails, and is tried again
  good_.StopListening();
  const Answer answer = cluster().Switchover("n2");
  ASSERT_TRUE(answer.IsDone()) << answer.error;
  const std::string decision = answer.record->decision.id;
  EXPECT_FALSE(Has(good_, decision + "/outcome"));
  cluster().KillController();
  good_.AnswerWith({});
  good_.Listen();
  const auto error = cluster().StartController();
  ASSERT_FALSE(error) << *error;
  ASSERT_TRUE(cluster().WaitUntil([&] { return Has(good_, decision + "/outcome"); }));
  EXPECT_TRUE(Has(good_, decision + "/decision"));
  // The same thing is told in the same words by both.
  std::map<std::string, std::string> bodies;
  for (const ReceivedHook& request : good_.Received()) {
    EXPECT_TRUE(SignatureHolds(request, kSecret));
    if (request.fields.at("walstitch-event") == "without_master") continue;
    const auto [known, fresh] = bodies.try_emplace(request.fields.at("walstitch-delivery"), request.body);
    EXPECT_EQ(known->second, request.body);
  }
}

TEST_F(WebhooksClusterTest, CheckSaysWhatIsWrongWithASecret) {
  ClusterOptions options;
  options.controller_config = "webhooks:\n" + Hook("good", good_.Url());
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const auto check = [&] {
    Process process;
    const std::string output = directory_.path() + "/check";
    EXPECT_FALSE(process.Start({BinaryPath("walstitch-controller"), "--check", "--config",
                                cluster().directory() + "/controller.yaml"},
                               output));
    process.Wait(seconds(20));
    std::ifstream file(output);
    return std::to_string(process.ExitStatus().value_or(-1)) + " " +
           std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_TRUE(check().starts_with("0 ")) << check();
  WritePrivateFile(SecretFile(), "too-short\n");
  const std::string said = check();
  EXPECT_TRUE(said.starts_with("2 ")) << said;
  EXPECT_NE(said.find("webhook good"), std::string::npos) << said;
  EXPECT_NE(said.find("at least 16"), std::string::npos) << said;
  EXPECT_EQ(said.find("too-short"), std::string::npos) << said;
}

}  // namespace
}  // namespace walstitch::test
