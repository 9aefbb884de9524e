#include "agents/http/http_client.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json.hpp>
#include <deque>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "agents/http/connect.h"
#include "agents/http/wire.h"
#include "policies/model/json.h"
#include "policies/model/names.h"

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kMaxResponseBytes = 256ULL << 20;
constexpr std::size_t kMaxStreamMessage = 16ULL << 20;
constexpr std::size_t kMaxOutgoingMessages = 64;  // queued towards a slow server
constexpr std::size_t kMaxOutgoingBytes = 1ULL << 20;
constexpr int kUnauthorized = 401;
// A connection that has stood for so long is made anew at once when it is lost.
constexpr std::chrono::seconds kStood{1};
// How often it is looked whether there is another token to show.
constexpr std::chrono::seconds kRenewal{1};
constexpr std::chrono::seconds kRefusedRenewal{30};  // with a token that was refused

// Connects, in TLS where the URL says so. An Error is kUnavailable: nothing was sent.
asio::awaitable<Result<void>> Reach(Wire* wire, Url url, Credentials credentials,
                                    steady_clock::time_point deadline, bool* refused) {
  if (url.tls && !credentials.Tls()) {
    co_return Fail(ErrorCode::kUnavailable, ToString(url) +
                                                ": no TLS is set up on this side: which certificates "
                                                "are trusted?");
  }
  auto connected = co_await Connect(&wire->Tcp(), url, deadline, refused);
  if (!connected || !url.tls) co_return connected;
  auto context = credentials.Tls()->Context();
  const std::string& name = credentials.Tls()->Files().server_name;
  wire->Tcp().expires_at(deadline);
  const std::string wrong = co_await wire->Greet(std::move(context), name.empty() ? url.host : name);
  if (wrong.empty()) co_return Result<void>();
  wire->Close();
  co_return Fail(ErrorCode::kUnavailable, HostField(url) + ": " + wrong);
}

// What is asked, whoever it is shown by.
struct Question {
  Url url;
  std::string method;
  std::string target;
  std::string body;
  std::chrono::milliseconds timeout;
};

asio::awaitable<Result<ClientResponse>> AskOnce(const Question* question, Credentials credentials,
                                                std::string token, steady_clock::time_point deadline,
                                                bool* refused) {
  const Url& url = question->url;
  Wire wire(co_await asio::this_coro::executor);
  auto connected = co_await Reach(&wire, url, credentials, deadline, refused);
  if (!connected) co_return Fail(connected.error());

  beast::http::request<beast::http::string_body> request;
  request.version(11);
  request.method_string(question->method);
  request.target(question->target);
  request.set(beast::http::field::host, HostField(url));
  request.set(beast::http::field::user_agent, "walstitch");
  if (!token.empty()) request.set(beast::http::field::authorization, "Bearer " + token);
  if (!question->body.empty()) request.set(beast::http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = question->body;
  request.prepare_payload();

  error_code error;
  wire.Tcp().expires_at(deadline);
  co_await beast::http::async_write(wire, request, asio::redirect_error(asio::use_awaitable, error));
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(kMaxResponseBytes);
  if (question->method == "HEAD") parser.skip(true);
  // A server may answer and close before it has read the whole request: so read in any case.
  error_code read_error;
  co_await beast::http::async_read(wire, buffer, parser,
                                   asio::redirect_error(asio::use_awaitable, read_error));
  if (read_error) {
    // Without its query, which may hold a key, and is of no use to a reader of logs.
    const std::string what = question->method + " " + question->target.substr(0, question->target.find('?'));
    if (read_error == beast::error::timeout || error == beast::error::timeout) {
      co_return Fail(ErrorCode::kTimeout, HostField(url) + ": no answer to " + what + " after " +
                                              std::to_string(question->timeout.count()) + " ms");
    }
    // The last word of a handshake comes after the first of the request.
    if (IsTlsRefusal(read_error)) {
      co_return Fail(ErrorCode::kUnavailable,
                     HostField(url) + ": it refuses the TLS connection: " + read_error.message());
    }
    co_return Fail(ErrorCode::kTimeout, HostField(url) + ": the connection was lost before the answer to " +
                                            what + ": " + read_error.message());
  }
  ClientResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  response.body = std::move(parser.get().body());
  error_code ignored;
  wire.Tcp().socket().shutdown(tcp::socket::shutdown_both, ignored);
  co_return response;
}

asio::awaitable<Result<ClientResponse>> FetchTelling(Url url, std::string method, std::string target,
                                                     std::string body, Credentials credentials,
                                                     std::chrono::milliseconds timeout, bool* refused) {
  const auto deadline = steady_clock::now() + timeout;
  const Question question{std::move(url), std::move(method), std::move(target), std::move(body), timeout};
  const std::string token = credentials.Token();
  auto response = co_await AskOnce(&question, credentials, token, deadline, refused);
  if (!response || response->status != kUnauthorized) co_return response;
  // Nothing was done. A token that is being exchanged is not in every file at the same time.
  for (const std::string& other : credentials.Instead(token)) {
    auto again = co_await AskOnce(&question, credentials, other, deadline, refused);
    if (!again || again->status != kUnauthorized) co_return again;
  }
  co_return response;
}

}  // namespace

asio::awaitable<Result<ClientResponse>> Fetch(Url url, std::string method, std::string target,
                                              std::string body, Credentials credentials,
                                              std::chrono::milliseconds timeout) {
  return FetchTelling(std::move(url), std::move(method), std::move(target), std::move(body),
                      std::move(credentials), timeout, nullptr);
}

asio::awaitable<Result<std::string>> FetchBody(Url url, std::string method, std::string target,
                                               std::string body, Credentials credentials,
                                               std::chrono::milliseconds timeout) {
  auto response = co_await Fetch(std::move(url), std::move(method), std::move(target), std::move(body),
                                 std::move(credentials), timeout);
  if (!response) co_return Fail(response.error());
  if (response->status != 200) co_return Fail(ErrorOf(*response));
  co_return std::move(response->body);
}

asio::awaitable<Exchange> FetchOrRefused(Url url, std::string method, std::string target, std::string body,
                                         Credentials credentials, std::chrono::milliseconds timeout) {
  bool refused = false;
  auto response = co_await FetchTelling(std::move(url), std::move(method), std::move(target), std::move(body),
                                        std::move(credentials), timeout, &refused);
  co_return Exchange{std::move(response), refused};
}

Result<ClientResponse> FetchBlocking(const Url& url, std::string method, std::string target, std::string body,
                                     Credentials credentials, std::chrono::milliseconds timeout) {
  asio::io_context context(1);
  std::optional<Result<ClientResponse>> result;
  asio::co_spawn(
      context,
      Fetch(url, std::move(method), std::move(target), std::move(body), std::move(credentials), timeout),
      [&result](std::exception_ptr exception, Result<ClientResponse> response) {
        if (exception) std::rethrow_exception(exception);
        result = std::move(response);
      });
  // Not run(): that would also wait for a name resolution which has been given up.
  while (!result && context.run_one() > 0) {
  }
  WALSTITCH_CHECK(result.has_value());
  return std::move(*result);
}

class Subscription::Impl : public std::enable_shared_from_this<Subscription::Impl> {
 public:
  Impl(asio::any_io_executor executor, Url url, std::string target, Credentials credentials,
       std::chrono::milliseconds retry, std::chrono::milliseconds silence,
       std::function<void(std::string)> message, std::function<void(bool)> state)
      : executor_(std::move(executor)),
        timer_(executor_),
        renewal_(executor_),
        url_(std::move(url)),
        target_(std::move(target)),
        credentials_(std::move(credentials)),
        retry_(retry),
        silence_(silence),
        message_(std::move(message)),
        state_(std::move(state)) {}

  void Start() {
    asio::co_spawn(executor_, Run(shared_from_this()), asio::detached);
    asio::co_spawn(executor_, Renew(shared_from_this()), asio::detached);
  }

  void Stop() {
    stopped_ = true;
    timer_.cancel();
    renewal_.cancel();
    for (const auto& stream : {stream_, next_, retired_}) {
      if (stream) stream->next_layer().Close();
    }
  }

  bool Send(std::string message) {
    if (stopped_ || !open_ || outgoing_.size() >= kMaxOutgoingMessages ||
        outgoing_bytes_ + message.size() > kMaxOutgoingBytes) {
      return false;
    }
    outgoing_bytes_ += message.size();
    outgoing_.push_back(std::make_shared<std::string>(std::move(message)));
    if (outgoing_.size() == 1) Write();
    return true;
  }

 private:
  using WebSocket = websocket::stream<Wire, false>;

  // The first of the queue stays there until it is written.
  void Write() {
    auto message = outgoing_.front();
    auto stream = stream_;
    stream->text(true);
    stream->async_write(asio::buffer(*message),
                        [self = shared_from_this(), stream, message](error_code error, std::size_t) {
                          // What an earlier connection comes to is nobody's business any more.
                          if (self->stream_ != stream || !self->open_) return;
                          if (error) {
                            stream->next_layer().Close();  // the read ends, and with it the connection
                            return;
                          }
                          self->outgoing_bytes_ -= message->size();
                          self->outgoing_.pop_front();
                          if (!self->outgoing_.empty()) self->Write();
                        });
  }

  static asio::awaitable<void> Run(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      // The stream outlives a Stop() in the middle of an operation: both hold it.
      auto stream = std::make_shared<WebSocket>(self->executor_);
      self->stream_ = stream;
      bool at_once = false;
      const auto begun = steady_clock::now();
      if (!self->trying_) self->token_ = self->credentials_.Token();
      const Opened opened = co_await Open(self, stream, self->token_, true);
      if (opened == Opened::kYes) {
        self->open_ = true;
        self->trying_ = false;
        if (self->state_) self->state_(true);
        do {
          stream = self->stream_;  // another may have taken over
          co_await Read(self, stream);
        } while (!self->stopped_ && self->stream_ != stream);
        self->open_ = false;
        self->outgoing_.clear();
        self->outgoing_bytes_ = 0;
        at_once = steady_clock::now() - begun >= kStood;
        if (!self->stopped_ && self->state_) self->state_(false);
      } else if (opened == Opened::kTokenRefused) {
        at_once = self->ShowAnother();
      } else {
        self->trying_ = false;
      }
      stream->next_layer().Close();
      if (self->stopped_) break;
      if (at_once) continue;
      error_code ignored;
      self->timer_.expires_after(self->retry_);
      co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    self->stream_.reset();
  }

  enum class Opened { kYes, kNo, kTokenRefused };

  // Another token of the file, for the next attempt. False: all of them were refused.
  bool ShowAnother() {
    if (!trying_) instead_ = credentials_.Instead(token_);
    trying_ = !instead_.empty();
    if (!trying_) return false;
    token_ = instead_.front();
    instead_.erase(instead_.begin());
    return true;
  }

  // 1. A token is taken out of the file of a server. 2. The server ends the streams that were opened with
  // it. 3. Until another stands, no report comes. So when this side's file has another one, a stream with
  // that is opened, and takes over; the old one is read until it has ended.
  static asio::awaitable<void> Renew(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code ignored;
      self->renewal_.expires_after(kRenewal);
      co_await self->renewal_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (const auto retired = std::exchange(self->retired_, nullptr)) retired->next_layer().Close();
      if (self->stopped_) co_return;
      std::string token = self->credentials_.Token();
      if (!self->open_ || token == self->token_) continue;
      // A server that was forgotten when its token was exchanged is asked now and then only.
      if (token == self->refused_ && steady_clock::now() - self->refused_at_ < kRefusedRenewal) continue;
      const auto before = self->stream_;
      const auto next = std::make_shared<WebSocket>(self->executor_);
      self->next_ = next;
      const Opened opened = co_await Open(self, next, token, false);
      self->next_ = nullptr;
      if (opened == Opened::kTokenRefused) {
        self->refused_ = token;
        self->refused_at_ = steady_clock::now();
      }
      if (opened != Opened::kYes || !self->open_ || self->stream_ != before || !self->outgoing_.empty()) {
        next->next_layer().Close();
        continue;
      }
      self->retired_ = std::exchange(self->stream_, next);
      self->token_ = std::move(token);
    }
  }

  static asio::awaitable<Opened> Open(std::shared_ptr<Impl> self, std::shared_ptr<WebSocket> stream,
                                      std::string token, bool complains) {
    auto deadline = steady_clock::now() + self->silence_;
    auto connected = co_await Reach(&stream->next_layer(), self->url_, self->credentials_, deadline, nullptr);
    if (!connected && !self->stopped_ && complains) self->Complain(connected.error().Message());
    if (!connected || self->stopped_) co_return Opened::kNo;
    stream->next_layer().Tcp().expires_never();
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = self->silence_;
    timeout.idle_timeout = self->silence_;
    timeout.keep_alive_pings = true;
    stream->set_option(timeout);
    stream->read_message_max(kMaxStreamMessage);
    stream->set_option(websocket::stream_base::decorator([token](websocket::request_type& request) {
      request.set(beast::http::field::user_agent, "walstitch");
      if (!token.empty()) request.set(beast::http::field::authorization, "Bearer " + token);
    }));
    error_code error;
    websocket::response_type response;
    co_await stream->async_handshake(response, HostField(self->url_), self->target_,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (self->stopped_) co_return Opened::kNo;
    if (!error) {
      self->complaint_.clear();
      co_return Opened::kYes;
    }
    const bool declined = error == websocket::error::upgrade_declined;
    if (declined && complains) {
      self->Complain("HTTP status " + std::to_string(response.result_int()));
    } else if (IsTlsRefusal(error) && complains) {
      self->Complain("it refuses the TLS connection: " + error.message());
    }
    co_return declined&& response.result_int() == kUnauthorized ? Opened::kTokenRefused : Opened::kNo;
  }

  // What comes again and again is said once.
  void Complain(const std::string& why) {
    if (why == complaint_) return;
    complaint_ = why;
    spdlog::warn("There is no stream from {}{}: {}.", ToString(url_), target_, why);
  }

  static asio::awaitable<void> Read(std::shared_ptr<Impl> self, std::shared_ptr<WebSocket> stream) {
    beast::flat_buffer buffer;
    while (!self->stopped_) {
      error_code error;
      co_await stream->async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
      if (error || self->stopped_) co_return;
      std::string text(static_cast<const char*>(buffer.cdata().data()), buffer.size());
      buffer.consume(buffer.size());
      if (self->message_) self->message_(std::move(text));
    }
  }

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  asio::steady_timer renewal_;
  Url url_;
  std::string target_;
  Credentials credentials_;
  std::string token_;                 // what the stream was opened with, or the next attempt shows
  std::vector<std::string> instead_;  // what it shows after that one was refused
  bool trying_ = false;               // one of those
  std::string refused_;               // by a renewal, at `refused_at_`
  steady_clock::time_point refused_at_;
  std::string complaint_;
  std::chrono::milliseconds retry_;
  std::chrono::milliseconds silence_;
  std::function<void(std::string)> message_;
  std::function<void(bool)> state_;
  std::shared_ptr<WebSocket> stream_;
  std::shared_ptr<WebSocket> next_;     // is being opened, to take over
  std::shared_ptr<WebSocket> retired_;  // another has taken over
  std::deque<std::shared_ptr<std::string>> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  bool open_ = false;
  bool stopped_ = false;
};

Subscription::Subscription(asio::any_io_executor executor, Url url, std::string target,
                           Credentials credentials, std::chrono::milliseconds retry,
                           std::chrono::milliseconds silence, std::function<void(std::string)> message,
                           std::function<void(bool)> state)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(url), std::move(target),
                                   std::move(credentials), retry, silence, std::move(message),
                                   std::move(state))) {
  impl_->Start();
}
Subscription::~Subscription() { impl_->Stop(); }
bool Subscription::Send(std::string message) { return impl_->Send(std::move(message)); }

namespace {

ErrorCode CodeOf(int status) {
  switch (status) {
    case 400:
      return ErrorCode::kInvalid;
    case 404:
      return ErrorCode::kUnavailable;  // not without a code
    case 409:
      return ErrorCode::kConflict;
    case 503:
      return ErrorCode::kUnavailable;
    case 504:
      return ErrorCode::kTimeout;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

Error ErrorOf(const ClientResponse& response) {
  ErrorCode code = CodeOf(response.status);
  std::string sentence = "HTTP status " + std::to_string(response.status);
  const auto json = ParseJson(response.body);
  const auto* object = json ? json->if_object() : nullptr;
  if (object == nullptr) return {code, sentence};
  if (const auto* error = object->if_contains("error"); error != nullptr && error->is_string()) {
    sentence = std::string(error->get_string());
  }
  if (const auto* name = object->if_contains("code"); name != nullptr && name->is_string()) {
    code = FromString<ErrorCode>(std::string_view(name->get_string())).value_or(code);
  }
  return {code, sentence};
}

}  // namespace walstitch::http
