// A modelled agent: its relay, its looks at the server, its command queue, and what it does about leases. The
// rules are the product's own (LeaseKeeper, CommandLedger); what surrounds them, which is files, sockets and
// threads in agents/, is modelled step by step, and may be destroyed between any two.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/command_ledger.h"
#include "agents/agent/lease_keeper.h"
#include "agents/relay/full_sync.h"
#include "controller/core/task.h"
#include "policies/model/command.h"
#include "policies/model/report.h"
#include "tests/simulation/history.h"

namespace walstitch::simulation {

class World;
class AgentModel;
class ServerModel;

// What an agent keeps on disk. Copies stand for the files' texts: those are made and read where an agent
// starts.
struct AgentDisk {
  std::optional<agent::CommandLedger> ledger;
  std::optional<agent::LeaseKeeper> lease;
};

// The only upstream of its server.
class RelayModel {
 public:
  RelayModel(World& world, AgentModel& agent, std::size_t index)
      : world_(world), agent_(agent), index_(index) {}

  [[nodiscard]] RelayReport Report() const;
  [[nodiscard]] RelayState State() const { return state_; }
  [[nodiscard]] bool Attached() const { return connection_ != 0; }
  [[nodiscard]] std::uint64_t NodeNext() const { return node_next_; }
  [[nodiscard]] std::uint64_t Command() const { return command_; }
  [[nodiscard]] std::optional<std::size_t> Upstream() const;

  void Park(RelayState state = RelayState::kParked);

  // ---- its server
  // False: refused, a full sync was decided. `with_copy`: it has just made one.
  bool NodePsync(std::uint64_t connection, std::uint64_t next, bool with_copy);
  void NodeClosed(std::uint64_t connection);
  // Whom it may copy; nullopt: nobody.
  std::optional<std::size_t> NodeFetches();

  // ---- its upstream. False: nobody listens on that link any more.
  bool Frame(std::uint64_t link, const Batch& batch);
  bool Heard(std::uint64_t link);
  void LinkClosed(std::uint64_t link);

  // ---- commands
  // An Error unless parked, attached, and at the sequence.
  Result<void> Give(std::uint64_t expected_next, const std::vector<Batch>& batches);
  void Follow(const FollowAction& action);
  [[nodiscard]] bool EverAccepted() const { return upstream_ && upstream_->ever_accepted; }
  [[nodiscard]] bool HasUpstream() const { return upstream_.has_value(); }
  [[nodiscard]] const std::string& Problem() const { return error_; }
  void Splice(const SpliceAction& action);
  // Where the numbers have met; nullopt: not yet, or it is over.
  [[nodiscard]] std::optional<std::uint64_t> MetAt() const;
  Result<void> FollowOn(std::uint64_t met);
  void FullSync(std::size_t upstream);
  [[nodiscard]] bool FullSyncBegun() const { return fetched_; }
  void ParkWith(std::string error);

 private:
  struct SpliceState {
    std::uint64_t fork = 0;
    std::uint64_t last = 0;  // of the node, before it
    std::uint64_t upstream_next = 0;
    std::uint64_t remaining = 0;
    std::int32_t marker = -1;
    std::vector<Batch> held;  // what came behind the place where the numbers met
  };
  struct Session {
    std::optional<SpliceState> splice;
    std::size_t node = 0;
    std::optional<std::uint64_t> expected_next;
    std::optional<BatchInfo> last_batch;
    std::optional<std::uint64_t> from;
    bool connected = false;
    bool ever_accepted = false;
    std::uint64_t link = 0;  // of the attempt under way
    std::int64_t heard_us = 0;
    std::int64_t arrives_us = 0;
  };

  void Changed();
  void BeginCommand();
  void DropUpstream();
  void Detach();
  void Dial();
  [[nodiscard]] bool SameHistory(std::size_t upstream, std::uint64_t next) const;
  void Lost(std::uint64_t link);
  void Refused(std::uint64_t link);
  void WatchSilence(std::uint64_t link);
  void Forward(const Batch& batch);
  bool SpliceFrame(const Batch& batch);
  [[nodiscard]] bool Splicing() const { return upstream_ && upstream_->splice; }

  World& world_;
  AgentModel& agent_;
  std::size_t index_;
  RelayState state_ = RelayState::kParked;
  std::string error_;
  std::uint64_t command_ = 0;
  std::uint64_t connection_ = 0;  // of its server; 0: none
  std::uint64_t node_next_ = 0;
  std::int64_t forwarded_us_ = 0;
  std::optional<Session> upstream_;
  std::optional<std::size_t> full_sync_from_;
  std::optional<relay::FullSyncDialogue> full_sync_;
  bool fetched_ = false;
  std::uint64_t frames_ = 0;
  std::optional<Batch> last_given_;  // by the upstream that is followed
  std::uint64_t full_syncs_refused_ = 0;
};

class AgentModel {
 public:
  AgentModel(World& world, std::size_t index, std::uint64_t run);
  ~AgentModel();
  AgentModel(const AgentModel&) = delete;
  AgentModel& operator=(const AgentModel&) = delete;

  void Start();

  // ---- its API. The answers come later, or never.
  void FreshReport(std::function<void(Result<Report>)> done);
  void Submit(Command command, std::function<void(Result<CommandResult>)> done);
  void Promise(PromiseRequest request, std::function<void(PromiseAnswer)> done);
  // An Error if its relay does not follow that server.
  void AskUpstreamRole(std::size_t upstream, std::function<void(Result<Role>)> done);
  // Of a server that is down: its batches from exactly there on.
  Result<std::vector<Batch>> Tail(std::uint64_t from);
  Result<std::vector<Batch>> Lent(std::uint64_t from);  // the same of any server
  void Subscribe(std::uint64_t stream);
  void HandleGrant(std::uint64_t stream, const LeaseGrant& grant);

  // ---- its server
  void ServerGone();

  RelayModel& relay() { return relay_; }
  [[nodiscard]] std::uint64_t Run() const { return run_; }
  [[nodiscard]] std::int64_t SinceUs() const { return since_us_; }
  // When a master that it found at its start has been looked after; -1: not yet.
  [[nodiscard]] std::int64_t StartRoundEndsUs() const { return start_round_ends_us_; }
  void RelayChanged(bool attached_changed);
  // A call of this agent's, dropped if it is gone by then.
  void Later(std::int64_t us, std::function<void()> call);
  // What is on its way to the disk is there, or is not.
  void LeaveDisk();

 private:
  friend class RelayModel;

  struct Facts {
    Role role = Role::kUnknown;
    bool of_relay = false;
    bool link_up = false;
    std::uint64_t last = 0;
    bool loading = false;
    bool syncing = false;
    bool refuses_writes = false;
    SyncCounters counters;
  };
  struct Observation {
    std::uint64_t served = 0;
    ProcessState process = ProcessState::kUnknown;
    std::optional<Facts> facts;
  };
  struct Pending {
    Command command;
    std::int64_t arrival_us = 0;
  };
  using Step = core::Task<CommandResult>;

  [[nodiscard]] ServerModel& Server();
  [[nodiscard]] std::int64_t BootMs() const;
  core::Answer<bool> Sleep(std::int64_t us);
  template <typename T>
  core::Answer<Result<T>> AskServer(std::int64_t timeout_us, std::function<T(ServerModel&)> what);
  core::Answer<Result<Facts>> Info(std::int64_t timeout_us);
  core::Answer<Result<bool>> SlaveOfRelay(std::int64_t timeout_us);

  // Looking.
  std::uint64_t RequestLook();
  void Monitor();
  core::Task<void> LookOnce();
  void Seen(Observation seen);
  void AlignRelay();
  Report CurrentReport();
  void Publish(bool always);
  void Tick();

  // Leases.
  struct NodeLook {
    std::uint64_t served = 0;
    bool down = false;
    bool known = false;
    bool maybe_master = false;
  };
  void Look(const NodeLook& look);
  void Check();
  void SetTimer(std::optional<std::int64_t> at_ms);
  core::Task<void> FenceTask();
  void BeginFence();
  void FenceEnds();
  void BeginRound();
  void AskOne(std::uint64_t round, const agent::LeaseKeeper::Question& question, std::int64_t timeout_us);
  void Save();
  void WriteNext();
  core::Answer<bool> SaveNow();
  Result<void> MayPromote(const PromoteAction& action);
  void EndLease();
  [[nodiscard]] std::uint64_t Epoch() const { return ledger_.Epoch(); }

  // Commands.
  core::Task<void> Drain();
  core::Task<bool> SaveLedger();
  core::Task<Result<CommandResult>> RunOne(Command command, std::int64_t arrival_us);
  Step Carry(Command command, std::int64_t deadline_us);
  Step Park(std::int64_t deadline_us);
  Step Promote(PromoteAction action, std::string id, std::int64_t deadline_us);
  Step Pad(PadAction action, std::int64_t deadline_us);
  Step DoFollow(FollowAction action, std::int64_t deadline_us);
  Step Rescue(RescueAction action, std::int64_t deadline_us);
  Step DoFullSync(FullSyncAction action, std::int64_t deadline_us);
  Step Salvage(SalvageAction action, std::int64_t deadline_us);
  Step Advance(AdvanceAction action, std::int64_t deadline_us);
  Step DoSplice(SpliceAction action, std::int64_t deadline_us);
  [[nodiscard]] std::uint64_t FillerSince(std::uint64_t from, std::int32_t marker);
  core::Task<std::optional<CommandResult>> Attach(bool of_relay, std::int64_t deadline_us);
  core::Task<bool> WaitAttached(std::int64_t timeout_us);
  core::Task<Result<std::uint64_t>> Settle(std::int64_t deadline_us);
  [[nodiscard]] std::int64_t Left(std::int64_t deadline_us) const;
  void CommandsChanged();

  World& world_;
  std::size_t index_;
  std::uint64_t run_;
  std::int64_t since_us_ = 0;
  std::int64_t start_round_ends_us_ = -1;
  RelayModel relay_;

  Observation seen_;
  std::optional<Facts> known_;
  std::uint64_t requested_ = 0;
  std::uint64_t served_ = 0;
  bool looking_ = false;
  bool rest_ends_ = false;
  std::int64_t quick_until_us_ = 0;
  std::int64_t monitor_number_ = 0;
  std::uint64_t trusted_from_ = 0;
  std::vector<std::pair<std::uint64_t, std::function<void(Result<Report>)>>> asking_reports_;
  std::optional<std::uint64_t> wal_last_;  // of a process that is down
  std::uint64_t stream_ = 0;
  Report published_;
  std::int64_t published_us_ = -1;
  std::uint64_t number_ = 0;
  bool publish_posted_ = false;

  agent::LeaseKeeper keeper_;
  bool looked_ = false;
  bool down_ = false;
  bool maybe_master_ = false;
  std::uint64_t lease_trusted_from_ = 0;
  bool promoting_ = false;
  bool fencing_ = false;
  std::optional<std::int64_t> timer_ms_;
  std::uint64_t timer_number_ = 0;
  std::uint64_t wanted_ = 0;
  std::uint64_t written_ = 0;
  bool writing_ = false;
  std::optional<agent::LeaseKeeper> lease_being_written_;
  std::vector<std::pair<std::uint64_t, std::function<void(bool)>>> save_waiters_;

  agent::CommandLedger ledger_;
  std::optional<agent::CommandLedger> ledger_being_written_;
  std::deque<Pending> queue_;
  std::map<std::string, std::vector<std::function<void(Result<CommandResult>)>>> waiting_;
  bool draining_ = false;

  core::TaskGroup tasks_;
};

}  // namespace walstitch::simulation
