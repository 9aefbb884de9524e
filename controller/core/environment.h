// What the core needs from the world, for one group: its agents, a store, the clock. The controller
// implements it on sockets and RocksDB (shell/group_host.h), the simulator on a model.
//
// Callbacks are never called before the call that takes them has returned, never after the core that gave
// them was destroyed, and all on one thread. Every question is answered, if only by an Error.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/fork.h"
#include "controller/core/group_state.h"
#include "controller/core/lender.h"
#include "controller/core/replay.h"
#include "policies/model/batch.h"
#include "policies/model/command.h"
#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::core {

// The decision log and the groups' states, in one order. A write counts at once for every reader here; when
// it is durable, Settle says (see Environment). What is durable is always a beginning of what was written. An
// Error means that nothing was written, and nothing will be.
class DecisionStore {
 public:
  virtual ~DecisionStore() = default;
  virtual Result<GroupState> LoadGroup(const std::string& group) const = 0;
  // Appends, and saves the group's state with it in one atomic write if given.
  virtual Result<void> AppendDecision(const Decision& decision, const GroupState* state) = 0;
  virtual Result<void> AppendStep(const std::string& decision, std::int64_t time_ms,
                                  const StepRecord& step) = 0;
  virtual Result<void> AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                                     const GroupState* state) = 0;
  virtual Result<DecisionRecord> ReadRecord(const std::string& id) const = 0;
  // Decisions without an outcome, oldest first.
  virtual std::vector<DecisionRecord> OpenRecords(const std::string& group) const = 0;
};

// Both sides of a pair, as they reported when they were asked.
struct EvidenceQuestion {
  Report rejoiner;
  Report survivor;
  KnownHistory known;
  PolicyLimits limits;
  std::vector<LenderOffer> lenders{};  // who may lend, where that is needed
  std::string no_lenders{};            // why nobody may; else empty
};

enum class LogLevel { kInfo, kWarning, kError };

class Environment {
 public:
  template <typename T>
  using Done = std::function<void(T)>;

  virtual ~Environment() = default;

  // Milliseconds that never go back, from any beginning; and unix time, for people.
  [[nodiscard]] virtual std::int64_t NowMs() const = 0;
  [[nodiscard]] virtual std::int64_t UnixMs() const = 0;
  virtual void After(std::int64_t ms, std::function<void()> call) = 0;
  virtual std::string NewId() = 0;  // a ULID

  virtual DecisionStore& Store() = 0;
  // Everything that was written to the store before is durable. An Error: not yet, and nobody knows when.
  virtual void Settle(Done<Result<void>> done) = 0;
  // The policy in force, and why the files as they are now are not (empty: they are).
  virtual const TolerancePolicy& Policy() = 0;
  virtual const std::string& PolicyProblem() = 0;

  // The agents. An Error of Run: the command certainly had no effect. Without an answer for `patience_ms` its
  // outcome is unknown; given again, it joins what is under way.
  virtual void FreshReport(const std::string& node, Done<Result<Report>> done) = 0;
  virtual void Run(Command command, std::int64_t patience_ms, Done<Result<CommandResult>> done) = 0;
  // May be lost; false: it certainly went nowhere.
  virtual bool Grant(const LeaseGrant& grant) = 0;
  virtual void CollectEvidence(EvidenceQuestion question, Done<Evidence> done) = 0;
  virtual void Batches(const std::string& node, SequenceRange range, std::size_t max,
                       Done<Result<std::vector<BatchInfo>>> done) = 0;
  virtual void ListTouched(const std::string& node, SequenceRange range, std::size_t max_keys,
                           Done<Result<Touched>> done) = 0;
  // How long the log that holds the sequence will stay in the node's WAL, in ms; absent: it is not known to
  // go. kNotFound: it is gone.
  virtual void StaysFor(const std::string& node, Sequence sequence,
                        Done<Result<std::optional<std::int64_t>>> done) = 0;

  // Which of the keys the node, the master, cannot rewrite as they are, and what types they have there.
  virtual void FindUnrepairable(const std::string& node, std::vector<UserKeyName> keys,
                                Done<Result<RepairableAnswer>> done) = 0;

  // Writes keys of a salvage to the master. An Error: nothing was written.
  virtual void CarryOutReplay(ReplayOrder order, Done<Result<ReplaySummary>> done) = 0;

  // The controller's own way to a server: what is it; and hold it as the slave of `relay`. kUnavailable:
  // nobody listens there. kUnknown: it lives, and that is all that can be seen of it.
  virtual void Probe(const Endpoint& server, Done<Result<Role>> done) = 0;
  // The same question, put by the agent of `node` to the server that its relay follows. An Error if that is
  // not `server`.
  virtual void ProbeThrough(const std::string& node, const Endpoint& server, Done<Result<Role>> done) = 0;
  virtual void Fence(const Endpoint& server, const Endpoint& relay, Done<Result<void>> done) = 0;

  virtual void Log(LogLevel level, const std::string& text) = 0;
  virtual void FaultPoint(std::string_view name) = 0;  // tests end the process there
};

}  // namespace walstitch::core
