// The listener under clients that mean no good: what is refused, by which reason it is counted, and that
// others are answered meanwhile.
#include "controller/sentinel/listener.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <thread>

#include "tests/support/environment.h"
#include "tests/unit/sentinel/sample.h"

namespace walstitch::sentinel {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{10};

std::int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(context_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
  }
  // False: the other side has closed.
  bool Send(const std::string& bytes) {
    boost::system::error_code error;
    asio::write(socket_, asio::buffer(bytes), error);
    return !error;
  }
  // Until the text has come, or the other side closes.
  std::string Until(const std::string& text) {
    boost::system::error_code error;
    while (seen_.find(text) == std::string::npos && !error) {
      char buffer[4096];
      seen_.append(buffer, socket_.read_some(asio::buffer(buffer), error));
    }
    std::string all;
    all.swap(seen_);
    return all;
  }
  // So many bytes. False: the other side has closed.
  bool Read(std::size_t size) {
    boost::system::error_code error;
    std::string bytes(size, ' ');
    asio::read(socket_, asio::buffer(bytes), error);
    return !error;
  }
  std::string All() { return Until("\n no such text\n"); }
  std::string Ask(const std::string& line) { return Send(line + "\r\n") ? Until("\r\n") : "closed"; }

 private:
  asio::io_context context_;
  tcp::socket socket_;
  std::string seen_;
};

class ListenerTest : public ::testing::Test {
 protected:
  void Start(ListenerOptions options = {}) {
    options.audit = [this](const std::string& line) { audit_.push_back(line); };
    listener_.emplace(
        context_.get_executor(), std::move(options),
        [this] {
          Knowledge knowledge = Knowing(view_, NowMs());
          return knowledge;
        },
        [](std::string group, std::string by) -> asio::awaitable<Reply> {
          co_return Reply::Simple("done: " + group + (by.empty() ? "" : " by " + by));
        });
    const auto started = listener_->Start();
    ASSERT_TRUE(started) << started.error().Message();
    guard_.emplace(asio::make_work_guard(context_));
    thread_ = std::thread([this] { context_.run(); });
  }
  template <typename Work>
  auto OnThread(Work work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto done = task.get_future();
    asio::post(context_, [&task] { task(); });
    return done.get();
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    OnThread([this] { listener_->Stop(); });
    guard_.reset();
    thread_.join();
  }

  ListenerCounts Counts() {
    return OnThread([this] { return listener_->Counts(); });
  }
  template <typename Condition>
  bool Becomes(Condition condition) {
    return test::Eventually(kPatience, [&] { return condition(Counts()); });
  }
  std::uint16_t Port() { return listener_->Port(); }

  View view_ = ViewOf({Calm()}, NowMs());
  std::vector<std::string> audit_;  // the thread's
  asio::io_context context_;
  std::optional<Listener> listener_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_;
  std::thread thread_;
};

TEST_F(ListenerTest, AnswersAndCounts) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Client client(Port());
  EXPECT_EQ(client.Ask("PING"), "+PONG\r\n");
  EXPECT_EQ(client.Ask("SENTINEL failover shop"), "+done: shop\r\n");
  EXPECT_EQ(client.Ask("nonsense").substr(0, 20), "-ERR unknown command");
  const ListenerCounts counts = Counts();
  EXPECT_EQ(counts.accepted, 1U);
  EXPECT_EQ(counts.open, 1U);
  EXPECT_EQ(counts.requests, 3U);
  EXPECT_EQ(counts.errors, 1U);
  EXPECT_GT(counts.bytes_in, 30U);
  // A client may have what was sent before it is counted.
  EXPECT_TRUE(Becomes([](const ListenerCounts& seen) { return seen.bytes_out > 30; }));
}

TEST_F(ListenerTest, RequestsSentTogetherAreAnsweredInOrder) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Client client(Port());
  ASSERT_TRUE(client.Send("PING a\r\n*2\r\n$4\r\nPING\r\n$1\r\nb\r\nPING c\r\nQUIT\r\n"));
  EXPECT_EQ(client.All(), "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n+OK\r\n");
}

TEST_F(ListenerTest, MoreRequestsThanTheControllerHasTimeForWaitForTheirTurn) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Client many(Port());
  std::string bytes;
  std::string answers;
  for (int i = 0; i < 2000; ++i) {
    bytes += "PING\r\n";
    answers += "+PONG\r\n";
  }
  ASSERT_TRUE(many.Send(bytes + "QUIT\r\n"));
  Client other(Port());
  EXPECT_EQ(other.Ask("PING"), "+PONG\r\n");
  EXPECT_TRUE(many.All() == answers + "+OK\r\n");
}

TEST_F(ListenerTest, SubscribersAreTold) {
  ASSERT_NO_FATAL_FAILURE(Start());
  Client client(Port());
  client.Ask("SUBSCRIBE +switch-master");
  ASSERT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.subscribers == 1; }));
  OnThread([this] { listener_->Publish({{"+sdown", "x"}, {"+switch-master", "y"}}); });
  EXPECT_NE(client.Until("\r\ny\r\n").find("+switch-master"), std::string::npos);
  EXPECT_EQ(Counts().events, 1U);
}

TEST_F(ListenerTest, GarbageIsAnsweredWithAnErrorAndTheConnectionClosed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\x00\x01", 6), std::string("*1\r\nPING\r\n"),
                                   std::string("GET / HTTP/1.1\r\n\r\n")}) {
    Client client(Port());
    client.Send(bytes);
    EXPECT_EQ(client.All().substr(0, 19), "-ERR Protocol error");
  }
  EXPECT_TRUE(
      Becomes([](const ListenerCounts& counts) { return counts.refused_garbage == 3 && counts.open == 0; }));
}

TEST_F(ListenerTest, OversizedRequestsAreRefusedBeforeTheyHaveCome) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const std::string& bytes :
       {std::string("*1000000\r\n"), std::string("*1\r\n$100000000\r\n"), std::string(20000, 'a')}) {
    Client client(Port());
    client.Send(bytes);
    EXPECT_EQ(client.All().substr(0, 19), "-ERR Protocol error");
  }
  EXPECT_TRUE(Becomes(
      [](const ListenerCounts& counts) { return counts.refused_too_large == 3 && counts.open == 0; }));
}

TEST_F(ListenerTest, RequestThatDoesNotEndIsGivenUp) {
  ListenerOptions options;
  options.request_timeout = milliseconds(300);
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client slow(Port());
  // A byte now and then is not enough: the time is the whole request's.
  const std::string bytes = "*1\r\n$4\r\nPING";
  bool closed = false;
  EXPECT_TRUE(test::Eventually(kPatience, [&] {
    slow.Send(bytes.substr(0, 1));
    std::this_thread::sleep_for(milliseconds(50));
    closed = Counts().refused_slow == 1;
    return closed;
  }));
  Client other(Port());
  EXPECT_EQ(other.Ask("PING"), "+PONG\r\n");
}

TEST_F(ListenerTest, SubscriberThatDoesNotReadIsDisconnected) {
  ListenerOptions options;
  options.max_output = 64 * 1024;
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client deaf(Port());
  deaf.Ask("PSUBSCRIBE *");
  ASSERT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.subscribers == 1; }));
  const std::vector<Event> events(1000, Event{"+sdown", std::string(100, 'a')});
  // The kernel takes some MiB before anything waits here.
  EXPECT_TRUE(test::Eventually(kPatience, [&] {
    OnThread([&] { listener_->Publish(std::vector<Event>(events.begin(), events.begin() + 400)); });
    return Counts().refused_slow == 1;
  }));
}

// Until the connection is closed.
void AskWithoutEnd(Client& client) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += "INFO\r\n";
  while (client.Send(bytes)) {
  }
}

TEST_F(ListenerTest, ClientThatSendsAndNeverReadsIsHeldBackAndThenGivenUp) {
  ListenerOptions options;
  options.request_timeout = milliseconds(500);
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client greedy(Port());
  std::thread sender([&] { AskWithoutEnd(greedy); });
  EXPECT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.refused_slow == 1; }));
  sender.join();
  EXPECT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.open == 0; }));
}

TEST_F(ListenerTest, ClientThatReadsAFewBytesNowAndThenIsGivenUpToo) {
  ListenerOptions options;
  options.request_timeout = milliseconds(500);
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client greedy(Port());
  std::atomic<bool> stop = false;
  std::thread sender([&] { AskWithoutEnd(greedy); });
  std::thread reader([&] {
    while (!stop && greedy.Read(7)) std::this_thread::sleep_for(milliseconds(10));
  });
  EXPECT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.refused_slow == 1; }));
  stop = true;
  sender.join();
  reader.join();
}

TEST_F(ListenerTest, OfManyThatDoNotReadWhoeverHasMostWaitingIsGivenUp) {
  ListenerOptions options;
  options.max_waiting = 400 * 1024;
  ASSERT_NO_FATAL_FAILURE(Start(options));
  std::vector<std::unique_ptr<Client>> deaf;
  for (int i = 0; i < 4; ++i) {
    deaf.push_back(std::make_unique<Client>(Port()));
    deaf.back()->Ask("PSUBSCRIBE *");
  }
  ASSERT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.subscribers == 4; }));
  const std::vector<Event> events(300, Event{"+sdown", std::string(100, 'a')});
  // Each may have 256 KiB; the kernel takes some MiB before anything waits here.
  EXPECT_TRUE(test::Eventually(kPatience, [&] {
    OnThread([&] { listener_->Publish(events); });
    return Counts().refused_slow >= 1;
  }));
  EXPECT_LT(Counts().refused_slow, 4U);
  Client other(Port());
  EXPECT_EQ(other.Ask("PING"), "+PONG\r\n");
}

TEST_F(ListenerTest, ListOfClientsIsCutOff) {
  ListenerOptions options;
  options.max_connections = 400;
  ASSERT_NO_FATAL_FAILURE(Start(options));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<Client>(Port()));
  ASSERT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.open == 300; }));
  const std::string answer = clients[0]->Ask("CLIENT LIST");
  const auto size = std::stoul(answer.substr(1));
  EXPECT_GT(size, 60000U);
  EXPECT_LT(size, 70000U);
}

TEST_F(ListenerTest, IdleConnectionsGiveTheirPlaceToNewcomers) {
  ListenerOptions options;
  options.max_connections = 10;
  ASSERT_NO_FATAL_FAILURE(Start(options));
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 10; ++i) idle.push_back(std::make_unique<Client>(Port()));
  ASSERT_TRUE(Becomes([](const ListenerCounts& counts) { return counts.accepted == 10; }));
  // So soon nobody loses its place.
  std::string answer;
  EXPECT_TRUE(test::Eventually(kPatience, [&] {
    Client client(Port());
    answer = client.Ask("PING");
    return answer == "+PONG\r\n";
  })) << answer;
  EXPECT_GE(Counts().refused_full, 1U);
  EXPECT_GE(Counts().evicted, 1U);
  EXPECT_LE(Counts().open, 10U);
}

TEST_F(ListenerTest, SubscribersKeepTheirPlaces) {
  ListenerOptions options;
  options.max_connections = 3;
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client subscriber(Port());
  subscriber.Ask("SUBSCRIBE +switch-master");
  for (int i = 0; i < 30; ++i) Client(Port()).Ask("PING");
  std::vector<std::unique_ptr<Client>> others;
  for (int i = 0; i < 10; ++i) others.push_back(std::make_unique<Client>(Port()));
  OnThread([this] { listener_->Publish({{"+switch-master", "y"}}); });
  EXPECT_NE(subscriber.Until("\r\ny\r\n").find("+switch-master"), std::string::npos);
}

TEST_F(ListenerTest, WhoShowsNoTokenIsNotKept) {
  ListenerOptions options;
  options.request_timeout = milliseconds(300);
  options.anonymous.reset();
  options.admission = [](std::string_view token) -> std::optional<http::Caller> {
    if (token != "right") return std::nullopt;
    return http::Caller{"ops", http::AccessRole::kOperate};
  };
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client silent(Port());
  Client guessing(Port());
  EXPECT_EQ(guessing.Ask("AUTH a").substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(guessing.Ask("AUTH b").substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(guessing.Ask("AUTH c").substr(0, 10), "-WRONGPASS");
  EXPECT_EQ(guessing.All(), "");
  EXPECT_TRUE(
      Becomes([](const ListenerCounts& counts) { return counts.refused_token == 4 && counts.open == 0; }));
  Client right(Port());
  EXPECT_EQ(right.Ask("AUTH right"), "+OK\r\n");
  EXPECT_EQ(right.Ask("SENTINEL failover shop"), "+done: shop by ops\r\n");
  const auto audit = OnThread([this] { return audit_; });
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].find("audit: token ops, from 127.0.0.1:"), 0U) << audit[0];
  EXPECT_NE(audit[0].find("SENTINEL failover shop: 200 after"), std::string::npos) << audit[0];
}

TEST_F(ListenerTest, StrangersThatAskDoNotPushOutWhoHasShownAToken) {
  ListenerOptions options;
  options.max_connections = 5;
  options.anonymous.reset();
  options.admission = [](std::string_view token) -> std::optional<http::Caller> {
    if (token != "right") return std::nullopt;
    return http::Caller{"app", http::AccessRole::kView};
  };
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client early(Port());
  ASSERT_EQ(early.Ask("AUTH right"), "+OK\r\n");
  std::vector<std::unique_ptr<Client>> strangers;
  for (int i = 0; i < 4; ++i) {
    strangers.push_back(std::make_unique<Client>(Port()));
    EXPECT_EQ(strangers.back()->Ask("PING").substr(0, 7), "-NOAUTH");
  }
  std::string answer;
  EXPECT_TRUE(test::Eventually(kPatience, [&] {
    for (auto& each : strangers) each->Ask("PING");
    Client late(Port());
    answer = late.Ask("AUTH right");
    return answer == "+OK\r\n";
  })) << answer;
  EXPECT_EQ(early.Ask("PING"), "+PONG\r\n");
}

TEST_F(ListenerTest, SilenceIsEndedAfterALongWhile) {
  ListenerOptions options;
  options.idle_timeout = milliseconds(300);
  ASSERT_NO_FATAL_FAILURE(Start(options));
  Client silent(Port());
  Client subscriber(Port());
  subscriber.Ask("SUBSCRIBE a");
  EXPECT_EQ(silent.All(), "");
  EXPECT_EQ(Counts().closed_idle, 1U);
  EXPECT_EQ(Counts().open, 1U);
}

TEST_F(ListenerTest, PortThatIsTakenIsAnErrorWithItsName) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ListenerOptions options;
  options.port = Port();
  Listener second(
      context_.get_executor(), options, [] { return Knowledge(); },
      [](std::string, std::string) -> asio::awaitable<Reply> { co_return Reply::Ok(); });
  const auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().Message().find("127.0.0.1:" + std::to_string(Port())), std::string::npos);
}

}  // namespace
}  // namespace walstitch::sentinel
