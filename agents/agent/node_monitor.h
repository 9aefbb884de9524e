// Looks at the node: asks INFO again and again, on a thread and a connection of its own, so that a node
// that hangs delays nothing else. It notices at once when the process ends: by a pidfd where it may hold one,
// and by the end of its connection otherwise.
//
// The process is the one that holds RocksDB's lock: what INFO says of its pid may be of another namespace.
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
#include <string>
#include <thread>

#include "agents/agent/report_builder.h"
#include "agents/node/kvrocks_client.h"

namespace walstitch::agent {

struct MonitorOptions {
  std::chrono::milliseconds interval{250};
  std::chrono::milliseconds quick_interval{25};  // for a while after something changed
  std::chrono::milliseconds quick_time{500};
  std::string database_directory;  // db/ itself; empty: no process is watched
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
  void WatchProcess();
  void LetProcessGo();

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
  std::optional<bool> empties_before_full_sync_;
  std::chrono::steady_clock::time_point next_config_look_;
  int process_ = -1;           // pidfd of the server
  bool process_gone_ = false;  // it has ended, and nothing was seen of another since
};

}  // namespace walstitch::agent
