#include "agents/http/rest_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <optional>
#include <unordered_set>

#include "agents/http/connect.h"
#include "agents/http/http_client.h"
#include "agents/http/keep_alive.h"

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 64 * 1024;
constexpr std::size_t kMaxRefusalBytes = 1U << 20;  // of the body of a stream that was not opened
constexpr std::size_t kReadBytes = 16 * 1024;

using BeastRequest = beast::http::request<beast::http::string_body>;
using TextParser = beast::http::response_parser<beast::http::string_body>;
using StreamParser = beast::http::response_parser<beast::http::buffer_body>;
using TlsContext = std::shared_ptr<asio::ssl::context>;

// A peer whose machine went away without a word is noticed by the kernel after half a minute, also on a
// stream that is silent by right.
constexpr KeepAlive kPeers{15, 5, 3};

// One connection: TCP, with TLS on it where there is a context. Whoever waits in it holds it.
class Connection {
 public:
  Connection(const asio::any_io_executor& executor, TlsContext context)
      : tcp_(executor), context_(std::move(context)) {
    if (context_) tls_.emplace(tcp_, *context_);
  }

  beast::tcp_stream& Tcp() { return tcp_; }
  beast::flat_buffer& Buffer() { return buffer_; }
  void Close() { tcp_.close(); }

  // Nothing may have come since the last response: bytes or an end say that the server is done with it.
  bool StillOpen() {
    if (!tcp_.socket().is_open() || buffer_.size() > 0) return false;
    char byte = 0;
    const auto got = ::recv(tcp_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  // Empty, or what is wrong with the server's end of TLS.
  asio::awaitable<std::string> Handshake(std::string host) {
    if (!tls_) co_return std::string();
    SSL* ssl = tls_->native_handle();
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
    error_code no_address;
    asio::ip::make_address(host, no_address);
    if (no_address) {
      X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      if (X509_VERIFY_PARAM_set1_host(verify, host.c_str(), host.size()) != 1 ||
          SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) != 1) {
        co_return "its name cannot be asked for in TLS";
      }
    } else if (X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) != 1) {
      co_return "its address cannot be checked in TLS";
    }
    error_code error;
    co_await tls_->async_handshake(asio::ssl::stream_base::client,
                                   asio::redirect_error(asio::use_awaitable, error));
    if (!error) co_return std::string();
    if (error == beast::error::timeout) co_return "no TLS connection in time";
    const long verdict = SSL_get_verify_result(ssl);
    if (verdict != X509_V_OK) {
      co_return std::string("its TLS certificate is refused: ") + X509_verify_cert_error_string(verdict);
    }
    co_return "no TLS connection: " + error.message();
  }

  asio::awaitable<error_code> Write(const BeastRequest* request) {
    error_code error;
    if (tls_) {
      co_await beast::http::async_write(*tls_, *request, asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await beast::http::async_write(tcp_, *request, asio::redirect_error(asio::use_awaitable, error));
    }
    co_return error;
  }

  asio::awaitable<error_code> ReadHeader(StreamParser* parser) {
    error_code error;
    if (tls_) {
      co_await beast::http::async_read_header(*tls_, buffer_, *parser,
                                              asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await beast::http::async_read_header(tcp_, buffer_, *parser,
                                              asio::redirect_error(asio::use_awaitable, error));
    }
    co_return error;
  }

  asio::awaitable<error_code> ReadSome(StreamParser* parser) {
    error_code error;
    if (tls_) {
      co_await beast::http::async_read_some(*tls_, buffer_, *parser,
                                            asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await beast::http::async_read_some(tcp_, buffer_, *parser,
                                            asio::redirect_error(asio::use_awaitable, error));
    }
    co_return error;
  }

  asio::awaitable<error_code> Read(TextParser* parser) {
    error_code error;
    if (tls_) {
      co_await beast::http::async_read(*tls_, buffer_, *parser,
                                       asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await beast::http::async_read(tcp_, buffer_, *parser,
                                       asio::redirect_error(asio::use_awaitable, error));
    }
    co_return error;
  }

 private:
  beast::tcp_stream tcp_;
  TlsContext context_;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;
  beast::flat_buffer buffer_;
};

using ConnectionPtr = std::shared_ptr<Connection>;

// Without its query, which may hold a key, and is of no use to a reader of logs.
std::string What(const RestRequest& request) {
  return request.method + " " + request.target.substr(0, request.target.find('?'));
}

std::string After(std::chrono::milliseconds time) { return " after " + std::to_string(time.count()) + " ms"; }

template <typename Fields>
std::string FieldText(const Fields& fields, beast::http::field name) {
  const auto text = fields[name];
  return {text.data(), text.size()};
}

}  // namespace

std::string ToString(const Origin& origin) {
  return (origin.tls ? "https://" : "http://") + HostField({origin.host, origin.port});
}

class RestClient::Impl : public std::enable_shared_from_this<RestClient::Impl> {
 public:
  Impl(asio::any_io_executor executor, Origin origin, RestOptions options)
      : executor_(std::move(executor)), origin_(std::move(origin)), options_(options) {
    if (origin_.tls) context_ = MakeContext();
  }

  Result<void> Trust(std::string_view pem) {
    if (!origin_.tls || (!pem_.empty() && pem == pem_)) return {};
    TlsContext context = MakeContext();
    X509_STORE* store = SSL_CTX_get_cert_store(context->native_handle());
    BIO* bytes = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    std::size_t taken = 0;
    while (X509* certificate = PEM_read_bio_X509(bytes, nullptr, nullptr, nullptr)) {
      if (X509_STORE_add_cert(store, certificate) == 1) ++taken;
      X509_free(certificate);
    }
    BIO_free(bytes);
    // The end of the text counts as an error, too.
    ERR_clear_error();
    if (taken == 0) {
      return Fail(ErrorCode::kInvalid, "there is no certificate in what should be trusted for " +
                                           ToString(origin_) +
                                           ": expected PEM, one or more blocks BEGIN CERTIFICATE");
    }
    pem_ = pem;
    context_ = std::move(context);
    DropIdle();  // it was trusted for another reason
    return {};
  }

  Result<void> TrustSystem() {
    if (!origin_.tls) return {};
    TlsContext context = MakeContext();
    if (SSL_CTX_set_default_verify_paths(context->native_handle()) != 1) {
      ERR_clear_error();
      return Fail(ErrorCode::kIo, "the system's certificate authorities cannot be read");
    }
    ERR_clear_error();  // a file that is not there is none
    pem_.clear();
    context_ = std::move(context);
    DropIdle();
    return {};
  }

  void Stop() {
    stopped_ = true;
    DropIdle();
    const auto active = active_;  // closing may take some out of the set
    for (const auto& connection : active) connection->Close();
  }

  [[nodiscard]] const Origin& Server() const { return origin_; }

  static asio::awaitable<Result<RestResponse>> Send(std::shared_ptr<Impl> self, RestRequest request) {
    const auto deadline = steady_clock::now() + request.timeout;
    const bool repeatable = request.method == "GET";
    const BeastRequest message = self->MakeMessage(&request);
    for (ConnectionPtr kept = self->TakeIdle();; kept = nullptr) {
      auto connection = co_await Use(self, kept, deadline);
      if (!connection) co_return Fail(connection.error());
      const Active active(self.get(), *connection);
      TextParser parser;
      parser.header_limit(kMaxHeaderBytes);
      parser.body_limit(self->options_.max_response_bytes);
      if (request.method == "HEAD") parser.skip(true);
      (*connection)->Tcp().expires_at(deadline);
      const error_code written = co_await (*connection)->Write(&message);
      // A server may answer and close before it has read the whole request: so read in any case.
      const error_code error = co_await (*connection)->Read(&parser);
      if (error) {
        const bool late = error == beast::error::timeout || written == beast::error::timeout;
        if (kept && repeatable && !late && !parser.got_some() && !self->stopped_) continue;
        co_return Fail(self->Lost(request, error, late));
      }
      if (!written && parser.get().keep_alive() && !parser.get().need_eof()) self->KeepIdle(*connection);
      co_return Taken(&parser.get());
    }
  }

  static asio::awaitable<Result<RestResponse>> StreamLines(std::shared_ptr<Impl> self, RestRequest request,
                                                           StreamLimits limits, std::function<void()> opened,
                                                           std::function<bool(std::string_view)> line,
                                                           Interrupt interrupt) {
    const auto deadline = steady_clock::now() + request.timeout;
    const BeastRequest message = self->MakeMessage(&request);
    for (ConnectionPtr kept = self->TakeIdle();; kept = nullptr) {
      if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
      auto connected = co_await Use(self, kept, deadline, interrupt);
      if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
      if (!connected) co_return Fail(connected.error());
      const ConnectionPtr connection = *connected;
      const Active active(self.get(), connection);
      const Wake wake(&interrupt, connection);
      StreamParser parser;
      parser.header_limit(kMaxHeaderBytes);
      parser.body_limit(boost::none);
      connection->Tcp().expires_at(deadline);
      error_code error = co_await connection->Write(&message);
      if (!error) error = co_await connection->ReadHeader(&parser);
      if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
      if (error) {
        const bool late = error == beast::error::timeout;
        if (kept && !late && !parser.got_some() && !self->stopped_) continue;
        co_return Fail(self->Lost(request, error, late));
      }
      co_return co_await ReadLines(self, connection, &parser, request, limits, opened, line, interrupt);
    }
  }

 private:
  // In the set for as long as somebody waits in the connection, so that Stop() finds it.
  class Active {
   public:
    Active(Impl* impl, ConnectionPtr connection)
        : impl_(impl->weak_from_this()), connection_(std::move(connection)) {
      impl->active_.insert(connection_);
    }
    ~Active() {
      if (const auto impl = impl_.lock()) impl->active_.erase(connection_);
    }
    Active(const Active&) = delete;
    Active& operator=(const Active&) = delete;

   private:
    std::weak_ptr<Impl> impl_;
    ConnectionPtr connection_;
  };

  // Lets an Interrupt close the connection, for as long as somebody waits in it.
  class Wake {
   public:
    Wake(Interrupt* interrupt, const ConnectionPtr& connection) : state_(interrupt->state_) {
      state_->wake = [connection] { connection->Close(); };
    }
    ~Wake() { state_->wake = nullptr; }
    Wake(const Wake&) = delete;
    Wake& operator=(const Wake&) = delete;

   private:
    std::shared_ptr<Interrupt::State> state_;
  };

  static TlsContext MakeContext() {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    context->set_verify_mode(asio::ssl::verify_peer);
    // What the operator named is trusted, whether it is at the root of its chain or not.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->native_handle()), X509_V_FLAG_PARTIAL_CHAIN);
    return context;
  }

  [[nodiscard]] std::string Where() const { return HostField({origin_.host, origin_.port}); }

  [[nodiscard]] BeastRequest MakeMessage(RestRequest* request) const {
    BeastRequest message;
    message.version(11);
    message.method_string(request->method);
    message.target(request->target);
    message.set(beast::http::field::host, Where());
    message.set(beast::http::field::user_agent, "walstitch");
    if (!request->token.empty()) message.set(beast::http::field::authorization, "Bearer " + request->token);
    if (!request->body.empty()) message.set(beast::http::field::content_type, request->content_type);
    for (const auto& [name, value] : request->fields) message.set(name, value);
    message.keep_alive(true);
    message.body() = std::move(request->body);
    message.prepare_payload();
    return message;
  }

  ConnectionPtr TakeIdle() {
    ConnectionPtr kept = std::exchange(idle_, nullptr);
    if (!kept) return nullptr;
    if (!stopped_ && steady_clock::now() < idle_until_ && kept->StillOpen()) return kept;
    kept->Close();
    return nullptr;
  }

  void KeepIdle(const ConnectionPtr& connection) {
    if (stopped_ || idle_ || connection->Buffer().size() > 0) return;
    connection->Tcp().expires_never();
    idle_until_ = steady_clock::now() + options_.max_idle;
    idle_ = connection;
  }

  void DropIdle() {
    if (const ConnectionPtr kept = std::exchange(idle_, nullptr)) kept->Close();
  }

  // `kept`, or a new connection.
  static asio::awaitable<Result<ConnectionPtr>> Use(std::shared_ptr<Impl> self, ConnectionPtr kept,
                                                    steady_clock::time_point deadline,
                                                    std::optional<Interrupt> interrupt = std::nullopt) {
    const std::string stopped = self->Where() + ": this client was stopped";
    if (self->stopped_) co_return Fail(ErrorCode::kUnavailable, stopped);
    if (kept) co_return kept;
    const auto connect_by = std::min(deadline, steady_clock::now() + self->options_.connect_timeout);
    const ConnectionPtr connection = std::make_shared<Connection>(self->executor_, self->context_);
    const Active active(self.get(), connection);
    std::optional<Wake> wake;
    if (interrupt) wake.emplace(&*interrupt, connection);
    const Url url{self->origin_.host, self->origin_.port, self->origin_.tls};
    auto connected = co_await Connect(&connection->Tcp(), url, connect_by);
    if (!connected) co_return Fail(connected.error());
    if (self->stopped_) co_return Fail(ErrorCode::kUnavailable, stopped);
    NoticeDeadPeer(connection->Tcp().socket().native_handle(), kPeers);
    const std::string wrong = co_await connection->Handshake(self->origin_.host);
    if (!wrong.empty()) {
      connection->Close();
      co_return Fail(ErrorCode::kUnavailable, self->Where() + ": " + wrong);
    }
    co_return connection;
  }

  static asio::awaitable<Result<RestResponse>> ReadLines(std::shared_ptr<Impl> self, ConnectionPtr connection,
                                                         StreamParser* parser, RestRequest request,
                                                         StreamLimits limits, std::function<void()> opened,
                                                         std::function<bool(std::string_view)> line,
                                                         Interrupt interrupt) {
    const bool ok = parser->get().result_int() == 200;
    if (ok && opened) opened();
    std::string rest;  // what has come of the next line; or of the body, where the status is another
    std::array<char, kReadBytes> bytes{};
    while (!parser->is_done()) {
      if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
      parser->get().body().data = bytes.data();
      parser->get().body().size = bytes.size();
      connection->Tcp().expires_after(limits.idle);
      error_code error = co_await connection->ReadSome(parser);
      if (error == beast::http::error::need_buffer) error = {};
      if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
      const std::size_t got = bytes.size() - parser->get().body().size;
      std::size_t end = rest.size();  // before it, no line ends
      rest.append(bytes.data(), got);
      if (error) {
        connection->Close();
        if (error == beast::error::timeout) {
          co_return Fail(ErrorCode::kTimeout,
                         self->Where() + ": " + What(request) + ": silence" + After(limits.idle));
        }
        co_return Fail(ErrorCode::kTimeout,
                       self->Where() + ": " + What(request) + ": the stream was lost: " + error.message());
      }
      std::size_t begin = 0;
      while (ok && (end = rest.find('\n', end)) != std::string::npos) {
        const bool more = line(std::string_view(rest).substr(begin, end - begin));
        if (interrupt.IsSet()) co_return Fail(self->Interrupted(request));
        if (!more) {
          connection->Close();
          co_return Taken(&parser->get());
        }
        begin = ++end;
      }
      rest.erase(0, begin);
      if (rest.size() > (ok ? limits.max_line_bytes : kMaxRefusalBytes)) {
        connection->Close();
        co_return Fail(ErrorCode::kInvalid, self->Where() + ": " + What(request) +
                                                ": more bytes without the end of a line than can be right");
      }
    }
    if (parser->get().keep_alive() && !parser->get().need_eof()) self->KeepIdle(connection);
    if (ok && !rest.empty()) (void)line(rest);
    RestResponse response = Taken(&parser->get());
    if (!ok) response.body = std::move(rest);
    co_return response;
  }

  static RestResponse Taken(TextParser::value_type* message) {
    RestResponse response = Head(*message);
    response.body = std::move(message->body());
    return response;
  }
  static RestResponse Taken(StreamParser::value_type* message) { return Head(*message); }

  template <typename Message>
  static RestResponse Head(const Message& message) {
    RestResponse response;
    response.status = static_cast<int>(message.result_int());
    response.content_type = FieldText(message, beast::http::field::content_type);
    response.retry_after = FieldText(message, beast::http::field::retry_after);
    return response;
  }

  [[nodiscard]] Error Lost(const RestRequest& request, error_code error, bool late) const {
    if (late) {
      return {ErrorCode::kTimeout, Where() + ": no answer to " + What(request) + After(request.timeout)};
    }
    if (error == beast::http::error::body_limit || error == beast::http::error::header_limit) {
      return {ErrorCode::kTimeout, Where() + ": the answer to " + What(request) + " is larger than is taken"};
    }
    return {ErrorCode::kTimeout, Where() + ": the connection was lost before the answer to " + What(request) +
                                     ": " + error.message()};
  }

  [[nodiscard]] Error Interrupted(const RestRequest& request) const {
    return {ErrorCode::kUnavailable, Where() + ": " + What(request) + ": ended from this side"};
  }

  asio::any_io_executor executor_;
  Origin origin_;
  RestOptions options_;
  TlsContext context_;
  std::string pem_;
  ConnectionPtr idle_;
  steady_clock::time_point idle_until_{};
  std::unordered_set<ConnectionPtr> active_;
  bool stopped_ = false;
};

RestClient::RestClient(asio::any_io_executor executor, Origin origin, RestOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(origin), options)) {}
RestClient::~RestClient() { impl_->Stop(); }
Result<void> RestClient::Trust(std::string_view pem) { return impl_->Trust(pem); }
Result<void> RestClient::TrustSystem() { return impl_->TrustSystem(); }
void RestClient::Stop() { impl_->Stop(); }
const Origin& RestClient::Server() const { return impl_->Server(); }

asio::awaitable<Result<RestResponse>> RestClient::Send(RestRequest request) {
  return Impl::Send(impl_, std::move(request));
}

asio::awaitable<Result<RestResponse>> RestClient::StreamLines(RestRequest request, StreamLimits limits,
                                                              std::function<void()> opened,
                                                              std::function<bool(std::string_view)> line,
                                                              Interrupt interrupt) {
  return Impl::StreamLines(impl_, std::move(request), limits, std::move(opened), std::move(line),
                           std::move(interrupt));
}

}  // namespace walstitch::http
