#include "controller/sentinel/session.h"

#include <gtest/gtest.h>

#include "tests/unit/sentinel/sample.h"

namespace walstitch::sentinel {
namespace {

std::optional<http::Caller> Admit(std::string_view token) {
  if (token == "reading") return http::Caller{"grafana", http::AccessRole::kView};
  if (token == "acting") return http::Caller{"ops", http::AccessRole::kOperate};
  return std::nullopt;
}

class SessionTest : public ::testing::Test {
 protected:
  // One session that asks for a token, and one that does not.
  SessionTest() {
    SessionOptions options;
    options.id = 7;
    options.address = "127.0.0.1:50000";
    options.local_address = "127.0.0.1:26379";
    open_.emplace(options, 1000);
    options.admission = &admission_;
    options.anonymous = http::AccessRole::kView;
    half_open_.emplace(options, 1000);
    options.anonymous.reset();
    closed_.emplace(options, 1000);
  }

  Session::Outcome Ask(Session& session, const Request& request) {
    return session.Handle(request, Knowing(view_), [] { return std::string("list\n"); });
  }
  std::string Text(Session& session, const Request& request) { return Ask(session, request).bytes; }

  View view_ = ViewOf({Calm()});
  http::Admission admission_ = Admit;
  std::optional<Session> open_;
  std::optional<Session> half_open_;
  std::optional<Session> closed_;
};

TEST_F(SessionTest, NothingIsAnsweredWithoutATokenWhereOneIsNeeded) {
  for (const Request& request : {Request{"PING"},
                                 {"INFO"},
                                 {"SENTINEL", "masters"},
                                 {"SUBSCRIBE", "a"},
                                 {"COMMAND"},
                                 {"CLIENT", "LIST"},
                                 {"nonsense"},
                                 {"SENTINEL", "failover", "shop"}}) {
    const auto outcome = Ask(*closed_, request);
    EXPECT_EQ(outcome.bytes, "-NOAUTH Authentication required.\r\n") << request[0];
    EXPECT_TRUE(outcome.wrong_token);
    EXPECT_FALSE(outcome.failover);
  }
  EXPECT_EQ(Text(*closed_, {"HELLO", "3"}).substr(0, 8), "-NOAUTH ");
  EXPECT_EQ(Text(*closed_, {"AUTH", "reading"}), "+OK\r\n");
  EXPECT_EQ(Text(*closed_, {"PING"}), "+PONG\r\n");
}

TEST_F(SessionTest, IdIsToldWithoutAToken) {
  const std::string id = "$40\r\n" + std::string(40, 'a') + "\r\n";
  EXPECT_EQ(Text(*closed_, {"SENTINEL", "MYID"}), id);
  EXPECT_EQ(Text(*closed_, {"SENTINEL", "myid", "x"}), "-NOAUTH Authentication required.\r\n");
}

TEST_F(SessionTest, ConnectionIsClosedAtTheThirdWrongToken) {
  EXPECT_FALSE(Ask(*closed_, {"AUTH", "guess"}).close);
  EXPECT_FALSE(Ask(*closed_, {"AUTH", "ops", "reading"}).close);
  const auto third = Ask(*closed_, {"HELLO", "3", "AUTH", "default", ""});
  EXPECT_TRUE(third.close);
  EXPECT_TRUE(third.wrong_token);
  EXPECT_EQ(third.bytes, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
}

TEST_F(SessionTest, UserIsTheTokensNameOrAnybody) {
  EXPECT_EQ(Text(*closed_, {"AUTH", "grafana", "reading"}), "+OK\r\n");
  EXPECT_EQ(closed_->CallerName(), "grafana");
  EXPECT_EQ(Text(*closed_, {"AUTH", "default", "acting"}), "+OK\r\n");
  EXPECT_EQ(closed_->CallerName(), "ops");
}

TEST_F(SessionTest, FailoverNeedsATokenThatMayOperate) {
  const auto refused = [&](Session& session) {
    const auto outcome = Ask(session, {"SENTINEL", "failover", "shop"});
    EXPECT_TRUE(outcome.not_allowed);
    EXPECT_EQ(outcome.bytes.substr(0, 8), "-NOPERM ");
    return !outcome.failover;
  };
  EXPECT_TRUE(refused(*half_open_));
  ASSERT_EQ(Text(*half_open_, {"AUTH", "reading"}), "+OK\r\n");
  EXPECT_TRUE(refused(*half_open_));
  ASSERT_EQ(Text(*half_open_, {"AUTH", "acting"}), "+OK\r\n");
  EXPECT_EQ(Ask(*half_open_, {"SENTINEL", "failover", "shop"}).failover, "shop");
  EXPECT_EQ(Ask(*open_, {"SENTINEL", "failover", "shop"}).failover, "shop");
  EXPECT_EQ(Text(*open_, {"SENTINEL", "failover", "nope"}), "-ERR No such master with that name\r\n");
}

TEST_F(SessionTest, TokenThatIsTakenBackCountsNoMore) {
  bool valid = true;
  const http::Admission admission = [&valid](std::string_view token) {
    return valid ? Admit(token) : std::nullopt;
  };
  SessionOptions options;
  options.admission = &admission;
  options.anonymous.reset();
  Session session(options, 1000);
  EXPECT_EQ(Text(session, {"AUTH", "acting"}), "+OK\r\n");
  valid = false;
  EXPECT_EQ(Text(session, {"PING"}).substr(0, 8), "-NOAUTH ");
  EXPECT_FALSE(session.MayView());
}

TEST_F(SessionTest, HelloChoosesTheProtocol) {
  EXPECT_EQ(Text(*open_, {"HELLO"}).substr(0, 5), "*12\r\n");
  EXPECT_EQ(Text(*open_, {"HELLO", "3", "SETNAME", "app"}),
            "%6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$"
            "2\r\nid\r\n:7\r\n"
            "$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules\r\n*0\r\n");
  EXPECT_EQ(Text(*open_, {"CLIENT", "GETNAME"}), "$3\r\napp\r\n");
  EXPECT_EQ(Text(*open_, {"SENTINEL", "get-master-addr-by-name", "nope"}), "_\r\n");
  EXPECT_EQ(Text(*open_, {"HELLO", "4"}), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(Text(*open_, {"HELLO", "x"}), "-ERR Protocol version is not an integer or out of range\r\n");
  EXPECT_EQ(Text(*open_, {"HELLO", "3", "BLAH"}), "-ERR Syntax error in HELLO option 'BLAH'\r\n");
  EXPECT_EQ(Text(*open_, {"HELLO", "2"}).substr(0, 5), "*12\r\n");
}

TEST_F(SessionTest, SubscribersAreToldWhatTheyAskedFor) {
  EXPECT_EQ(
      Text(*open_, {"SUBSCRIBE", "+switch-master", "x"}),
      "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:2\r\n");
  EXPECT_EQ(Text(*open_, {"PSUBSCRIBE", "+*"}), "*3\r\n$10\r\npsubscribe\r\n$2\r\n+*\r\n:3\r\n");
  const auto told = open_->Tell({"+switch-master", "a"});
  EXPECT_EQ(told.count, 2);
  EXPECT_EQ(told.bytes,
            "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\na\r\n"
            "*4\r\n$8\r\npmessage\r\n$2\r\n+*\r\n$14\r\n+switch-master\r\n$1\r\na\r\n");
  EXPECT_EQ(open_->Tell({"-sdown", "a"}).count, 0);
  EXPECT_EQ(Text(*open_, {"PING"}), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  EXPECT_EQ(Text(*open_, {"ROLE"}).substr(0, 25), "-ERR Can't execute 'role'");
  EXPECT_EQ(Text(*open_, {"UNSUBSCRIBE"}),
            "*3\r\n$11\r\nunsubscribe\r\n$14\r\n+switch-master\r\n:2\r\n"
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:1\r\n");
  EXPECT_EQ(Text(*open_, {"PUNSUBSCRIBE", "+*"}), "*3\r\n$12\r\npunsubscribe\r\n$2\r\n+*\r\n:0\r\n");
  EXPECT_EQ(Text(*open_, {"UNSUBSCRIBE"}), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
  EXPECT_FALSE(open_->IsSubscribed());
}

TEST_F(SessionTest, InRespThreeSubscribersMayGoOnAsking) {
  Text(*open_, {"HELLO", "3"});
  EXPECT_EQ(Text(*open_, {"SUBSCRIBE", "a"}), ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  EXPECT_EQ(Text(*open_, {"PING"}), "+PONG\r\n");
  EXPECT_EQ(open_->Tell({"a", "b"}).bytes, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n");
}

TEST_F(SessionTest, SubscriptionsAreBounded) {
  Request many = {"SUBSCRIBE"};
  for (std::size_t i = 0; i <= Session::kMaxSubscriptions; ++i) many.push_back(std::to_string(i));
  const auto outcome = Ask(*open_, many);
  EXPECT_TRUE(outcome.close);
  EXPECT_TRUE(outcome.too_large);
  const auto large = Ask(*half_open_, {"PSUBSCRIBE", std::string(Session::kMaxSubscribedBytes + 1, 'a')});
  EXPECT_TRUE(large.close);
  EXPECT_TRUE(large.too_large);
}

TEST_F(SessionTest, ClientsAreDescribed) {
  EXPECT_EQ(Text(*open_, {"CLIENT", "ID"}), ":7\r\n");
  EXPECT_EQ(Text(*open_, {"CLIENT", "SETINFO", "lib-name", "redis-py"}), "+OK\r\n");
  EXPECT_EQ(Text(*open_, {"CLIENT", "SETNAME", "a b"}),
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(Text(*open_, {"CLIENT", "LIST"}), "$5\r\nlist\n\r\n");
  EXPECT_NE(Text(*open_, {"CLIENT", "INFO"}).find("id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:26379"),
            std::string::npos);
  EXPECT_EQ(Text(*open_, {"CLIENT"}), "-ERR wrong number of arguments for 'client' command\r\n");
}

TEST_F(SessionTest, CommandTellsOfWhatIsAnswered) {
  EXPECT_EQ(Text(*open_, {"COMMAND", "INFO", "nope"}), "*1\r\n*-1\r\n");
  EXPECT_EQ(Text(*open_, {"COMMAND", "COUNT"}).substr(0, 1), ":");
  EXPECT_NE(Text(*open_, {"COMMAND"}).find("get-master-addr-by-name"), std::string::npos);
  EXPECT_NE(Text(*open_, {"COMMAND", "DOCS", "sentinel"}).find("summary"), std::string::npos);
}

TEST_F(SessionTest, WhatIsNoCommandHereIsAnErrorInRedisWords) {
  EXPECT_EQ(Text(*open_, {"SET", "a", "b"}),
            "-ERR unknown command 'SET', with args beginning with: 'a' 'b' \r\n");
  EXPECT_EQ(Text(*open_, {"PUBLISH", "a", "b"}),
            "-ERR Only HELLO messages are accepted by Sentinel instances.\r\n");
  EXPECT_EQ(Text(*open_, {"ping", "a", "b"}), "-ERR wrong number of arguments for 'ping' command\r\n");
  EXPECT_EQ(Text(*open_, {"SHUTDOWN"}).substr(0, 13), "-ERR refused:");
  const std::string long_word(100000, 'a');
  EXPECT_LT(Text(*open_, {long_word, long_word}).size(), 1000U);
}

TEST_F(SessionTest, ResetForgetsWhoTheClientIs) {
  ASSERT_EQ(Text(*closed_, {"AUTH", "acting"}), "+OK\r\n");
  EXPECT_EQ(Text(*closed_, {"RESET"}), "+RESET\r\n");
  EXPECT_EQ(Text(*closed_, {"PING"}).substr(0, 8), "-NOAUTH ");
  EXPECT_TRUE(Ask(*closed_, {"QUIT"}).close);
}

}  // namespace
}  // namespace walstitch::sentinel
