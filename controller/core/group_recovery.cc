// Decisions that an earlier run of the controller left open: it died between decision and outcome. They
// are carried out again with the same command ids, so that each agent answers with what it did already
// and does what it did not; or they are closed, with the reason.
#include <algorithm>
#include <set>

#include "controller/core/group_runner.h"
#include "controller/core/plan.h"

namespace walstitch::core {

namespace {

bool IsPromotion(DecisionKind kind) {
  return kind == DecisionKind::kFailover || kind == DecisionKind::kSwitchover ||
         kind == DecisionKind::kBootstrap;
}

// The node shows that a step of the decision has had its effect, though none was logged.
bool WasBegun(const Report& rejoiner, const Decision& decision) {
  if (rejoiner.epoch != decision.epoch || !decision.evidence) return false;
  switch (decision.verdict->verdict) {
    case Verdict::kAligned: {
      if (rejoiner.relay.state == RelayState::kFollowing) return true;
      const auto& borrow = decision.evidence->borrow;
      return borrow && rejoiner.last && *rejoiner.last >= borrow->range.from &&
             *rejoiner.last < borrow->range.to;
    }
    case Verdict::kPadded:
      return rejoiner.relay.state == RelayState::kFollowing ||
             (decision.evidence->target && rejoiner.last && *rejoiner.last + 1 == *decision.evidence->target);
    case Verdict::kFull:
      return rejoiner.relay.state == RelayState::kFullSync || rejoiner.relay.state == RelayState::kFollowing;
    case Verdict::kSpliced:
      return rejoiner.relay.state == RelayState::kSplicing || rejoiner.relay.state == RelayState::kFollowing;
    case Verdict::kHold:
      return false;
  }
  return false;
}

}  // namespace

bool GroupRunner::OpenRoleSwitch() const {
  const auto open = environment_.Store().OpenRecords(settings_.name);
  return std::any_of(open.begin(), open.end(), [](const DecisionRecord& record) {
    return record.decision.kind != DecisionKind::kRejoin && record.decision.kind != DecisionKind::kReplay;
  });
}

void GroupRunner::CloseOpenPromotions(std::string_view why) {
  for (const auto& record : environment_.Store().OpenRecords(settings_.name)) {
    const Decision& decision = record.decision;
    if (!IsPromotion(decision.kind)) continue;
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kUnknown;
    outcome.sentence =
        "closed, because " + std::string(why) + "; whether " + decision.node + " was promoted is not known";
    GroupState state = state_;
    std::optional<Sequence> last;
    for (const auto& step : decision.plan) {
      if (const auto* promote = std::get_if<PromoteAction>(&step.action)) last = promote->require_last;
    }
    state.suspects[decision.node] = {decision.epoch, last.value_or(Sequence(0)), environment_.UnixMs()};
    (void)Close(decision, outcome, &state);
  }
}

// True when none is open any more. A role switch whose nodes' agents do not answer yet stays open, and
// nothing else is done in the group meanwhile (busy_ says so), for what it did is not known. An open rejoin
// blocks its own node only.
Task<bool> GroupRunner::FinishOpenDecisions() {
  const auto open = environment_.Store().OpenRecords(settings_.name);
  bool all = true;
  busy_.clear();
  for (auto& [name, node] : nodes_) node.blocked = false;
  for (const auto& record : open) {
    const Decision& decision = record.decision;
    if (begun_here_.contains(decision.id)) continue;  // it is being carried out, or watched
    bool reachable = true;
    if (decision.epoch == state_.epoch && decision.kind != DecisionKind::kReplay) {
      std::set<std::string> needed = {decision.node};
      if (decision.kind != DecisionKind::kBootstrap && !decision.survivor.empty())
        needed.insert(decision.survivor);
      if (!IsPromotion(decision.kind)) {
        for (const auto& step : decision.plan) needed.insert(step.node);
      }
      for (const auto& name : needed) {
        auto node = nodes_.find(name);
        if (node == nodes_.end()) continue;
        const std::optional<Report> report = co_await Refresh(name);
        // A failover is about a master that is gone; its agent may be gone with it.
        const bool must = decision.kind != DecisionKind::kFailover || name == decision.node;
        if (!report && must) reachable = false;
      }
    }
    if (reachable) {
      co_await FinishOpenDecision(record);
      continue;
    }
    all = false;
    if (decision.kind == DecisionKind::kRejoin) {
      if (auto node = nodes_.find(decision.node); node != nodes_.end()) node->second.blocked = true;
    } else {
      busy_ = "waits for agents, to finish decision " + decision.id;
    }
  }
  co_return all;
}

Task<void> GroupRunner::FinishOpenDecision(DecisionRecord record) {
  Decision decision = record.decision;
  OutcomeRecord closed;
  closed.outcome = Outcome::kFailed;
  begun_here_.insert(decision.id);
  Info(decision.id + " " + std::string(ToString(decision.kind)) + " was left open; it is finished now");
  const bool nodes_known =
      nodes_.contains(decision.node) && (decision.survivor.empty() || nodes_.contains(decision.survivor));
  if (decision.kind == DecisionKind::kReplay) {
    (void)co_await ResumeDecision(decision, record, &closed);  // what was written was written, in any epoch
  } else if (decision.epoch != state_.epoch) {
    closed.sentence = "superseded by epoch " + std::to_string(state_.epoch);
  } else if (!nodes_known && decision.kind != DecisionKind::kRefusal) {
    closed.outcome = Outcome::kUnknown;
    closed.sentence = "a node of it is no longer in the configuration; what was done of it is not known";
    if (IsPromotion(decision.kind)) {
      CloseOpenPromotions("a node of it is no longer in the configuration");
      co_return;
    }
  } else {
    const bool closes = co_await ResumeDecision(decision, record, &closed);
    if (!closes) co_return;
  }
  (void)Close(decision, closed, nullptr);
}

// Goes on with an open decision of this epoch. False: it closed itself. True: to be closed as `closed` says.
Task<bool> GroupRunner::ResumeDecision(Decision decision, DecisionRecord record, OutcomeRecord* closed) {
  switch (decision.kind) {
    case DecisionKind::kBootstrap:
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover: {
      co_await RefreshAll();
      const bool acted = !record.steps.empty();
      const bool may_have = MayHavePromoted(record);
      const bool taken_back =
          std::any_of(record.steps.begin(), record.steps.end(),
                      [&](const StepRecord& step) { return step.command == decision.id + "-back"; });
      const GroupSnapshot snapshot = Snapshot();
      const NodeView* candidate = snapshot.Find(decision.node);
      const bool promoted = candidate->Fresh() != nullptr && candidate->Fresh()->role == Role::kMaster;
      if (decision.kind == DecisionKind::kFailover && !promoted) {
        // It was decided because of what the old master was then. What is it now?
        Decision again = decision;
        Result<void> may = MayReplaceMaster(snapshot, &again);
        // A controller that has just started knows of no lease but that there may be one: it ends soon.
        while (!may && may.error().Code() == ErrorCode::kUnavailable) {
          co_await Sleep(50);
          may = MayReplaceMaster(Snapshot(), &again);
        }
        if (!may) {
          if (may_have) closed->outcome = Outcome::kUnknown;
          closed->sentence = "not carried out: " + may.error().Message();
          GroupState state = state_;
          if (may_have) state.suspects[decision.node] = {decision.epoch, Sequence(0), environment_.UnixMs()};
          (void)Close(decision, *closed, &state);
          co_return false;
        }
      }
      if (decision.kind == DecisionKind::kBootstrap && !promoted && !acted) {
        const auto findings = FindIn(snapshot);
        const bool still_new = !findings.empty() && findings.front().code == FindingCode::kNewGroup;
        if (!still_new) {
          closed->sentence = "not carried out: the group is not as it was; it will be looked at again";
          // No step was logged, but the first may be under way all the same: the node may become a master
          // yet.
          GroupState state = state_;
          state.suspects[decision.node] = {decision.epoch, Sequence(0), environment_.UnixMs()};
          (void)Close(decision, *closed, &state);
          co_return false;
        }
      }
      if (may_have) resumed_ = decision.id;
      (void)co_await CarryOutPromotion(std::move(decision), 5000, taken_back);
      resumed_.clear();
      co_return false;
    }
    case DecisionKind::kAdopt:
      (void)co_await CarryOutAdopt(std::move(decision));
      co_return false;
    case DecisionKind::kRelease:
      (void)co_await CarryOutRelease(std::move(decision));
      co_return false;
    case DecisionKind::kRejoin: {
      const bool by_hand = decision.verdict && decision.verdict->verdict == Verdict::kHold;
      if (by_hand && decision.plan.empty()) {  // the controller's own hand, see FenceDirectly
        closed->outcome = Outcome::kUnknown;
        closed->sentence = "whether " + decision.node + " was fenced is not known; it is looked at again";
        co_return true;
      }
      if (!decision.verdict || decision.plan.empty()) {
        closed->sentence = "not carried out: the record lacks what it needs";
        co_return true;
      }
      if (decision.verdict->verdict == Verdict::kHold) {
        const Execution execution = co_await Execute(decision);
        closed->outcome = execution.outcome;
        closed->sentence =
            execution.outcome == Outcome::kDone ? decision.node + " is decided on anew" : execution.error;
        co_return true;
      }
      const std::optional<Report> rejoiner = co_await Refresh(decision.node);
      const std::optional<Report> survivor = co_await Refresh(decision.survivor);
      const bool survivor_lives =
          survivor && Snapshot().LiveMaster() != nullptr && decision.survivor == state_.master;
      // Nothing was logged: either nothing was done, or the first step was under way. That one is repeated
      // only where all is as it was decided.
      const bool as_decided = rejoiner && Fenced(*rejoiner) && decision.evidence &&
                              rejoiner->last == decision.evidence->rejoiner.last;
      const bool begun = !record.steps.empty() || (rejoiner && WasBegun(*rejoiner, decision));
      if (!decision.evidence || !survivor_lives || (!as_decided && !begun)) {
        closed->sentence = "not carried out to its end: things are not as they were; " + decision.node +
                           " will be decided on anew";
        co_return true;
      }
      nodes_.at(decision.node).busy = true;
      tasks_.Spawn(ResumedRejoin(std::move(decision)));
      co_return false;
    }
    case DecisionKind::kPause:
    case DecisionKind::kResume:
    case DecisionKind::kMaintenance:
    case DecisionKind::kUnblock:
      closed->outcome = Outcome::kDone;
      closed->sentence = "it was in force with the decision";
      co_return true;
    case DecisionKind::kReplay:
      closed->outcome = Outcome::kUnknown;
      closed->sentence =
          "how far it came is not known: a replay with --dry-run shows which keys are still to be written";
      co_return true;
    case DecisionKind::kRefusal:
      closed->outcome = Outcome::kDone;
      closed->sentence = "nothing was changed";
      co_return true;
  }
  co_return true;
}

}  // namespace walstitch::core
