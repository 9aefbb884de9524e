// Runs one group: keeps its snapshot from the agents' reports, lets the pure rules decide, writes every
// decision down before acting and every outcome after, and has the plans carried out.
//
// It knows the world only through its Environment: no clock, no socket, no file. Events come in (a report, a
// connection, an order, a timer), effects go out (a command, a grant, an entry in the log). The controller
// runs it on real agents (shell/group_host.h), the simulator on modelled ones.
//
// What changes the group's master holds a lock, one at a time. The rejoins of nodes run beside it, each on
// its own: whoever is in the middle of one when the master changes finds its decision superseded. Leases are
// renewed as reports come in, whatever else goes on.
//
// On one thread. Destroying it in the middle of anything is a crash, and no worse than one.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/core/candidate.h"
#include "controller/core/endangered.h"
#include "controller/core/environment.h"
#include "controller/core/failover_gate.h"
#include "controller/core/finding.h"
#include "controller/core/full_sync_guard.h"
#include "controller/core/lag.h"
#include "controller/core/lender.h"
#include "controller/core/settings.h"
#include "controller/core/snapshot.h"
#include "controller/core/task.h"

namespace walstitch::core {

// What all groups share.
struct Fleet {
  FullSyncQueue full_syncs;
  std::int64_t failing_over = 0;  // groups
};

// What an operator asks for.
struct OperatorRequest {
  std::optional<std::string> to;
  bool force = false;
  bool dry_run = false;
  bool rescue = true;               // failover: take what the dead master has on its disk before promoting
  std::int64_t deadline_ms = 5000;  // switchover: how long writes may stand still
  // Maintenance: of this node. Failover, switchover: only while it is the master still; empty: whoever is.
  std::string node;
  bool on = true;      // maintenance
  std::string reason;  // pause, maintenance
  std::string by;      // who asks, for the record; empty: not known
  // Of a switchover that is decided without being asked, with its reason.
  std::string_view reason_code{};
};

// In a record's sentences: "an operator (ops)".
inline std::string Asker(const std::string& by) {
  return by.empty() ? "an operator" : "an operator (" + by + ")";
}

// The answer: the decision's record, closed; for a dry run the decision only, with an empty id.
using OperatorAnswer = Result<DecisionRecord>;

class GroupRunner {
 public:
  // `environment` and `fleet` outlive it.
  GroupRunner(Environment& environment, GroupSettings settings, Fleet& fleet);
  ~GroupRunner();
  GroupRunner(const GroupRunner&) = delete;
  GroupRunner& operator=(const GroupRunner&) = delete;

  // Reads the group's state, and begins.
  Result<void> Start();

  // A node that was added to the group, or what is set of one now. None is ever taken away: that is another
  // run.
  void PutNode(NodeSettings node);

  // What agents say. A report is that of the node it names.
  void OnReport(Report report);
  void OnConnection(const std::string& node, bool connected);

  [[nodiscard]] const std::string& Name() const { return settings_.name; }
  [[nodiscard]] const GroupState& State() const { return state_; }
  boost::json::value Status();
  // What clients may use each node for, as far as it is known.
  [[nodiscard]] std::map<std::string, std::optional<Place>> Places() const;
  // What is under way, as the status says it; empty: nothing.
  [[nodiscard]] const std::string& BusyWith() const { return busy_; }
  // Grows with whatever is heard of the nodes.
  [[nodiscard]] std::uint64_t Heard() const { return heard_; }
  // What is the matter with the group now (finding.h).
  [[nodiscard]] std::vector<Finding> Findings() const { return FindIn(Snapshot()); }
  // Nothing is decided, carried out or finished at this moment.
  [[nodiscard]] bool Calm() const;

  using AnswerCallback = std::function<void(OperatorAnswer)>;
  // What would be decided now; changes nothing.
  void Plan(std::function<void(boost::json::value)> done);
  void Failover(OperatorRequest request, AnswerCallback done);
  void Switchover(OperatorRequest request, AnswerCallback done);
  void Adopt(OperatorRequest request, AnswerCallback done);
  void Release(OperatorRequest request, AnswerCallback done);
  void Pause(OperatorRequest request, AnswerCallback done);
  void Resume(OperatorRequest request, AnswerCallback done);
  void Maintenance(OperatorRequest request, AnswerCallback done);
  void Unblock(OperatorRequest request, AnswerCallback done);
  // Keys of a salvage back to the master.
  using ReplayCallback = std::function<void(Result<ReplayReport>)>;
  void Replay(ReplayOrder order, ReplayCallback done);

 private:
  struct Node {
    NodeSettings settings;
    NodeView view;
    std::int64_t heard_ms = 0;  // when its agent was last heard
    std::int64_t hung_since_ms = -1;
    std::int64_t loading_since_ms = -1;
    std::int64_t behind_since_ms = -1;  // it stands still behind its master
    std::optional<Sequence> seen_last;  // when it was last looked at for that
    std::int64_t next_try_ms = 0;       // of a rejoin
    int failures = 0;                   // rejoins that failed in a row
    std::uint64_t splices_failed = 0;   // in a row, to one master
    std::string splice_failure;         // of the last of them
    std::uint64_t splice_epoch = 0;
    std::int64_t splice_failed_ms = 0;
    std::string repair_failure;  // why it was not seen to become equal to the master of that epoch
    std::uint64_t repair_epoch = 0;
    int repairs_failed = 0;      // in that epoch, for whatever reason
    int borrows_failed = 0;      // in a row, in one epoch
    std::string borrow_failure;  // of the last of them
    std::uint64_t borrow_epoch = 0;
    int lender_looks = 0;            // in a row at which a node that may lend was waited for
    std::string held_for;            // reasons of the last hold that was recorded
    std::string queued;              // why a decided verdict waits; for the status
    bool full_sync_queued = false;   // it waits for its turn to be copied
    int attaching = 0;               // looks in a row at which it had not come to its relay
    bool blocked = false;            // an open decision of an earlier run waits for its agent
    bool busy = false;               // a task of its rejoin runs
    std::uint64_t losses = 0;        // of its agent's connection
    bool salvaging = false;          // its tail is being salvaged: that moves nothing, and may take minutes
    std::int64_t next_probe_ms = 0;  // of its server, while its agent is gone
    std::int64_t next_stay_ms = 0;   // asking how long its resume point stays
    ResumeLook stay;                 // what it was told when it last asked
    // What its master held at the last look; absent: the node lacked nothing then.
    std::optional<Sequence> masters_last;
    // When a promotion of it, as far as this run knows, may last have been under way; absent: none is.
    std::optional<std::int64_t> promoting_ms;
  };
  // A look at the master's server from outside, past its agent: whose, in which reign, and when.
  struct Look {
    std::string master;
    std::uint64_t epoch = 0;
    std::int64_t asked_ms = 0;
  };
  // A full sync that was begun and not yet ended.
  struct OpenFullSync {
    Decision decision;
    std::uint64_t bytes_before = 0;
    std::optional<SyncCounters> survivor_before;
    std::uint64_t bytes_seen = 0;  // to the node, when it last went on
    std::int64_t progress_ms = 0;
    std::int64_t begun_ms = 0;
    std::optional<SalvageRef> salvage;
    std::string not_salvaged;  // see Execution
    std::string zone;          // of its node, when it began
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
  // Counts what goes on, while it goes on.
  class Counted {
   public:
    explicit Counted(std::int64_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

   private:
    std::int64_t& count_;
  };
  // How the steps of a plan went.
  struct Execution {
    Outcome outcome = Outcome::kDone;
    std::string error;            // of the step that was not done
    bool in_splice = false;       // that step was one of a splice
    bool in_borrow = false;       // that step took what another node lends
    std::optional<Sequence> met;  // where the numbers of a splice met
    bool of_keys = false;         // that step was one of looking at keys, or of making them equal
    bool unequal = false;         // that step found keys that are not equal, or could not make them so
    std::optional<SalvageRef> salvage;
    std::string not_salvaged;  // why the tail was given up without a salvage, which the policy allows
    std::optional<KeysMended> keys;
    std::string zone;  // of the full sync that was begun
  };

  void Enter(const NodeSettings& node);

  // The loop (group_runner.cc).
  Task<void> Loop();
  Task<void> Reconcile();
  void Wake();
  Task<void> Sleep(std::int64_t ms);
  // Until something happens, or the time is over.
  Task<void> WaitWoken(std::int64_t ms);
  GroupSnapshot Snapshot() const;
  void Track(Node& node);
  void RenewLease(const Node& node);
  void NoteStoreProblem(const Error& problem);
  void ForgetStoreProblem();
  [[nodiscard]] std::optional<LeaseGrant> MakeGrant(const Node& node) const;
  Task<std::optional<Report>> Refresh(std::string node);
  Task<void> RefreshAll();
  Task<void> RefreshInto(std::string node, std::int64_t* waiting, std::function<void()> ended);
  // How long what it lacks, from `next` on, stays in the master's WAL; it is so many records `behind`.
  Task<void> WatchResumePoint(std::string node, Sequence next, std::uint64_t behind);
  void WatchResumePoints(const GroupSnapshot& snapshot);
  // A node that follows, but falls behind, is to be copied afresh now.
  [[nodiscard]] bool MayCopyAfresh(const GroupSnapshot& snapshot, const std::string& node);

  // Decisions (group_runner.cc).
  Decision NewDecision(DecisionKind kind, std::uint64_t epoch);
  // `answered`, if given, says whether the agent gave an answer at all.
  Task<CommandResult> RunCommand(Decision decision, Command command, bool* answered = nullptr);
  Task<Result<CommandResult>> Ask(Command command);
  [[nodiscard]] std::string WhyNotOn(const Decision& decision, std::size_t step);
  Task<Execution> Execute(Decision decision);
  void LogStep(const Decision& decision, const StepRecord& step);
  // Writes the decision, and the state if given, which counts from then on: others' writes are made from it.
  // Nothing of it may be done before this has returned well. If it has not, the decision is closed, nothing
  // is done, and `undo` takes back what of the state was only this decision's.
  using Undo = std::function<void(GroupState&)>;
  Task<Result<void>> WriteDown(Decision decision, std::optional<GroupState> state, Undo undo = nullptr);
  // Everything that was written is durable.
  Task<Result<void>> Settled();
  // The outcomes that could not be written: true when none is left.
  bool WriteUnclosed();
  // Higher than any epoch that the controller or an agent has seen.
  [[nodiscard]] std::uint64_t NextEpoch() const;
  Result<void> Close(const Decision& decision, OutcomeRecord outcome, const GroupState* state);
  DecisionRecord RecordOf(const Decision& decision) const;
  // Writes a decision that is a refusal, closed at once; gives the refusal as an Error.
  Error Refuse(Decision decision, const Error& error, std::string_view code = "");
  // The master changed, or is being changed, since the decision was made.
  [[nodiscard]] bool Superseded(const Decision& decision) const;

  // Rejoining (group_rejoin.cc).
  void StartRejoin(Node& node);
  Task<void> RejoinTask(std::string name);
  Task<void> ResumedRejoin(Decision decision);
  void EndRejoin(const std::string& name);
  Task<void> Rejoin(std::string name);
  // Waits, for a while, until no rejoin is being decided or carried out: an order that needs every node in
  // service is not refused for one that is just coming.
  Task<void> RejoinsEnd();
  Task<void> PromisesEnd();
  Task<void> ParkFirst(std::string name, std::string finding);
  // A decision that ends with its node as it was, to be decided on anew.
  Task<void> CarryOutBefore(std::string name, Decision decision, std::string done);
  Task<Decision> DecideRejoin(std::string name, Report rejoiner, Report survivor, std::string id);
  Task<void> CarryOutRejoin(Decision decision);
  void RecordHold(Node& node, Decision decision);
  // Whether a full sync that was decided may begin. If not, the node waits, and the record says why.
  bool MayFullSync(Node& node, const Decision& decision);
  [[nodiscard]] FullSyncProgress ProgressOfFullSync(const std::string& name) const;
  void Backoff(Node& node);
  void NoteSpliceFailure(Node& node, const Execution& execution);
  void NoteRepairFailure(Node& node, const Execution& execution);
  static void NoteKeys(const Action& action, const CommandResult& result, Execution* execution);
  void NoteBorrowFailure(Node& node, const Execution& execution);
  // Fills in who may lend, or why nobody may.
  void AddLenders(const Node& node, Lenders lenders, const PolicyLimits& limits, EvidenceQuestion* question);
  void AwaitLender(Node& node, bool coming, Evidence* evidence);
  Task<void> WatchFullSyncs();
  Task<boost::json::value> MakePlan();

  // Failovers that start by themselves (group_failover.cc).
  Task<void> WatchMaster();
  Task<bool> LookForMaster(Finding trouble);
  void LookThroughPeers(const Look& look, const Endpoint& server);
  [[nodiscard]] Look LookNow() const;
  // Nothing has happened since that could make what was seen untrue.
  [[nodiscard]] bool Counts(const Look& look) const;
  // What the server said that it is; `how` names who was told.
  void Saw(const Look& look, Role role, const SeenReplica& how);
  Task<void> FenceMaster(std::string finding);
  Task<bool> FenceDirectly(std::string name, std::string finding);
  void RecordRefusal(const Finding& trouble, const GateAnswer& answer);
  // Since when the master's trouble stands; told once.
  void NoteTrouble(const Finding& trouble);
  Task<void> FailOver(Finding trouble);
  Task<void> SwitchAwayFrom(Finding finding);
  Task<void> SwitchAwayTask(OperatorRequest request);
  // The node's server is where its last report says, as far as is known: nobody else has its address by now.
  [[nodiscard]] bool AddressStands(const Node& node) const;
  Task<void> FenceStrays();
  Task<void> FenceStray(std::string name);
  CandidateRules RulesFor(const GroupSnapshot& snapshot);

  // Role switches (group_role_switch.cc).
  Task<OperatorAnswer> Bootstrap(OperatorRequest request);
  Task<OperatorAnswer> OrderFailover(OperatorRequest request);
  Task<OperatorAnswer> OrderSwitchover(OperatorRequest request);
  // Fills in candidates, rescue and holds. An Error, with every node's reason: nobody is eligible.
  Task<Result<void>> PlanFailover(Decision* decision, OperatorRequest request, CandidateRules rules);
  // `taken_back`: an earlier run already sent the old master back.
  Task<OperatorAnswer> CarryOutPromotion(Decision decision, std::int64_t deadline_ms,
                                         bool taken_back = false);
  void CloseUnpromoted(const Decision& decision, const OutcomeRecord& outcome);
  Task<std::optional<std::string>> HoldReplicas(Decision* decision, std::size_t* step);
  Task<std::optional<std::string>> RunRescue(Decision decision, std::size_t step, bool* given_up);
  bool RecognisePromotion();
  void ForgetSuspects();
  [[nodiscard]] Result<void> MayReplaceMaster(const GroupSnapshot& snapshot, Decision* decision) const;
  Task<std::string> WhyNotTheSameHistory(Candidate candidate);
  Task<std::string> BackToOldMaster(Decision decision, std::optional<Sequence> parked_at);
  void AddParkSteps(Decision& decision, const std::string& promoted, const std::string& old_master);
  [[nodiscard]] bool HolderFenced(const Decision& decision) const;

  // Adoption and release (group_adoption.cc).
  Task<OperatorAnswer> OrderAdopt(OperatorRequest request);
  Task<OperatorAnswer> OrderRelease(OperatorRequest request);
  Task<OperatorAnswer> CarryOutAdopt(Decision decision);
  Task<OperatorAnswer> CarryOutRelease(Decision decision);

  // The operator's word (group_orders.cc).
  Task<OperatorAnswer> OrderSetting(DecisionKind kind, OperatorRequest request);
  void Spawn(Task<OperatorAnswer> order, AnswerCallback done);
  template <typename T>
  Task<void> Answering(Task<Result<T>> order, std::function<void(Result<T>)> done);
  Task<Result<ReplayReport>> OrderReplay(ReplayOrder order);
  Task<void> AnsweringPlan(std::function<void(boost::json::value)> done);

  // Decisions that an earlier run left open (group_recovery.cc).
  Task<bool> FinishOpenDecisions();
  Task<void> FinishOpenDecision(DecisionRecord record);
  Task<bool> ResumeDecision(Decision decision, DecisionRecord record, OutcomeRecord* closed);
  [[nodiscard]] bool OpenRoleSwitch() const;
  void CloseOpenPromotions(std::string_view why);

  void Info(const std::string& text) {
    environment_.Log(LogLevel::kInfo, "group " + settings_.name + ": " + text);
  }
  void Warn(const std::string& text) {
    environment_.Log(LogLevel::kWarning, "group " + settings_.name + ": " + text);
  }
  void Alarm(const std::string& text) {
    environment_.Log(LogLevel::kError, "group " + settings_.name + ": " + text);
  }

  Environment& environment_;
  GroupSettings settings_;
  Fleet& fleet_;
  GroupState state_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, OpenFullSync> full_syncs_;  // by node
  std::set<std::string> begun_here_;                // decisions of this run
  Mutex mutex_;
  std::function<void()> waiting_;  // the loop, while it waits
  std::uint64_t wait_number_ = 0;
  bool woken_ = false;
  std::int64_t wake_in_ms_ = 0;  // the loop looks again after so long at the latest
  bool open_finished_ = false;
  std::string resumed_;     // the promotion of an earlier run that is being finished
  bool switching_ = false;  // the master is being replaced: nobody gets a lease meanwhile
  std::string busy_;
  std::uint64_t heard_ = 0;
  std::string store_problem_;  // what was met last, at `store_problem_ms_`; empty: it works, or nobody tried
  std::int64_t store_problem_ms_ = 0;
  std::string look_problem_;  // what the last look at the group failed with; empty: it did not
  std::vector<Unclosed> unclosed_;
  std::int64_t next_bootstrap_ms_ = 0;

  // The epoch that leases are given for, while a later one is being written down; absent: the state's.
  std::optional<std::uint64_t> durable_epoch_;

  // No lease that was ever given runs beyond it. At the start, as if one had been given just now.
  std::int64_t lease_until_ms_ = 0;
  std::int64_t granted_ms_ = -1;

  // The master's trouble, while it stands.
  std::optional<FindingCode> trouble_;
  std::int64_t trouble_since_ms_ = 0;
  std::optional<std::int64_t> lost_since_ms_;  // since the first of its troubles in a row
  std::optional<bool> master_probe_;
  std::int64_t next_probe_ms_ = 0;
  std::int64_t peers_asked_ = 0;  // whose answers are still to come
  std::uint64_t most_held_epoch_ = 0;
  std::optional<Sequence> most_held_;  // by the master of that epoch, as far as it said so
  LagClock lag_;
  std::optional<SeenReplica> seen_replica_;
  Look seen_in_;              // the newest look that it rests on
  int failed_failovers_ = 0;  // in a row
  std::int64_t next_failover_ms_ = 0;
  std::int64_t next_switchover_ms_ = 0;
  bool switching_away_ = false;    // a switchover that nobody ordered is under way
  std::string refused_for_;        // the code that was recorded last
  std::string waits_;              // for the status
  std::string waits_code_;         // the gate's
  std::uint64_t given_up_in_ = 0;  // the epoch in which a rescue was given up

  TaskGroup tasks_;  // last: its tasks use all of the above
};

}  // namespace walstitch::core
