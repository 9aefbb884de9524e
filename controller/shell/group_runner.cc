#include "controller/shell/group_runner.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <exception>
#include <random>

#include "controller/core/plan.h"
#include "controller/core/ulid.h"
#include "controller/shell/fault_point.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kIdleTick{500};
constexpr std::chrono::milliseconds kResubscribe{250};
constexpr std::chrono::milliseconds kBootstrapRetry{5000};
constexpr std::chrono::milliseconds kSilence{4000};  // agents report every second at least

}  // namespace

std::int64_t UnixMillis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string NewId() {
  static std::random_device device;
  std::array<std::uint8_t, 10> random{};
  for (auto& byte : random) byte = static_cast<std::uint8_t>(device());
  return core::MakeUlid(UnixMillis(), random);
}

GroupRunner::GroupRunner(asio::any_io_executor executor, GroupConfig config, std::string agent_token,
                         Store& store, PolicyStore& policies, FullSyncSlots& slots)
    : executor_(executor),
      config_(std::move(config)),
      store_(store),
      policies_(policies),
      slots_(slots),
      mutex_(executor),
      wake_(executor) {
  for (const auto& node : config_.nodes) {
    Node entry{node, AgentClient(node.name, node.agent_url, agent_token), {}, nullptr, {}, 0, {}, {}};
    entry.view.node = node.name;
    entry.view.priority = node.priority;
    nodes_.emplace(node.name, std::move(entry));
  }
  for (auto& [name, node] : nodes_) {
    node.subscription = std::make_unique<http::Subscription>(
        executor_, node.config.agent_url, "/v1/stream", agent_token, kResubscribe, kSilence,
        [this, name = name](std::string message) { OnReport(name, std::move(message)); },
        [this, name = name](bool connected) { OnConnection(name, connected); });
  }
}

Result<void> GroupRunner::Start() {
  auto state = store_.LoadGroup(config_.name);
  if (!state) return Fail(state.error());
  state_ = std::move(*state);
  asio::co_spawn(
      executor_, [](std::shared_ptr<GroupRunner> self) { return self->Loop(); }(shared_from_this()),
      asio::detached);
  return {};
}

void GroupRunner::Wake() {
  woken_ = true;
  wake_.cancel();
}

void GroupRunner::OnReport(const std::string& name, std::string message) {
  auto json = ParseJson(message);
  auto report = json ? ReportFromJson(*json) : Result<Report>(Fail(json.error()));
  if (!report) {
    spdlog::warn("group {}: a report of {} was not understood: {}", config_.name, name,
                 report.error().Message());
    return;
  }
  Node& node = nodes_.at(name);
  if (report->node != name || report->group != config_.name) {
    if (node.view.connected) {
      spdlog::error("group {}: the agent at {} says it is {} of group {}, not {}: check the configuration",
                    config_.name, node.config.agent, report->node, report->group, name);
    }
    node.view.connected = false;
    return;
  }
  // A report that was overtaken by a fresher answer says nothing new.
  if (node.view.connected && node.view.report && report->number < node.view.report->number) return;
  node.view.report = std::move(*report);
  node.view.connected = true;
  Wake();
}

void GroupRunner::OnConnection(const std::string& name, bool connected) {
  Node& node = nodes_.at(name);
  if (connected) {
    node.view.report.reset();  // numbers start anew with an agent that was restarted
    return;                    // it counts as connected with its first report
  }
  if (node.view.connected)
    spdlog::warn("group {}: the agent of {} does not answer any more", config_.name, name);
  node.view.connected = false;
  Wake();
}

core::GroupSnapshot GroupRunner::Snapshot() const {
  core::GroupSnapshot snapshot;
  snapshot.state = state_;
  for (const auto& [name, node] : nodes_) {
    auto view = node.view;
    view.full_sync_open = full_syncs_.contains(name);
    snapshot.nodes.emplace(name, std::move(view));
  }
  return snapshot;
}

// Asks the agent for a report made now, which counts whatever came before. nullopt: it does not answer. A
// copy, for the view may change at the next co_await.
asio::awaitable<std::optional<Report>> GroupRunner::Refresh(Node& node) {
  auto report = co_await node.client.FreshReport();
  if (!report || report->node != node.config.name || report->group != config_.name) {
    node.view.connected = false;  // until its stream brings a report
    co_return std::nullopt;
  }
  node.view.report = *report;
  node.view.connected = true;
  co_return std::move(*report);
}

asio::awaitable<void> GroupRunner::RefreshAll() {
  for (auto& [name, node] : nodes_) {
    if (node.view.connected) co_await Refresh(node);
  }
}

asio::awaitable<void> GroupRunner::Loop() {
  for (;;) {
    woken_ = false;
    bool failed = false;
    {
      auto guard = co_await mutex_.Lock();
      try {
        co_await Reconcile();
      } catch (const std::exception& problem) {
        failed = true;
        busy_.clear();
        store_problem_ = std::string("a look at the group failed: ") + problem.what();
        spdlog::error("group {}: {}", config_.name, store_problem_);
      }
    }
    if (woken_ && !failed) continue;
    wake_.expires_after(kIdleTick);
    boost::system::error_code cancelled;  // the cancellation is the signal
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

asio::awaitable<void> GroupRunner::Reconcile() {
  policies_.Refresh();
  if (!WriteUnclosed()) co_return;
  if (!open_finished_) {
    open_finished_ = co_await FinishOpenDecisions();
    if (!busy_.empty()) co_return;  // what may have changed the group's master is finished first
  }
  if (RecognisePromotion()) co_return;
  co_await WatchFullSyncs();
  const auto findings = core::FindIn(Snapshot());
  for (const auto& finding : findings) {
    if (finding.code == core::FindingCode::kNewGroup) {
      if (std::chrono::steady_clock::now() < next_bootstrap_) co_return;
      next_bootstrap_ = std::chrono::steady_clock::now() + kBootstrapRetry;
      auto made = co_await Bootstrap({});
      if (!made) spdlog::warn("group {}: no first master: {}", config_.name, made.error().Message());
      co_return;
    }
    const bool to_act =
        finding.code == core::FindingCode::kNodeToRejoin || finding.code == core::FindingCode::kSecondMaster;
    if (!to_act) continue;
    Node& node = nodes_.at(finding.node);
    if (node.blocked || std::chrono::steady_clock::now() < node.next_try) continue;
    busy_ = "rejoin of " + finding.node;
    co_await Rejoin(node);
    busy_.clear();
  }
}

Decision GroupRunner::NewDecision(DecisionKind kind, std::uint64_t epoch) {
  Decision decision;
  decision.id = NewId();
  decision.time_ms = UnixMillis();
  decision.group = config_.name;
  decision.epoch = epoch;
  decision.kind = kind;
  const TolerancePolicy& policy = policies_.For(config_.name);
  decision.policy_name = policy.name;
  decision.policy_hash = policy.content_hash;
  return decision;
}

// Gives one command and logs it as a step. The result is never absent: what certainly did not happen is
// kFailed, what may have happened is kUnknown.
asio::awaitable<CommandResult> GroupRunner::RunCommand(const Decision& decision, Command command) {
  StepRecord step;
  step.node = command.node;
  step.action = ActionName(command.action);
  step.command = command.id;
  step.start_ms = UnixMillis();
  CommandResult result;
  result.id = command.id;
  auto node = nodes_.find(command.node);
  if (node == nodes_.end()) {
    result.outcome = Outcome::kFailed;
    result.error = "node " + command.node + " is no longer in the configuration";
  } else if (auto ran = co_await node->second.client.Run(command)) {
    result = std::move(*ran);
    co_await Refresh(node->second);
  } else {
    result.outcome = Outcome::kFailed;
    result.error = ran.error().Message();
  }
  step.end_ms = UnixMillis();
  step.outcome = result.outcome;
  step.detail = result.error;
  if (step.detail.empty() && result.last) {
    step.detail = "last " + result.last->ToString();
    if (result.last_after) step.detail += ", then " + result.last_after->ToString();
  }
  if (auto logged = store_.AppendStep(decision.id, step.end_ms, step); !logged) {
    spdlog::error("group {}: {}", config_.name, logged.error().Message());
  }
  spdlog::info("group {}: {}: {} {}: {}{}{}", config_.name, decision.id, step.action, step.node,
               ToString(result.outcome), step.detail.empty() ? "" : ": ", step.detail);
  co_return result;
}

asio::awaitable<GroupRunner::Execution> GroupRunner::Execute(const Decision& decision, std::size_t first_step,
                                                             std::size_t end_step) {
  Execution execution;
  for (std::size_t step = first_step; step < end_step; ++step) {
    auto result = co_await RunCommand(decision, core::CommandOf(decision, step));
    execution.outcome = result.outcome;
    execution.error = result.error;
    if (result.outcome != Outcome::kDone) break;
  }
  co_return execution;
}

Result<void> GroupRunner::Close(const Decision& decision, OutcomeRecord outcome,
                                const core::GroupState* state) {
  outcome.time_ms = UnixMillis();
  if (outcome.took_ms == 0) outcome.took_ms = outcome.time_ms - decision.time_ms;
  // What was done was done, whether it can be written down at this moment or not.
  if (state != nullptr) state_ = *state;
  auto written = store_.AppendOutcome(decision.id, outcome, state);
  if (!written) {
    store_problem_ = written.error().Message();
    spdlog::error("group {}: {}", config_.name, store_problem_);
    unclosed_.push_back({decision, outcome});
    return written;
  }
  spdlog::info("group {}: {} {} {}: {}: {}", config_.name, decision.id, ToString(decision.kind),
               decision.node, ToString(outcome.outcome), outcome.sentence);
  return written;
}

bool GroupRunner::WriteUnclosed() {
  while (!unclosed_.empty()) {
    if (auto written =
            store_.AppendOutcome(unclosed_.front().decision.id, unclosed_.front().outcome, &state_);
        !written) {
      store_problem_ = written.error().Message();
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
  if (auto record = store_.ReadRecord(decision.id)) return std::move(*record);
  return {decision, {}, std::nullopt};
}

Error GroupRunner::Refuse(Decision decision, const Error& error) {
  decision.kind = DecisionKind::kRefusal;
  decision.epoch = state_.epoch;
  decision.reasons = {{std::string(reason::kRefused), error.Message()}};
  decision.plan.clear();
  if (auto written = store_.AppendDecision(decision, nullptr)) {
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kDone;
    outcome.sentence = "nothing was changed";
    (void)Close(decision, outcome, nullptr);
  }
  return error;
}

boost::json::value GroupRunner::Status() {
  const core::GroupSnapshot snapshot = Snapshot();
  const TolerancePolicy& policy = policies_.For(config_.name);
  boost::json::object status;
  status["group"] = config_.name;
  status["managed"] = core::ToString(state_.management);
  status["epoch"] = state_.epoch;
  status["master"] = state_.master;
  boost::json::object policy_json{{"name", policy.name}, {"hash", policy.content_hash}};
  if (!policies_.Problem().empty()) policy_json["error"] = policies_.Problem();
  status["policy"] = std::move(policy_json);
  boost::json::array findings;
  for (const auto& finding : core::FindIn(snapshot)) {
    findings.push_back(
        {{"code", core::ToString(finding.code)}, {"node", finding.node}, {"sentence", finding.sentence}});
  }
  status["findings"] = std::move(findings);
  boost::json::array nodes;
  for (const auto& [name, view] : snapshot.nodes) {
    const Node& node = nodes_.at(name);
    auto condition = core::ConditionOf(snapshot, view);
    if (!node.queued.empty()) condition.sentence = node.queued;
    boost::json::object item{{"node", name},
                             {"agent", node.config.agent},
                             {"connected", view.connected},
                             {"priority", view.priority},
                             {"condition", condition.word},
                             {"sentence", condition.sentence}};
    if (view.report) item["report"] = ToJson(*view.report);
    nodes.push_back(std::move(item));
  }
  status["nodes"] = std::move(nodes);
  boost::json::array open;
  for (const auto& record : store_.OpenRecords(config_.name))
    open.push_back(boost::json::string(record.decision.id));
  status["open_decisions"] = std::move(open);
  status["busy"] = busy_;
  if (!store_problem_.empty()) status["error"] = store_problem_;
  return status;
}

}  // namespace walstitch::shell
