#include "controller/shell/webhooks.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <functional>

#include "controller/shell/local_store.h"
#include "policies/model/json.h"
#include "tests/support/environment.h"
#include "tests/support/webhook_receiver.h"

namespace walstitch::shell {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Reply = test::WebhookReceiver::Reply;

constexpr char kSecret[] = "a secret of enough bytes";
constexpr char kNextSecret[] = "the secret that comes next";

Decision Failover(const std::string& id, const std::string& group = "shop") {
  Decision decision;
  decision.id = id;
  decision.group = group;
  decision.kind = DecisionKind::kFailover;
  decision.node = "n2";
  return decision;
}

class WebhooksTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = std::move(LocalStore::Open(directory_.path() + "/store").value());
    test::WritePrivateFile(SecretFile(), std::string(kSecret) + "\n");
  }

  std::string SecretFile() const { return directory_.path() + "/secret"; }
  std::string CaFile() const { return directory_.path() + "/ca.pem"; }

  WebhookConfig Hook(const test::WebhookReceiver& receiver, bool tls = false) const {
    WebhookConfig hook;
    hook.name = "pager";
    hook.origin = {tls, "127.0.0.1", std::to_string(receiver.Port())};
    hook.target = "/hooks/token-in-the-path?thread=1";
    hook.secret_file = SecretFile();
    if (tls) hook.ca_file = CaFile();
    hook.timeout_ms = 500;
    return hook;
  }

  void Open(WebhookConfig hook) {
    auto opened = Webhooks::Open(context_.get_executor(), {std::move(hook)}, "controller-0");
    ASSERT_TRUE(opened) << opened.error().Message();
    webhooks_ = std::move(*opened);
    ASSERT_TRUE(webhooks_->Follow(*store_));
  }

  void Write(const std::string& id, const std::string& group = "shop") {
    ASSERT_TRUE(store_->AppendDecision(Failover(id, group), nullptr));
  }

  bool RunUntil(const std::function<bool()>& condition, milliseconds patience = seconds(20)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      context_.restart();
      context_.run_for(milliseconds(5));
    }
    return true;
  }

  core::DeliveryCounts Counts() const { return webhooks_->Counts().at(0); }

  test::TempDirectory directory_;
  boost::asio::io_context context_{1};
  std::unique_ptr<LocalStore> store_;
  std::unique_ptr<Webhooks> webhooks_;
};

TEST_F(WebhooksTest, DecisionAndOutcomeAreToldInOrderAndSigned) {
  test::WebhookReceiver receiver;
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  Write("001A");
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  ASSERT_TRUE(store_->AppendOutcome("001A", outcome, nullptr));
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 2; }));

  const auto received = receiver.Received();
  ASSERT_EQ(received.size(), 2U);
  EXPECT_EQ(received[0].method, "POST");
  EXPECT_EQ(received[0].target, "/hooks/token-in-the-path?thread=1");
  EXPECT_EQ(received[0].fields.at("content-type"), "application/json");
  EXPECT_EQ(received[0].fields.at("walstitch-event"), "decision");
  EXPECT_EQ(received[0].fields.at("walstitch-delivery"), "001A/decision");
  EXPECT_EQ(received[0].fields.at("walstitch-attempt"), "1");
  EXPECT_EQ(received[0].fields.at("walstitch-sender"), "controller-0");
  EXPECT_EQ(received[1].fields.at("walstitch-delivery"), "001A/outcome");
  for (const auto& request : received) {
    EXPECT_TRUE(test::SignatureHolds(request, kSecret));
    EXPECT_FALSE(test::SignatureHolds(request, kNextSecret));
    EXPECT_TRUE(ParseJson(request.body));
  }
}

TEST_F(WebhooksTest, WhatFailedIsToldAgainTheSameAndNothingOvertakesIt) {
  test::WebhookReceiver receiver;
  receiver.AnswerWith([](const test::ReceivedHook& request) {
    return Reply{request.fields.at("walstitch-attempt") == "1" ? 500 : 200, "", {}};
  });
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  Write("001A");
  Write("001B");
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 2; }));

  const auto received = receiver.Received();
  ASSERT_EQ(received.size(), 4U);
  EXPECT_EQ(received[0].fields.at("walstitch-delivery"), "001A/decision");
  EXPECT_EQ(received[1].fields.at("walstitch-delivery"), "001A/decision");
  EXPECT_EQ(received[0].body, received[1].body);
  EXPECT_EQ(received[2].fields.at("walstitch-delivery"), "001B/decision");
  EXPECT_EQ(Counts().failed, 2U);
  EXPECT_EQ(Counts().problem, "");
}

TEST_F(WebhooksTest, SilentReceiverIsGivenUpAfterItsTimeAndTriedAgain) {
  test::WebhookReceiver receiver;
  receiver.AnswerWith([](const test::ReceivedHook& request) {
    return Reply{200, "", request.fields.at("walstitch-attempt") == "1" ? seconds(3) : milliseconds(0)};
  });
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().failed == 1; }));
  EXPECT_NE(Counts().problem.find("no answer"), std::string::npos) << Counts().problem;
  EXPECT_EQ(Counts().problem.find("token-in-the-path"), std::string::npos) << Counts().problem;
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 1; }));
}

TEST_F(WebhooksTest, RedirectionIsNotFollowed) {
  test::WebhookReceiver elsewhere;
  test::WebhookReceiver receiver;
  receiver.AnswerWith([&](const test::ReceivedHook&) {
    return Reply{307, "Location: " + elsewhere.Url() + "/\r\n", {}};
  });
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().failed == 1; }));
  EXPECT_EQ(Counts().problem, "the receiver answered 307");
  EXPECT_TRUE(elsewhere.Received().empty());
}

TEST_F(WebhooksTest, ReceiverThatIsAwayGetsEverythingWhenItIsBack) {
  test::WebhookReceiver receiver;
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  receiver.StopListening();
  Write("001A");
  Write("001B");
  ASSERT_TRUE(RunUntil([&] { return Counts().failed >= 1; }));
  EXPECT_EQ(Counts().waiting, 2U);
  receiver.Listen();
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 2; }));
  EXPECT_EQ(receiver.Received().back().fields.at("walstitch-delivery"), "001B/decision");
}

TEST_F(WebhooksTest, OneThatIsRefusedForGoodIsDropped) {
  test::WebhookReceiver receiver;
  receiver.AnswerWith([](const test::ReceivedHook&) { return Reply{422, "", {}}; });
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().dropped == 1; }));
  EXPECT_EQ(Counts().waiting, 0U);
}

TEST_F(WebhooksTest, ReceiverWithACertificateOfTheNamedAuthorityIsTold) {
  const test::CertificateAuthority authority("hooks");
  test::WritePrivateFile(CaFile(), authority.Pem());
  test::WebhookReceiver receiver(authority.Issue("receiver", test::LoopbackNames()));
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver, true)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 1; })) << Counts().problem;
}

TEST_F(WebhooksTest, ForeignCertificateIsToldNothing) {
  const test::CertificateAuthority authority("hooks");
  const test::CertificateAuthority foreign("others");
  test::WritePrivateFile(CaFile(), authority.Pem());
  test::WebhookReceiver receiver(foreign.Issue("receiver", test::LoopbackNames()));
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver, true)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().failed >= 1; }));
  EXPECT_TRUE(receiver.Received().empty());
  EXPECT_NE(Counts().problem.find("certificate"), std::string::npos) << Counts().problem;

  // The file is read again for the next attempt.
  test::WritePrivateFile(CaFile(), foreign.Pem());
  EXPECT_TRUE(RunUntil([&] { return Counts().sent == 1; })) << Counts().problem;
}

TEST_F(WebhooksTest, CertificateOfNoAuthorityOfTheSystemIsToldNothing) {
  const test::CertificateAuthority authority("hooks");
  test::WebhookReceiver receiver(authority.Issue("receiver", test::LoopbackNames()));
  WebhookConfig hook = Hook(receiver, true);
  hook.ca_file.clear();
  ASSERT_NO_FATAL_FAILURE(Open(std::move(hook)));
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().failed >= 1; }));
  EXPECT_TRUE(receiver.Received().empty());
}

TEST_F(WebhooksTest, SecretIsExchangedWithoutAPause) {
  test::WebhookReceiver receiver;
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  test::WritePrivateFile(SecretFile(), std::string(kNextSecret) + "\n" + kSecret + "\n");
  Write("001A");
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 1; }));
  EXPECT_TRUE(test::SignatureHolds(receiver.Received()[0], kSecret));
  EXPECT_TRUE(test::SignatureHolds(receiver.Received()[0], kNextSecret));
  test::WritePrivateFile(SecretFile(), std::string(kNextSecret) + "\n");
  Write("001B");
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 2; }));
  EXPECT_FALSE(test::SignatureHolds(receiver.Received()[1], kSecret));
  EXPECT_TRUE(test::SignatureHolds(receiver.Received()[1], kNextSecret));
}

TEST_F(WebhooksTest, NextRunTellsWhatWasWrittenLately) {
  Decision old = Failover("001A");
  old.time_ms = 1000;
  Decision fresh = Failover("001B");
  fresh.time_ms =
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  ASSERT_TRUE(store_->AppendDecision(old, nullptr));
  ASSERT_TRUE(store_->AppendDecision(fresh, nullptr));
  test::WebhookReceiver receiver;
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 1; }));
  EXPECT_EQ(receiver.Received()[0].fields.at("walstitch-delivery"), "001B/decision");
}

TEST_F(WebhooksTest, EventThatIsNotAskedForIsNotTold) {
  test::WebhookReceiver receiver;
  WebhookConfig hook = Hook(receiver);
  hook.events = {core::NoticeKind::kOutcome};
  ASSERT_NO_FATAL_FAILURE(Open(std::move(hook)));
  Write("001A");
  ASSERT_TRUE(store_->AppendOutcome("001A", OutcomeRecord{}, nullptr));
  ASSERT_TRUE(RunUntil([&] { return Counts().sent == 1; }));
  EXPECT_EQ(receiver.Received()[0].fields.at("walstitch-event"), "outcome");
}

TEST_F(WebhooksTest, SlowReceiverDoesNotDelayWhoeverWrites) {
  test::WebhookReceiver receiver;
  receiver.AnswerWith([](const test::ReceivedHook&) { return Reply{200, "", seconds(3)}; });
  ASSERT_NO_FATAL_FAILURE(Open(Hook(receiver)));
  for (int i = 0; i < 50; ++i) {
    Write("001A" + std::to_string(i), "group-" + std::to_string(i));
    context_.restart();
    const auto before = std::chrono::steady_clock::now();
    context_.poll();
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(400));
  }
  EXPECT_EQ(Counts().waiting, 50U);
}

TEST_F(WebhooksTest, SecretThatIsMissingOrShortIsRefusedAtTheBeginning) {
  test::WebhookReceiver receiver;
  WebhookConfig hook = Hook(receiver);
  hook.secret_file = directory_.path() + "/none";
  auto opened = Webhooks::Open(context_.get_executor(), {hook}, "");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().Code(), ErrorCode::kInvalid);
  test::WritePrivateFile(hook.secret_file, "short\n");
  opened = Webhooks::Open(context_.get_executor(), {hook}, "");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().Message().find("too short"), std::string::npos);
  EXPECT_EQ(opened.error().Message().find("short\n"), std::string::npos);
}

TEST_F(WebhooksTest, WhoeverTakesOverIsNotStoppedByABadFileAndDeliversWhenItIsMended) {
  test::WebhookReceiver receiver;
  WebhookConfig hook = Hook(receiver);
  hook.secret_file = directory_.path() + "/late";
  auto opened = Webhooks::Open(context_.get_executor(), {hook}, "", true);
  ASSERT_TRUE(opened) << opened.error().Message();
  ASSERT_TRUE((*opened)->Follow(*store_));
  Write("001A", "shop");
  ASSERT_TRUE(RunUntil([&] { return (*opened)->Counts()[0].failed > 0; }));
  test::WritePrivateFile(hook.secret_file, std::string(kSecret) + "\n");
  EXPECT_TRUE(RunUntil([&] { return (*opened)->Counts()[0].sent > 0; }));
}

}  // namespace
}  // namespace walstitch::shell
