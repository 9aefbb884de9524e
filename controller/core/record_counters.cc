#include "controller/core/record_counters.h"

#include <algorithm>
#include <variant>

#include "policies/model/names.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

constexpr const char* kNoVerdict = "none";

GroupCounts::Kind KindOf(const Decision& decision) {
  return {decision.kind,
          decision.verdict ? std::string(ToString(decision.verdict->verdict)) : std::string(kNoVerdict)};
}

// When the node was promoted, by the steps; the outcome's time, where no step tells.
std::int64_t PromotedMs(const DecisionRecord& record) {
  for (auto step = record.steps.rbegin(); step != record.steps.rend(); ++step) {
    if (step->action == ActionName(PromoteAction{}) && step->outcome == Outcome::kDone) return step->end_ms;
  }
  return record.outcome->time_ms;
}

void CountRejoin(const DecisionRecord& record, GroupCounts* counts) {
  const Decision& decision = record.decision;
  const OutcomeRecord& outcome = *record.outcome;
  if (!decision.verdict || decision.verdict->verdict == Verdict::kHold) return;
  const Verdict verdict = decision.verdict->verdict;
  const bool done = outcome.outcome == Outcome::kDone;
  if (verdict == Verdict::kFull) {
    ++counts->partial_err;
    if (done) ++counts->full_syncs;
  } else if (!done) {
    ++counts->partial_err;
  } else if (verdict == Verdict::kPadded) {
    ++counts->partial_padding;
  } else {
    ++counts->partial_ok;
  }
  // What a node that was padded or spliced may differ in is decided with the verdict; in the others it is
  // nothing.
  if (done && (verdict == Verdict::kPadded || verdict == Verdict::kSpliced)) {
    for (const KeyspaceFinding& keyspace : decision.verdict->keyspaces)
      counts->divergent_keys[keyspace.tolerance] += keyspace.keys;
  }
  if (outcome.keys) {
    counts->keys_repaired += outcome.keys->repair.repaired;
    counts->keys_evicted += outcome.keys->repair.evicted;
    counts->keys_not_mended += outcome.keys->repair.failed + outcome.keys->after.differ;
  }
}

}  // namespace

void DurationCounts::Add(std::int64_t ms) {
  ms = std::max<std::int64_t>(ms, 0);
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    if (static_cast<double>(ms) / 1000 <= kBounds[i]) ++up_to_[i];
  }
  ++count_;
  sum_ms_ += ms;
}

GroupCounts& RecordCounters::Of(const std::string& group) {
  const auto [found, is_new] = groups_.try_emplace(group);
  GroupCounts& counts = found->second;
  if (!is_new) return counts;
  for (const DecisionKind kind : AllValues<DecisionKind>()) {
    if (kind != DecisionKind::kRejoin) counts.decisions[{kind, kNoVerdict}] = 0;
    for (const Outcome outcome : AllValues<Outcome>()) counts.outcomes[{kind, outcome}] = 0;
  }
  for (const Verdict verdict : AllValues<Verdict>())
    counts.decisions[{DecisionKind::kRejoin, std::string(ToString(verdict))}] = 0;
  for (const Tolerance tolerance : AllValues<Tolerance>()) {
    if (tolerance != Tolerance::kFullSync) counts.divergent_keys[tolerance] = 0;
  }
  for (const DecisionKind kind : {DecisionKind::kFailover, DecisionKind::kSwitchover})
    counts.without_master.try_emplace(kind);
  return counts;
}

void RecordCounters::Know(const std::string& group) { (void)Of(group); }

void RecordCounters::Opened(const Decision& decision) {
  GroupCounts& counts = Of(decision.group);
  const GroupCounts::Kind kind = KindOf(decision);
  ++counts.decisions[kind];
  for (const Reason& reason : decision.verdict ? decision.verdict->reasons : decision.reasons)
    ++counts.reasons[{kind, reason.code}];
}

void RecordCounters::Closed(const DecisionRecord& record) {
  if (!record.outcome) return;
  const Decision& decision = record.decision;
  const OutcomeRecord& outcome = *record.outcome;
  GroupCounts& counts = Of(decision.group);
  ++counts.outcomes[{decision.kind, outcome.outcome}];
  if (decision.kind == DecisionKind::kRejoin) CountRejoin(record, &counts);
  if (outcome.salvage) {
    ++counts.salvages;
    counts.salvaged_records += outcome.salvage->records;
  }
  if (outcome.outcome != Outcome::kDone) return;
  // A promotion that turned out to have happened took its time under a decision before this one.
  const bool recognised =
      !decision.reasons.empty() && decision.reasons.front().code == reason::kPromotionHappened;
  if (decision.kind == DecisionKind::kFailover && !recognised)
    counts.failover.Add(PromotedMs(record) - decision.noticed_ms.value_or(decision.time_ms));
  const auto without = counts.without_master.find(decision.kind);
  if (without != counts.without_master.end() && outcome.without_master_ms)
    without->second.Add(*outcome.without_master_ms);
}

}  // namespace walstitch::core
