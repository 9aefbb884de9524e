// A connection, TCP or TLS on it, with a deadline on every await, and an event to wait for. What all sessions
// of the relay are made of.
//
// Everything here belongs to one executor that one thread runs; nothing is locked. An awaited operation
// must not outlive its Connection or Event: the coroutine that awaits holds a shared_ptr to the owner.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "policies/model/report.h"
#include "policies/model/result.h"

namespace boost::asio::ssl {
class context;
}

namespace walstitch::relay {

// Gives what one new connection shall use, so that certificates can be exchanged meanwhile. Empty: no TLS.
using TlsContexts = std::function<std::shared_ptr<boost::asio::ssl::context>()>;

using SteadyTime = std::chrono::steady_clock::time_point;

// For waits that end with their session, not with time: for a node to read, or to say something.
inline constexpr std::chrono::milliseconds kNoDeadline = std::chrono::milliseconds::max();

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(boost::asio::any_io_executor executor);
  explicit Connection(boost::asio::ip::tcp::socket socket);
  ~Connection();

  // All of them fail with kUnavailable, closing the connection, when the other side closes, the deadline
  // passes, or Close() is called meanwhile. The text says which, and nothing of whom.
  boost::asio::awaitable<Result<void>> Connect(Endpoint endpoint, std::chrono::milliseconds timeout);
  // TLS from here on. `name`: what the other side's certificate must be for.
  boost::asio::awaitable<Result<void>> StartTls(std::shared_ptr<boost::asio::ssl::context> context,
                                                std::string name, std::chrono::milliseconds timeout);
  // The server's end. `read`: what was read already. Whatever certificate the other side shows must be good
  // by the context; with kCertificate it must show one, which is for `client_name` unless that is empty.
  enum class Demand { kNothing, kCertificate };
  boost::asio::awaitable<Result<void>> AcceptTls(std::shared_ptr<boost::asio::ssl::context> context,
                                                 Demand demand, std::string read,
                                                 std::chrono::milliseconds timeout,
                                                 std::string client_name = {});
  boost::asio::awaitable<Result<std::size_t>> Read(boost::asio::mutable_buffer buffer,
                                                   std::chrono::milliseconds timeout);
  boost::asio::awaitable<Result<void>> Write(boost::asio::const_buffer bytes,
                                             std::chrono::milliseconds timeout);

  // Nothing more is written; the other side sees the end behind what was.
  void EndWriting();
  void Close();
  [[nodiscard]] bool Closed() const { return closed_; }
  // Both ends are on this machine, so that the end of the other process is always seen.
  [[nodiscard]] bool OnLoopback() const;
  // It was closed because a deadline passed.
  [[nodiscard]] bool TimedOut() const { return timed_out_; }
  [[nodiscard]] boost::asio::any_io_executor Executor() { return socket_.get_executor(); }

 private:
  // A deadline that has passed can have its handler queued behind the operation that it watched, which
  // ended in time; `watch` tells the handler that it comes too late.
  struct Deadline {
    explicit Deadline(boost::asio::any_io_executor executor) : timer(std::move(executor)) {}
    boost::asio::steady_timer timer;
    std::uint64_t watch = 0;
  };
  void Arm(Deadline Connection::*deadline, std::chrono::milliseconds timeout);
  static void Disarm(Deadline& deadline);
  [[nodiscard]] Error Broken(std::string_view doing, const boost::system::error_code& error,
                             std::chrono::milliseconds timeout);

  struct Tls;

  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<Tls> tls_;  // refers to socket_
  boost::asio::ip::tcp::resolver resolver_;
  Deadline reading_;
  Deadline writing_;
  bool timed_out_ = false;
  bool closed_ = false;
};

// Something may have changed: whoever waits looks again.
class Event {
 public:
  explicit Event(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Returns when notified, or at the deadline; look at the condition in a loop.
  boost::asio::awaitable<void> Wait(SteadyTime deadline);
  void Notify();
  [[nodiscard]] boost::asio::any_io_executor Executor() const { return executor_; }

 private:
  boost::asio::any_io_executor executor_;
  std::list<boost::asio::steady_timer*> waiting_;
};

// The end of a spawned coroutine. They return errors; an exception is a defect, and shall be seen.
struct TaskEnd {
  void operator()(std::exception_ptr exception) const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace walstitch::relay
