// Decisions that an earlier run of the controller left open: it died between decision and outcome. They
// are carried out again with the same command ids, so that each agent answers with what it did already
// and does what it did not; or they are closed, with the reason.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "controller/core/plan.h"
#include "controller/shell/group_runner.h"

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

bool IsPromotion(DecisionKind kind) {
  return kind == DecisionKind::kFailover || kind == DecisionKind::kSwitchover ||
         kind == DecisionKind::kBootstrap;
}

// The node shows that a step of the decision has had its effect, though none was logged.
bool WasBegun(const Report& rejoiner, const Decision& decision) {
  if (rejoiner.epoch != decision.epoch || !decision.evidence) return false;
  switch (decision.verdict->verdict) {
    case Verdict::kAligned:
      return rejoiner.relay.state == RelayState::kFollowing;
    case Verdict::kPadded:
      return rejoiner.relay.state == RelayState::kFollowing ||
             (decision.evidence->target && rejoiner.last && *rejoiner.last + 1 == *decision.evidence->target);
    case Verdict::kFull:
      return rejoiner.relay.state == RelayState::kFullSync || rejoiner.relay.state == RelayState::kFollowing;
    case Verdict::kSpliced:
    case Verdict::kHold:
      return false;
  }
  return false;
}

}  // namespace

bool GroupRunner::OpenRoleSwitch() const {
  const auto open = store_.OpenRecords(config_.name);
  return std::any_of(open.begin(), open.end(), [](const DecisionRecord& record) {
    return record.decision.kind != DecisionKind::kRejoin;
  });
}

void GroupRunner::CloseOpenPromotions(std::string_view why) {
  for (const auto& record : store_.OpenRecords(config_.name)) {
    const Decision& decision = record.decision;
    if (!IsPromotion(decision.kind)) continue;
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kUnknown;
    outcome.sentence =
        "closed, because " + std::string(why) + "; whether " + decision.node + " was promoted is not known";
    core::GroupState state = state_;
    std::optional<Sequence> last;
    for (const auto& step : decision.plan) {
      if (const auto* promote = std::get_if<PromoteAction>(&step.action)) last = promote->require_last;
    }
    state.suspects[decision.node] = {decision.epoch, last.value_or(Sequence(0)), UnixMillis()};
    (void)Close(decision, outcome, &state);
  }
}

// True when none is open any more. A role switch whose nodes' agents do not answer yet stays open, and
// nothing else is done in the group meanwhile (busy_ says so), for what it did is not known. An open rejoin
// blocks its own node only.
asio::awaitable<bool> GroupRunner::FinishOpenDecisions() {
  const auto open = store_.OpenRecords(config_.name);
  bool all = true;
  busy_.clear();
  for (auto& [name, node] : nodes_) node.blocked = false;
  for (const auto& record : open) {
    const Decision& decision = record.decision;
    // A full sync that this run began is open, too, and watched.
    if (full_syncs_.contains(decision.node) && full_syncs_.at(decision.node).decision.id == decision.id)
      continue;
    bool reachable = true;
    if (decision.epoch == state_.epoch) {
      std::set<std::string> needed = {decision.node};
      if (decision.kind != DecisionKind::kBootstrap && !decision.survivor.empty())
        needed.insert(decision.survivor);
      if (!IsPromotion(decision.kind)) {
        for (const auto& step : decision.plan) needed.insert(step.node);
      }
      for (const auto& name : needed) {
        auto node = nodes_.find(name);
        if (node == nodes_.end()) continue;
        const std::optional<Report> report = co_await Refresh(node->second);
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

asio::awaitable<void> GroupRunner::FinishOpenDecision(DecisionRecord record) {
  Decision decision = record.decision;
  OutcomeRecord closed;
  closed.outcome = Outcome::kFailed;
  spdlog::info("group {}: {} {} was left open; it is finished now", config_.name, decision.id,
               ToString(decision.kind));
  const bool nodes_known =
      nodes_.contains(decision.node) && (decision.survivor.empty() || nodes_.contains(decision.survivor));
  if (decision.epoch != state_.epoch) {
    closed.sentence = "superseded by epoch " + std::to_string(state_.epoch);
  } else if (!nodes_known && decision.kind != DecisionKind::kRefusal) {
    closed.outcome = Outcome::kUnknown;
    closed.sentence = "a node of it is no longer in the configuration; what was done of it is not known";
    if (IsPromotion(decision.kind)) {
      CloseOpenPromotions("a node of it is no longer in the configuration");
      co_return;
    }
  } else {
    const bool closes = co_await Resume(decision, record, closed);
    if (!closes) co_return;
  }
  (void)Close(decision, closed, nullptr);
}

// Goes on with an open decision of this epoch. False: it closed itself. True: to be closed as `closed` says.
asio::awaitable<bool> GroupRunner::Resume(Decision decision, const DecisionRecord& record,
                                          OutcomeRecord& closed) {
  switch (decision.kind) {
    case DecisionKind::kBootstrap:
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover: {
      co_await RefreshAll();
      const bool acted = !record.steps.empty();
      const bool taken_back =
          std::any_of(record.steps.begin(), record.steps.end(),
                      [&](const StepRecord& step) { return step.command == decision.id + "-back"; });
      const core::GroupSnapshot snapshot = Snapshot();
      const core::NodeView* candidate = snapshot.Find(decision.node);
      const bool promoted = candidate->Fresh() != nullptr && candidate->Fresh()->role == Role::kMaster;
      if (decision.kind == DecisionKind::kFailover && !promoted) {
        // It was decided because of what the old master was then. What is it now?
        Decision again = decision;
        if (auto may = MayReplaceMaster(snapshot, again); !may) {
          if (acted) closed.outcome = Outcome::kUnknown;
          closed.sentence = "not carried out: " + may.error().Message();
          core::GroupState state = state_;
          if (acted) state.suspects[decision.node] = {decision.epoch, Sequence(0), UnixMillis()};
          (void)Close(decision, closed, &state);
          co_return false;
        }
      }
      if (decision.kind == DecisionKind::kBootstrap && !promoted && !acted) {
        const auto findings = core::FindIn(snapshot);
        const bool still_new = !findings.empty() && findings.front().code == core::FindingCode::kNewGroup;
        if (!still_new) {
          closed.sentence = "not carried out: the group is not as it was; it will be looked at again";
          co_return true;
        }
      }
      (void)co_await CarryOutPromotion(std::move(decision), std::chrono::milliseconds(5000), taken_back);
      co_return false;
    }
    case DecisionKind::kAdopt:
      (void)co_await CarryOutAdopt(std::move(decision));
      co_return false;
    case DecisionKind::kRelease:
      (void)co_await CarryOutRelease(std::move(decision));
      co_return false;
    case DecisionKind::kRejoin: {
      if (!decision.verdict || decision.plan.empty()) {
        closed.sentence = "not carried out: the record lacks what it needs";
        co_return true;
      }
      if (decision.verdict->verdict == Verdict::kHold) {
        const Execution execution = co_await Execute(decision, 0, decision.plan.size());
        closed.outcome = execution.outcome;
        closed.sentence =
            execution.outcome == Outcome::kDone ? decision.node + " is parked" : execution.error;
        co_return true;
      }
      const std::optional<Report> rejoiner = co_await Refresh(nodes_.at(decision.node));
      const std::optional<Report> survivor = co_await Refresh(nodes_.at(decision.survivor));
      const bool survivor_lives =
          survivor && Snapshot().LiveMaster() != nullptr && decision.survivor == state_.master;
      // Nothing was logged: either nothing was done, or the first step was under way. That one is repeated
      // only where all is as it was decided.
      const bool as_decided = rejoiner && core::Fenced(*rejoiner) && decision.evidence &&
                              rejoiner->last == decision.evidence->rejoiner.last;
      const bool begun = !record.steps.empty() || (rejoiner && WasBegun(*rejoiner, decision));
      if (!decision.evidence || !survivor_lives || (!as_decided && !begun)) {
        closed.sentence = "not carried out to its end: things are not as they were; " + decision.node +
                          " will be decided on anew";
        co_return true;
      }
      Node& node = nodes_.at(decision.node);  // before the decision is moved from
      co_await CarryOutRejoin(node, std::move(decision));
      co_return false;
    }
    case DecisionKind::kRefusal:
      closed.outcome = Outcome::kDone;
      closed.sentence = "nothing was changed";
      co_return true;
  }
  co_return true;
}

}  // namespace walstitch::shell
