#include "controller/core/reconsider.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "controller/core/cost.h"
#include "controller/core/decide.h"
#include "controller/core/log_chain.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

bool IsJudgedByPolicy(const Decision& decision) {
  return decision.kind == DecisionKind::kRejoin && decision.evidence && decision.verdict;
}

// Without reading the rest, which may be long.
std::string GroupOf(const boost::json::value& decision) {
  const auto* object = decision.if_object();
  const auto* group = object == nullptr ? nullptr : object->if_contains("group");
  return group == nullptr || !group->is_string() ? std::string() : std::string(group->get_string());
}

bool OnlyWaited(const VerdictDecision& verdict) {
  if (verdict.verdict != Verdict::kHold) return false;
  return std::any_of(verdict.reasons.begin(), verdict.reasons.end(), [](const Reason& reason) {
    return reason.code == reason::kFullSyncQueued || reason.code == reason::kFullSyncNoRoom ||
           reason.code == reason::kFullSyncLastCopy;
  });
}

Reconsidered::Divergent DivergentIn(const Evidence& evidence) {
  const Divergence divergence = DivergenceOf(evidence);
  Reconsidered::Divergent divergent;
  divergent.keys = divergence.keys;
  divergent.truncated = divergence.truncated || divergence.range_deletes > 0;
  for (const auto* touched : {&evidence.tail, &evidence.missed}) {
    if (touched->has_value()) divergent.bytes += (*touched)->bytes;
  }
  return divergent;
}

Reconsidered Compare(const Decision& decision, VerdictDecision now) {
  Reconsidered rejoin;
  rejoin.id = decision.id;
  rejoin.time_ms = decision.time_ms;
  rejoin.group = decision.group;
  rejoin.node = decision.node;
  rejoin.survivor = decision.survivor;
  rejoin.recorded = decision.verdict->verdict;
  rejoin.waited = OnlyWaited(*decision.verdict);
  rejoin.recorded_policy = decision.policy_name;
  rejoin.recorded_policy_hash = decision.policy_hash;
  rejoin.now = std::move(now);
  Evidence nothing_missed = *decision.evidence;
  nothing_missed.missed.reset();
  nothing_missed.tail =
      decision.evidence->undo ? decision.evidence->undo->left : decision.evidence->OwnTail();
  rejoin.padded = DivergentIn(*decision.evidence);
  rejoin.spliced = DivergentIn(nothing_missed);
  return rejoin;
}

void AddOutcome(const OutcomeRecord& outcome, Reconsidered* rejoin) {
  rejoin->outcome = outcome.outcome;
  if (rejoin->recorded == Verdict::kFull && outcome.outcome == Outcome::kDone)
    rejoin->full_sync_bytes = outcome.bytes_to_node;
}

struct Measured {
  std::uint64_t bytes = 0;
  std::uint64_t count = 0;
};

void AddCost(Verdict verdict, const Reconsidered& rejoin, const std::map<std::string, Measured>& by_group,
             PolicyCost* cost) {
  ++cost->verdicts[verdict];
  if (verdict == Verdict::kPadded || verdict == Verdict::kSpliced) {
    const Reconsidered::Divergent& divergent = verdict == Verdict::kPadded ? rejoin.padded : rejoin.spliced;
    cost->keys += divergent.keys;
    cost->keys_truncated = cost->keys_truncated || divergent.truncated;
    cost->bytes += divergent.bytes;
  }
  if (verdict != Verdict::kFull) return;
  ++cost->full_syncs;
  const auto measured = by_group.find(rejoin.group);
  if (rejoin.full_sync_bytes > 0) {
    cost->measured_bytes += rejoin.full_sync_bytes;
  } else if (measured != by_group.end()) {
    ++cost->estimated;
    cost->estimated_bytes += measured->second.bytes / measured->second.count;
  } else {
    ++cost->unknown;
  }
}

}  // namespace

Result<VerdictDecision> Reconsider(const Decision& decision, const TolerancePolicy& policy) {
  if (!IsJudgedByPolicy(decision)) {
    return Fail(ErrorCode::kInvalid, "decision " + decision.id + " is a " +
                                         std::string(ToString(decision.kind)) +
                                         ": only a rejoin has evidence that a policy judges");
  }
  return Decide(*decision.evidence, policy);
}

std::uint64_t Trial::Changed() const {
  return static_cast<std::uint64_t>(std::count_if(
      rejoins.begin(), rejoins.end(), [](const Reconsidered& rejoin) { return rejoin.Changed(); }));
}

Result<Reconsidered> ReconsiderRecord(const DecisionRecord& record, const TolerancePolicy& policy) {
  auto now = Reconsider(record.decision, policy);
  if (!now) return Fail(now.error());
  Reconsidered rejoin = Compare(record.decision, std::move(*now));
  if (record.outcome) AddOutcome(*record.outcome, &rejoin);
  return rejoin;
}

Result<void> PolicyTrial::Add(std::string_view line) {
  boost::json::value body;
  auto entry = ParseEntry(line, &body);
  if (!entry) return Fail(entry.error());
  if (entry->kind == EntryKind::kDecision) {
    const std::string group = GroupOf(body);
    if (group.empty()) return {};
    const auto policy = policy_for_(group);
    if (!policy) return Fail(policy.error());
    if (*policy == nullptr) return {};
    auto decision = DecisionFromJson(body);
    if (!decision) return Fail(decision.error(), "decision " + entry->decision);
    if (!IsJudgedByPolicy(*decision)) return {};
    at_[decision->id] = rejoins_.size();
    rejoins_.push_back(Compare(*decision, Decide(*decision->evidence, **policy)));
  } else if (entry->kind == EntryKind::kOutcome) {
    const auto at = at_.find(entry->decision);
    if (at == at_.end()) return {};
    auto outcome = OutcomeRecordFromJson(body);
    if (!outcome) return Fail(outcome.error(), "outcome of decision " + entry->decision);
    AddOutcome(*outcome, &rejoins_[at->second]);
  }
  return {};
}

Trial PolicyTrial::Finish() const {
  Trial trial;
  trial.rejoins = rejoins_;
  std::map<std::string, Measured> by_group;
  for (const Reconsidered& rejoin : rejoins_) {
    if (rejoin.full_sync_bytes == 0) continue;
    Measured& measured = by_group[rejoin.group];
    measured.bytes += rejoin.full_sync_bytes;
    ++measured.count;
  }
  for (const Reconsidered& rejoin : rejoins_) {
    if (rejoin.outcome == Outcome::kFailed) {
      ++trial.failed;
      continue;
    }
    AddCost(rejoin.recorded, rejoin, by_group, &trial.recorded);
    // Who only waited was decided again, and is counted there.
    AddCost(rejoin.Changed() ? rejoin.now.verdict : rejoin.recorded, rejoin, by_group, &trial.now);
  }
  return trial;
}

}  // namespace walstitch::core
