// What operators order: each order is a task of its own, answered when it is done; and their word that a
// group or a node is to be left alone.
#include "controller/core/group_runner.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

template <typename T>
Task<void> GroupRunner::Answering(Task<Result<T>> order, std::function<void(Result<T>)> done) {
  Result<T> answer = Fail(ErrorCode::kUnavailable, "the order was not carried out to its end");
  try {
    answer = co_await std::move(order);
  } catch (const std::exception& problem) {
    answer = Fail(ErrorCode::kUnavailable, std::string("the order failed: ") + problem.what());
    Alarm(answer.error().Message());
  }
  done(std::move(answer));
}

void GroupRunner::Spawn(Task<OperatorAnswer> order, AnswerCallback done) {
  tasks_.Spawn(Answering(std::move(order), std::move(done)));
}

Task<void> GroupRunner::AnsweringPlan(std::function<void(boost::json::value)> done) {
  boost::json::value plan = co_await MakePlan();
  done(std::move(plan));
}

void GroupRunner::Plan(std::function<void(boost::json::value)> done) {
  tasks_.Spawn(AnsweringPlan(std::move(done)));
}
void GroupRunner::Failover(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderFailover(std::move(request)), std::move(done));
}
void GroupRunner::Switchover(OperatorRequest request, AnswerCallback done) {
  request.reason.clear();  // it is the mark of a switchover that started by itself
  Spawn(OrderSwitchover(std::move(request)), std::move(done));
}
void GroupRunner::Adopt(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderAdopt(std::move(request)), std::move(done));
}
void GroupRunner::Release(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderRelease(std::move(request)), std::move(done));
}
void GroupRunner::Pause(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderSetting(DecisionKind::kPause, std::move(request)), std::move(done));
}
void GroupRunner::Resume(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderSetting(DecisionKind::kResume, std::move(request)), std::move(done));
}
void GroupRunner::Maintenance(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderSetting(DecisionKind::kMaintenance, std::move(request)), std::move(done));
}
void GroupRunner::Unblock(OperatorRequest request, AnswerCallback done) {
  Spawn(OrderSetting(DecisionKind::kUnblock, std::move(request)), std::move(done));
}

// Repeating an order changes nothing, and is no error: a script may say it twice.
Task<OperatorAnswer> GroupRunner::OrderSetting(DecisionKind kind, OperatorRequest request) {
  auto guard = co_await mutex_.Lock();
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  Decision decision = NewDecision(kind, state_.epoch);
  decision.node = request.node;
  GroupState state = state_;
  const Hold hold{environment_.UnixMs(), request.reason};
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  std::string what;
  switch (kind) {
    case DecisionKind::kPause:
      what = "to pause the group";
      outcome.sentence = state.paused
                             ? "the group was paused already"
                             : "nothing is done in the group by itself until: walstitch resume " + Name();
      if (!state.paused) state.paused = hold;
      break;
    case DecisionKind::kResume:
      what = "to go on with the group";
      outcome.sentence = state.paused ? "the group is looked after again" : "the group was not paused";
      state.paused.reset();
      break;
    case DecisionKind::kMaintenance:
      if (!nodes_.contains(request.node)) {
        co_return Fail(ErrorCode::kNotFound, "no node '" + request.node + "' in group " + Name());
      }
      what = std::string(request.on ? "to begin" : "to end") + " the maintenance of " + request.node;
      if (request.on) {
        outcome.sentence =
            request.node + " is in maintenance: it is neither promoted nor rejoined" +
            (request.node == state.master
                 ? ", and as the master it is not failed over; to have another one, run: walstitch "
                   "switchover " +
                       Name()
                 : "");
        state.maintenance.try_emplace(request.node, hold);
      } else {
        outcome.sentence = state.maintenance.contains(request.node)
                               ? request.node + " takes part again"
                               : request.node + " was not in maintenance";
        state.maintenance.erase(request.node);
      }
      break;
    case DecisionKind::kUnblock:
      what = "to end the block after the last failover";
      outcome.sentence = state.blocked_until_ms > environment_.UnixMs() ? "the group may be failed over again"
                                                                        : "the group was not blocked";
      state.blocked_until_ms = 0;
      break;
    case DecisionKind::kRejoin:
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover:
    case DecisionKind::kBootstrap:
    case DecisionKind::kAdopt:
    case DecisionKind::kRelease:
    case DecisionKind::kReplay:
    case DecisionKind::kRefusal:
      co_return Fail(ErrorCode::kInvalid, "this is not a setting");
  }
  decision.finding = "an operator wants it";
  decision.reasons = {
      {std::string(reason::kOperatorAsked),
       Asker(request.by) + " asked " + what + (request.reason.empty() ? "" : ": " + request.reason)}};
  const Undo undo = [before = state_](GroupState& now) {
    now.paused = before.paused;
    now.blocked_until_ms = before.blocked_until_ms;
    now.maintenance = before.maintenance;
  };
  if (auto written = co_await WriteDown(decision, state, undo); !written) co_return Fail(written.error());
  // Meanwhile others may have changed what else it holds.
  state = state_;
  (void)Close(decision, outcome, &state);
  refused_for_.clear();
  for (auto& [name, node] : nodes_) {
    node.queued.clear();
    node.full_sync_queued = false;
    node.next_try_ms = 0;
  }
  Wake();
  co_return RecordOf(decision);
}

void GroupRunner::Replay(ReplayOrder order, ReplayCallback done) {
  tasks_.Spawn(Answering(OrderReplay(std::move(order)), std::move(done)));
}

// It takes minutes where there are many keys, and moves nobody's role, so it does not hold the group: if the
// master is replaced meanwhile, its agent refuses the rest.
Task<Result<ReplayReport>> GroupRunner::OrderReplay(ReplayOrder order) {
  if (!nodes_.contains(order.source)) {
    co_return Fail(ErrorCode::kNotFound, "no node '" + order.source + "' in group " + Name());
  }
  if (auto known = CheckChoice(order.choice, environment_.Policy()); !known) co_return Fail(known.error());
  if (Snapshot().LiveMaster() == nullptr || switching_) {
    co_return Fail(ErrorCode::kConflict, "the group has no master now that could be written to");
  }
  order.master = state_.master;
  order.epoch = state_.epoch;
  ReplayReport report;
  Decision decision = NewDecision(DecisionKind::kReplay, state_.epoch);
  decision.node = state_.master;
  decision.finding =
      "an operator wants back what salvage " + order.salvage + " of " + order.source + " holds";
  decision.reasons = {{std::string(reason::kOperatorAsked),
                       Asker(order.by) + " asked to write " + Describe(order.choice) + " of it to " +
                           state_.master + "; a key that " + "changed since is " +
                           (order.overwrite ? "overwritten" : "left alone") +
                           (order.deletions ? ", and what the tail deleted is deleted" : "")}};
  if (order.dry_run) {
    begun_here_.erase(decision.id);
    decision.id.clear();
  } else {
    if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
    if (auto written = co_await WriteDown(decision, std::nullopt); !written) co_return Fail(written.error());
    Info(decision.id + " replay of salvage " + order.salvage + ": " + Describe(order.choice));
  }
  auto done = co_await Answer<Result<ReplaySummary>>(
      [&](auto told) { environment_.CarryOutReplay(order, std::move(told)); });
  if (order.dry_run) {
    if (!done) co_return Fail(done.error());
    report.record.decision = std::move(decision);
    report.summary = std::move(*done);
    co_return report;
  }
  OutcomeRecord outcome;
  if (done) {
    report.summary = std::move(*done);
    outcome.sentence = report.summary.Sentence(false);
    const bool unknown = report.summary.Of(ReplayResult::kUnknown) > 0 || !report.summary.ended_early.empty();
    outcome.outcome = unknown                                        ? Outcome::kUnknown
                      : report.summary.Of(ReplayResult::kFailed) > 0 ? Outcome::kFailed
                                                                     : Outcome::kDone;
  } else {
    outcome.outcome = Outcome::kFailed;
    outcome.sentence = "no key was written: " + done.error().Message();
  }
  (void)Close(decision, outcome, nullptr);
  if (!done) co_return Fail(done.error());
  report.record = RecordOf(decision);
  co_return report;
}

}  // namespace walstitch::core
