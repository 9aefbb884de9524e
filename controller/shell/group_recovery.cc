// Decisions that an earlier run of the controller left open: it died between decision and outcome. They
// are carried out again with the same command ids, so that each agent answers with what it did already
// and does what it did not; or they are closed, with the reason.
#include <spdlog/spdlog.h>

#include "controller/core/plan.h"
#include "controller/shell/group_runner.h"

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

bool IsPromotion(DecisionKind kind) {
  return kind == DecisionKind::kFailover || kind == DecisionKind::kSwitchover ||
         kind == DecisionKind::kBootstrap;
}

}  // namespace

void GroupRunner::CloseOpenPromotions(std::string_view why) {
  for (const auto& record : store_.OpenRecords(config_.name)) {
    if (!IsPromotion(record.decision.kind)) continue;
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kUnknown;
    outcome.sentence = "closed, because " + std::string(why) + "; whether " + record.decision.node +
                       " was promoted is not known";
    (void)Close(record.decision, outcome, nullptr);
  }
}

// True when none is open any more. A decision whose nodes' agents do not answer yet stays open: nothing
// else is done in the group meanwhile, for what they did is not known.
asio::awaitable<bool> GroupRunner::FinishOpenDecisions() {
  auto open = store_.OpenRecords(config_.name);
  bool all = true;
  for (auto& record : open) {
    bool reachable = true;
    for (const auto& step : record.decision.plan) {
      auto node = nodes_.find(step.node);
      if (node == nodes_.end()) continue;
      const bool needed = !IsPromotion(record.decision.kind) || step.node == record.decision.node ||
                          step.node == record.decision.survivor;
      if (needed && co_await Refresh(node->second) == nullptr) reachable = false;
    }
    if (!reachable) {
      busy_ = "waits for agents, to finish decision " + record.decision.id;
      all = false;
      continue;
    }
    co_await FinishOpenDecision(std::move(record));
  }
  if (all) busy_.clear();
  co_return all;
}

asio::awaitable<void> GroupRunner::FinishOpenDecision(DecisionRecord record) {
  Decision decision = record.decision;
  OutcomeRecord closed;
  closed.outcome = Outcome::kFailed;
  spdlog::info("group {}: {} {} was left open; it is finished now", config_.name, decision.id,
               ToString(decision.kind));
  switch (decision.kind) {
    case DecisionKind::kBootstrap:
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover: {
      if (decision.epoch != state_.epoch) break;
      co_await RefreshAll();
      const core::GroupSnapshot snapshot = Snapshot();
      // A failover was decided because the old master was dead. If it lives, the reason is gone.
      if (decision.kind == DecisionKind::kFailover && snapshot.LiveMaster() != nullptr &&
          state_.master != decision.node) {
        closed.sentence = "not carried out: " + state_.master + " is alive and the master";
        (void)Close(decision, closed, nullptr);
        co_return;
      }
      (void)co_await CarryOutPromotion(std::move(decision), std::chrono::milliseconds(5000));
      co_return;
    }
    case DecisionKind::kAdopt:
      if (decision.epoch != state_.epoch) break;
      (void)co_await CarryOutAdopt(std::move(decision));
      co_return;
    case DecisionKind::kRelease:
      if (decision.epoch != state_.epoch) break;
      (void)co_await CarryOutRelease(std::move(decision));
      co_return;
    case DecisionKind::kRejoin: {
      if (decision.epoch != state_.epoch) break;
      auto node = nodes_.find(decision.node);
      if (node == nodes_.end() || !decision.evidence || !decision.verdict ||
          !nodes_.contains(decision.survivor)) {
        closed.sentence = "not carried out: the record or the configuration lacks what it needs";
        (void)Close(decision, closed, nullptr);
        co_return;
      }
      if (decision.verdict->verdict == Verdict::kHold) {
        const Execution execution = co_await Execute(decision, 0, decision.plan.size());
        closed.outcome = execution.outcome;
        closed.sentence =
            execution.outcome == Outcome::kDone ? decision.node + " is parked" : execution.error;
        (void)Close(decision, closed, nullptr);
        co_return;
      }
      co_await Refresh(nodes_.at(decision.survivor));
      co_await CarryOutRejoin(node->second, std::move(decision));
      co_return;
    }
    case DecisionKind::kRefusal:
      closed.outcome = Outcome::kDone;
      closed.sentence = "nothing was changed";
      (void)Close(decision, closed, nullptr);
      co_return;
  }
  closed.sentence = "superseded by epoch " + std::to_string(state_.epoch);
  (void)Close(decision, closed, nullptr);
}

}  // namespace walstitch::shell
