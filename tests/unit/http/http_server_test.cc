#include "agents/http/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "tests/unit/http/server_fixture.h"

namespace walstitch::http {
namespace {

TEST_F(ServerTest, RequestReachesTheHandler) {
  ServerOptions options;
  options.admission = AdmitOnly("secret", {"somebody", AccessRole::kOperate});
  Start(options);
  auto response = FetchBlocking(url_, "POST", "/echo?x=1", "body", "secret", seconds(5));
  ASSERT_TRUE(response) << response.error().Message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "POST|body|somebody");
}

TEST_F(ServerTest, SeveralRequestsGoOverOneConnection) {
  Start();
  std::string answer =
      Raw("GET /echo HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: "
          "2\r\n\r\nabGET /echo "
          "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("GET||"), std::string::npos);
  EXPECT_NE(answer.find("POST|ab|"), std::string::npos);
  EXPECT_NE(answer.rfind("GET||"), answer.find("GET||"));
}

TEST_F(ServerTest, ExceptionOfAHandlerIsAnInternalError) {
  Start();
  auto response = Get("/throw");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body, R"({"error":"internal error: the handler broke"})");
}

TEST_F(ServerTest, NoRequestAtAllIsAnsweredWithOneSentence) {
  Start();
  for (std::string bytes :
       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "*1\r\n$4\r\nPING\r\n\r\n", "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    std::string answer = Raw(bytes);
    EXPECT_EQ(answer.rfind("HTTP/1.1 400 ", 0), 0U) << bytes << "\n" << answer;
    EXPECT_NE(answer.find(R"({"error":"this is not a valid HTTP request)"), std::string::npos) << bytes;
  }
  EXPECT_EQ(Get("/echo")->status, 200);
}

TEST_F(ServerTest, OtherVersionsAreRefused) {
  Start();
  EXPECT_EQ(Raw("GET /echo HTTP/2.0\r\n\r\n").rfind("HTTP/1.1 505 ", 0), 0U);
}

TEST_F(ServerTest, HugeHeaderIsRefused) {
  Start();
  std::string answer = Raw("GET /echo HTTP/1.1\r\nX: " + std::string(100000, 'x') + "\r\n\r\n");
  EXPECT_EQ(answer.rfind("HTTP/1.1 431 ", 0), 0U) << answer;
}

TEST_F(ServerTest, HugeBodyIsRefused) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  Start(options);
  std::string body(2000000, 'x');
  std::string answer =
      Raw("POST /echo HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(answer.rfind("HTTP/1.1 413 ", 0), 0U) << answer;
  auto response = FetchBlocking(url_, "POST", "/echo", std::string(1001, 'x'), "", seconds(5));
  ASSERT_TRUE(response) << response.error().Message();
  EXPECT_EQ(response->status, 413);
  EXPECT_EQ(FetchBlocking(url_, "POST", "/echo", std::string(1000, 'x'), "", seconds(5))->status, 200);
}

TEST_F(ServerTest, HalfRequestIsClosedAfterItsTime) {
  ServerOptions options;
  options.header_timeout = options.request_timeout = milliseconds(100);
  Start(options);
  EXPECT_EQ(Raw("GET /echo HT", false), "");
  EXPECT_EQ(Raw("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", false), "");
  EXPECT_EQ(Get("/echo")->status, 200);
}

TEST_F(ServerTest, HalfRequestAndGoneIsNotAnswered) {
  Start();
  EXPECT_EQ(Raw("GET /echo HT"), "");
}

TEST_F(ServerTest, BadPercentCodeReachesNoHandler) {
  Start();
  auto response = Get("/echo%zz");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 400);
}

TEST_F(ServerTest, TokenIsNeeded) {
  ServerOptions options;
  options.admission = AdmitOnly("secret");
  Start(options);
  EXPECT_EQ(Get("/echo")->status, 401);
  EXPECT_EQ(Get("/echo", "wrong")->status, 401);
  EXPECT_EQ(Get("/echo", "secret")->status, 200);
}

TEST_F(ServerTest, HeadGetsNoBody) {
  Start();
  std::string answer = Raw("HEAD /echo HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.rfind("HTTP/1.1 200 ", 0), 0U);
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n")), "\r\n\r\n");
}

TEST_F(ServerTest, PortThatIsTakenIsASentence) {
  Start();
  ServerOptions options;
  options.port = server_->Port();
  Server second(context_.get_executor(), options, Echo);
  auto started = second.Start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().Message(),
            "cannot listen on 127.0.0.1:" + std::to_string(options.port) + ": Address already in use");
}

// What a subscription was told, with waiting.
struct Heard {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> messages;
  std::vector<bool> states;

  template <typename Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(10), [&] { return condition(*this); });
  }
};

class SubscriptionTest : public ServerTest {
 protected:
  void Subscribe(const std::string& target, const std::string& token = "",
                 milliseconds silence = seconds(5)) {
    auto heard = heard_;
    std::promise<void> made;
    asio::post(context_, [&, this] {
      subscription_ = std::make_unique<Subscription>(
          context_.get_executor(), url_, target, token, milliseconds(20), silence,
          [heard](std::string message) {
            std::lock_guard lock(heard->mutex);
            heard->messages.push_back(std::move(message));
            heard->changed.notify_all();
          },
          [heard](bool up) {
            std::lock_guard lock(heard->mutex);
            heard->states.push_back(up);
            heard->changed.notify_all();
          });
      made.set_value();
    });
    made.get_future().get();
  }

  void TearDown() override {
    if (thread_.joinable()) asio::post(context_, [this] { subscription_.reset(); });
    ServerTest::TearDown();
  }

  std::shared_ptr<Heard> heard_ = std::make_shared<Heard>();
  std::unique_ptr<Subscription> subscription_;
};

TEST_F(SubscriptionTest, MessagesArriveInOrder) {
  Start();
  Subscribe("/stream");
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 1; }));
  asio::post(context_, [this] {
    std::lock_guard lock(mutex_);
    for (int i = 0; i < 100; ++i) stream_->Send(std::to_string(i));
  });
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 101; }));
  EXPECT_EQ(heard_->messages[0], "hello");
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(heard_->messages[static_cast<std::size_t>(i) + 1], std::to_string(i));
  EXPECT_EQ(heard_->states, std::vector<bool>{true});
}

TEST_F(SubscriptionTest, ComesBackAfterTheConnectionIsLost) {
  Start();
  Subscribe("/stream");
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 1; }));
  asio::post(context_, [this] {
    std::lock_guard lock(mutex_);
    stream_.reset();  // letting go closes it
  });
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 2; }));
  EXPECT_EQ(heard_->states, (std::vector<bool>{true, false, true}));
}

TEST_F(SubscriptionTest, WhatItSaysArrivesInOrder) {
  Start();
  Subscribe("/stream");
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return !heard.states.empty(); }));
  std::promise<int> queued;
  asio::post(context_, [&, this] {
    int sent = 0;
    for (int i = 0; i < 20; ++i) sent += subscription_->Send(std::to_string(i)) ? 1 : 0;
    queued.set_value(sent);
  });
  EXPECT_EQ(queued.get_future().get(), 20);
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(arrived_.wait_for(lock, seconds(10), [this] { return said_.size() == 20; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(said_[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(SubscriptionTest, NothingIsSaidWithoutAConnectionNorBeyondTheBound) {
  Start();
  Subscribe("/stream");
  std::promise<std::pair<bool, bool>> before;
  asio::post(context_, [&, this] {
    Subscription other(context_.get_executor(), url_, "/stream", "", milliseconds(50), seconds(5), nullptr,
                       nullptr);
    before.set_value({other.Send("too early"), true});
  });
  EXPECT_FALSE(before.get_future().get().first);
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return !heard.states.empty(); }));
  std::promise<bool> huge;
  asio::post(context_, [&, this] { huge.set_value(subscription_->Send(std::string(2 << 20, 'x'))); });
  EXPECT_FALSE(huge.get_future().get());
}

TEST_F(SubscriptionTest, MessageThatIsTooLargeEndsTheConnection) {
  Start();
  Subscribe("/stream");
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return !heard.states.empty(); }));
  asio::post(context_, [this] { subscription_->Send(std::string(100 * 1024, 'x')); });
  EXPECT_TRUE(heard_->Wait([](Heard& heard) { return heard.states.size() >= 3; }));
  std::lock_guard lock(mutex_);
  EXPECT_TRUE(said_.empty());
}

TEST_F(SubscriptionTest, StreamThatTheHandlerDoesNotKeepIsClosed) {
  Start();
  Subscribe("/elsewhere");
  EXPECT_TRUE(heard_->Wait([](Heard& heard) { return heard.states.size() >= 2 && !heard.states[1]; }));
  EXPECT_TRUE(heard_->messages.empty());
}

TEST_F(SubscriptionTest, TokenIsSent) {
  ServerOptions options;
  options.admission = AdmitOnly("secret");
  Start(options);
  Subscribe("/stream", "secret");
  EXPECT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 1; }));
}

TEST_F(SubscriptionTest, PongsKeepASilentStreamAlive) {
  ServerOptions options;
  options.idle_timeout = milliseconds(200);
  Start(options);
  Subscribe("/stream", "", milliseconds(200));
  ASSERT_TRUE(heard_->Wait([](Heard& heard) { return heard.messages.size() == 1; }));
  std::this_thread::sleep_for(milliseconds(1000));  // a time in which nothing may happen
  std::lock_guard lock(heard_->mutex);
  EXPECT_EQ(heard_->states, std::vector<bool>{true});
}

TEST_F(SubscriptionTest, SlowReaderIsDisconnected) {
  Start();
  asio::io_context context;
  tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
  asio::write(socket, asio::buffer(std::string("GET /stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                                               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")));
  {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(arrived_.wait_for(lock, seconds(10), [this] { return stream_ != nullptr; }));
  }
  // It never reads: the queue fills up to its bound and no further.
  std::promise<int> closed_after;
  asio::post(context_, [&, this] {
    std::lock_guard lock(mutex_);
    int sent = 0;
    while (stream_->Open() && sent < 1000) {
      stream_->Send(std::string(1 << 20, 'x'));
      ++sent;
    }
    closed_after.set_value(sent);
  });
  EXPECT_LE(closed_after.get_future().get(), 10);
}

TEST(Fetch, RefusedConnectionIsUnavailable) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  Url url{"127.0.0.1", std::to_string(acceptor.local_endpoint().port())};
  acceptor.close();
  auto response = FetchBlocking(url, "GET", "/", "", "", seconds(5));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().Code(), ErrorCode::kUnavailable);
}

Exchange FetchTold(const Url& url, milliseconds timeout) {
  asio::io_context context(1);
  auto exchange = asio::co_spawn(context, FetchOrRefused(url, "POST", "/v1/promise", "{}", "", timeout),
                                 asio::use_future);
  context.run();
  return exchange.get();
}

TEST(Fetch, ConnectionThatTheMachineRefusesIsToldFromSilence) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  Url url{"127.0.0.1", std::to_string(acceptor.local_endpoint().port())};
  Exchange silent = FetchTold(url, milliseconds(100));
  EXPECT_FALSE(silent.response);
  EXPECT_FALSE(silent.refused);
  acceptor.close();
  Exchange refused = FetchTold(url, seconds(5));
  EXPECT_FALSE(refused.response);
  EXPECT_TRUE(refused.refused);
  Exchange unknown = FetchTold({"no-such-host.invalid", "1"}, milliseconds(2000));
  EXPECT_FALSE(unknown.response);
  EXPECT_FALSE(unknown.refused);
}

TEST(Fetch, SilentServerIsATimeout) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  Url url{"127.0.0.1", std::to_string(acceptor.local_endpoint().port())};
  auto response = FetchBlocking(url, "GET", "/x?key=secret", "", "", milliseconds(100));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().Code(), ErrorCode::kTimeout);
  EXPECT_EQ(response.error().Message(), "127.0.0.1:" + url.port + ": no answer to GET /x after 100 ms");
}

TEST(Fetch, ConnectionLostBeforeTheAnswerMayHaveBeenReceived) {
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  Url url{"127.0.0.1", std::to_string(acceptor.local_endpoint().port())};
  std::thread peer([&] {
    tcp::socket socket = acceptor.accept();
    std::string bytes(10, '\0');
    boost::system::error_code error;
    asio::read(socket, asio::buffer(bytes), error);
  });
  auto response = FetchBlocking(url, "GET", "/", "", "", seconds(5));
  peer.join();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().Code(), ErrorCode::kTimeout);
}

TEST(Fetch, NameThatDoesNotResolveIsUnavailable) {
  auto response = FetchBlocking({"no-such-host.invalid", "1"}, "GET", "/", "", "", milliseconds(2000));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().Code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace walstitch::http
