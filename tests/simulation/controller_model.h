// The controller's machine: the product's GroupRunner on a modelled environment. Its store survives its
// crashes; everything else of it does not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/environment.h"
#include "controller/core/group_runner.h"
#include "policies/model/report.h"
#include "tests/simulation/event_queue.h"

namespace walstitch::simulation {

class World;
class ControllerModel;

// Either every write is durable at once, or it is written behind: then a crash of the controller takes what
// was not durable yet, from the end.
class StoreModel : public core::DecisionStore {
 public:
  explicit StoreModel(World& world) : world_(world) {}

  struct Entry {
    DecisionRecord record;
    std::int64_t appended_us = 0;
    std::int64_t closed_us = -1;
  };

  Result<core::GroupState> LoadGroup(const std::string& group) const override;
  Result<void> AppendDecision(const Decision& decision, const core::GroupState* state) override;
  Result<void> AppendStep(const std::string& decision, std::int64_t time_ms, const StepRecord& step) override;
  Result<void> AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                             const core::GroupState* state) override;
  Result<void> SaveGroup(const core::GroupState& state);
  Result<DecisionRecord> ReadRecord(const std::string& id) const override;
  std::vector<DecisionRecord> OpenRecords(const std::string& group) const override;

  [[nodiscard]] const Entry* Find(const std::string& id) const;
  [[nodiscard]] bool Durable(const std::string& id) const;
  [[nodiscard]] const std::vector<std::string>& Open() const { return now_.open; }
  [[nodiscard]] const std::optional<core::GroupState>& State() const { return now_.state; }
  [[nodiscard]] const std::map<std::string, Entry>& Entries() const { return now_.entries; }

  void Settle(std::function<void(Result<void>)> done);
  void Crashed();  // the process that wrote is gone

  bool write_behind = false;
  int fail_permille = 0;  // of the writes: the disk is full, say; written behind, they come late instead

 private:
  // False: the write fails, or the process has ended before it.
  bool Before();
  void After();

  struct Content {
    std::map<std::string, Entry> entries;
    std::vector<std::string> open;  // oldest first
    std::optional<core::GroupState> state;
  };
  struct Waiter {
    std::uint64_t number = 0;
    std::function<void(Result<void>)> done;
  };
  void Write(std::function<void(Content&)> change);
  void Flush();

  World& world_;
  Content now_;
  Content durable_;  // while written behind
  std::vector<std::function<void(Content&)>> pending_;
  std::vector<Waiter> waiters_;
  std::uint64_t waiter_number_ = 0;
  std::uint64_t flush_number_ = 0;  // of the flush that is due; one of an earlier number is not
  bool flush_due_ = false;
};

// One run of the process.
class ControllerRun : public core::Environment {
 public:
  ControllerRun(World& world, ControllerModel& model, std::uint64_t run);
  ~ControllerRun() override;
  void Begin();

  std::int64_t NowMs() const override;
  std::int64_t UnixMs() const override;
  void After(std::int64_t ms, std::function<void()> call) override;
  std::string NewId() override;
  core::DecisionStore& Store() override;
  void Settle(Done<Result<void>> done) override;
  const TolerancePolicy& Policy() override { return policy_; }
  const std::string& PolicyProblem() override { return no_problem_; }
  void FreshReport(const std::string& node, Done<Result<Report>> done) override;
  void Run(Command command, std::int64_t patience_ms, Done<Result<CommandResult>> done) override;
  bool Grant(const LeaseGrant& grant) override;
  void CollectEvidence(core::EvidenceQuestion question, Done<Evidence> done) override;
  void Batches(const std::string& node, SequenceRange range, std::size_t max,
               Done<Result<std::vector<BatchInfo>>> done) override;
  void ListTouched(const std::string& node, SequenceRange range, std::size_t max_keys,
                   Done<Result<Touched>> done) override;
  void FindUnrepairable(const std::string& node, std::vector<UserKeyName> keys,
                        Done<Result<RepairableAnswer>> done) override;
  void StaysFor(const std::string& node, Sequence sequence,
                Done<Result<std::optional<std::int64_t>>> done) override;
  // Agents have no disks here to keep salvages on.
  void CarryOutReplay(core::ReplayOrder, Done<Result<core::ReplaySummary>> done) override {
    Later(1, [done = std::move(done)] { done(Fail(ErrorCode::kUnavailable, "there are no salvages here")); });
  }
  void Probe(const Endpoint& server, Done<Result<Role>> done) override;
  void ProbeThrough(const std::string& node, const Endpoint& server, Done<Result<Role>> done) override;
  void Fence(const Endpoint& server, const Endpoint& relay, Done<Result<void>> done) override;
  void Log(core::LogLevel level, const std::string& text) override;
  void FaultPoint(std::string_view name) override;

  core::GroupRunner& Runner() { return *runner_; }
  bool dead = false;  // it has ended in the middle of a call; the rest of the call has no effect

 private:
  void Later(std::int64_t us, std::function<void()> call);
  template <typename T>
  void AskAgent(std::size_t node, std::int64_t timeout_ms,
                std::function<void(class AgentModel&, std::function<void(Result<T>)>)> serve,
                Done<Result<T>> done);
  template <typename T>
  void AskWal(std::size_t node, std::function<Result<T>(const class WalView&)> what, Done<Result<T>> done);
  core::Task<std::optional<Touched>> ListKeys(std::size_t node, SequenceRange range, std::string what,
                                              Evidence* evidence);
  core::Task<void> Gather(core::EvidenceQuestion question, Done<Evidence> done);
  core::Task<void> GatherLender(core::EvidenceQuestion question, WalExtent rejoiner_wal, Evidence* evidence);
  core::Task<Result<void>> AskLender(core::EvidenceQuestion question, core::LenderOffer offer,
                                     WalExtent rejoiner_wal, Evidence* evidence);
  core::Task<std::optional<BatchInfo>> BatchHolding(std::size_t node, Sequence sequence);
  core::Task<Result<void>> AskBoth(std::size_t rejoiner, std::size_t survivor,
                                   core::ForkSearch::Question question, core::ForkSearch* search);
  template <typename T>
  core::Task<Result<std::pair<T, T>>> AskPair(std::size_t rejoiner, std::size_t survivor,
                                              std::function<Result<T>(const class WalView&)> what);
  void AskServer(std::size_t node, std::function<void(class ServerModel&)> what,
                 std::function<void(Result<void>)> done);

  World& world_;
  ControllerModel& model_;
  std::uint64_t run_;
  TolerancePolicy policy_;
  std::string no_problem_;
  core::Fleet fleet_;
  std::unique_ptr<core::GroupRunner> runner_;
  core::TaskGroup tasks_;
};

class ControllerModel {
 public:
  explicit ControllerModel(World& world) : store(world), world_(world), streams_(8) {}

  StoreModel store;
  Clock clock;
  // The process ends at the fault point, or the side of a store's write, of this number; 0: at none.
  std::uint64_t crash_at = 0;
  std::int64_t restart_us = 500'000;  // after so long it is started again

  void Start();
  void Kill();
  void Reap();  // after each event: what has ended in its middle is destroyed
  [[nodiscard]] ControllerRun* Now() { return run_ && !run_->dead ? run_.get() : nullptr; }
  [[nodiscard]] ControllerRun* Now(std::uint64_t run) { return runs_ == run ? Now() : nullptr; }
  [[nodiscard]] bool Up() const { return run_ != nullptr && !run_->dead; }
  [[nodiscard]] std::int64_t UpSinceUs() const { return up_since_us_; }
  // A place where it may end. True: it ends here.
  bool Step();
  [[nodiscard]] std::uint64_t Steps() const { return steps_; }

  // ---- the streams of reports
  void Push(std::size_t node, std::uint64_t stream, const Report& report);  // from an agent
  void AgentGone(std::size_t node);
  [[nodiscard]] std::uint64_t StreamOf(std::size_t node) const { return streams_[node].number; }

 private:
  friend class ControllerRun;
  struct Stream {
    std::uint64_t number = 0;  // 0: none stands
    std::int64_t heard_us = 0;
  };
  void Subscribe(std::size_t node, std::uint64_t run);
  void CloseStream(std::size_t node, std::uint64_t number);
  void WatchSilence(std::size_t node, std::uint64_t number);

  World& world_;
  std::unique_ptr<ControllerRun> run_;
  std::uint64_t runs_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t ids_ = 0;
  std::int64_t up_since_us_ = 0;
  std::vector<Stream> streams_;
};

}  // namespace walstitch::simulation
