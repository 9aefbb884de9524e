#include "agents/relay/connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agents/http/keep_alive.h"

namespace walstitch::relay {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// 1. A machine goes away without a word, and what it had asked through a gate is silent by right. 2. Its
// connection is counted for ever among those that may be open. So the kernel asks after a while whether
// somebody is there.
constexpr http::KeepAlive kAccepted{60, 15, 4};

// Of the other side's certificate. False: it cannot be asked for.
bool ExpectIn(SSL* ssl, const std::string& name) {
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
  boost::system::error_code no_address;
  asio::ip::make_address(name, no_address);
  if (!no_address) return X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size()) == 1;
}

// The same, and the server is told. False: it cannot be asked for.
bool ExpectName(SSL* ssl, const std::string& name) {
  if (!ExpectIn(ssl, name)) return false;
  boost::system::error_code no_address;
  asio::ip::make_address(name, no_address);
  if (!no_address) return true;
  // SSL_set_tlsext_host_name, without its cast.
  std::string mutable_name = name;
  return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, mutable_name.data()) == 1;
}

// What is wrong with the other side's certificate; empty: nothing.
std::string CertificateProblem(SSL* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  return verdict == X509_V_OK ? "" : X509_verify_cert_error_string(verdict);
}

}  // namespace

struct Connection::Tls {
  Tls(tcp::socket& socket, std::shared_ptr<asio::ssl::context> given)
      : context(std::move(given)), stream(socket, *context) {}
  std::shared_ptr<asio::ssl::context> context;
  asio::ssl::stream<tcp::socket&> stream;
};

Connection::Connection(asio::any_io_executor executor)
    : socket_(executor), resolver_(executor), reading_(executor), writing_(executor) {}

Connection::Connection(tcp::socket socket)
    : socket_(std::move(socket)),
      resolver_(socket_.get_executor()),
      reading_(socket_.get_executor()),
      writing_(socket_.get_executor()) {
  boost::system::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  http::NoticeDeadPeer(socket_.native_handle(), kAccepted);
}

Connection::~Connection() = default;

asio::awaitable<Result<void>> Connection::Connect(Endpoint endpoint, std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  Arm(&Connection::writing_, timeout);
  std::vector<tcp::endpoint> candidates;
  boost::system::error_code error;
  const asio::ip::address address = asio::ip::make_address(endpoint.host, error);
  if (!error) {
    candidates.emplace_back(address, endpoint.port);
  } else {
    const std::string service = std::to_string(endpoint.port);
    auto [resolve_error, found] = co_await resolver_.async_resolve(endpoint.host, service, kAwait);
    if (resolve_error || closed_) {
      Disarm(writing_);
      co_return Fail(Broken("resolving the host name", resolve_error, timeout));
    }
    for (const auto& entry : found) candidates.push_back(entry.endpoint());
  }
  error = asio::error::host_not_found;
  for (const tcp::endpoint& candidate : candidates) {
    boost::system::error_code ignored;
    socket_.close(ignored);
    auto [connect_error] = co_await socket_.async_connect(candidate, kAwait);
    error = connect_error;
    if (!error || closed_) break;
  }
  Disarm(writing_);
  if (error || closed_) co_return Fail(Broken("connecting", error, timeout));
  socket_.set_option(tcp::no_delay(true), error);
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  co_return Result<void>();
}

asio::awaitable<Result<void>> Connection::StartTls(std::shared_ptr<asio::ssl::context> context,
                                                   std::string name, std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  tls_ = std::make_unique<Tls>(socket_, std::move(context));
  SSL* ssl = tls_->stream.native_handle();
  if (!ExpectName(ssl, name)) {
    Close();
    co_return Fail(ErrorCode::kUnavailable, "TLS: its name cannot be asked for");
  }
  Arm(&Connection::writing_, timeout);
  auto [error] = co_await tls_->stream.async_handshake(asio::ssl::stream_base::client, kAwait);
  Disarm(writing_);
  if (!error && !closed_) co_return Result<void>();
  const std::string problem = error ? CertificateProblem(ssl) : "";
  if (!problem.empty() && !closed_) {
    Close();
    co_return Fail(ErrorCode::kUnavailable, "its TLS certificate is refused: " + problem);
  }
  co_return Fail(Broken("TLS", error, timeout));
}

asio::awaitable<Result<void>> Connection::AcceptTls(std::shared_ptr<asio::ssl::context> context,
                                                    Demand demand, std::string read,
                                                    std::chrono::milliseconds timeout,
                                                    std::string client_name) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  tls_ = std::make_unique<Tls>(socket_, std::move(context));
  SSL* ssl = tls_->stream.native_handle();
  if (demand == Demand::kCertificate)
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (!client_name.empty() && !ExpectIn(ssl, client_name)) {
    Close();
    co_return Fail(ErrorCode::kUnavailable, "TLS: its name cannot be asked for");
  }
  Arm(&Connection::reading_, timeout);
  const asio::const_buffer begun = asio::buffer(read);
  auto [error, size] = co_await tls_->stream.async_handshake(asio::ssl::stream_base::server, begun, kAwait);
  Disarm(reading_);
  if (error || closed_) co_return Fail(Broken("TLS", error, timeout));
  co_return Result<void>();
}

asio::awaitable<Result<std::size_t>> Connection::Read(asio::mutable_buffer buffer,
                                                      std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  Arm(&Connection::reading_, timeout);
  boost::system::error_code error;
  std::size_t size = 0;
  if (tls_) {
    std::tie(error, size) = co_await tls_->stream.async_read_some(buffer, kAwait);
    // Whether the end was announced is of no interest: what is read says itself where it ends.
    if (error == asio::ssl::error::stream_truncated) error = asio::error::eof;
  } else {
    std::tie(error, size) = co_await socket_.async_read_some(buffer, kAwait);
  }
  Disarm(reading_);
  if (error || closed_) co_return Fail(Broken("reading", error, timeout));
  co_return size;
}

asio::awaitable<Result<void>> Connection::Write(asio::const_buffer bytes, std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  Arm(&Connection::writing_, timeout);
  boost::system::error_code error;
  std::size_t size = 0;
  if (tls_) {
    std::tie(error, size) = co_await asio::async_write(tls_->stream, bytes, kAwait);
  } else {
    std::tie(error, size) = co_await asio::async_write(socket_, bytes, kAwait);
  }
  Disarm(writing_);
  if (error || closed_) co_return Fail(Broken("writing", error, timeout));
  co_return Result<void>();
}

void Connection::EndWriting() {
  boost::system::error_code ignored;
  if (!closed_) socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

bool Connection::OnLoopback() const {
  boost::system::error_code here;
  boost::system::error_code there;
  const tcp::endpoint local = socket_.local_endpoint(here);
  const tcp::endpoint remote = socket_.remote_endpoint(there);
  return !here && !there && local.address().is_loopback() && remote.address().is_loopback();
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  Disarm(reading_);
  Disarm(writing_);
}

void Connection::Arm(Deadline Connection::*deadline, std::chrono::milliseconds timeout) {
  if (timeout == kNoDeadline) return;
  Deadline& watched = this->*deadline;
  watched.timer.expires_after(timeout);
  watched.timer.async_wait(
      [weak = weak_from_this(), deadline, watch = watched.watch](boost::system::error_code error) {
        if (error) return;
        const std::shared_ptr<Connection> self = weak.lock();
        if (!self || (self.get()->*deadline).watch != watch) return;
        self->timed_out_ = true;
        self->Close();
      });
}

void Connection::Disarm(Deadline& deadline) {
  ++deadline.watch;
  deadline.timer.cancel();
}

Error Connection::Broken(std::string_view doing, const boost::system::error_code& error,
                         std::chrono::milliseconds timeout) {
  std::string text(doing);
  if (timed_out_) {
    text += ": timed out after " + std::to_string(timeout.count()) + " ms";
  } else if (closed_) {
    text = "closed";
  } else if (error == asio::error::eof) {
    text = "the other side closed the connection";
  } else {
    text += ": " + error.message();
  }
  Close();
  return {ErrorCode::kUnavailable, std::move(text)};
}

asio::awaitable<void> Event::Wait(SteadyTime deadline) {
  // Leaves the list also when the coroutine is destroyed while it waits.
  struct Waiter {
    Waiter(std::list<asio::steady_timer*>& list, asio::steady_timer& timer)
        : waiting(list), place(list.insert(list.end(), &timer)) {}
    ~Waiter() { waiting.erase(place); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    std::list<asio::steady_timer*>& waiting;
    std::list<asio::steady_timer*>::iterator place;
  };
  asio::steady_timer timer(executor_, deadline);
  const Waiter waiter(waiting_, timer);
  co_await timer.async_wait(kAwait);
}

void Event::Notify() {
  for (asio::steady_timer* timer : waiting_) timer->cancel();
}

}  // namespace walstitch::relay
