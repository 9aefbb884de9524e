// Adoption of a group that runs already, and its release: no write lost, no full sync.
#include "controller/core/group_runner.h"
#include "controller/core/plan.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

Task<OperatorAnswer> GroupRunner::OrderAdopt(OperatorRequest request) {
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "adoption");
  if (state_.management == Management::kManaged) {
    co_return Fail(ErrorCode::kConflict, "group " + settings_.name + " is managed already");
  }
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  co_await RefreshAll();
  Decision decision = NewDecision(DecisionKind::kAdopt, NextEpoch());
  decision.finding = "the group replicates directly; an operator wants Walstitch to run it";
  decision.reasons = {
      {std::string(reason::kOperatorAsked), Asker(request.by) + " asked for the group's adoption"}};
  std::string master;
  auto plan = PlanAdopt(Snapshot(), &master);
  if (!plan) co_return Fail(request.dry_run ? plan.error() : Refuse(std::move(decision), plan.error()));
  decision.node = master;
  decision.plan = std::move(*plan);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutAdopt(std::move(decision));
}

// The master first gets to know the epoch, then the replicas move onto their relays one at a time. A
// replica whose turn fails is parked at worst, and rejoined by a decision of its own.
Task<OperatorAnswer> GroupRunner::CarryOutAdopt(Decision decision) {
  GroupState state = state_;
  if (state.epoch != decision.epoch) {
    const std::uint64_t before = state.epoch;
    state.epoch = decision.epoch;
    const Undo undo = [before, epoch = decision.epoch](GroupState& now) {
      if (now.epoch == epoch) now.epoch = before;
    };
    if (auto written = co_await WriteDown(decision, state, undo); !written) co_return Fail(written.error());
  }
  environment_.FaultPoint("after-decision");
  OutcomeRecord outcome;
  if (const auto& report = nodes_.at(decision.node).view.report) outcome.survivor_before = report->counters;
  Command adopt = CommandOf(decision, 0);
  adopt.action = AdoptMasterAction{MakeGrant(nodes_.at(decision.node))};
  lease_until_ms_ =
      std::max(lease_until_ms_, GrantorDeadline(environment_.NowMs(), settings_.failover.lease));
  const CommandResult adopted = co_await RunCommand(decision, std::move(adopt));
  // What the agent answers may be from an earlier run; what the node is now, its report tells.
  const std::optional<Report> master = co_await Refresh(decision.node);
  const bool is_master = master && master->process == ProcessState::kUp && master->role == Role::kMaster;
  if (adopted.outcome == Outcome::kDone && !is_master) {
    outcome.outcome = Outcome::kFailed;
    outcome.sentence = decision.node + " is not the master any more; the group is left as it is";
    (void)Close(decision, outcome, &state);
    co_return RecordOf(decision);
  }
  if (adopted.outcome != Outcome::kDone || !adopted.last) {
    outcome.outcome = adopted.outcome == Outcome::kDone ? Outcome::kFailed : adopted.outcome;
    outcome.sentence =
        "the group is as it was: " +
        (adopted.error.empty() ? decision.node + " did not say its last sequence" : adopted.error);
    (void)Close(decision, outcome, &state);
    co_return RecordOf(decision);
  }
  // What was before the adoption is nobody's record: the stream begins here, and who joins, joins here.
  state.nodes.clear();
  state.promotions.clear();
  ApplyPromotion(state, decision.node, decision.epoch, *adopted.last);
  state.management = Management::kManaged;
  outcome.outcome = Outcome::kDone;
  std::size_t moved = 0;
  for (std::size_t step = 1; step < decision.plan.size(); ++step) {
    // 1. An adoption was broken off. 2. Somebody made the replica follow another node. 3. Moved blindly, it
    // would be resumed over another history. Only one that still follows the master itself is moved.
    const std::string& name = decision.plan[step].node;
    const std::optional<Report> replica = co_await Refresh(name);
    const bool direct = replica && replica->role == Role::kReplica && replica->master == master->endpoint;
    const bool moved_already = replica && replica->role == Role::kReplica && replica->upstream_is_relay &&
                               replica->relay.state == RelayState::kFollowing &&
                               replica->relay.upstream == master->endpoint;
    if (!direct && !moved_already) {
      outcome.sentence += "; " + name + " does not follow " + decision.node + " any more and was left alone";
      continue;
    }
    const CommandResult followed = co_await RunCommand(decision, CommandOf(decision, step));
    if (followed.outcome == Outcome::kDone && followed.last) {
      ApplyJoin(state, decision.plan[step].node, *followed.last + 1);
      ++moved;
    } else {
      outcome.sentence += "; " + decision.plan[step].node + " did not move: " + followed.error;
      outcome.outcome = Outcome::kFailed;
    }
  }
  outcome.sentence = "epoch " + std::to_string(decision.epoch) + " begins: " + decision.node +
                     " stays the master, " + std::to_string(moved) + " of " +
                     std::to_string(decision.plan.size() - 1) + " replicas follow it through their relays" +
                     outcome.sentence;
  if (const auto& report = nodes_.at(decision.node).view.report) outcome.survivor_after = report->counters;
  environment_.FaultPoint("before-outcome");
  (void)Close(decision, outcome, &state);
  Wake();
  co_return RecordOf(decision);
}

Task<OperatorAnswer> GroupRunner::OrderRelease(OperatorRequest request) {
  co_await RejoinsEnd();
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "release");
  if (state_.management != Management::kManaged) {
    co_return Fail(ErrorCode::kConflict, "group " + settings_.name + " is not managed");
  }
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  co_await RefreshAll();
  Decision decision = NewDecision(DecisionKind::kRelease, state_.epoch);
  decision.node = state_.master;
  decision.finding = "an operator wants direct replication again";
  decision.reasons = {
      {std::string(reason::kOperatorAsked), Asker(request.by) + " asked for the group's release"}};
  auto plan = PlanRelease(Snapshot());
  if (!plan) co_return Fail(request.dry_run ? plan.error() : Refuse(std::move(decision), plan.error()));
  decision.plan = std::move(*plan);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  if (auto written = co_await WriteDown(decision, std::nullopt); !written) co_return Fail(written.error());
  co_return co_await CarryOutRelease(std::move(decision));
}

Task<OperatorAnswer> GroupRunner::CarryOutRelease(Decision decision) {
  environment_.FaultPoint("after-decision");
  OutcomeRecord outcome;
  if (const auto& report = nodes_.at(decision.node).view.report) outcome.survivor_before = report->counters;
  const Execution execution = co_await Execute(decision);
  GroupState state = state_;
  outcome.outcome = execution.outcome;
  if (const auto& report = nodes_.at(decision.node).view.report) outcome.survivor_after = report->counters;
  if (execution.outcome == Outcome::kDone) {
    state.management = Management::kReleased;
    outcome.sentence = "the nodes replicate directly from " + decision.node + "; no agent is needed any more";
  } else {
    outcome.sentence = "the group stays managed, what was released is taken back: " + execution.error;
  }
  environment_.FaultPoint("before-outcome");
  (void)Close(decision, outcome, &state);
  Wake();
  co_return RecordOf(decision);
}

}  // namespace walstitch::core
