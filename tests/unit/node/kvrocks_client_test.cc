#include "agents/node/kvrocks_client.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::node {
namespace {

using std::chrono::milliseconds;
using tests::FakeKvrocks;
using Words = FakeKvrocks::Words;

class KvrocksClientTest : public ::testing::Test {
 protected:
  KvrocksClientTest() { signal(SIGPIPE, SIG_IGN); }

  ClientOptions Options(std::uint16_t port, milliseconds timeout = milliseconds(5000)) {
    ClientOptions options;
    options.port = port;
    options.timeout = timeout;
    return options;
  }

  // A server that gives always the same answer.
  std::unique_ptr<FakeKvrocks> Server(std::optional<std::string> answer) {
    return std::make_unique<FakeKvrocks>([answer](const Words&) { return answer; });
  }
};

TEST_F(KvrocksClientTest, InfoIsRead) {
  auto server = Server(FakeKvrocks::Bulk("role:master\r\nsequence:5\r\n"));
  KvrocksClient client(Options(server->Port()));
  auto info = client.Info();
  ASSERT_TRUE(info) << info.error().Message();
  EXPECT_EQ(info->at("sequence"), "5");
}

TEST_F(KvrocksClientTest, RefusedConnectionIsUnavailable) {
  std::uint16_t port = Server("")->Port();  // gone again
  KvrocksClient client(Options(port));
  auto info = client.Info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().Code(), ErrorCode::kUnavailable);
  EXPECT_EQ(info.error().Message(), "kvrocks 127.0.0.1:" + std::to_string(port) +
                                        ": INFO: connection refused: no server listens there");
}

TEST_F(KvrocksClientTest, SilentServerIsATimeout) {
  auto server = Server(std::nullopt);
  KvrocksClient client(Options(server->Port(), milliseconds(50)));
  auto info = client.Info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().Code(), ErrorCode::kTimeout);
}

TEST_F(KvrocksClientTest, DrippingServerIsATimeoutToo) {
  // hiredis' own timeout is for each read; ours is for the whole call.
  std::atomic<int> asked{0};
  FakeKvrocks server([&](const Words&) -> std::optional<std::string> {
    ++asked;
    return "$1000\r\nx";
  });
  KvrocksClient client(Options(server.Port(), milliseconds(60)));
  EXPECT_EQ(client.Info().error().Code(), ErrorCode::kTimeout);
  EXPECT_EQ(asked, 1);
}

TEST_F(KvrocksClientTest, LateAnswerIsNotTakenForTheNextOne) {
  std::atomic<int> asked{0};
  FakeKvrocks server([&](const Words&) -> std::optional<std::string> {
    if (++asked == 1) {
      std::this_thread::sleep_for(milliseconds(100));
      return FakeKvrocks::Bulk("sequence:1\r\n");
    }
    return FakeKvrocks::Bulk("sequence:2\r\n");
  });
  KvrocksClient slow(Options(server.Port(), milliseconds(20)));
  EXPECT_FALSE(slow.Info());
  Result<InfoFields> info = slow.Info();
  for (int i = 0; i < 100 && !info; ++i) info = slow.Info();
  ASSERT_TRUE(info);
  EXPECT_EQ(info->at("sequence"), "2");
}

TEST_F(KvrocksClientTest, RestartOfAnIdleServerIsNotSeen) {
  auto answer = [](const Words&) { return std::optional(FakeKvrocks::Bulk("sequence:1\r\n")); };
  auto server = std::make_unique<FakeKvrocks>(answer);
  std::uint16_t port = server->Port();
  KvrocksClient client(Options(port));
  ASSERT_TRUE(client.Info());
  server.reset();
  server = std::make_unique<FakeKvrocks>(answer, port);
  EXPECT_TRUE(client.Info());
}

TEST_F(KvrocksClientTest, ConnectionThatBreaksIsIo) {
  auto server = Server("");
  KvrocksClient client(Options(server->Port()));
  EXPECT_EQ(client.Info().error().Code(), ErrorCode::kIo);
}

TEST_F(KvrocksClientTest, GarbageIsDamaged) {
  auto server = Server("HTTP/1.1 400 Bad Request\r\n\r\n");
  KvrocksClient client(Options(server->Port()));
  EXPECT_EQ(client.Info().error().Code(), ErrorCode::kDamaged);
  auto array = Server("*1\r\n:1\r\n");
  KvrocksClient other(Options(array->Port()));
  EXPECT_EQ(other.Info().error().Code(), ErrorCode::kDamaged);
}

TEST_F(KvrocksClientTest, PasswordIsSentFirst) {
  FakeKvrocks server([](const Words& words) -> std::optional<std::string> {
    if (words[0] == "AUTH") return words[1] == "secret" ? "+OK\r\n" : "-ERR Invalid password\r\n";
    return FakeKvrocks::Bulk("sequence:1\r\n");
  });
  ClientOptions options = Options(server.Port());
  options.password = "secret";
  KvrocksClient client(options);
  ASSERT_TRUE(client.Info());
  EXPECT_EQ(server.Commands(), (std::vector<Words>{{"AUTH", "secret"}, {"INFO"}}));
  options.password = "wrong";
  KvrocksClient other(options);
  auto info = other.Info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().Code(), ErrorCode::kInvalid);
  EXPECT_EQ(info.error().Message().find("wrong"), std::string::npos);  // no secret in a message
}

TEST_F(KvrocksClientTest, PasswordAndSlaveOfLieInTheSocketOfAServerThatHangs) {
  auto server = Server(std::nullopt);
  ClientOptions options = Options(server->Port());
  options.password = "secret";
  KvrocksClient client(options);
  auto set = client.SlaveOfAtOnce({"127.0.0.1", 7666}, milliseconds(200));
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().Code(), ErrorCode::kTimeout);
  EXPECT_EQ(server->Commands(), (std::vector<Words>{{"AUTH", "secret"}, {"SLAVEOF", "127.0.0.1", "7666"}}));
}

TEST_F(KvrocksClientTest, SlaveOfAtOnceTellsWhatTheNodeAnswered) {
  auto server = std::make_unique<FakeKvrocks>([](const Words& words) -> std::optional<std::string> {
    return words[0] == "AUTH" ? "+OK\r\n" : words[2] == "1" ? "-ERR no\r\n" : "+OK\r\n";
  });
  ClientOptions options = Options(server->Port());
  options.password = "secret";
  KvrocksClient client(options);
  EXPECT_TRUE(client.SlaveOfAtOnce({"127.0.0.1", 7666}, milliseconds(5000)));
  EXPECT_EQ(client.SlaveOfAtOnce({"127.0.0.1", 1}, milliseconds(5000)).error().Code(), ErrorCode::kConflict);
  auto refuses = Server("-ERR invalid password\r\n");
  options.port = refuses->Port();
  KvrocksClient refused(options);
  EXPECT_EQ(refused.SlaveOfAtOnce({"127.0.0.1", 7666}, milliseconds(5000)).error().Code(),
            ErrorCode::kInvalid);
}

TEST_F(KvrocksClientTest, ErrorReplyStandsInTheMessage) {
  auto server = Server("-ERR no way\r\n");
  KvrocksClient client(Options(server->Port()));
  auto done = client.SlaveOfNoOne(milliseconds(1000));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().Code(), ErrorCode::kConflict);
  EXPECT_NE(done.error().Message().find("SLAVEOF: the node answered: ERR no way"), std::string::npos);
}

TEST_F(KvrocksClientTest, CommandsAreWrittenAsKvrocksTakesThem) {
  auto server = Server("+OK\r\n");
  KvrocksClient client(Options(server->Port()));
  ASSERT_TRUE(client.SlaveOf({"127.0.0.1", 7666}, milliseconds(1000)));
  ASSERT_TRUE(client.SlaveOfNoOne(milliseconds(1000)));
  EXPECT_EQ(server->Commands(),
            (std::vector<Words>{{"SLAVEOF", "127.0.0.1", "7666"}, {"SLAVEOF", "NO", "ONE"}}));
}

TEST_F(KvrocksClientTest, ConfigThatIsThereAndNot) {
  FakeKvrocks server([](const Words& words) -> std::optional<std::string> {
    if (words[2] == "db-name") return "*2\r\n$7\r\ndb-name\r\n$12\r\nchange.me.db\r\n";
    return "*0\r\n";
  });
  KvrocksClient client(Options(server.Port()));
  EXPECT_EQ(client.ConfigGet("db-name").value(), "change.me.db");
  EXPECT_EQ(client.ConfigGet("other").value(), std::nullopt);
}

TEST_F(KvrocksClientTest, UpdatesAreRead) {
  auto server = Server(
      "*6\r\n$15\r\nlatest_sequence\r\n:9\r\n$7\r\nupdates\r\n*2\r\n$4\r\n00FF\r\n$2\r\n0A\r\n$13\r\nnext_"
      "sequence\r\n:7\r\n");
  KvrocksClient client(Options(server->Port()));
  auto updates = client.PollUpdates(Sequence(4), 16);
  ASSERT_TRUE(updates) << updates.error().Message();
  EXPECT_EQ(updates->latest, Sequence(9));
  EXPECT_EQ(updates->next, Sequence(7));
  EXPECT_EQ(updates->batches, (std::vector<std::string>{std::string("\x00\xff", 2), "\n"}));
  EXPECT_EQ(server->Commands()[0], (Words{"POLLUPDATES", "4", "MAX", "16", "FORMAT", "RAW"}));
}

TEST_F(KvrocksClientTest, DamagedUpdatesAreRefused) {
  for (std::string answer : {":1\r\n", "*1\r\n:1\r\n", "*2\r\n:1\r\n:2\r\n", "*2\r\n$7\r\nupdates\r\n:1\r\n",
                             "*2\r\n$7\r\nupdates\r\n*1\r\n$2\r\nzz\r\n", "*0\r\n"}) {
    auto server = Server(answer);
    KvrocksClient client(Options(server->Port()));
    auto updates = client.PollUpdates(Sequence(4), 16);
    ASSERT_FALSE(updates) << answer;
    EXPECT_EQ(updates.error().Code(), ErrorCode::kDamaged) << answer;
  }
}

TEST_F(KvrocksClientTest, StopEndsAWaitingCall) {
  auto server = Server(std::nullopt);
  std::atomic<bool> stop{true};
  ClientOptions options = Options(server->Port(), std::chrono::hours(1));
  options.stop = &stop;
  KvrocksClient client(options);
  EXPECT_FALSE(client.Info());
}

TEST_F(KvrocksClientTest, CommandsAreSentTogetherAndAnsweredInOrder) {
  FakeKvrocks server([](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "$-1\r\n";
    if (words[0] == "LLEN") return ":3\r\n";
    if (words[0] == "BAD") return "-ERR so bad\r\n";
    return "*2\r\n$1\r\na\r\n:7\r\n";
  });
  KvrocksClient client(Options(server.Port()));
  const auto replies = client.Send({{"GET", "k"}, {"LLEN", "k"}, {"BAD"}, {"LIST"}}, {});
  ASSERT_TRUE(replies) << replies.error().Message();
  ASSERT_EQ(replies->size(), 4U);
  EXPECT_EQ((*replies)[0].kind, NodeReply::Kind::kNil);
  EXPECT_EQ((*replies)[1].number, 3);
  EXPECT_EQ((*replies)[2].kind, NodeReply::Kind::kError);
  EXPECT_EQ((*replies)[2].text, "ERR so bad");
  ASSERT_EQ((*replies)[3].list.size(), 2U);
  EXPECT_EQ((*replies)[3].list[0].text, "a");
  EXPECT_EQ((*replies)[3].list[1].number, 7);
}

TEST_F(KvrocksClientTest, AnAnswerThatIsTooLargeIsNotReadToItsEnd) {
  FakeKvrocks server([](const Words& words) -> std::optional<std::string> {
    return words[0] == "GET" ? FakeKvrocks::Bulk(std::string(1 << 20, 'x')) : "+OK\r\n";
  });
  KvrocksClient client(Options(server.Port()));
  KvrocksClient::SendOptions options;
  options.timeout = milliseconds(5000);
  options.max_reply_bytes = 100000;
  auto replies = client.Send({{"PING"}, {"GET", "k"}, {"PING"}}, options);
  ASSERT_TRUE(replies) << replies.error().Message();
  ASSERT_EQ(replies->size(), 2U);
  EXPECT_EQ(replies->back().kind, NodeReply::Kind::kTooLarge);
  // The next ones have a connection of their own.
  replies = client.Send({{"PING"}}, options);
  ASSERT_TRUE(replies) << replies.error().Message();
  EXPECT_EQ(replies->front().text, "OK");
}

TEST_F(KvrocksClientTest, WhatIsForOneConnectionIsNotSentOnTheNext) {
  FakeKvrocks server(
      [](const Words& words) -> std::optional<std::string> { return words[0] == "BYE" ? "" : "+OK\r\n"; });
  KvrocksClient client(Options(server.Port()));
  ASSERT_TRUE(client.Send({{"WATCH", "k"}}, {}));
  KvrocksClient::SendOptions options;
  options.timeout = milliseconds(5000);
  options.connection = client.Connection();
  EXPECT_TRUE(client.Send({{"EXEC"}}, options));
  EXPECT_FALSE(client.Send({{"BYE"}}, {}));
  const auto refused = client.Send({{"EXEC"}}, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().Code(), ErrorCode::kIo);
  int executed = 0;
  for (const Words& words : server.Commands()) executed += words[0] == "EXEC" ? 1 : 0;
  EXPECT_EQ(executed, 1);
}

}  // namespace
}  // namespace walstitch::node
