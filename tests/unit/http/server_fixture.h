// A server on a thread of its own, for tests of it and of its clients.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "agents/http/http_server.h"
#include "tests/support/environment.h"

namespace walstitch::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline asio::awaitable<Response> Echo(Request request) {
  if (request.path == "/throw") throw std::runtime_error("the handler broke");
  if (request.path != "/echo") co_return JsonError(404, "no such path");
  co_return Response{200, request.method + "|" + request.body + "|" + request.caller.name, "text/plain"};
}

// A server on a thread of its own. Streams that come in are kept.
class ServerTest : public ::testing::Test {
 protected:
  void Start(ServerOptions options = {}) {
    server_ = std::make_unique<Server>(context_.get_executor(), options, Echo,
                                       [this](const Request& request, std::shared_ptr<Stream> stream) {
                                         if (request.path != "/stream") return;
                                         stream->Send("hello");
                                         stream->OnMessage([this](std::string message) {
                                           std::lock_guard lock(mutex_);
                                           said_.push_back(std::move(message));
                                           arrived_.notify_all();
                                         });
                                         std::lock_guard lock(mutex_);
                                         stream_ = std::move(stream);
                                         arrived_.notify_all();
                                       });
    ASSERT_TRUE(server_->Start());
    url_ = {"127.0.0.1", std::to_string(server_->Port())};
    guard_.emplace(asio::make_work_guard(context_));
    thread_ = std::thread([this] { context_.run(); });
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
      server_->Stop();
      std::lock_guard lock(mutex_);
      stream_.reset();
      guard_.reset();
    });
    thread_.join();
  }

  Result<ClientResponse> Get(const std::string& target, const std::string& token = "") {
    return FetchBlocking(url_, "GET", target, "", token, seconds(5));
  }

  // Sends raw bytes, and reads until the server closes.
  std::string Raw(const std::string& bytes, bool shut = true) {
    asio::io_context context;
    tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(bytes), error);
    if (shut) socket.shutdown(tcp::socket::shutdown_send, error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }

  ServerCounts Counts() {
    std::promise<ServerCounts> counts;
    asio::post(context_, [&, this] { counts.set_value(server_->Counts()); });
    return counts.get_future().get();
  }

  // Whether the counts come to be like that.
  bool Counted(const std::function<bool(const ServerCounts&)>& condition) {
    return test::Eventually(seconds(10), [&] { return condition(Counts()); });
  }

  asio::io_context context_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  Url url_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::shared_ptr<Stream> stream_;
  std::vector<std::string> said_;  // to the stream
};

}  // namespace walstitch::http
