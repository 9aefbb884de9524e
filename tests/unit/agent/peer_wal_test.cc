#include "agents/agent/peer_wal.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agents/http/http_server.h"
#include "policies/model/json.h"

namespace walstitch::agent {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// A peer's API on a free port, which answers everything with `answer`.
class PeerWalTest : public ::testing::Test {
 protected:
  Result<TailBatches> Ask(std::optional<std::string> url = std::nullopt,
                          milliseconds timeout = milliseconds(5000)) {
    asio::io_context context(1);
    asio::thread_pool pool(1);
    http::ServerOptions options;
    options.admission = http::AdmitOnly("secret");
    http::Server server(
        context.get_executor(), options, [this](http::Request request) { return Answer(std::move(request)); },
        [](const http::Request&, std::shared_ptr<http::Stream>) {});
    EXPECT_TRUE(server.Start());
    HttpPeerWal peer("shop", token_, pool);
    const std::string at = url.value_or("http://127.0.0.1:" + std::to_string(server.Port()));
    std::optional<Result<TailBatches>> result;
    auto asked = lent_ ? peer.Lent("n1", at, Sequence(101), 4096, timeout)
                       : peer.Tail("n1", at, Sequence(101), 4096, timeout);
    asio::co_spawn(context, std::move(asked), [&](std::exception_ptr broken, Result<TailBatches> value) {
      if (broken) std::rethrow_exception(broken);
      result = std::move(value);
      server.Stop();
      context.stop();
    });
    context.run();
    pool.join();
    return std::move(*result);
  }
  asio::awaitable<http::Response> Answer(http::Request request) {
    path_ = request.path;
    from_ = request.query["from"];
    max_bytes_ = request.query["max_bytes"];
    if (silent_) {
      asio::steady_timer never(co_await asio::this_coro::executor, std::chrono::hours(1));
      co_await never.async_wait(asio::use_awaitable);
    }
    co_return answer_;
  }
  void ExpectError(ErrorCode code, const std::string& words) {
    const auto tail = Ask();
    ASSERT_FALSE(tail.has_value());
    EXPECT_EQ(tail.error().Code(), code) << tail.error().Message();
    EXPECT_NE(tail.error().Message().find(words), std::string::npos) << tail.error().Message();
    EXPECT_EQ(tail.error().Message().rfind("agent at http://127.0.0.1:", 0), 0u) << tail.error().Message();
  }

  std::string token_ = "secret";
  http::Response answer_;
  bool silent_ = false;
  bool lent_ = false;
  std::string path_;
  std::string from_;
  std::string max_bytes_;
};

TEST_F(PeerWalTest, ATailComesAsItWasServed) {
  TailBatches served;
  served.batches = {RangeBytes{std::string("\0\r\n\xff", 4)}, RangeBytes{std::string(300000, 'x')}};
  served.next = Sequence(104);
  served.more = true;
  answer_ = http::Response{200, Dump(ToJson(served)), "application/json"};
  const auto tail = Ask();
  ASSERT_TRUE(tail.has_value()) << tail.error().Message();
  EXPECT_EQ(*tail, served);
  EXPECT_EQ(path_, "/v1/wal/tail");
  EXPECT_EQ(from_, "101");
  EXPECT_EQ(max_bytes_, "4096");
}

TEST_F(PeerWalTest, WhatANodeLendsIsAskedForAtAPathOfItsOwn) {
  TailBatches served;
  served.batches = {RangeBytes{"batch"}};
  served.next = Sequence(102);
  answer_ = http::Response{200, Dump(ToJson(served)), "application/json"};
  lent_ = true;
  const auto lent = Ask();
  ASSERT_TRUE(lent.has_value()) << lent.error().Message();
  EXPECT_EQ(*lent, served);
  EXPECT_EQ(path_, "/v1/wal/lent");
  EXPECT_EQ(from_, "101");
}

TEST_F(PeerWalTest, AnErrorOfThePeerKeepsItsSentenceAndCode) {
  answer_ = http::JsonError(Error(ErrorCode::kDamaged, "000012.log: a checksum is wrong"));
  ExpectError(ErrorCode::kDamaged, "000012.log: a checksum is wrong");
}

TEST_F(PeerWalTest, AStatusWithoutASentenceIsNamed) {
  answer_ = http::Response{404, "<html>", "text/html"};
  ExpectError(ErrorCode::kUnavailable, "HTTP status 404");  // a path that it does not know
}

TEST_F(PeerWalTest, AnAnswerThatIsNoJsonIsAnError) {
  answer_ = http::Response{200, "{\"batches\":[", "application/json"};
  ExpectError(ErrorCode::kInvalid, "JSON");
}

TEST_F(PeerWalTest, AnAnswerOfAnotherKindIsAnError) {
  answer_ = http::Response{200, "{\"batches\":7}", "application/json"};
  ExpectError(ErrorCode::kInvalid, "batches");
}

TEST_F(PeerWalTest, APeerWithAnotherTokenRefuses) {
  token_ = "another";
  answer_ = http::Response{200, Dump(ToJson(TailBatches{})), "application/json"};
  ExpectError(ErrorCode::kIo, "token");
}

TEST_F(PeerWalTest, APeerThatDoesNotAnswerIsATimeout) {
  silent_ = true;
  const auto tail = Ask(std::nullopt, milliseconds(50));
  ASSERT_FALSE(tail.has_value());
  EXPECT_EQ(tail.error().Code(), ErrorCode::kTimeout) << tail.error().Message();
}

TEST_F(PeerWalTest, APeerThatIsNotThereIsUnavailable) {
  const auto tail = Ask("http://127.0.0.1:1");
  ASSERT_FALSE(tail.has_value());
  EXPECT_EQ(tail.error().Code(), ErrorCode::kUnavailable) << tail.error().Message();
}

TEST_F(PeerWalTest, AnAddressThatIsNoneIsInvalid) {
  const auto tail = Ask("ftp://n3");
  ASSERT_FALSE(tail.has_value());
  EXPECT_EQ(tail.error().Code(), ErrorCode::kInvalid) << tail.error().Message();
}

}  // namespace
}  // namespace walstitch::agent
