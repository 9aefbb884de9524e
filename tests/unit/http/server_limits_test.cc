// Who is served, who is not, and what that costs.
#include <boost/asio/connect.hpp>
#include <boost/asio/read_until.hpp>

#include "agents/http/tokens.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/unit/http/server_fixture.h"

namespace walstitch::http {
namespace {

class ServerLimitsTest : public ServerTest {
 protected:
  std::vector<tcp::socket> Idle(std::size_t count) {
    std::vector<tcp::socket> sockets;
    for (std::size_t i = 0; i < count; ++i) {
      sockets.emplace_back(clients_);
      sockets.back().connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    }
    return sockets;
  }

  asio::io_context clients_;
};

Need ViewToRead(std::string_view method, const std::vector<std::string>& segments) {
  if (!segments.empty() && segments[0] == "open") return {std::nullopt, false};
  return {method == "GET" ? AccessRole::kView : AccessRole::kOperate, method != "GET"};
}

TEST_F(ServerLimitsTest, ATokenThatMayViewChangesNothing) {
  ServerOptions options;
  options.need = ViewToRead;
  options.admission = [](std::string_view token) -> std::optional<Caller> {
    if (token == "v") return Caller{"grafana", AccessRole::kView};
    if (token == "o") return Caller{"ops", AccessRole::kOperate};
    return std::nullopt;
  };
  Start(options);
  const auto status = [&](const std::string& method, const std::string& token,
                          const std::string& target = "/echo") {
    return FetchBlocking(url_, method, target, "", token, seconds(5))->status;
  };
  EXPECT_EQ(status("GET", "v"), 200);
  EXPECT_EQ(status("POST", "v"), 403);
  EXPECT_EQ(status("GET", "o"), 200);
  EXPECT_EQ(status("POST", "o"), 200);
  EXPECT_EQ(status("GET", ""), 401);
  EXPECT_EQ(status("GET", "", "/open"), 404) << "it reaches the handler";
  const ServerCounts counts = Counts();
  EXPECT_EQ(counts.Of(Refused::kRole), 1U);
  EXPECT_EQ(counts.Of(Refused::kToken), 1U);
  EXPECT_EQ(counts.requests, 4U);
  EXPECT_EQ(counts.accepted, 6U);
}

TEST_F(ServerLimitsTest, EveryChangeIsToldWithWhoAskedAndRefusalsToo) {
  ServerOptions options;
  options.need = ViewToRead;
  options.admission = AdmitOnly("hunter2", {"ops", AccessRole::kOperate});
  auto lines = std::make_shared<std::vector<std::string>>();
  options.audit = [this, lines](const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines->push_back(line);
  };
  Start(options);
  (void)FetchBlocking(url_, "GET", "/echo", "", "hunter2", seconds(5));
  (void)FetchBlocking(url_, "POST", "/echo?x=hunter4", "hunter3", "hunter2", seconds(5));
  (void)FetchBlocking(url_, "POST", "/echo", "", "hunter5", seconds(5));
  const std::lock_guard lock(mutex_);
  ASSERT_EQ(lines->size(), 2U);
  EXPECT_EQ((*lines)[0].rfind("audit: token ops, from 127.0.0.1:", 0), 0U) << (*lines)[0];
  EXPECT_NE((*lines)[0].find(": POST /echo: 200 after "), std::string::npos) << (*lines)[0];
  EXPECT_EQ((*lines)[1].rfind("audit: no token, from 127.0.0.1:", 0), 0U) << (*lines)[1];
  EXPECT_NE((*lines)[1].find(": POST /echo: 401 after "), std::string::npos) << (*lines)[1];
  for (const std::string& line : *lines) EXPECT_EQ(line.find("hunter"), std::string::npos) << line;
}

TEST_F(ServerLimitsTest, AByteNowAndThenIsCutOffByTheWholeTime) {
  ServerOptions options;
  options.header_timeout = options.request_timeout = milliseconds(400);
  Start(options);
  for (const std::string bytes : {"GET /echo HTTP/1.1\r\nHost: somewhere\r\nX-Padding: yes\r\n",
                                  "POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\nxxxxxxxxxxxxxxxx"}) {
    tcp::socket socket(clients_);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    const std::size_t at_once = bytes.find("\r\n\r\n") == std::string::npos ? 0 : bytes.size() - 16;
    asio::write(socket, asio::buffer(bytes.substr(0, at_once)));
    const auto begun = std::chrono::steady_clock::now();
    boost::system::error_code error;
    for (std::size_t at = at_once; !error && std::chrono::steady_clock::now() - begun < seconds(10); ++at) {
      asio::write(socket, asio::buffer(&bytes[at % bytes.size()], 1), error);
      std::this_thread::sleep_for(milliseconds(50));  // the client's pace
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(5)) << bytes;
  }
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.Of(Refused::kSlow) == 2; }));
}

TEST_F(ServerLimitsTest, WhatIsTooLargeOrGarbageIsCounted) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  Start(options);
  (void)Raw("GET /echo HTTP/1.1\r\nX: " + std::string(100000, 'x') + "\r\n\r\n");
  (void)FetchBlocking(url_, "POST", "/echo", std::string(1001, 'x'), "", seconds(5));
  (void)Raw("*1\r\n$4\r\nPING\r\n\r\n");
  const ServerCounts counts = Counts();
  EXPECT_EQ(counts.Of(Refused::kTooLarge), 2U);
  EXPECT_EQ(counts.Of(Refused::kGarbage), 1U);
}

TEST_F(ServerLimitsTest, AStrangersBodyIsNotTakenIn) {
  ServerOptions options;
  options.admission = AdmitOnly("secret");
  Start(options);
  const std::string answer = Raw("POST /echo HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nxx", true);
  EXPECT_EQ(answer.rfind("HTTP/1.1 401 ", 0), 0U) << answer;
}

TEST_F(ServerLimitsTest, IdleStrangersMakeRoomForWhoeverComesNext) {
  ServerOptions options;
  options.max_connections = 20;
  options.admission = AdmitOnly("secret");
  Start(options);
  const auto idle = Idle(200);
  EXPECT_TRUE(
      Counted([](const ServerCounts& counts) { return counts.accepted == 200 && counts.open <= 20; }));
  auto response = Get("/echo", "secret");
  ASSERT_TRUE(response) << response.error().Message();
  EXPECT_EQ(response->status, 200);
  EXPECT_GE(Counts().Of(Refused::kEvicted), 180U);
}

TEST_F(ServerLimitsTest, ABodyIsNotTakenInWhereEverybodyMayAsk) {
  ServerOptions options;
  options.need = ViewToRead;
  options.admission = AdmitOnly("secret");
  Start(options);
  const std::string answer = Raw("POST /open HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nxx", true);
  EXPECT_EQ(answer.rfind("HTTP/1.1 413 ", 0), 0U) << answer;
  EXPECT_EQ(Counts().Of(Refused::kTooLarge), 1U);
  EXPECT_EQ(Get("/open")->status, 404) << "it reaches the handler";
}

TEST_F(ServerLimitsTest, ARefusedStrangerIsNotKept) {
  ServerOptions options;
  options.admission = AdmitOnly("secret");
  Start(options);
  const std::string answer = Raw("GET /echo HTTP/1.1\r\n\r\nGET /echo HTTP/1.1\r\n\r\n", false);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("401"), answer.rfind("401")) << answer;
}

TEST_F(ServerLimitsTest, StrangersThatTakeNoAnswersMakeRoomToo) {
  ServerOptions options;
  options.max_connections = 3;
  options.need = ViewToRead;
  options.admission = AdmitOnly("secret");
  Start(options);
  auto sockets = Idle(3);
  const std::string request = "GET /open HTTP/1.1\r\n\r\n";
  std::string many;
  while (many.size() < (1 << 16)) many += request;
  for (tcp::socket& socket : sockets) socket.non_blocking(true);
  // Until every answer waits, and no request is read any more.
  std::uint64_t served = 0;
  EXPECT_TRUE(test::Eventually(seconds(60), [&] {
    std::size_t sent = 0;
    for (tcp::socket& socket : sockets) {
      boost::system::error_code error;
      sent += socket.write_some(asio::buffer(many), error);
    }
    const std::uint64_t before = std::exchange(served, Counts().requests);
    return sent == 0 && served == before;
  }));
  ASSERT_GT(served, 1000U);
  auto response = Get("/echo", "secret");
  ASSERT_TRUE(response) << response.error().Message();
  EXPECT_EQ(response->status, 200);
}

TEST_F(ServerLimitsTest, AStreamNeedsAPathThatAsksWhoComes) {
  ServerOptions options;
  options.need = ViewToRead;
  options.admission = AdmitOnly("secret");
  Start(options);
  const std::string answer =
      Raw("GET /open HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_EQ(answer.rfind("HTTP/1.1 400 ", 0), 0U) << answer;
}

TEST_F(ServerLimitsTest, AStreamIsNotPutOutForStrangers) {
  ServerOptions options;
  options.max_connections = 20;
  options.admission = AdmitOnly("secret");
  Start(options);
  std::promise<void> made;
  std::unique_ptr<Subscription> subscription;
  std::atomic<int> lost{0};
  asio::post(context_, [&, this] {
    subscription =
        std::make_unique<Subscription>(context_.get_executor(), url_, "/stream", "secret", milliseconds(20),
                                       seconds(5), nullptr, [&](bool up) { lost += up ? 0 : 1; });
    made.set_value();
  });
  made.get_future().get();
  ASSERT_TRUE(Counted([](const ServerCounts& counts) { return counts.streams == 1; }));
  const auto idle = Idle(200);
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.accepted >= 201; }));
  EXPECT_EQ(Counts().streams, 1U);
  EXPECT_EQ(lost, 0);
  std::promise<void> gone;
  asio::post(context_, [&] {
    subscription.reset();
    gone.set_value();
  });
  gone.get_future().get();
}

TEST_F(ServerLimitsTest, AStreamEndsWhenItsTokenIsNobodysAnyMore) {
  ServerOptions options;
  auto valid = std::make_shared<std::atomic<bool>>(true);
  options.admission = [valid](std::string_view token) -> std::optional<Caller> {
    if (token != "secret" || !*valid) return std::nullopt;
    return Caller{"ops", AccessRole::kOperate};
  };
  Start(options);
  std::promise<void> made;
  std::unique_ptr<Subscription> subscription;
  asio::post(context_, [&, this] {
    subscription = std::make_unique<Subscription>(context_.get_executor(), url_, "/stream", "secret",
                                                  milliseconds(20), seconds(5), nullptr, nullptr);
    made.set_value();
  });
  made.get_future().get();
  ASSERT_TRUE(Counted([](const ServerCounts& counts) { return counts.streams == 1; }));
  *valid = false;
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.streams == 0; }));
  std::promise<void> gone;
  asio::post(context_, [&] {
    subscription.reset();
    gone.set_value();
  });
  gone.get_future().get();
}

TEST_F(ServerLimitsTest, AStreamIsHandedOverToAnotherTokenBeforeTheFirstIsTakenAway) {
  test::TempDirectory directory;
  const auto write = [&](const std::string& name, const std::string& content) {
    test::WritePrivateFile(directory.path() + "/" + name, content);
    return directory.path() + "/" + name;
  };
  ServerOptions options;
  const std::string server_file = write("server", "old\n");
  const std::string client_file = write("client", "old\n");
  options.admission = *MakeAdmission({{"ops", AccessRole::kOperate, "", server_file}});
  Start(options);
  auto shown = Credentials::Load({"token", AccessRole::kOperate, "", client_file}, std::nullopt);
  ASSERT_TRUE(shown);
  std::promise<void> made;
  std::unique_ptr<Subscription> subscription;
  std::atomic<int> up_or_down{0};
  std::atomic<int> messages{0};
  asio::post(context_, [&, this] {
    subscription = std::make_unique<Subscription>(
        context_.get_executor(), url_, "/stream", *shown, milliseconds(20), seconds(5),
        [&](const std::string&) { ++messages; }, [&](bool) { ++up_or_down; });
    made.set_value();
  });
  made.get_future().get();
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return messages == 1; }));
  write("server", "new\nold\n");
  write("client", "new\n");
  EXPECT_TRUE(test::Eventually(seconds(20), [&] { return messages == 2; })) << "of the stream that took over";
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.streams == 1; }));
  write("server", "new\n");
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return Get("/echo", "old")->status == 401; }));
  std::promise<bool> sent;
  asio::post(context_, [&] { sent.set_value(subscription->Send("still here")); });
  EXPECT_TRUE(sent.get_future().get());
  {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(arrived_.wait_for(lock, seconds(10), [this] { return !said_.empty(); }));
  }
  EXPECT_EQ(up_or_down, 1) << "it never was down";
  std::promise<void> gone;
  asio::post(context_, [&] {
    subscription.reset();
    gone.set_value();
  });
  gone.get_future().get();
}

TEST_F(ServerLimitsTest, GarbageOnAStreamEndsIt) {
  Start();
  const std::string upgrade =
      "GET /stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const auto opened_and = [&](const std::string& frames) {
    tcp::socket socket(clients_);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    asio::write(socket, asio::buffer(upgrade));
    std::string answer;
    asio::read_until(socket, asio::dynamic_buffer(answer), "\r\n\r\n");
    asio::write(socket, asio::buffer(frames));
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);  // until it is closed
    return answer;
  };
  EXPECT_NE(opened_and(std::string(200, '\xff')).find("HTTP/1.1 101 "), std::string::npos);
  // A frame that says it has 2^62 bytes.
  EXPECT_NE(opened_and(std::string("\x81\xff\x40\0\0\0\0\0\0\0abcd", 14)).find("HTTP/1.1 101 "),
            std::string::npos);
  // Frames before the answer.
  EXPECT_EQ(Raw(upgrade + std::string("\x81\x80"
                                      "abcd",
                                      6),
                false)
                .rfind("HTTP/1.1 400 ", 0),
            0U);
  EXPECT_TRUE(Counted([](const ServerCounts& counts) {
    return counts.Of(Refused::kGarbage) == 2 && counts.Of(Refused::kTooLarge) == 1 && counts.open == 0;
  }));
}

TEST_F(ServerLimitsTest, EveryReasonHasAName) {
  for (std::size_t i = 0; i < kRefusedCount; ++i)
    EXPECT_FALSE(ToString(static_cast<Refused>(i)).empty()) << i;
}

}  // namespace
}  // namespace walstitch::http
