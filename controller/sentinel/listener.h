// Listens for clients that speak Sentinel's protocol. Everything that a client can make grow is bounded: how
// many there are, how large a request is, how long one may take to be sent, how much waits for a client that
// does not read and for all of them, how long one may be silent; and of the thread they have a share
// (share.h). What is answered is decided by session.h.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/http/access.h"
#include "controller/sentinel/events.h"
#include "controller/sentinel/knowledge.h"
#include "controller/sentinel/resp.h"
#include "policies/model/result.h"

namespace walstitch::sentinel {

struct ListenerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;     // 0: a free one, see Port()
  http::Admission admission;  // empty: there are no tokens
  // What whoever has shown no token may do; nullopt: nothing.
  std::optional<http::AccessRole> anonymous = http::AccessRole::kOperate;
  std::function<void(const std::string& line)>
      audit;  // of orders, and of those refused; empty: nobody is told
  std::size_t max_connections = 1000;
  RequestLimits limits;
  // Of events that wait for one subscriber, who is disconnected beyond it: it would learn of a switch too
  // late anyway, and asks anew when it comes back.
  std::size_t max_output = 256 * 1024;
  std::size_t max_waiting = 64 * 1024 * 1024;  // for all clients together; whoever has most is disconnected
  // From a request's first byte to its last; and in which a client takes some of what waits for it
  // (reading.h).
  std::chrono::milliseconds request_timeout{10000};
  std::chrono::milliseconds idle_timeout{600000};  // without a request; subscribers may be silent for ever
};

// Runs on one executor, which one thread runs: call every method from there, or while it does not run. No
// callback is called after Stop(), but an order that is under way goes on.
class Listener {
 public:
  // What is known at this moment; the listener's own counts are filled in.
  using Ask = std::function<Knowledge()>;
  // The order that another node becomes the group's master, `by` whose token was shown: what it is answered
  // when it is done.
  using Order = std::function<boost::asio::awaitable<Reply>(std::string group, std::string by)>;

  Listener(boost::asio::any_io_executor executor, ListenerOptions options, Ask ask, Order order);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> Start();
  void Stop();
  [[nodiscard]] std::uint16_t Port() const;

  // Tells the subscribers.
  void Publish(const std::vector<Event>& events);
  [[nodiscard]] ListenerCounts Counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::sentinel
