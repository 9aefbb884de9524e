#include "agents/relay/connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <utility>
#include <vector>

namespace walstitch::relay {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
}  // namespace

Connection::Connection(asio::any_io_executor executor)
    : socket_(executor), resolver_(executor), reading_(executor), writing_(executor) {}

Connection::Connection(tcp::socket socket)
    : socket_(std::move(socket)),
      resolver_(socket_.get_executor()),
      reading_(socket_.get_executor()),
      writing_(socket_.get_executor()) {
  boost::system::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
}

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

asio::awaitable<Result<std::size_t>> Connection::Read(asio::mutable_buffer buffer,
                                                      std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  Arm(&Connection::reading_, timeout);
  auto [error, size] = co_await socket_.async_read_some(buffer, kAwait);
  Disarm(reading_);
  if (error || closed_) co_return Fail(Broken("reading", error, timeout));
  co_return size;
}

asio::awaitable<Result<void>> Connection::Write(asio::const_buffer bytes, std::chrono::milliseconds timeout) {
  const std::shared_ptr<Connection> self = shared_from_this();
  if (closed_) co_return Fail(ErrorCode::kUnavailable, "closed");
  Arm(&Connection::writing_, timeout);
  auto [error, size] = co_await asio::async_write(socket_, bytes, kAwait);
  Disarm(writing_);
  if (error || closed_) co_return Fail(Broken("writing", error, timeout));
  co_return Result<void>();
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
