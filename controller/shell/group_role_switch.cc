// Role switches: the first master of a new group, failover, switchover.
#include <spdlog/spdlog.h>

#include <boost/asio/this_coro.hpp>

#include "controller/core/plan.h"
#include "controller/core/rescue.h"
#include "controller/shell/fault_point.h"
#include "controller/shell/group_runner.h"
#include "policies/model/reason_codes.h"

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kCatchUpPoll{5};
constexpr std::chrono::milliseconds kPromoteRepeat{200};
constexpr int kPromoteRepeats = 10;
// A tail is what lay in buffers when the master died; a gigabyte takes some seconds.
constexpr std::chrono::milliseconds kRescueDeadline{60000};

asio::awaitable<void> Pause(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  boost::system::error_code cancelled;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

Reason OperatorAsked(const OperatorRequest& request, std::string_view what) {
  return {std::string(reason::kOperatorAsked), "an operator asked for a " + std::string(what) +
                                                   (request.to ? " to " + *request.to : std::string()) +
                                                   (request.force ? ", with --force" : "")};
}

}  // namespace

// Replicas that still follow the old master are held until their own rejoin is decided; the promoted one
// takes no part any more.
void GroupRunner::AddParkSteps(Decision& decision, const std::string& promoted,
                               const std::string& old_master) {
  for (const auto& [name, node] : nodes_) {
    if (name == promoted || name == old_master || !node.view.connected || !node.view.report) continue;
    if (node.view.report->process != ProcessState::kUp || node.view.report->role != Role::kReplica) continue;
    if (full_syncs_.contains(name)) continue;
    decision.plan.push_back({name, ParkAction{}, "hold it until its rejoin to " + promoted + " is decided"});
  }
}

asio::awaitable<OperatorAnswer> GroupRunner::Bootstrap(OperatorRequest request) {
  Decision decision = NewDecision(DecisionKind::kBootstrap, NextEpoch());
  decision.finding = "a new group: every node is parked, no epoch is recorded";
  auto ranked = core::RankCandidates(Snapshot(), "");
  for (const auto& candidate : ranked) {
    decision.reasons.push_back({std::string(candidate.eligible ? reason::kCandidate : reason::kNotEligible),
                                candidate.node + ": " + candidate.reason});
  }
  auto chosen = core::ChooseCandidate(ranked, request.to);
  if (!chosen) co_return Fail(chosen.error());
  decision.node = chosen->node;
  decision.reasons.insert(decision.reasons.begin(),
                          {std::string(reason::kMostAdvanced),
                           chosen->node + " is the most advanced node (" + chosen->reason + ")"});
  decision.plan = core::PlanPromotion(std::nullopt, chosen->node, chosen->last);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline);
}

// Nobody is promoted before the old master is known not to take writes: 1. its agent is cut off, 2. the
// server goes on, 3. another node is promoted, 4. two masters take writes, and one side's are lost. The same
// holds for a node whose promotion was never answered. What it rests on becomes a reason of the decision.
Result<void> GroupRunner::MayReplaceMaster(const core::GroupSnapshot& snapshot, Decision& decision) const {
  const std::string& old_master = decision.survivor;
  if (snapshot.LiveMaster() != nullptr) {
    return Fail(ErrorCode::kConflict,
                old_master + " is alive and the master: use switchover, which loses nothing");
  }
  for (const auto& given : decision.reasons) {
    if (given.code == reason::kForced) return {};
  }
  if (auto other = core::OtherMaster(snapshot, UnixMillis(), decision.node))
    return Fail(ErrorCode::kConflict, *other);
  const core::NodeView* master = snapshot.Find(old_master);
  const Report* report = master == nullptr ? nullptr : master->Fresh();
  if (report == nullptr) {
    return Fail(ErrorCode::kConflict,
                "the agent of master " + old_master +
                    " does not answer, so its server may still take writes: make sure that "
                    "it is stopped, then use --force");
  }
  if (report->process == ProcessState::kDown) {
    decision.reasons.push_back(
        {std::string(reason::kMasterDown), "the process of " + old_master + " is down, says its own agent"});
    return {};
  }
  if (core::Fenced(*report)) {
    decision.reasons.push_back(
        {std::string(reason::kMasterParked), old_master + " is parked: it takes no writes"});
    return {};
  }
  return Fail(ErrorCode::kConflict,
              "the server of master " + old_master +
                  " does not answer, or is not held by its relay, and may take writes: stop "
                  "it, then fail over");
}

// Whether the dead master's WAL goes on where the candidate's ends: both hold the same batch there. Empty: it
// does. A candidate without a batch of its own there, empty or fresh from a full sync, has nothing that could
// differ: its membership in the stream stands for it, and the tail must begin at a boundary (ReadTail).
asio::awaitable<std::string> GroupRunner::WhyNotTheSameHistory(const core::Candidate& candidate) {
  if (candidate.last == Sequence(0)) co_return std::string();
  const std::string master = state_.master;
  const SequenceRange at{candidate.last, candidate.last + 1};
  auto ours = co_await nodes_.at(candidate.node).client.Batches(at, 1);
  if (!ours && ours.error().Code() == ErrorCode::kNotFound) co_return std::string();
  if (!ours) co_return "the WAL of " + candidate.node + " does not tell: " + ours.error().Message();
  auto theirs = co_await nodes_.at(master).client.Batches(at, 1);
  if (!theirs) co_return "the WAL of " + master + " does not tell: " + theirs.error().Message();
  const bool same = theirs->size() == 1 && ours->size() == 1 && theirs->front() == ours->front() &&
                    ours->front().End() == at.to;
  if (!same) co_return "their WALs hold different batches at " + candidate.last.ToString();
  co_return std::string();
}

asio::awaitable<OperatorAnswer> GroupRunner::Failover(OperatorRequest request) {
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "failover");
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  co_await RefreshAll();
  if (state_.management != core::Management::kManaged) {
    const auto findings = core::FindIn(Snapshot());
    const auto code = findings.empty() ? core::FindingCode::kNodesMissing : findings.front().code;
    const bool told = code == core::FindingCode::kStoreLost && request.force && request.to;
    if (code == core::FindingCode::kNewGroup || told) co_return co_await Bootstrap(request);
    co_return Fail(ErrorCode::kConflict, "group " + config_.name + " is not managed yet: " +
                                             (findings.empty() ? "" : findings.front().sentence));
  }
  CloseOpenPromotions("an operator asked for another failover");

  Decision decision = NewDecision(DecisionKind::kFailover, NextEpoch());
  decision.survivor = state_.master;
  decision.finding = "an operator wants a failover";
  decision.reasons.push_back(OperatorAsked(request, "failover"));
  const core::GroupSnapshot snapshot = Snapshot();
  for (const auto& finding : core::FindIn(snapshot)) {
    if (finding.node == state_.master) decision.finding = finding.sentence;
  }
  if (request.force) {
    decision.reasons.push_back(
        {std::string(reason::kForced), "the operator vouches that no other node of the group takes writes"});
  }
  const Result<void> fenced = MayReplaceMaster(snapshot, decision);
  if (!fenced) {
    co_return Fail(request.dry_run ? fenced.error() : Refuse(std::move(decision), fenced.error()));
  }
  auto ranked = core::RankCandidates(snapshot, "");
  for (const auto& candidate : ranked) {
    decision.reasons.push_back({std::string(candidate.eligible ? reason::kCandidate : reason::kNotEligible),
                                candidate.node + ": " + candidate.reason});
  }
  auto chosen = core::ChooseCandidate(ranked, request.to);
  if (!chosen) {
    co_return Fail(request.dry_run ? chosen.error() : Refuse(std::move(decision), chosen.error()));
  }
  decision.node = chosen->node;
  decision.plan = core::PlanPromotion(std::nullopt, chosen->node, chosen->last);
  if (auto tail = core::FindTailOnDisk(snapshot, *chosen)) {
    if (tail->why_not.empty() && !request.rescue) tail->why_not = "the operator wants it left there";
    if (tail->why_not.empty()) tail->why_not = co_await WhyNotTheSameHistory(*chosen);
    if (tail->why_not.empty()) {
      decision.plan = core::PlanRescue(state_.master, nodes_.at(state_.master).config.agent, chosen->node,
                                       tail->range->to);
      decision.reasons.push_back({std::string(reason::kTailRescued),
                                  state_.master + " holds " + tail->range->ToString() + " on its disk, and " +
                                      chosen->node + " takes it before it is promoted"});
    } else if (!tail->range) {
      decision.reasons.push_back({std::string(reason::kTailLeftBehind), tail->why_not});
    } else {
      decision.reasons.push_back(
          {std::string(reason::kTailLeftBehind),
           state_.master + " holds " + tail->range->ToString() + " on its disk, which " + chosen->node +
               " does not have (" + tail->why_not + "): these records are judged by the policy when " +
               state_.master + " comes back; to lose none, start it again and fail over to it"});
    }
  }
  AddParkSteps(decision, chosen->node, state_.master);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline);
}

asio::awaitable<OperatorAnswer> GroupRunner::Switchover(OperatorRequest request) {
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "switchover");
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  co_await RefreshAll();
  Decision decision = NewDecision(DecisionKind::kSwitchover, NextEpoch());
  decision.survivor = state_.master;
  decision.finding = "the group is healthy; an operator wants another master";
  decision.reasons.push_back(OperatorAsked(request, "switchover"));
  const core::GroupSnapshot snapshot = Snapshot();
  auto refuse = [&](const std::string& sentence) {
    const Error error(ErrorCode::kConflict, sentence);
    return Fail(request.dry_run ? error : Refuse(decision, error));
  };
  if (state_.management != core::Management::kManaged) {
    co_return Fail(ErrorCode::kConflict,
                   "group " + config_.name + " is not managed: run walstitch status " + config_.name);
  }
  if (snapshot.LiveMaster() == nullptr)
    co_return refuse("the group has no living master to switch from: use failover");
  if (auto other = core::OtherMaster(snapshot, UnixMillis(), "")) co_return refuse(*other);
  if (OpenRoleSwitch())
    co_return refuse("a role switch of an earlier run is still being finished: try again later");
  if (request.to == state_.master) co_return refuse(state_.master + " is the master already");
  // Only a node that follows now can have everything within the deadline.
  std::optional<core::Candidate> chosen;
  std::string rejected;
  for (const auto& candidate : core::RankCandidates(snapshot, state_.master)) {
    const bool in_service = core::InService(snapshot, *snapshot.Find(candidate.node));
    const std::string why = !candidate.eligible ? candidate.reason
                            : in_service        ? ""
                                                : "it does not follow the master";
    decision.reasons.push_back({std::string(why.empty() ? reason::kCandidate : reason::kNotEligible),
                                candidate.node + ": " + (why.empty() ? candidate.reason : why)});
    if (!why.empty()) rejected += (rejected.empty() ? "" : "; ") + candidate.node + ": " + why;
    if (why.empty() && !chosen && (!request.to || *request.to == candidate.node)) chosen = candidate;
  }
  if (request.to && snapshot.Find(*request.to) == nullptr)
    co_return refuse("no node '" + *request.to + "' in this group");
  if (!chosen) co_return refuse("no node can take over: " + rejected);
  decision.node = chosen->node;
  decision.plan = core::PlanPromotion(state_.master, chosen->node, std::nullopt);
  AddParkSteps(decision, chosen->node, state_.master);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline);
}

// The old master takes over again after a switchover that did not come about. Gives the sentence for the
// outcome. `parked_at` is absent when parking itself failed: then it may never have stopped.
asio::awaitable<std::string> GroupRunner::BackToOldMaster(Decision& decision, core::GroupState& state,
                                                          std::optional<Sequence> parked_at) {
  if (!parked_at) {
    const std::optional<Report> report = co_await Refresh(nodes_.at(decision.survivor));
    if (report && report->process == ProcessState::kUp && report->role == Role::kMaster) {
      co_return decision.survivor + " never stopped being the master";
    }
  }
  Command command;
  command.id = decision.id + "-back";
  command.epoch = decision.epoch;
  command.group = decision.group;
  command.node = decision.survivor;
  command.action = PromoteAction{parked_at};
  const CommandResult back = co_await RunCommand(decision, command);
  const std::optional<Sequence> at = back.last ? back.last : parked_at;
  if (back.outcome == Outcome::kDone && at) {
    core::ApplyPromotion(state, decision.survivor, decision.epoch, *at);
    co_return decision.survivor + " is the master again, nothing was lost";
  }
  co_return "and " + decision.survivor + " could not be made the master again: " + back.error +
      "; run: walstitch failover " + decision.group;
}

// Carries out bootstrap, failover and switchover alike: [park the old master, wait for the candidate,]
// promote, hold the others. Repeats harmlessly: command ids are made of the decision's id. An answer that is
// repeated from an agent's ledger tells what happened once; what is now, only a fresh report tells.
asio::awaitable<OperatorAnswer> GroupRunner::CarryOutPromotion(Decision decision,
                                                               std::chrono::milliseconds deadline,
                                                               bool taken_back) {
  core::GroupState state = state_;
  state.epoch = decision.epoch;
  if (state_.epoch != decision.epoch) {
    // The epoch is used up with the decision, whatever comes of it.
    if (auto written = store_.AppendDecision(decision, &state); !written) {
      store_problem_ = written.error().Message();
      co_return Fail(written.error());
    }
    state_ = state;
  }
  spdlog::info("group {}: {} {} to {}, epoch {}", config_.name, decision.id, ToString(decision.kind),
               decision.node, decision.epoch);
  FaultPoint("after-decision");

  OutcomeRecord outcome;
  const std::int64_t start_ms = UnixMillis();
  std::size_t step = 0;
  std::optional<Sequence> parked_at;
  const bool parks = std::holds_alternative<ParkAction>(decision.plan.front().action);
  if (parks) {
    outcome.outcome = Outcome::kFailed;
    const CommandResult park = co_await RunCommand(decision, core::CommandOf(decision, step++));
    const std::optional<Report> old = co_await Refresh(nodes_.at(decision.survivor));
    const bool held = old && core::Fenced(*old) && park.last && old->last == park.last;
    if (taken_back || park.outcome != Outcome::kDone || !held) {
      outcome.sentence = taken_back ? "it was given up by an earlier run; "
                         : park.outcome != Outcome::kDone
                             ? "parking " + decision.survivor + " failed: " + park.error + "; "
                             : decision.survivor + " was parked, and is not any more; ";
      const std::string back =
          co_await BackToOldMaster(decision, state, taken_back ? park.last : std::nullopt);
      outcome.sentence += back;
      (void)Close(decision, outcome, &state);
      co_return RecordOf(decision);
    }
    parked_at = park.last;
    Node& candidate = nodes_.at(decision.node);
    const auto give_up = std::chrono::steady_clock::now() + deadline;
    for (;;) {
      const std::optional<Report> report = co_await Refresh(candidate);
      if (report && report->last && *report->last >= *parked_at) break;
      if (std::chrono::steady_clock::now() < give_up) {
        co_await Pause(kCatchUpPoll);
        continue;
      }
      outcome.sentence = decision.node + " did not reach " + parked_at->ToString() + " within " +
                         std::to_string(deadline.count()) + " ms" +
                         (report && report->last ? ", it stands at " + report->last->ToString() : "") + "; ";
      const std::string back = co_await BackToOldMaster(decision, state, parked_at);
      outcome.sentence += back;
      outcome.without_master_ms = UnixMillis() - start_ms;
      (void)Close(decision, outcome, &state);
      co_return RecordOf(decision);
    }
  }

  std::string rescued_note;
  if (std::holds_alternative<RescueAction>(decision.plan[step].action)) {
    Command rescue = core::CommandOf(decision, step++);
    rescue.deadline_ms = kRescueDeadline.count();
    const CommandResult rescued = co_await RunCommand(decision, rescue);
    if (rescued.outcome != Outcome::kDone) {
      // Nothing is lost by waiting, and what is promoted without it gives it up.
      outcome.outcome = Outcome::kFailed;
      outcome.sentence = decision.node + " was not promoted, because " + rescued.error +
                         "; try again, or promote it without what " + decision.survivor +
                         " has on its disk: walstitch failover " + decision.group + " --no-rescue";
      (void)Close(decision, outcome, &state);
      co_return RecordOf(decision);
    }
    rescued_note = ", after it took what " + decision.survivor + " had on its disk";
  }

  Command promote = core::CommandOf(decision, step++);
  if (parked_at) promote.action = PromoteAction{parked_at};
  const auto* promotion = std::get_if<PromoteAction>(&promote.action);
  WALSTITCH_CHECK(promotion != nullptr);
  const std::optional<Sequence> required = promotion->require_last;
  CommandResult promoted = co_await RunCommand(decision, promote);
  // The answer was lost: the same command again joins the one that runs, or gets its recorded result.
  for (int again = 0; promoted.outcome == Outcome::kUnknown && again < kPromoteRepeats; ++again) {
    co_await Pause(kPromoteRepeat);
    const std::optional<Report> report = co_await Refresh(nodes_.at(decision.node));
    if (report && report->process == ProcessState::kUp && report->role == Role::kMaster &&
        report->epoch == decision.epoch) {
      promoted.outcome = Outcome::kDone;
      if (!promoted.last) promoted.last = required;
      break;
    }
    promoted = co_await RunCommand(decision, promote);
  }
  if (promoted.outcome != Outcome::kDone) {
    outcome.outcome = promoted.outcome;
    outcome.sentence = "promoting " + decision.node + ": " + promoted.error;
    if (promoted.outcome == Outcome::kFailed && parks) {
      const std::string back = co_await BackToOldMaster(decision, state, parked_at);
      outcome.sentence += "; " + back;
    } else if (promoted.outcome == Outcome::kUnknown) {
      // 1. The promotion is taken for failed because the node is still a replica. 2. Another is promoted. 3.
      // The server gets to its SLAVEOF NO ONE. So nobody else is promoted until this one was seen fenced.
      state.suspects[decision.node] = {decision.epoch, required.value_or(Sequence(0)), UnixMillis()};
    }
    (void)Close(decision, outcome, &state);
    co_return RecordOf(decision);
  }
  outcome.without_master_ms = UnixMillis() - start_ms;
  core::ApplyPromotion(state, decision.node, decision.epoch, promoted.last.value_or(Sequence(0)));
  state.management = core::Management::kManaged;
  state_ = state;  // the others are held against the new master; the store follows with the outcome

  outcome.outcome = Outcome::kDone;
  outcome.sentence = decision.node + " is the master of epoch " + std::to_string(decision.epoch) +
                     ", from sequence " + promoted.last.value_or(Sequence(0)).ToString() + " on" +
                     rescued_note;
  for (const auto& given : decision.reasons) {
    if (given.code == reason::kTailLeftBehind) outcome.sentence += "; " + given.sentence;
  }
  for (; step < decision.plan.size(); ++step) {
    const CommandResult park = co_await RunCommand(decision, core::CommandOf(decision, step));
    // Not fatal: whatever it follows, it is found as a node to rejoin and parked then.
    if (park.outcome != Outcome::kDone)
      outcome.sentence += "; " + decision.plan[step].node + " was not parked: " + park.error;
  }
  for (auto& [name, node] : nodes_) {
    node.failures = 0;
    node.next_try = {};
    node.held_for.clear();
  }
  FaultPoint("before-outcome");
  (void)Close(decision, outcome, &state);
  Wake();
  co_return RecordOf(decision);
}

// A promotion that ended as unknown turns out to have happened: the node is a master, in that epoch, and
// nobody was promoted since. True if so.
bool GroupRunner::RecognisePromotion() {
  const core::GroupSnapshot snapshot = Snapshot();
  if (snapshot.LiveMaster() != nullptr) return false;
  for (const auto& [name, suspect] : state_.suspects) {
    const core::NodeView* view = snapshot.Find(name);
    const Report* report = view == nullptr ? nullptr : view->Fresh();
    if (report == nullptr || report->process != ProcessState::kUp || report->role != Role::kMaster) continue;
    if (report->epoch != suspect.epoch || state_.epoch != suspect.epoch) continue;
    Decision decision = NewDecision(DecisionKind::kFailover, suspect.epoch);
    decision.node = name;
    decision.survivor = state_.master;
    decision.finding = "a promotion was never answered, and its node is a master";
    decision.reasons = {{std::string(reason::kPromotionHappened),
                         name + " is the master of epoch " + std::to_string(suspect.epoch) + " after all"}};
    if (auto written = store_.AppendDecision(decision, nullptr); !written) {
      store_problem_ = written.error().Message();
      return false;
    }
    core::GroupState state = state_;
    core::ApplyPromotion(state, name, suspect.epoch, suspect.at);
    state.management = core::Management::kManaged;
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kDone;
    outcome.sentence = name + " is recorded as the master of epoch " + std::to_string(decision.epoch);
    (void)Close(decision, outcome, &state);
    return true;
  }
  return false;
}

}  // namespace walstitch::shell
