// Takes commands, runs them one at a time and in order, and remembers their results. The rules are
// CommandLedger's; what must survive is on disk before a command runs, and before it is answered.
//
// Call on the executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agents/agent/command_ledger.h"
#include "agents/agent/offload.h"
#include "policies/model/command.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class CommandService {
 public:
  using Runner = std::function<boost::asio::awaitable<CommandResult>(
      Command command, std::chrono::steady_clock::time_point deadline)>;
  using Writer = std::function<Result<void>(std::string state)>;  // called on the pool; makes it durable

  // `changed` is called when a command begins and when one has ended. The pool outlives the service's
  // use; it has one thread.
  CommandService(boost::asio::any_io_executor executor, boost::asio::thread_pool& pool, CommandLedger ledger,
                 Runner runner, Writer writer, std::function<void()> changed);

  // An Error: the command was refused and had no effect. A repeated command gets the result of the first.
  // `queued` is called at once if it is a new one, and will be run.
  boost::asio::awaitable<Result<CommandResult>> Submit(Command command, std::function<void()> queued = {});

  // Commands since the start, by action and by what came of them: "done", "failed", "unknown", "refused".
  using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;
  [[nodiscard]] const Counts& Counted() const { return counts_; }

  [[nodiscard]] bool Busy() const { return draining_; }
  // Commands wait behind the one that runs.
  [[nodiscard]] bool OthersWait() const { return !queue_.empty(); }
  // One of them changes what the node is or whom it follows: what merely takes long gives way to it.
  [[nodiscard]] bool RoleChangeWaits() const;
  [[nodiscard]] std::uint64_t Epoch() const { return ledger_.Epoch(); }
  [[nodiscard]] const std::string& DatabaseName() const { return ledger_.DatabaseName(); }
  boost::asio::awaitable<Result<void>> SaveDatabaseName(std::string name);

 private:
  struct Pending {
    Pending(const boost::asio::any_io_executor& executor, Command what)
        : command(std::move(what)), done(executor), arrival(std::chrono::steady_clock::now()) {}
    Command command;
    Signal done;
    std::chrono::steady_clock::time_point arrival;
    std::optional<Result<CommandResult>> result;
  };

  boost::asio::awaitable<void> Drain();
  boost::asio::awaitable<Result<CommandResult>> RunOne(Command command,
                                                       std::chrono::steady_clock::time_point arrival);
  boost::asio::awaitable<Result<void>> Save();

  boost::asio::any_io_executor executor_;
  boost::asio::thread_pool& pool_;
  CommandLedger ledger_;
  Runner runner_;
  Writer writer_;
  std::function<void()> changed_;
  std::deque<std::shared_ptr<Pending>> queue_;
  std::map<std::string, std::shared_ptr<Pending>, std::less<>> pending_;
  bool draining_ = false;
  Counts counts_;
};

}  // namespace walstitch::agent
