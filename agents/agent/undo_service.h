// Plans that take a tail back (agents/wal/undo.h): makes them of the node's own WAL and of what the
// survivor's agent says, and keeps the last one for the command that carries it out. It answers other agents'
// questions about this node, too. What blocks runs on workers of its own.
//
// Call every method on the executor. Destroy it before the executor's context.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/command_runner.h"
#include "agents/agent/key_values.h"
#include "agents/agent/wal_service.h"
#include "agents/http/credentials.h"
#include "agents/wal/undo.h"
#include "policies/model/result.h"
#include "policies/model/undo.h"

namespace walstitch::agent {

struct UndoServiceOptions {
  std::string data_directory;  // empty: the server is asked for everything
  node::ClientOptions client;
  std::string group;
  http::Credentials peers;             // for the other agents' API
  std::function<bool()> slot_encoded;  // cluster-enabled; called on the executor
  wal::UndoPlanner planner = wal::PlanUndo;
};

class UndoService : public UndoControl {
 public:
  explicit UndoService(UndoServiceOptions options);
  ~UndoService() override;
  void Stop();

  // kConflict: nothing can be taken back, and why. kUnavailable: too many such questions wait.
  // The same question again within a while is answered by the plan that was made: a node that is held is
  // looked at again and again, and what its survivor wrote meanwhile takes nothing from a plan.
  boost::asio::awaitable<Result<UndoEvidence>> Plan(UndoQuestion question);
  boost::asio::awaitable<Result<WrittenAnswer>> Written(WrittenQuestion question);

  Result<std::vector<std::string>> TakeUndoBatches(const std::string& digest, Sequence first,
                                                   const std::string& decision) override;

 private:
  boost::asio::awaitable<Result<wal::UndoPlan>> AskSurvivor(std::string node, std::string url, Sequence from,
                                                            wal::UndoPlan plan);
  boost::asio::awaitable<std::vector<std::uint64_t>> Lacking(std::vector<UserKeyName> names);

  UndoServiceOptions options_;
  std::atomic<bool> stop_{false};
  WalService wal_;
  ValueClient values_;  // the pool's
  boost::asio::thread_pool pool_{1};
  // The plan that is kept.
  UndoQuestion question_;
  std::optional<UndoEvidence> kept_;
  std::optional<BatchInfo> last_batch_;  // of the tail
  std::chrono::steady_clock::time_point made_;
  std::vector<wal::UndoRecord> records_;
};

}  // namespace walstitch::agent
