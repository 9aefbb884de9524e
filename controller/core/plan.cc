#include "controller/core/plan.h"

#include <algorithm>

#include "controller/core/finding.h"
#include "controller/core/tail_given_up.h"
#include "policies/model/result.h"

namespace walstitch::core {

namespace {

constexpr std::int64_t kFollowDeadlineMs = 4000;
// A tail may be as long as the WAL. Nobody waits for its agent meanwhile: any other command ends a salvage.
constexpr std::int64_t kSalvageDeadlineMs = 600000;
// Nor for one that replays what may be as long; the same goes for a splice.
constexpr std::int64_t kSpliceDeadlineMs = 600000;
// Of so many keys (repair.h); a master that is slow to answer is not to be pressed.
constexpr std::int64_t kKeysDeadlineMs = 120000;
// Nor for one that borrows. (How long a rescue may take, a failover says itself.)
constexpr std::int64_t kBorrowDeadlineMs = 600000;

std::vector<PlanStep> PlanBorrow(const Evidence& evidence, const Endpoint& survivor) {
  const std::string& node = evidence.rejoiner.node;
  const std::string& master = evidence.survivor.node;
  const BorrowEvidence& borrow = *evidence.borrow;
  RescueAction take{borrow.lender, borrow.agent, borrow.range.to};
  take.alive = true;
  take.last_batch = borrow.joint;
  std::vector<PlanStep> steps;
  steps.push_back({node, std::move(take),
                   "take " + borrow.range.ToString() + ", which the WAL of " + master +
                       " no longer holds, from that of " + borrow.lender});
  steps.push_back({node, FollowAction{survivor, borrow.range.to, borrow.joint},
                   "follow " + master + " from there, which is a boundary in its WAL"});
  return steps;
}

}  // namespace

std::vector<PlanStep> PlanRejoin(const std::string& decision, Verdict verdict, const Evidence& evidence,
                                 const Endpoint& survivor, Padding padding) {
  const std::string& node = evidence.rejoiner.node;
  const std::string& master = evidence.survivor.node;
  std::vector<PlanStep> steps;
  const TailGivenUp tail = FindTailGivenUp(verdict, evidence);
  if (tail.range) {
    steps.push_back(
        {node, SalvageAction{*tail.range, tail.fork, decision, master},
         "keep what " + master + " never saw, " + tail.range->ToString() + ", before it is given up"});
  }
  switch (verdict) {
    case Verdict::kAligned:
      if (!evidence.target && evidence.borrow) return PlanBorrow(evidence, survivor);
      steps.push_back({node, FollowAction{survivor, *evidence.rejoiner.last + 1, evidence.before_target},
                       "follow " + master + " from the next sequence, which is a boundary there"});
      return steps;
    case Verdict::kPadded: {
      const Sequence next = *evidence.rejoiner.last + 1;
      if (PadsNatively(evidence, padding)) {
        steps.push_back({master, OfferPaddingAction{true}, "let its server pad a replica by itself"});
        steps.push_back({node, FollowAction{survivor, next, std::nullopt},
                         "follow " + master + ", which pads it over " +
                             SequenceRange{next, *evidence.target}.ToString()});
        steps.push_back({master, OfferPaddingAction{false}, "no other replica is to be padded unasked"});
        return steps;
      }
      steps.push_back({node, PadAction{next, *evidence.target, decision, evidence.replication_id},
                       "advance over " + SequenceRange{next, *evidence.target}.ToString() +
                           " by no-op records, to the next boundary of " + master});
      steps.push_back({node, FollowAction{survivor, evidence.target, evidence.before_target},
                       "follow " + master + " from there"});
      return steps;
    }
    case Verdict::kFull:
      steps.push_back({node, FullSyncAction{survivor}, "copy the whole data set from " + master});
      return steps;
    case Verdict::kSpliced: {
      const Sequence fork = *evidence.fork;
      const Sequence next = *evidence.rejoiner.last + 1;
      const std::uint64_t undo = evidence.undo ? evidence.undo->records : 0;
      const std::uint64_t shift = evidence.Shift();
      steps.push_back({master, AdvanceAction{*evidence.survivor.last + 1, shift, decision},
                       "as many no-op records as " + node + " holds after the fork at " + fork.ToString() +
                           (undo > 0 ? ", and is given to take them back" : "") +
                           ", so that the numbers of the two can meet"});
      SpliceAction splice{survivor, fork, next, shift, decision, evidence.last_common};
      if (evidence.undo) {
        splice.undo = evidence.undo->digest;
        splice.undo_records = undo;
      }
      steps.push_back({node, std::move(splice),
                       std::string(undo > 0 ? "take back what the tail wrote, then replay" : "replay") +
                           " all that " + master + " wrote since the fork, without these, and follow it"});
      return steps;
    }
    case Verdict::kHold:
      return steps;
  }
  return steps;
}

bool PadsNatively(const Evidence& evidence, Padding padding) {
  return padding == Padding::kNative && evidence.survivor.offers_padding && evidence.Pad().value_or(0) > 0;
}

std::vector<PlanStep> PlanAdvance(const std::string& decision, const Evidence& evidence) {
  const Sequence last = *evidence.survivor.last;
  std::vector<PlanStep> steps;
  steps.push_back({evidence.survivor.node, AdvanceAction{last + 1, *evidence.rejoiner.last - last, decision},
                   "no-op records, up to where " + evidence.rejoiner.node + " ends"});
  return steps;
}

std::vector<PlanStep> PlanRescue(const std::string& source, const std::string& source_url,
                                 const std::string& promote, Sequence target, std::uint64_t max_bytes) {
  std::vector<PlanStep> steps = PlanPromotion(std::nullopt, promote, target - 1);
  steps.insert(steps.begin(), {promote, RescueAction{source, source_url, target, max_bytes},
                               "it shall have all that " + source + " acknowledged"});
  return steps;
}

std::vector<PlanStep> PlanPromotion(const std::optional<std::string>& park, const std::string& promote,
                                    std::optional<Sequence> require_last) {
  std::vector<PlanStep> steps;
  if (park) steps.push_back({*park, ParkAction{}, "hold it read-only, so that nothing is written any more"});
  steps.push_back({promote, PromoteAction{require_last}, "make it the master"});
  return steps;
}

Result<std::vector<PlanStep>> PlanAdopt(const GroupSnapshot& snapshot, std::string* master) {
  const NodeView* chosen = nullptr;
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* report = view.Fresh();
    if (report == nullptr || report->process != ProcessState::kUp || !report->last) {
      return Fail(ErrorCode::kConflict,
                  "node " + name +
                      " has not reported: every agent and server of the group must be up "
                      "to adopt it");
    }
    if (report->loading)
      return Fail(ErrorCode::kConflict, "node " + name + " is loading its data: try again later");
    if (report->cluster_enabled) {
      return Fail(ErrorCode::kConflict, "node " + name + " runs in cluster mode, which refuses SLAVEOF");
    }
    if (report->role != Role::kMaster) continue;
    if (chosen != nullptr) {
      return Fail(ErrorCode::kConflict, "both " + chosen->node + " and " + name +
                                            " are masters: make one the replica of the other first");
    }
    chosen = &view;
  }
  if (chosen == nullptr) return Fail(ErrorCode::kConflict, "no node of the group is a master");
  *master = chosen->node;
  std::vector<PlanStep> steps;
  steps.push_back({chosen->node, AdoptMasterAction{}, "it stays the master; its server is left alone"});
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == chosen->node) continue;
    const Report& report = *view.Fresh();
    const bool direct = report.master && *report.master == chosen->report->endpoint;
    if (!direct && !report.upstream_is_relay) {
      return Fail(ErrorCode::kConflict,
                  "node " + name + " replicates from " +
                      (report.master ? report.master->ToString() : std::string("an unknown node")) +
                      ", not from " + chosen->node + " at " + chosen->report->endpoint.ToString() +
                      ": chains cannot be adopted, point it at the master first");
    }
    // A node that is parked already has a history of its own: it is rejoined by a decision, afterwards.
    if (!direct) continue;
    if (!report.link_up) {
      return Fail(ErrorCode::kConflict,
                  "node " + name + "'s link to its master is down: try again when it is up");
    }
    steps.push_back(
        {name, FollowAction{chosen->report->endpoint, std::nullopt},
         "its upstream becomes its own relay, which follows " + chosen->node + " at the same sequence"});
  }
  return steps;
}

Result<std::vector<PlanStep>> PlanRelease(const GroupSnapshot& snapshot) {
  const NodeView* master = snapshot.LiveMaster();
  if (master == nullptr) {
    return Fail(ErrorCode::kConflict, "the group has no master now: fail over first, then release");
  }
  std::vector<PlanStep> steps;
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == master->node) continue;
    const Report* report = view.Fresh();
    if (report == nullptr || report->process != ProcessState::kUp) {
      return Fail(ErrorCode::kConflict, "node " + name + " is not reachable: it would be left behind parked");
    }
    if (!InService(snapshot, view)) {
      return Fail(ErrorCode::kConflict,
                  "node " + name + " does not follow " + master->node +
                      " yet; released now it could start a full sync. Wait until it does (walstitch status)");
    }
    steps.push_back(
        {name, ReleaseAction{master->report->endpoint}, "replicate directly from " + master->node});
  }
  steps.push_back(
      {master->node, ReleaseAction{std::nullopt}, "it stays the master; its server is left alone"});
  return steps;
}

Command CommandOf(const Decision& decision, std::size_t step) {
  WALSTITCH_CHECK(step < decision.plan.size());
  const PlanStep& planned = decision.plan[step];
  Command command;
  command.id = decision.id + "-" + std::to_string(step + 1);
  command.epoch = decision.epoch;
  command.group = decision.group;
  command.node = planned.node;
  command.action = planned.action;
  // A node that does not get through at once is decided on anew: what was compared must not grow old.
  if (std::holds_alternative<FollowAction>(command.action)) command.deadline_ms = kFollowDeadlineMs;
  if (std::holds_alternative<SalvageAction>(command.action)) command.deadline_ms = kSalvageDeadlineMs;
  if (std::holds_alternative<SpliceAction>(command.action)) command.deadline_ms = kSpliceDeadlineMs;
  const bool of_keys = std::holds_alternative<RepairAction>(command.action) ||
                       std::holds_alternative<CompareAction>(command.action);
  if (of_keys) command.deadline_ms = kKeysDeadlineMs;
  const auto* rescue = std::get_if<RescueAction>(&command.action);
  if (rescue != nullptr && rescue->alive) command.deadline_ms = kBorrowDeadlineMs;
  return command;
}

bool MayHavePromoted(const DecisionRecord& record) {
  const auto& plan = record.decision.plan;
  const auto rescues = [](const PlanStep& step) { return std::holds_alternative<RescueAction>(step.action); };
  if (std::none_of(plan.begin(), plan.end(), rescues)) return true;
  const std::string_view rescue = ActionName(RescueAction{});
  const std::string_view promote = ActionName(PromoteAction{});
  return std::any_of(record.steps.begin(), record.steps.end(), [&](const StepRecord& step) {
    return step.action == promote || (step.action == rescue && step.outcome == Outcome::kDone);
  });
}

}  // namespace walstitch::core
