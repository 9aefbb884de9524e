#include "controller/core/group_runner.h"

#include <algorithm>
#include <boost/json.hpp>
#include <exception>
#include <memory>
#include <utility>

#include "controller/core/full_sync_guard.h"
#include "controller/core/mutation.h"
#include "controller/core/plan.h"
#include "controller/core/repair.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

constexpr std::int64_t kIdleTickMs = 500;
constexpr std::int64_t kStoreProblemMs = 30000;
constexpr std::int64_t kBootstrapRetryMs = 5000;
// How often it is asked how long a replica's resume point stays in its master's WAL.
constexpr std::int64_t kStayIntervalMs = 10000;
// How much longer than its own deadline a command's answer is waited for.
constexpr std::int64_t kAnswerSlackMs = 2000;
constexpr std::int64_t kLongPatienceMs = 5000;
constexpr std::int64_t kAskAgainMs = 200;
constexpr std::int64_t kSplicePatienceMs = 30000;

}  // namespace

GroupRunner::GroupRunner(Environment& environment, GroupSettings settings, Fleet& fleet)
    : environment_(environment),
      settings_(std::move(settings)),
      fleet_(fleet),
      mutex_([this](std::function<void()> call) { environment_.After(0, std::move(call)); }) {
  for (const auto& node : settings_.nodes) Enter(node);
}

void GroupRunner::Enter(const NodeSettings& node) {
  Node entry;
  entry.settings = node;
  entry.view.node = node.name;
  entry.view.priority = node.priority;
  entry.view.zone = node.zone;
  entry.view.candidate = node.candidate;
  nodes_.emplace(node.name, std::move(entry));
}

void GroupRunner::PutNode(NodeSettings node) {
  const auto found = nodes_.find(node.name);
  if (found == nodes_.end()) {
    Info("node " + node.name + " is new");
    Enter(node);
    // As at the start: another run may have ordered its promotion just now.
    nodes_.at(node.name).promoting_ms = environment_.NowMs();
    Wake();
    return;
  }
  Node& entry = found->second;
  if (entry.settings == node) return;
  if (entry.settings.agent != node.agent) {
    if (!node.agent.empty()) Info("the agent of " + node.name + " is at " + node.agent + " now");
    granted_ms_ = -1;  // the master is told at once who its peers are
  }
  entry.view.priority = node.priority;
  entry.view.zone = node.zone;
  entry.view.candidate = node.candidate;
  entry.settings = std::move(node);
}

GroupRunner::~GroupRunner() {
  mutex_.Close();
  tasks_.Clear();
}

Result<void> GroupRunner::Start() {
  auto state = environment_.Store().LoadGroup(settings_.name);
  if (!state) return Fail(state.error());
  state_ = std::move(*state);
  // An earlier run, or another controller, may have given a lease a moment ago; and while nobody was here,
  // the group may have gone on by its own promises.
  lease_until_ms_ = GrantorDeadline(environment_.NowMs(), settings_.failover.lease);
  for (auto& [name, node] : nodes_) node.promoting_ms = environment_.NowMs();  // by an earlier run
  tasks_.Spawn(Loop());
  return {};
}

void GroupRunner::Wake() {
  woken_ = true;
  if (!waiting_) return;
  environment_.After(0, std::exchange(waiting_, nullptr));
}

Task<void> GroupRunner::Sleep(std::int64_t ms) {
  co_await Answer<bool>([this, ms](auto done) { environment_.After(ms, [done] { done(true); }); });
}

Task<void> GroupRunner::WaitWoken(std::int64_t ms) {
  co_await Answer<bool>([this, ms](auto done) {
    const std::uint64_t number = ++wait_number_;
    waiting_ = [done] { done(true); };
    environment_.After(ms, [this, number] {
      if (number == wait_number_ && waiting_) std::exchange(waiting_, nullptr)();
    });
  });
}

void GroupRunner::OnReport(Report report) {
  auto found = nodes_.find(report.node);
  if (found == nodes_.end()) return;
  Node& node = found->second;
  // A report that was overtaken by a fresher answer says nothing new.
  if (node.view.connected && node.view.report && report.boot_id == node.view.report->boot_id &&
      report.number < node.view.report->number) {
    return;
  }
  node.view.report = std::move(report);
  node.view.connected = true;
  node.heard_ms = environment_.NowMs();
  Track(node);
  RenewLease(node);
  Wake();
}

void GroupRunner::OnConnection(const std::string& name, bool connected) {
  Node& node = nodes_.at(name);
  ++heard_;
  if (connected) {
    node.view.report.reset();  // numbers start anew with an agent that was restarted
    return;                    // it counts as connected with its first report
  }
  if (node.view.connected) Warn("the agent of " + name + " does not answer any more");
  node.view.connected = false;
  ++node.losses;
  Wake();
}

// Since when what the report says has been so.
void GroupRunner::Track(Node& node) {
  ++heard_;
  const std::int64_t now = environment_.NowMs();
  const Report& report = *node.view.report;
  if (report.last) node.view.known_last = report.last;
  if (report.last && report.role == Role::kMaster && node.settings.name == state_.master) {
    if (most_held_epoch_ != state_.epoch) most_held_.reset();
    most_held_epoch_ = state_.epoch;
    most_held_ = std::max(most_held_.value_or(Sequence(0)), *report.last);
    lag_.Note(state_.epoch, now, *report.last);
  }
  const auto since = [now](std::int64_t& at, bool is_so) {
    if (!is_so) at = -1;
    if (is_so && at < 0) at = now;
  };
  since(node.hung_since_ms,
        report.process == ProcessState::kHung || report.process == ProcessState::kUnknown);
  // Whatever promotion was under way has had its effect.
  if (report.process == ProcessState::kUp && report.role == Role::kMaster) node.promoting_ms.reset();
  since(node.loading_since_ms, report.loading || report.full_sync == FullSyncState::kRestoring);

  const auto master = nodes_.find(state_.master);
  if (master == nodes_.end() || !master->second.view.report) return;
  const std::optional<Sequence> masters = master->second.view.report->last;
  for (auto& [name, other] : nodes_) {
    if (name == state_.master || !other.view.report) continue;
    const std::optional<Sequence> last = other.view.report->last;
    const bool moved = std::exchange(other.seen_last, last) != last;
    // One that is parked stands still by right, and its feed, when it has one again, needs a moment.
    const RelayReport& relay = other.view.report->relay;
    const bool fed = relay.state == RelayState::kFollowing && relay.node_attached && relay.upstream_connected;
    since(other.behind_since_ms, fed && last && masters && *last < *masters && !moved);
  }
}

GroupSnapshot GroupRunner::Snapshot() const {
  const std::int64_t now = environment_.NowMs();
  GroupSnapshot snapshot;
  snapshot.state = state_;
  snapshot.settings = settings_.failover;
  snapshot.master_probe = master_probe_;
  if (most_held_epoch_ == state_.epoch) snapshot.most_held = most_held_;
  if (seen_replica_ && Counts(seen_in_)) snapshot.seen_replica = seen_replica_;
  for (const auto& [name, node] : nodes_) {
    auto view = node.view;
    view.full_sync_open = full_syncs_.contains(name);
    view.durations.silent_ms = now - node.heard_ms;
    view.connected = view.connected && view.durations.silent_ms <= settings_.failover.unreachable_ms;
    const auto lasted = [now](std::int64_t since) {
      return since < 0 ? 0 : std::max<std::int64_t>(1, now - since);
    };
    view.durations.hung_ms = lasted(node.hung_since_ms);
    view.durations.loading_ms = lasted(node.loading_since_ms);
    view.durations.stuck_ms = lasted(node.behind_since_ms);
    snapshot.nodes.emplace(name, std::move(view));
  }
  return snapshot;
}

std::optional<LeaseGrant> GroupRunner::MakeGrant(const Node& node) const {
  if (!node.view.report || node.view.report->boot_id.empty()) return std::nullopt;
  LeaseGrant grant;
  grant.group = settings_.name;
  grant.node = node.settings.name;
  // 1. A promotion is being written down, and its epoch counts already. 2. The master gets a lease for it,
  // and its peers hear of it. 3. It is never durable: whoever leads next knows only the epoch before, and is
  // refused.
  grant.epoch = durable_epoch_.value_or(state_.epoch);
  grant.boot_id = node.view.report->boot_id;
  grant.anchor_ms = node.view.report->boot_ms;
  grant.terms = settings_.failover.lease;
  for (const auto& [name, other] : nodes_) {
    if (name == node.settings.name) continue;
    grant.others.push_back({name, other.settings.agent, other.settings.own_address});
  }
  return grant;
}

// The master's lease is an answer to its report. Nobody gets one while the master is being replaced, nor
// while another node's promotion was never answered: that one may be the master by now.
void GroupRunner::RenewLease(const Node& node) {
  if (state_.management != Management::kManaged || node.settings.name != state_.master) return;
  if (switching_) return;
  const auto stream = state_.nodes.find(state_.master);
  for (const auto& [name, suspect] : state_.suspects) {
    if (stream == state_.nodes.end() || suspect.epoch > stream->second.epoch) return;
  }
  const Report& report = *node.view.report;
  if (report.process != ProcessState::kUp || report.role != Role::kMaster) return;
  const std::int64_t now = environment_.NowMs();
  // Reports come for every change, too.
  if (granted_ms_ >= 0 && now - granted_ms_ < RenewInterval(settings_.failover.lease) / 2) return;
  auto grant = MakeGrant(node);
  if (!grant) return;
  lease_until_ms_ = std::max(lease_until_ms_, GrantorDeadline(now, settings_.failover.lease));
  if (environment_.Grant(*grant)) granted_ms_ = now;
}

void GroupRunner::NoteStoreProblem(const Error& problem) {
  store_problem_ = problem.Message();
  store_problem_ms_ = environment_.NowMs();
}

// 1. An order cannot be written down, and whoever gave it is told so. 2. The store is well again. 3. The
// group is quiet, and nothing is written for days. What nobody meets again is over; what is tried again is
// met within seconds.
void GroupRunner::ForgetStoreProblem() {
  if (!unclosed_.empty() || environment_.NowMs() - store_problem_ms_ < kStoreProblemMs) return;
  store_problem_.clear();
}

// Asks the agent for a report made now, which counts whatever came before. nullopt: it does not answer. A
// copy, for the view may change at the next co_await.
Task<std::optional<Report>> GroupRunner::Refresh(std::string name) {
  const std::int64_t asked_ms = environment_.NowMs();
  auto report =
      co_await Answer<Result<Report>>([&](auto done) { environment_.FreshReport(name, std::move(done)); });
  Node& node = nodes_.at(name);
  if (!report || report->node != name || report->group != settings_.name) {
    // 1. A machine loses its power, and is asked a moment later. 2. It is back, and its stream brings
    // reports.
    // 3. The question's time is over: that says nothing about what the node is now.
    ++heard_;
    if (node.heard_ms <= asked_ms) node.view.connected = false;  // until its stream brings a report
    co_return std::nullopt;
  }
  // A later one may have come by the stream meanwhile.
  const bool older = node.view.report && node.view.report->boot_id == report->boot_id &&
                     report->number < node.view.report->number;
  if (!older) {
    node.view.report = *report;
    node.heard_ms = environment_.NowMs();
    Track(node);
  }
  node.view.connected = true;
  RenewLease(node);
  co_return std::move(*report);
}

Task<void> GroupRunner::RefreshInto(std::string name, std::int64_t* waiting, std::function<void()> ended) {
  co_await Refresh(std::move(name));
  --*waiting;
  ended();
}

// All that answer, at the same time. Whoever does not for as long as it may be silent is not waited for.
Task<void> GroupRunner::RefreshAll() {
  struct Shared {
    std::int64_t waiting = 0;
    std::function<void(bool)> done;
    void Done() {
      if (auto call = std::exchange(done, nullptr)) call(true);
    }
  };
  auto shared = std::make_shared<Shared>();
  const GroupSnapshot snapshot = Snapshot();
  // Named, for GCC 12 destroys such a temporary within a co_await twice.
  Answer<bool> all([this, shared, &snapshot](auto done) {
    shared->done = std::move(done);
    for (const auto& [name, view] : snapshot.nodes) {
      if (view.connected) ++shared->waiting;
    }
    environment_.After(shared->waiting == 0 ? 0 : settings_.failover.unreachable_ms,
                       [shared] { shared->Done(); });
    for (const auto& [name, view] : snapshot.nodes) {
      if (!view.connected) continue;
      tasks_.Spawn(RefreshInto(name, &shared->waiting, [shared] {
        if (shared->waiting == 0) shared->Done();
      }));
    }
  });
  co_await all;
}

Task<void> GroupRunner::WatchResumePoint(std::string name, Sequence next, std::uint64_t behind) {
  ResumeLook look;
  look.behind = behind;
  auto left = co_await Answer<Result<std::optional<std::int64_t>>>(
      [&](auto done) { environment_.StaysFor(state_.master, next, std::move(done)); });
  if (left) {
    look.left_ms = *left;
  } else if (left.error().Code() == ErrorCode::kNotFound) {
    look.left_ms = 0;
  }
  Node& node = nodes_.at(name);
  node.view.resume_left_ms = look.left_ms;
  // One that was taken off its stream for it stays one that fell behind, until it follows again.
  const GroupSnapshot snapshot = Snapshot();
  const Report* report = snapshot.Find(name)->Fresh();
  const bool follows = InService(snapshot, *snapshot.Find(name));
  const bool away = report == nullptr || report->process != ProcessState::kUp;
  if (follows && FallsBehind(node.stay, look)) {
    ++node.view.resume_falls;
  } else if (follows || away) {
    node.view.resume_falls = 0;
  }
  node.stay = look;
  if (IsEndangered(snapshot, *snapshot.Find(name))) Wake();
}

// Of every node that is not up to date: also of one that is parked, or away, as far as it is known what it
// holds.
void GroupRunner::WatchResumePoints(const GroupSnapshot& snapshot) {
  const std::int64_t now = environment_.NowMs();
  for (auto& [name, node] : nodes_) {
    const NodeView& view = *snapshot.Find(name);
    const auto lacks_from = LacksFrom(snapshot, view);
    const auto not_watched = [&node = node] {
      node.view.resume_left_ms.reset();
      node.view.resume_falls = 0;
      node.stay = {};
    };
    if (!lacks_from) {
      not_watched();
      node.masters_last.reset();
      continue;
    }
    if (now < node.next_stay_ms) continue;
    node.next_stay_ms = now + kStayIntervalMs;
    const Sequence masters_last = *snapshot.LiveMaster()->report->last;
    const auto before = std::exchange(node.masters_last, masters_last);
    // 1. A master begins a new log. 2. Its replica's report is a moment older than its own, and ends in the
    // old one. 3. Who holds what the master held at the last look follows closely, and has nothing to fear.
    if (InService(snapshot, view) && (!before || *lacks_from >= *before)) {
      not_watched();
      continue;
    }
    const std::uint64_t behind = masters_last - *lacks_from;
    tasks_.Spawn(WatchResumePoint(name, *lacks_from + 1, behind));
  }
}

bool GroupRunner::MayCopyAfresh(const GroupSnapshot& snapshot, const std::string& name) {
  const auto endangered = FindEndangered(snapshot, name, environment_.Policy(), environment_.UnixMs());
  return endangered && endangered->falls_behind && !WhyNoFullSync(snapshot, name, fleet_.full_syncs);
}

Task<void> GroupRunner::Loop() {
  for (;;) {
    woken_ = false;
    wake_in_ms_ = kIdleTickMs;
    bool failed = false;
    {
      auto guard = co_await mutex_.Lock();
      try {
        co_await Reconcile();
        look_problem_.clear();
        ForgetStoreProblem();
      } catch (const std::exception& problem) {
        failed = true;
        busy_.clear();
        look_problem_ = std::string("a look at the group failed: ") + problem.what();
        Alarm(look_problem_);
      }
    }
    if (woken_ && !failed) {
      // Others may want the lock, and reports may come without end.
      co_await Sleep(0);
      continue;
    }
    co_await WaitWoken(wake_in_ms_);
  }
}

Task<void> GroupRunner::Reconcile() {
  if (!WriteUnclosed()) co_return;
  if (!open_finished_) {
    open_finished_ = co_await FinishOpenDecisions();
    if (!busy_.empty()) co_return;  // what may have changed the group's master is finished first
  }
  if (RecognisePromotion()) co_return;
  ForgetSuspects();
  co_await WatchFullSyncs();
  co_await WatchMaster();
  co_await FenceStrays();

  const GroupSnapshot snapshot = Snapshot();
  const std::int64_t now = environment_.NowMs();
  WatchResumePoints(snapshot);
  for (const auto& finding : FindIn(snapshot)) {
    if (finding.code == FindingCode::kNewGroup) {
      if (now < next_bootstrap_ms_ || state_.paused) co_return;
      next_bootstrap_ms_ = now + kBootstrapRetryMs;
      const OperatorRequest request;  // named, see RefreshAll
      auto made = co_await Bootstrap(request);
      if (!made) Warn("no first master: " + made.error().Message());
      co_return;
    }
    const bool to_act =
        finding.code == FindingCode::kNodeToRejoin || finding.code == FindingCode::kSecondMaster ||
        finding.code == FindingCode::kFeedStuck ||
        (finding.code == FindingCode::kResumePointEndangered &&
         InService(snapshot, *snapshot.Find(finding.node)) && MayCopyAfresh(snapshot, finding.node));
    if (!to_act) continue;
    Node& node = nodes_.at(finding.node);
    // A second master is parked even then: it must not go on.
    const bool held = state_.paused || state_.maintenance.contains(finding.node);
    if (held && finding.code != FindingCode::kSecondMaster) {
      node.full_sync_queued = false;
      node.queued =
          state_.paused ? "the group is paused: nothing is decided about it" : "it is in maintenance";
      continue;
    }
    if (node.busy || node.blocked || now < node.next_try_ms) continue;
    StartRejoin(node);
  }
}

// Whoever was seen to take no writes, long enough after the command that was never answered, is none any
// more.
void GroupRunner::ForgetSuspects() {
  for (auto suspect = state_.suspects.begin(); suspect != state_.suspects.end();) {
    const auto node = nodes_.find(suspect->first);
    const Report* report = node == nodes_.end() ? nullptr : node->second.view.Fresh();
    const bool over = environment_.UnixMs() - suspect->second.since_ms >= kSuspicionMs;
    const bool harmless = report != nullptr && report->role == Role::kReplica && report->upstream_is_relay;
    suspect = over && harmless ? state_.suspects.erase(suspect) : std::next(suspect);
  }
}

bool GroupRunner::Superseded(const Decision& decision) const {
  return switching_ || decision.epoch != state_.epoch || decision.survivor != state_.master ||
         state_.management != Management::kManaged;
}

Decision GroupRunner::NewDecision(DecisionKind kind, std::uint64_t epoch) {
  Decision decision;
  decision.id = environment_.NewId();
  begun_here_.insert(decision.id);
  decision.time_ms = environment_.UnixMs();
  decision.group = settings_.name;
  decision.epoch = epoch;
  decision.kind = kind;
  const TolerancePolicy& policy = environment_.Policy();
  decision.policy_name = policy.name;
  decision.policy_hash = policy.content_hash;
  return decision;
}

namespace {

std::string DescribeSalvage(const SalvageRef& salvage) {
  return "salvage " + salvage.id + ": " + std::to_string(salvage.records) + " records of " +
         salvage.range.ToString() + " on " + std::to_string(salvage.keys) + " keys, in " + salvage.path +
         (salvage.lacks.empty() ? "" : "; " + salvage.lacks);
}

}  // namespace

// Gives one command and logs it as a step. The result is never absent: what certainly did not happen is
// kFailed, what may have happened is kUnknown.
Task<CommandResult> GroupRunner::RunCommand(Decision decision, Command command, bool* answered) {
  StepRecord step;
  step.node = command.node;
  step.action = ActionName(command.action);
  step.command = command.id;
  step.start_ms = environment_.UnixMs();
  CommandResult result;
  result.id = command.id;
  if (!nodes_.contains(command.node)) {
    result.outcome = Outcome::kFailed;
    result.error = "node " + command.node + " is no longer in the configuration";
  } else if (auto settled = co_await Settled(); !settled) {
    // What was done before, and what may follow from it, must be on record before anything more is.
    result.outcome = Outcome::kFailed;
    result.error = "not sent: " + settled.error().Message();
  } else {
    Node& node = nodes_.at(command.node);
    const bool promotes = std::holds_alternative<PromoteAction>(command.action);
    const std::optional<std::int64_t> before_ms = node.promoting_ms;
    if (promotes) node.promoting_ms = environment_.NowMs();
    auto ran = co_await Ask(command);
    if (promotes && !ran) node.promoting_ms = before_ms;  // of an earlier one nothing new is known
    if (promotes && ran) node.promoting_ms.reset();
    if (promotes && ran && ran->outcome == Outcome::kUnknown) node.promoting_ms = environment_.NowMs();
    if (answered != nullptr) *answered = ran.has_value();
    if (ran) {
      result = std::move(*ran);
      co_await Refresh(command.node);
    } else {
      result.outcome = Outcome::kFailed;
      result.error = ran.error().Message();
    }
  }
  step.end_ms = environment_.UnixMs();
  step.outcome = result.outcome;
  step.detail = result.error;
  if (step.detail.empty() && result.last) {
    step.detail = "last " + result.last->ToString();
    if (result.last_after) step.detail += ", then " + result.last_after->ToString();
  }
  if (step.detail.empty() && result.salvage) step.detail = DescribeSalvage(*result.salvage);
  if (step.detail.empty() && result.repair) step.detail = Describe(*result.repair);
  if (step.detail.empty() && result.comparison) step.detail = Describe(*result.comparison);
  LogStep(decision, step);
  co_return result;
}

// The answer to a command. One that may take long is asked about again and again: a message may be lost, and
// the agent with its machine; after that, nobody waits. But for a splice, for a while: it goes on without us,
// and a node that was given up meanwhile would have to be parked, and begin anew.
Task<Result<CommandResult>> GroupRunner::Ask(Command command) {
  const bool takes_long = std::holds_alternative<SalvageAction>(command.action) ||
                          std::holds_alternative<RescueAction>(command.action) ||
                          std::holds_alternative<SpliceAction>(command.action) ||
                          std::holds_alternative<RepairAction>(command.action) ||
                          std::holds_alternative<CompareAction>(command.action);
  const std::int64_t most_ms = command.deadline_ms + kAnswerSlackMs;
  const std::int64_t give_up = environment_.NowMs() + most_ms;
  const std::int64_t patience_ms = takes_long ? std::min(kLongPatienceMs, most_ms) : most_ms;
  const std::uint64_t losses = nodes_.at(command.node).losses;
  const bool splices = std::holds_alternative<SpliceAction>(command.action);
  std::int64_t heard = environment_.NowMs();
  for (bool first = true;; first = false) {
    const std::int64_t asked = environment_.NowMs();
    auto ran = co_await Answer<Result<CommandResult>>(
        [&](auto done) { environment_.Run(command, patience_ms, std::move(done)); });
    if (ran) heard = environment_.NowMs();
    const bool silent = environment_.NowMs() - heard >= kSplicePatienceMs;
    // 1. A splice waits for what its master writes. 2. The master's machine crashes, is back, read-only, and
    // has lost the filler. 3. It is the only one that could be promoted again, and for that it is waited for
    // whoever is being sent to it.
    const bool waits = splices && Snapshot().LiveMaster() != nullptr;
    if (!ran && !first && waits && ran.error().Code() == ErrorCode::kUnavailable && !silent) {
      co_await Sleep(kAskAgainMs);
      continue;
    }
    if (!ran && !first) {  // it was given before, and that may have had its effect
      CommandResult unknown;
      unknown.id = command.id;
      unknown.error = ran.error().Message();
      co_return unknown;
    }
    // Sooner, it is the agent's own word: it was restarted in between, and does not know.
    const bool no_answer =
        ran && ran->outcome == Outcome::kUnknown && environment_.NowMs() - asked >= patience_ms;
    // Nor is a node compared with a master that is no more: it may have to take its place.
    const bool compares = std::holds_alternative<CompareAction>(command.action);
    const bool lost = splices ? !waits
                              : nodes_.at(command.node).losses != losses ||
                                    (compares && Snapshot().LiveMaster() == nullptr);
    if (!takes_long || !no_answer || lost || environment_.NowMs() >= give_up) co_return ran;
    co_await Sleep(kAskAgainMs);
  }
}

Task<Result<void>> GroupRunner::Settled() {
  co_return co_await Answer<Result<void>>([&](auto done) { environment_.Settle(std::move(done)); });
}

Task<Result<void>> GroupRunner::WriteDown(Decision decision, std::optional<GroupState> state, Undo undo) {
  auto written = environment_.Store().AppendDecision(decision, state ? &*state : nullptr);
  if (!written) {
    NoteStoreProblem(written.error());
    Alarm(store_problem_ + "; nothing is done without a durable decision");
    co_return written;
  }
  // Not later: another task's write, which follows this one, is made from it.
  const std::uint64_t epoch_before = state_.epoch;
  if (state) state_ = std::move(*state);
  const bool raises = state_.epoch != epoch_before && !durable_epoch_;
  if (raises) durable_epoch_ = epoch_before;
  auto durable = co_await Settled();
  if (raises) durable_epoch_.reset();
  if (durable) {
    store_problem_.clear();
    co_return durable;
  }
  NoteStoreProblem(durable.error());
  Alarm(store_problem_ + "; nothing is done without a durable decision");
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kFailed;
  outcome.sentence = "nothing was done: " + store_problem_;
  if (undo) undo(state_);
  (void)Close(decision, outcome, undo ? &state_ : nullptr);
  co_return durable;
}

void GroupRunner::LogStep(const Decision& decision, const StepRecord& step) {
  if (auto logged = environment_.Store().AppendStep(decision.id, step.end_ms, step); !logged) {
    Alarm(logged.error().Message());
  }
  Info(decision.id + ": " + step.action + " " + step.node + ": " + std::string(ToString(step.outcome)) +
       (step.detail.empty() ? "" : ": " + step.detail));
}

// Why a rejoin is not gone on with, before its next step; empty: it is. A salvage may have taken minutes, and
// writing the decision down a while.
std::string GroupRunner::WhyNotOn(const Decision& decision, std::size_t step) {
  if (decision.kind != DecisionKind::kRejoin) return "";
  if (Superseded(decision)) return "the group's master was changed in between";
  const bool moves = decision.verdict && decision.verdict->verdict != Verdict::kHold;
  if (step == 0 && moves && Snapshot().LiveMaster() == nullptr)
    return "master " + state_.master + " was lost in between";
  if (step == 0) return "";
  if (!std::holds_alternative<SalvageAction>(decision.plan[step - 1].action)) return "";
  if (state_.paused) return "the group was paused in between";
  if (state_.maintenance.contains(decision.node)) return "it was put into maintenance in between";
  const GroupSnapshot snapshot = Snapshot();
  if (snapshot.LiveMaster() == nullptr) return "master " + state_.master + " was lost in between";
  if (std::holds_alternative<FullSyncAction>(decision.plan[step].action)) {
    if (auto why_not = WhyNoFullSync(snapshot, decision.node, fleet_.full_syncs)) return why_not->sentence;
  }
  return "";
}

// One step after another, as long as the decision still stands.
Task<GroupRunner::Execution> GroupRunner::Execute(Decision decision) {
  Execution execution;
  const bool rejoin = decision.kind == DecisionKind::kRejoin && nodes_.contains(decision.node) &&
                      decision.verdict && decision.verdict->verdict != Verdict::kHold;
  for (std::size_t step = 0; step < decision.plan.size(); ++step) {
    if (std::string why_not = WhyNotOn(decision, step); !why_not.empty()) {
      execution.outcome = Outcome::kFailed;
      execution.error = std::move(why_not);
      break;
    }
    const Action& action = decision.plan[step].action;
    const auto* salvage = std::get_if<SalvageAction>(&action);
    const bool full_sync = std::holds_alternative<FullSyncAction>(action);
    if (rejoin) {
      nodes_.at(decision.node).salvaging = salvage != nullptr;
      if (salvage == nullptr) nodes_.at(decision.node).view.rejoining = true;
    }
    const std::string zone = full_sync ? nodes_.at(decision.node).settings.zone : std::string();
    if (full_sync) execution.zone = zone;
    if (full_sync) fleet_.full_syncs.Begin(zone);  // until WatchFullSyncs sees its end
    auto result = co_await RunCommand(decision, CommandOf(decision, step));
    if (full_sync && result.outcome != Outcome::kDone) fleet_.full_syncs.End(zone);
    if (rejoin) nodes_.at(decision.node).salvaging = false;
    execution.outcome = result.outcome;
    execution.error = result.error;
    if (result.salvage) execution.salvage = std::move(result.salvage);
    const bool splices = std::holds_alternative<SpliceAction>(action);
    if (splices && result.last) execution.met = *result.last + 1;
    execution.in_borrow = rejoin && std::holds_alternative<RescueAction>(action);
    execution.in_splice = splices || std::holds_alternative<AdvanceAction>(action);
    NoteKeys(action, result, &execution);
    environment_.FaultPoint("after-" + std::string(ActionName(action)));
    if (salvage != nullptr && !salvage->required && result.outcome == Outcome::kFailed) {
      execution.not_salvaged = result.error;
      execution.outcome = Outcome::kDone;
      continue;
    }
    if (execution.outcome != Outcome::kDone) break;
  }
  // What was switched on for this node alone is not left so.
  for (std::size_t step = decision.plan.size(); step-- > 0 && execution.outcome != Outcome::kDone;) {
    const auto* offer = std::get_if<OfferPaddingAction>(&decision.plan[step].action);
    if (offer == nullptr || offer->on) continue;
    co_await RunCommand(decision, CommandOf(decision, step));
    break;
  }
  co_return execution;
}

// What a step that looked at keys, or made them equal, came to.
void GroupRunner::NoteKeys(const Action& action, const CommandResult& result, Execution* execution) {
  const auto* compare = std::get_if<CompareAction>(&action);
  execution->of_keys = compare != nullptr || std::holds_alternative<RepairAction>(action);
  if (compare != nullptr && !result.comparison && result.outcome == Outcome::kDone) {
    execution->outcome = Outcome::kUnknown;
    execution->error = "the agent does not say what the comparison came to";
  }
  // What is only to be known is done without.
  if (compare != nullptr && !compare->must_equal && result.outcome == Outcome::kFailed) {
    execution->outcome = Outcome::kDone;
  }
  if (compare != nullptr && result.comparison) {
    if (!execution->keys) execution->keys.emplace();
    Add(*result.comparison, compare->must_equal ? &execution->keys->after : &execution->keys->before);
    if (auto why_not = WhyNot(*compare, *result.comparison)) {
      execution->outcome = Outcome::kFailed;
      execution->error = std::move(*why_not);
      execution->unequal = true;
    }
  }
  if (result.repair) {
    if (!execution->keys) execution->keys.emplace();
    Add(*result.repair, &execution->keys->repair);
    execution->unequal = result.repair->failed > 0;
  }
}

Result<void> GroupRunner::Close(const Decision& decision, OutcomeRecord outcome, const GroupState* state) {
  outcome.time_ms = environment_.UnixMs();
  if (outcome.took_ms == 0) outcome.took_ms = outcome.time_ms - decision.time_ms;
  // What was done was done, whether it can be written down at this moment or not.
  if (state != nullptr) state_ = *state;
  if (Mutated(Mutation::kForgetOutcome) && decision.kind == DecisionKind::kRejoin) return {};
  auto written = environment_.Store().AppendOutcome(decision.id, outcome, state);
  if (!written) {
    NoteStoreProblem(written.error());
    Alarm(store_problem_);
    unclosed_.push_back({decision, outcome});
    return written;
  }
  Info(decision.id + " " + std::string(ToString(decision.kind)) +
       (decision.node.empty() ? "" : " " + decision.node) + ": " + std::string(ToString(outcome.outcome)) +
       ": " + outcome.sentence);
  return written;
}

bool GroupRunner::WriteUnclosed() {
  while (!unclosed_.empty()) {
    if (auto written = environment_.Store().AppendOutcome(unclosed_.front().decision.id,
                                                          unclosed_.front().outcome, &state_);
        !written) {
      NoteStoreProblem(written.error());
      return false;
    }
    unclosed_.erase(unclosed_.begin());
    store_problem_.clear();
  }
  return true;
}

std::uint64_t GroupRunner::NextEpoch() const {
  std::uint64_t epoch = state_.epoch;
  for (const auto& [name, node] : nodes_) {
    if (node.view.report) epoch = std::max(epoch, node.view.report->epoch);
  }
  return epoch + 1;
}

DecisionRecord GroupRunner::RecordOf(const Decision& decision) const {
  if (auto record = environment_.Store().ReadRecord(decision.id)) return std::move(*record);
  return {decision, {}, std::nullopt};
}

Error GroupRunner::Refuse(Decision decision, const Error& error, std::string_view code) {
  decision.kind = DecisionKind::kRefusal;
  decision.epoch = state_.epoch;
  decision.reasons = {{std::string(code.empty() ? reason::kRefused : code), error.Message()}};
  decision.plan.clear();
  if (auto written = environment_.Store().AppendDecision(decision, nullptr)) {
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kDone;
    outcome.sentence = "nothing was changed";
    (void)Close(decision, outcome, nullptr);
  }
  return error;
}

std::map<std::string, std::optional<Place>> GroupRunner::Places() const {
  const GroupSnapshot snapshot = Snapshot();
  std::map<std::string, std::optional<Place>> places;
  for (const auto& [name, view] : snapshot.nodes) places.emplace(name, PlaceOf(snapshot, view));
  return places;
}

bool GroupRunner::Calm() const {
  return busy_.empty() && !mutex_.Locked() && environment_.Store().OpenRecords(settings_.name).empty();
}

boost::json::value GroupRunner::Status() {
  const GroupSnapshot snapshot = Snapshot();
  const TolerancePolicy policy = environment_.Policy();
  boost::json::object status;
  status["group"] = settings_.name;
  status["managed"] = ToString(state_.management);
  status["epoch"] = state_.epoch;
  status["master"] = state_.master;
  boost::json::object policy_json{{"name", policy.name}, {"hash", policy.content_hash}};
  if (!environment_.PolicyProblem().empty()) policy_json["error"] = environment_.PolicyProblem();
  status["policy"] = std::move(policy_json);
  boost::json::array findings;
  for (const auto& finding : FindIn(snapshot)) {
    boost::json::array rests_on;
    for (const Source source : finding.rests_on) rests_on.push_back(boost::json::string(ToString(source)));
    findings.push_back({{"code", ToString(finding.code)},
                        {"node", finding.node},
                        {"sentence", finding.sentence},
                        {"rests_on", std::move(rests_on)}});
  }
  status["findings"] = std::move(findings);
  boost::json::array nodes;
  const NodeView* master = snapshot.LiveMaster();
  const bool out_of_sight = trouble_ == FindingCode::kMasterOutOfSight;
  status["has_master"] = state_.management == Management::kManaged && (master != nullptr || out_of_sight);
  if (lost_since_ms_) status["without_master_ms"] = environment_.NowMs() - *lost_since_ms_;
  const std::optional<Sequence> master_last = master == nullptr ? std::nullopt : master->report->last;
  for (const auto& [name, view] : snapshot.nodes) {
    const Node& node = nodes_.at(name);
    auto condition = ConditionOf(snapshot, view);
    if (!node.queued.empty()) condition.sentence = node.queued;
    if (full_syncs_.contains(name)) {
      condition.sentence = "a full sync that was decided is under way: " + Describe(ProgressOfFullSync(name));
    }
    boost::json::object item{{"node", name},
                             {"agent", node.settings.agent},
                             {"connected", view.connected},
                             {"priority", view.priority},
                             {"condition", condition.word},
                             {"sentence", condition.sentence}};
    // Nothing of a node whose agent was never heard.
    if (node.heard_ms > 0) item["silent_ms"] = view.durations.silent_ms;
    if (const auto place = PlaceOf(snapshot, view)) item["place"] = ToString(*place);
    if (!view.zone.empty()) item["zone"] = view.zone;
    if (!view.candidate) item["candidate"] = false;
    if (const auto hold = state_.maintenance.find(name); hold != state_.maintenance.end()) {
      item["maintenance"] = hold->second.reason.empty() ? "in maintenance" : hold->second.reason;
    }
    if (full_syncs_.contains(name)) {
      const FullSyncProgress progress = ProgressOfFullSync(name);
      boost::json::object full_sync{{"bytes", progress.bytes}};
      if (progress.of_bytes) full_sync["of_bytes"] = *progress.of_bytes;
      if (progress.left_ms) full_sync["left_ms"] = *progress.left_ms;
      item["full_sync"] = std::move(full_sync);
    }
    if (view.resume_left_ms) item["resume_left_ms"] = *view.resume_left_ms;
    if (node.full_sync_queued && view.Fresh() != nullptr && !full_syncs_.contains(name))
      item["full_sync_queued"] = true;
    // Also of one that has lost its link: just then it falls behind.
    const bool follows = InService(snapshot, view) || condition.word == "following";
    if (master_last && view.Fresh() != nullptr && view.report->last && follows) {
      const Sequence last = *view.report->last;
      item["lag"] = *master_last > last ? *master_last - last : 0;
      if (const auto behind = lag_.BehindMs(environment_.NowMs(), last)) item["lag_ms"] = *behind;
    }
    if (view.report) item["report"] = ToJson(*view.report);
    nodes.push_back(std::move(item));
  }
  status["nodes"] = std::move(nodes);
  boost::json::array open;
  std::int64_t open_ms = 0;
  std::int64_t open_full_sync_ms = 0;
  for (const auto& record : environment_.Store().OpenRecords(settings_.name)) {
    open.push_back(boost::json::string(record.decision.id));
    const bool full = record.decision.verdict && record.decision.verdict->verdict == Verdict::kFull;
    std::int64_t& longest_ms = full ? open_full_sync_ms : open_ms;
    longest_ms = std::max(longest_ms, environment_.UnixMs() - record.decision.time_ms);
  }
  status["open_decisions"] = std::move(open);
  status["open_longest"] = {{"full_sync_ms", open_full_sync_ms}, {"other_ms", open_ms}};
  status["busy"] = busy_;
  status["waits"] = waits_;
  if (!waits_.empty()) status["waits_code"] = waits_code_;
  if (granted_ms_ >= 0) status["lease_age_ms"] = environment_.NowMs() - granted_ms_;
  if (state_.paused) {
    status["paused"] = {{"since_ms", state_.paused->since_ms}, {"reason", state_.paused->reason}};
  }
  if (const std::int64_t left = state_.blocked_until_ms - environment_.UnixMs(); left > 0) {
    status["blocked_left_ms"] = left;
  }
  const std::string& problem = store_problem_.empty() ? look_problem_ : store_problem_;
  if (!problem.empty()) status["error"] = problem;
  if (const auto why = WhyNoFailover(snapshot, environment_.UnixMs(), problem, RulesFor(snapshot))) {
    status["no_failover"] = {{"code", why->code}, {"sentence", why->sentence}};
  }
  return status;
}

}  // namespace walstitch::core
