// Runs one group: keeps its snapshot from the agents' reports, lets the pure core decide, writes every
// decision down before acting and every outcome after, and carries the plans out. What is to be done
// comes from controller/core; what stands here is order, I/O and durability.
//
// Only one thing is done at a time in a group (a mutex); waiting for a full sync to end is not among
// them: it is watched from the loop. Everything runs on the controller's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/candidate.h"
#include "controller/core/finding.h"
#include "controller/core/snapshot.h"
#include "controller/shell/agent_client.h"
#include "controller/shell/async_mutex.h"
#include "controller/shell/config.h"
#include "controller/shell/policy_store.h"
#include "controller/shell/store.h"

namespace walstitch::shell {

// Full syncs under way over all groups, and how many there may be at once.
struct FullSyncSlots {
  std::int64_t limit = 1;
  std::int64_t used = 0;
};

// What an operator asks for.
struct OperatorRequest {
  std::optional<std::string> to;
  bool force = false;
  bool dry_run = false;
  bool rescue = true;  // failover: take what the dead master has on its disk before promoting
  std::chrono::milliseconds deadline{5000};  // switchover: how long writes may stand still
};

// The answer: the decision's record, closed; for a dry run the decision only, with an empty id.
using OperatorAnswer = Result<DecisionRecord>;

class GroupRunner : public std::enable_shared_from_this<GroupRunner> {
 public:
  GroupRunner(boost::asio::any_io_executor executor, GroupConfig config, std::string agent_token,
              Store& store, PolicyStore& policies, FullSyncSlots& slots);

  Result<void> Start();

  [[nodiscard]] const std::string& Name() const { return config_.name; }
  boost::json::value Status();
  // What would be decided now; changes nothing.
  boost::asio::awaitable<boost::json::value> Plan();

  boost::asio::awaitable<OperatorAnswer> Failover(OperatorRequest request);
  boost::asio::awaitable<OperatorAnswer> Switchover(OperatorRequest request);
  boost::asio::awaitable<OperatorAnswer> Adopt(OperatorRequest request);
  boost::asio::awaitable<OperatorAnswer> Release(OperatorRequest request);

 private:
  struct Node {
    NodeConfig config;
    AgentClient client;
    core::NodeView view;
    std::unique_ptr<http::Subscription> subscription;
    std::chrono::steady_clock::time_point next_try{};  // of a rejoin
    int failures = 0;                                  // rejoins that failed in a row
    std::string held_for;                              // reasons of the last hold that was recorded
    std::string queued;                                // why a decided verdict waits; for the status
    int attaching = 0;                                 // looks in a row at which it had not come to its relay
    bool blocked = false;  // an open decision of an earlier run waits for its agent
  };
  // A full sync that was begun and not yet ended.
  struct OpenFullSync {
    Decision decision;
    std::uint64_t bytes_before = 0;
    std::optional<SyncCounters> survivor_before;
    std::uint64_t bytes_seen = 0;  // to the node, when it last went on
    std::int64_t progress_ms = 0;
  };
  // An outcome that could not be written: nothing is decided before it is.
  struct Unclosed {
    Decision decision;
    OutcomeRecord outcome;
  };
  // Says in the status what goes on, while it goes on.
  class Busy {
   public:
    Busy(std::string& word, std::string_view what) : word_(word) { word_ = what; }
    ~Busy() { word_.clear(); }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

   private:
    std::string& word_;
  };
  // How the steps of a plan went.
  struct Execution {
    Outcome outcome = Outcome::kDone;
    std::string error;  // of the step that was not done
  };

  // The loop (group_runner.cc).
  boost::asio::awaitable<void> Loop();
  boost::asio::awaitable<void> Reconcile();
  void Wake();
  void OnReport(const std::string& node, std::string message);
  void OnConnection(const std::string& node, bool connected);
  core::GroupSnapshot Snapshot() const;
  boost::asio::awaitable<std::optional<Report>> Refresh(Node& node);
  boost::asio::awaitable<void> RefreshAll();

  // Decisions (group_runner.cc).
  Decision NewDecision(DecisionKind kind, std::uint64_t epoch);
  boost::asio::awaitable<CommandResult> RunCommand(const Decision& decision, Command command);
  boost::asio::awaitable<Execution> Execute(const Decision& decision, std::size_t first_step,
                                            std::size_t end_step);
  // The outcomes that could not be written: true when none is left.
  bool WriteUnclosed();
  // Higher than any epoch that the controller or an agent has seen.
  [[nodiscard]] std::uint64_t NextEpoch() const;
  Result<void> Close(const Decision& decision, OutcomeRecord outcome, const core::GroupState* state);
  DecisionRecord RecordOf(const Decision& decision) const;
  // Writes a decision that is a refusal, closed at once; gives the refusal as an Error.
  Error Refuse(Decision decision, const Error& error);

  // Rejoining (group_rejoin.cc).
  boost::asio::awaitable<void> Rejoin(Node& node);
  boost::asio::awaitable<void> ParkFirst(Node& node, std::string finding);
  boost::asio::awaitable<Decision> DecideRejoin(Node& node, Report rejoiner, Report survivor, std::string id);
  boost::asio::awaitable<void> CarryOutRejoin(Node& node, Decision decision);
  void RecordHold(Node& node, Decision decision);
  void Backoff(Node& node);
  boost::asio::awaitable<void> WatchFullSyncs();

  // Role switches (group_role_switch.cc).
  boost::asio::awaitable<OperatorAnswer> Bootstrap(OperatorRequest request);
  // `taken_back`: an earlier run already sent the old master back.
  boost::asio::awaitable<OperatorAnswer> CarryOutPromotion(Decision decision,
                                                           std::chrono::milliseconds deadline,
                                                           bool taken_back = false);
  bool RecognisePromotion();
  [[nodiscard]] Result<void> MayReplaceMaster(const core::GroupSnapshot& snapshot, Decision& decision) const;
  boost::asio::awaitable<std::string> WhyNotTheSameHistory(const core::Candidate& candidate);
  boost::asio::awaitable<std::string> BackToOldMaster(Decision& decision, core::GroupState& state,
                                                      std::optional<Sequence> parked_at);
  void AddParkSteps(Decision& decision, const std::string& promoted, const std::string& old_master);

  // Adoption and release (group_adoption.cc).
  boost::asio::awaitable<OperatorAnswer> CarryOutAdopt(Decision decision);
  boost::asio::awaitable<OperatorAnswer> CarryOutRelease(Decision decision);

  // Decisions that an earlier run left open (group_recovery.cc).
  boost::asio::awaitable<bool> FinishOpenDecisions();
  boost::asio::awaitable<void> FinishOpenDecision(DecisionRecord record);
  boost::asio::awaitable<bool> Resume(Decision decision, const DecisionRecord& record, OutcomeRecord& closed);
  [[nodiscard]] bool OpenRoleSwitch() const;
  void CloseOpenPromotions(std::string_view why);

  boost::asio::any_io_executor executor_;
  GroupConfig config_;
  Store& store_;
  PolicyStore& policies_;
  FullSyncSlots& slots_;
  core::GroupState state_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, OpenFullSync> full_syncs_;  // by node
  AsyncMutex mutex_;
  boost::asio::steady_timer wake_;
  bool woken_ = false;
  bool open_finished_ = false;
  std::string busy_;
  std::string store_problem_;
  std::vector<Unclosed> unclosed_;
  std::chrono::steady_clock::time_point next_bootstrap_{};
};

// Unix time in milliseconds, for records.
std::int64_t UnixMillis();
// A fresh ULID.
std::string NewId();

}  // namespace walstitch::shell
