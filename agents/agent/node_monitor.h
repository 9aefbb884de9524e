// Looks at the node: asks INFO again and again, on a thread and a connection of its own, so that a node
// that hangs delays nothing else. It notices at once when its connection ends (the process died).
//
// `seen` is called on the executor, which must outlive Stop(). Every other method from there, too.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "agents/agent/report_builder.h"
#include "agents/node/kvrocks_client.h"

namespace walstitch::agent {

struct MonitorOptions {
  std::chrono::milliseconds interval{250};
  std::chrono::milliseconds quick_interval{25};  // for a while after something changed
  std::chrono::milliseconds quick_time{500};
};

class NodeMonitor {
 public:
  NodeMonitor(boost::asio::any_io_executor executor, node::ClientOptions client, MonitorOptions options,
              std::function<void(Observation)> seen);
  ~NodeMonitor();
  NodeMonitor(const NodeMonitor&) = delete;
  NodeMonitor& operator=(const NodeMonitor&) = delete;

  void Start();
  void Stop();  // joins; idempotent

  // Look now. The answer is an observation whose `served` is at least the number returned: it was begun
  // after this call.
  std::uint64_t Request();

 private:
  void Run();
  Observation Look(node::KvrocksClient& client);
  bool Rest(const node::KvrocksClient& client, std::chrono::milliseconds time);

  boost::asio::any_io_executor executor_;
  node::ClientOptions client_options_;
  MonitorOptions options_;
  std::function<void(Observation)> seen_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> requested_{0};
  int wake_ = -1;  // eventfd
  std::thread thread_;

  // The thread's own.
  std::optional<std::uint64_t> asked_of_;  // the process whose configuration is known
  std::optional<std::string> database_name_;
  std::optional<bool> replication_id_psync_;
};

}  // namespace walstitch::agent
