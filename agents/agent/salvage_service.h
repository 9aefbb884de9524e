// The agent's salvages: makes them when a command asks for one, answers questions about them, and writes them
// back where the node is the master. What blocks runs on workers of its own: neither the relay nor the
// questions about the WAL wait for it.
//
// Call every method on the executor. Destroy it before the executor's context.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agents/agent/command_runner.h"
#include "agents/agent/salvage_store.h"
#include "agents/agent/wal_service.h"
#include "agents/http/credentials.h"
#include "agents/node/kvrocks_client.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch::agent {

// How many keys Values() may be asked for at a time: they stand in a URL.
inline constexpr std::size_t kMaxPlaces = 100;

struct SalvageServiceOptions {
  boost::asio::any_io_executor executor;
  std::string node;
  std::string group;
  std::string state_directory;
  std::string data_directory;  // empty: the server is asked for everything
  node::ClientOptions client;
  http::Credentials peers;  // for the other agents' API
  SalvageLimits limits;
  std::function<bool()> slot_encoded;  // cluster-enabled; called on the executor
};

class SalvageService : public SalvageControl {
 public:
  explicit SalvageService(SalvageServiceOptions options);
  ~SalvageService() override;

  // Removes what is unfinished, and what is too old; that it does every hour, too. Blocks for as long as the
  // disk does.
  void Start();
  void Stop();

  boost::asio::awaitable<Result<SalvageRef>> Keep(SalvageAction action,
                                                  std::chrono::steady_clock::time_point deadline) override;
  // So many other commands wait. As long as there are any, the salvage under way fails; it may be asked for
  // again.
  void SetWaiting(int commands) { waiting_ = commands; }

  boost::asio::awaitable<Result<SalvageList>> List();
  // Every id must be valid. kDamaged for one whose files are not as they were written.
  boost::asio::awaitable<Result<SalvageManifest>> Manifest(std::string id);
  // Decoded records as they stand in their file, {"records": [...], "next": ...}; `after` is a `next`, or 0.
  boost::asio::awaitable<Result<std::string>> Records(std::string id, std::uint64_t after, std::size_t max);
  boost::asio::awaitable<Result<SalvagedKeys>> Keys(std::string id, std::uint64_t after, std::size_t max);
  // The lines of these keys with their values, and what "changed since" is counted from:
  // {"fork": ..., "values": [...]}; as many of the first as go into one answer.
  boost::asio::awaitable<Result<std::string>> Values(std::string id, std::vector<std::uint64_t> at);
  boost::asio::awaitable<Result<ReplayAnswer>> Replay(ReplayRequest request);

 private:
  // On the worker that makes and replays.
  template <typename T>
  boost::asio::awaitable<Result<T>> Work(std::function<Result<T>(wal::WalSource&)> work);
  template <typename T>
  boost::asio::awaitable<Result<T>> Read(std::function<Result<T>()> work);
  void Retire(const std::string& keep);
  void ScheduleRetirement();

  SalvageServiceOptions options_;
  boost::asio::steady_timer retirement_;
  SalvageStore store_;
  std::atomic<bool> stop_{false};
  std::atomic<int> waiting_{0};
  int reading_ = 0;
  WalService wal_;                     // its worker makes and replays
  boost::asio::thread_pool reads_{1};  // questions
};

}  // namespace walstitch::agent
