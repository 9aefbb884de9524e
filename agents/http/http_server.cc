#include "agents/http/http_server.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <exception>
#include <unordered_set>
#include <utility>

#include "agents/http/http_text.h"

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kMaxConnections = 1024;
constexpr std::size_t kMaxStreamMessages = 1024;          // queued for one slow reader
constexpr std::size_t kMaxStreamBytes = 8 * 1024 * 1024;  // of them, together
constexpr std::size_t kMaxIncomingMessage = 64 * 1024;    // of a stream's client
constexpr std::size_t kMaxDrainBytes = 4 * 1024 * 1024;   // read and dropped behind a refused request
constexpr std::chrono::seconds kDrainTime{2};

using RequestParser = beast::http::request_parser<beast::http::string_body>;
using BeastResponse = beast::http::response<beast::http::string_body>;

// What to tell a client whose bytes are no request.
Response Refusal(error_code refused) {
  using beast::http::error;
  if (refused == error::header_limit) {
    return JsonError(431,
                     "the request's header is larger than " + std::to_string(kMaxHeaderBytes) + " bytes");
  }
  if (refused == error::body_limit)
    return JsonError(413, "the request's body is larger than this server takes");
  if (refused == error::bad_version) return JsonError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  return JsonError(400, "this is not a valid HTTP request: " + refused.message());
}

bool IsParseError(error_code error) {
  return error.category() == beast::http::make_error_code(beast::http::error::bad_method).category() &&
         error != beast::http::error::end_of_stream && error != beast::http::error::partial_message;
}

// One accepted connection. The WebSocket's stream owns the TCP stream from the beginning; plain HTTP
// uses the layer beneath it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(tcp::socket socket) : websocket_(std::move(socket)) {}

  beast::tcp_stream& Tcp() { return websocket_.next_layer(); }
  websocket::stream<beast::tcp_stream>& WebSocket() { return websocket_; }

  void Close() {
    open_ = false;
    queue_.clear();
    queued_bytes_ = 0;
    receive_ = nullptr;  // it may hold what holds us
    Tcp().close();
  }

  // As a stream: messages go out one after the other, the queue is bounded.
  void Send(std::string message) {
    if (!open_) return;
    queued_bytes_ += message.size();
    queue_.push_back(std::make_shared<std::string>(std::move(message)));
    if (queue_.size() > kMaxStreamMessages || queued_bytes_ > kMaxStreamBytes) {
      Close();
      return;
    }
    if (!writing_) Write();
  }
  [[nodiscard]] bool Open() const { return open_; }
  void MarkOpen() { open_ = true; }

  void OnMessage(std::function<void(std::string)> receive) {
    if (open_) receive_ = std::move(receive);
  }
  void Receive(std::string message) {
    const auto receive = receive_;  // it may close us, or put another in its place
    if (receive) receive(std::move(message));
  }

 private:
  void Write() {
    writing_ = true;
    auto message = queue_.front();
    websocket_.text(true);
    websocket_.async_write(asio::buffer(*message),
                           [self = shared_from_this(), message](error_code error, std::size_t) {
                             self->writing_ = false;
                             if (error || !self->open_) {
                               self->Close();
                               return;
                             }
                             self->queued_bytes_ -= message->size();
                             self->queue_.pop_front();
                             if (!self->queue_.empty()) self->Write();
                           });
  }

  websocket::stream<beast::tcp_stream> websocket_;
  std::deque<std::shared_ptr<std::string>> queue_;
  std::size_t queued_bytes_ = 0;
  std::function<void(std::string)> receive_;
  bool writing_ = false;
  bool open_ = false;
};

// What the stream handler holds. Letting go of the last reference ends the connection.
class StreamEnd : public Stream {
 public:
  explicit StreamEnd(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~StreamEnd() override { connection_->Close(); }
  StreamEnd(const StreamEnd&) = delete;
  StreamEnd& operator=(const StreamEnd&) = delete;

  void Send(std::string message) override { connection_->Send(std::move(message)); }
  [[nodiscard]] bool Open() const override { return connection_->Open(); }
  void OnMessage(std::function<void(std::string)> receive) override {
    connection_->OnMessage(std::move(receive));
  }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

Response JsonError(int status, std::string_view sentence) {
  boost::json::object object;
  object["error"] = boost::json::string_view(sentence.data(), sentence.size());
  return {status, boost::json::serialize(object), "application/json"};
}

Response JsonError(const Error& error) {
  int status = 500;
  switch (error.Code()) {
    case ErrorCode::kInvalid:
      status = 400;
      break;
    case ErrorCode::kNotFound:
      status = 404;
      break;
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
      status = 409;
      break;
    case ErrorCode::kUnavailable:
      status = 503;
      break;
    case ErrorCode::kTimeout:
      status = 504;
      break;
    case ErrorCode::kDamaged:
    case ErrorCode::kIo:
      status = 500;
      break;
  }
  boost::json::object object;
  object["error"] = error.Message();
  object["code"] = ToString(error.Code());
  return {status, boost::json::serialize(object), "application/json"};
}

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::any_io_executor executor, ServerOptions options, Handler handler, StreamHandler streams)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        handler_(std::move(handler)),
        streams_(std::move(streams)),
        acceptor_(executor_) {}

  Result<void> Start() {
    const std::string where = "cannot listen on " + options_.host + ":" + std::to_string(options_.port);
    error_code error;
    auto address = asio::ip::make_address(options_.host, error);
    if (error) {
      tcp::resolver resolver(executor_);
      auto found = resolver.resolve(options_.host, std::to_string(options_.port), error);
      if (error || found.empty()) {
        return Fail(ErrorCode::kInvalid,
                    where + ": '" + options_.host + "' is no address of this machine: " + error.message());
      }
      address = found.begin()->endpoint().address();
    }
    tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      error_code ignored;
      acceptor_.close(ignored);
      return Fail(ErrorCode::kIo, where + ": " + error.message());
    }
    asio::co_spawn(executor_, Accept(shared_from_this()), asio::detached);
    return {};
  }

  void Stop() {
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    auto connections = connections_;  // closing may take some out of the set
    for (const auto& connection : connections) connection->Close();
  }

  [[nodiscard]] std::uint16_t Port() const { return port_; }

 private:
  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code error;
      tcp::socket socket =
          co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (self->stopped_) co_return;
      if (error) {
        // Out of file descriptors, most likely: waiting is all that helps.
        asio::steady_timer timer(self->executor_, std::chrono::milliseconds(100));
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      if (self->connections_.size() >= kMaxConnections) continue;  // closes it
      socket.set_option(tcp::no_delay(true), error);
      auto connection = std::make_shared<Connection>(std::move(socket));
      self->connections_.insert(connection);
      asio::co_spawn(self->executor_, Serve(self, connection), [self, connection](std::exception_ptr) {
        connection->Close();
        self->connections_.erase(connection);
      });
    }
  }

  static asio::awaitable<void> Serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
    beast::tcp_stream& stream = connection->Tcp();
    beast::flat_buffer buffer;
    while (!self->stopped_) {
      error_code error;
      RequestParser parser;
      parser.header_limit(kMaxHeaderBytes);
      parser.body_limit(self->options_.max_body_bytes);
      // One deadline for the whole request: a client that drips bytes gets no further than an idle one.
      stream.expires_after(self->options_.idle_timeout);
      co_await beast::http::async_read_header(stream, buffer, parser,
                                              asio::redirect_error(asio::use_awaitable, error));
      if (!error && beast::iequals(parser.get()[beast::http::field::expect], "100-continue")) {
        co_await asio::async_write(stream, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                                   asio::redirect_error(asio::use_awaitable, error));
      }
      if (!error) {
        co_await beast::http::async_read(stream, buffer, parser,
                                         asio::redirect_error(asio::use_awaitable, error));
      }
      if (error) {
        if (IsParseError(error)) {
          bool sent = co_await Write(self, connection, Refusal(error), 11, false, false);
          if (sent) co_await Drain(connection);
        }
        co_return;
      }

      auto message = parser.release();
      const unsigned version = message.version();
      const bool head = message.method() == beast::http::verb::head;
      bool keep_alive = message.keep_alive();
      Response response;
      Request request;
      auto target = ParseTarget(std::string_view(message.target().data(), message.target().size()));
      auto authorization = message[beast::http::field::authorization];
      request.bearer = BearerToken(std::string_view(authorization.data(), authorization.size()));
      const auto& open = self->options_.open_paths;
      bool needs_token = !self->options_.token.empty() &&
                         !(target && std::find(open.begin(), open.end(), target->path) != open.end());
      if (needs_token && !SameSecret(request.bearer, self->options_.token)) {
        response = JsonError(401, request.bearer.empty()
                                      ? "a token is needed: send the header Authorization: Bearer <token>"
                                      : "the token is not the one that this server expects");
      } else if (!target) {
        response = JsonError(target.error());
      } else {
        request.method = std::string_view(message.method_string().data(), message.method_string().size());
        request.path = std::move(target->path);
        request.segments = std::move(target->segments);
        request.query = std::move(target->query);
        if (websocket::is_upgrade(message)) {
          if (self->streams_) {
            co_await ServeStream(self, connection, std::move(message), std::move(request));
            co_return;
          }
          response = JsonError(400, "there is no WebSocket stream here");
        } else {
          request.body = std::move(message.body());
          stream.expires_never();  // the handler has deadlines of its own
          response = co_await Call(self, std::move(request));
          if (self->stopped_) keep_alive = false;
        }
      }
      bool sent = co_await Write(self, connection, std::move(response), version, keep_alive, head);
      if (!sent || !keep_alive) {
        error_code ignored;
        stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
        co_return;
      }
    }
  }

  static asio::awaitable<Response> Call(std::shared_ptr<Impl> self, Request request) {
    std::string what;
    try {
      co_return co_await self->handler_(std::move(request));
    } catch (const std::exception& exception) {
      what = exception.what();
    }
    co_return JsonError(500, "internal error: " + what);
  }

  // False if the connection is of no more use.
  static asio::awaitable<bool> Write(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection,
                                     Response response, unsigned version, bool keep_alive, bool head) {
    BeastResponse message;
    message.version(version == 10 ? 10 : 11);
    message.result(static_cast<unsigned>(response.status));
    message.set(beast::http::field::server, "walstitch");
    message.set(beast::http::field::content_type, response.content_type);
    message.set(beast::http::field::cache_control, "no-store");
    if (response.status == 401) message.set(beast::http::field::www_authenticate, "Bearer");
    message.keep_alive(keep_alive);
    if (!head) message.body() = std::move(response.body);
    message.prepare_payload();
    error_code error;
    connection->Tcp().expires_after(self->options_.idle_timeout);
    co_await beast::http::async_write(connection->Tcp(), message,
                                      asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  // 1. A client sends a body that is too large. 2. We answer 413 and close with its bytes unread. 3. The
  // kernel answers them with a reset, which may overtake our answer. So read on for a moment.
  static asio::awaitable<void> Drain(std::shared_ptr<Connection> connection) {
    error_code error;
    connection->Tcp().socket().shutdown(tcp::socket::shutdown_send, error);
    connection->Tcp().expires_after(kDrainTime);
    std::vector<char> bytes(16 * 1024);
    std::size_t total = 0;
    while (!error && total < kMaxDrainBytes) {
      total += co_await connection->Tcp().async_read_some(asio::buffer(bytes),
                                                          asio::redirect_error(asio::use_awaitable, error));
    }
  }

  static asio::awaitable<void> ServeStream(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection,
                                           beast::http::request<beast::http::string_body> message,
                                           Request request) {
    auto& stream = connection->WebSocket();
    connection->Tcp().expires_never();  // the WebSocket has timeouts of its own
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = self->options_.idle_timeout;
    timeout.idle_timeout = self->options_.idle_timeout;
    timeout.keep_alive_pings = true;
    stream.set_option(timeout);
    stream.read_message_max(kMaxIncomingMessage);
    error_code error;
    co_await stream.async_accept(message, asio::redirect_error(asio::use_awaitable, error));
    if (error || self->stopped_) co_return;
    connection->MarkOpen();
    self->streams_(request, std::make_shared<StreamEnd>(connection));
    beast::flat_buffer incoming;
    while (connection->Open() && !error) {
      co_await stream.async_read(incoming, asio::redirect_error(asio::use_awaitable, error));
      if (error || !connection->Open()) break;
      std::string text(static_cast<const char*>(incoming.cdata().data()), incoming.size());
      incoming.consume(incoming.size());
      if (stream.got_text()) connection->Receive(std::move(text));
    }
  }

  asio::any_io_executor executor_;
  ServerOptions options_;
  Handler handler_;
  StreamHandler streams_;
  tcp::acceptor acceptor_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
};

Server::Server(asio::any_io_executor executor, ServerOptions options, Handler handler, StreamHandler streams)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(handler),
                                   std::move(streams))) {}
Server::~Server() { Stop(); }
Result<void> Server::Start() { return impl_->Start(); }
void Server::Stop() { impl_->Stop(); }
std::uint16_t Server::Port() const { return impl_->Port(); }

}  // namespace walstitch::http
