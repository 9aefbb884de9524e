// The shell around LeaseKeeper: boot clock, timers, the file lease.json, the questions to the other agents,
// and the fence that parks a master whose lease has run out.
//
// A promise, and the lease of a command, are on disk before they are answered. The deadlines of grants are
// written behind, one at a time: a deadline that was lost was merely shorter.
//
// Call on the executor, which one thread runs. Stop() before the executor's context is destroyed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "agents/agent/boot_clock.h"
#include "agents/agent/command_runner.h"
#include "agents/agent/fence.h"
#include "agents/agent/lease_keeper.h"
#include "agents/agent/offload.h"
#include "agents/agent/state_file.h"
#include "agents/http/credentials.h"
#include "agents/node/kvrocks_client.h"
#include "policies/model/lease.h"
#include "policies/model/report.h"

namespace walstitch::agent {

struct LeaseServiceOptions {
  std::string node;
  http::Credentials peers;     // for the other agents' API
  Endpoint relay;              // what the node is told to be the slave of
  node::ClientOptions client;  // the fence's
};

// Since the agent started.
struct LeaseCounts {
  std::uint64_t by_controller = 0;  // leases, and their renewals, that it gave
  std::uint64_t by_promises = 0;    // renewals for which all others promised
  std::uint64_t ran_out = 0;        // after which the node was parked
};

// What the service asks of the agent.
class LeaseServiceOwner {
 public:
  virtual ~LeaseServiceOwner() = default;
  [[nodiscard]] virtual std::uint64_t HighestEpoch() const = 0;
  // Look at the node: the number of the request, see NodeMonitor.
  virtual std::uint64_t LookNow() = 0;
  virtual void ParkRelay() = 0;
  // Something that a report tells has changed.
  virtual void LeaseChanged() = 0;
};

class LeaseService : public LeaseControl {
 public:
  LeaseService(boost::asio::any_io_executor executor, LeaseServiceOwner& owner, LeaseServiceOptions options,
               LeaseKeeper keeper, StateFile file);
  ~LeaseService() override;
  LeaseService(const LeaseService&) = delete;
  LeaseService& operator=(const LeaseService&) = delete;

  void Start();  // the agent can be reached: the API listens
  void Stop();   // joins; idempotent

  // What a look at the node has shown. `served` is the number of the request that it answers.
  struct NodeLook {
    std::uint64_t served = 0;
    bool down = false;          // the process is gone
    bool known = false;         // its role was told
    bool maybe_master = false;  // what it was last, of one that does not answer
  };
  void Look(const NodeLook& look);
  // No command runs, and the looks from here on tell what the last one came to.
  void CommandsEnded(std::uint64_t request);

  // A text of the controller on the stream of reports.
  void HandleMessage(std::string_view text);
  boost::asio::awaitable<PromiseAnswer> Promise(PromiseRequest request);

  // How often the controller wants to hear; nullopt: no lease is held.
  [[nodiscard]] std::optional<std::int64_t> RenewMs() const;
  // While the node is being parked because its lease ran out, the relay's state is not derived from looks.
  [[nodiscard]] bool Fencing() const { return fence_.has_value(); }
  // Why it was, one sentence; empty: it was not, or a command has come since.
  [[nodiscard]] const std::string& FenceNote() const { return fence_note_; }
  void Fill(Report& report) const;
  [[nodiscard]] const LeaseCounts& Counts() const { return counts_; }
  [[nodiscard]] bool Leased() const { return keeper_.Leased(); }
  [[nodiscard]] bool Alone() const { return keeper_.Alone(); }

  // LeaseControl
  Result<void> MayPromote(const PromoteAction& action) override;
  boost::asio::awaitable<Result<void>> TakeLease(PromoteAction action) override;
  boost::asio::awaitable<Result<void>> TakeLease(AdoptMasterAction action) override;
  [[nodiscard]] Result<void> MayWrite() const override;
  void EndLease() override;
  boost::asio::awaitable<Result<void>> ForgetLease() override;

 private:
  // Does what is due, and sets the timers to what will be.
  void Check();
  void BeginFence();
  void FenceTold(Fence::News news);
  void BeginRound();
  boost::asio::awaitable<void> AskOne(std::uint64_t round, LeaseKeeper::Question question,
                                      std::chrono::milliseconds timeout);
  void Save();  // behind
  boost::asio::awaitable<Result<void>> SaveNow();
  boost::asio::awaitable<void> Write();
  void Complain(const std::string& what);

  boost::asio::any_io_executor executor_;
  LeaseServiceOwner& owner_;
  LeaseServiceOptions options_;
  LeaseKeeper keeper_;
  StateFile file_;  // the pool's
  boost::asio::thread_pool pool_{1};
  BootTimer timer_;
  bool started_ = false;
  bool stopped_ = false;

  bool looked_ = false;
  bool down_ = false;
  bool maybe_master_ = false;
  bool answers_ = false;            // the last look was answered
  std::uint64_t trusted_from_ = 0;  // looks that began earlier may tell of the time before
  bool promoting_ = false;          // a promotion was allowed, and what came of it is not known
  bool commands_ended_ = false;     // since then: the next look tells

  std::uint64_t wanted_ = 0;   // states to be on disk
  std::uint64_t written_ = 0;  // the last that was tried
  Result<void> write_result_;
  bool writing_ = false;
  Signal wrote_;

  std::optional<Fence> fence_;
  std::string fence_note_;
  std::string not_promised_;          // the last reason
  std::set<std::string> complaints_;  // said already
  LeaseCounts counts_;
};

}  // namespace walstitch::agent
