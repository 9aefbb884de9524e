#include "controller/core/failover_gate.h"

#include <algorithm>

#include "controller/core/candidate.h"
#include "controller/core/mutation.h"
#include "controller/core/rescue.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

// A stream that broke without a word is noticed and made again within this (shell/group_host.cc: 1.5 s and
// 0.25 s): a node that is back was not given the time to say so before.
constexpr std::int64_t kStreamBackMs = 2500;

GateAnswer No(std::string_view code, std::string sentence) {
  return {Gate::kNo, code, std::move(sentence), 0, false};
}

GateAnswer Wait(std::string_view code, std::string sentence, std::int64_t ms) {
  return {Gate::kWait, code, std::move(sentence), std::max<std::int64_t>(1, ms), false};
}

std::string Seconds(std::int64_t ms) {
  const std::int64_t tenths = (ms + 99) / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

// The operator's word, and other masters: whatever the matter with the master is.
std::optional<GateAnswer> WhatStandsAgainst(const GroupSnapshot& snapshot, std::int64_t unix_ms) {
  const GroupState& state = snapshot.state;
  if (!snapshot.settings.automatic) {
    return No(reason::kNotAutomatic,
              "failover.automatic is false: an operator runs: walstitch failover " + state.group);
  }
  if (state.paused) {
    return No(reason::kPaused, "the group is paused" +
                                   (state.paused->reason.empty() ? "" : " (" + state.paused->reason + ")") +
                                   "; to end that, run: walstitch resume " + state.group);
  }
  if (state.maintenance.contains(state.master)) {
    return No(reason::kInMaintenance, "master " + state.master +
                                          " is in maintenance; to end that, run: walstitch maintenance " +
                                          state.group + " " + state.master + " off");
  }
  if (auto other = OtherMaster(snapshot, unix_ms, "")) {
    return Wait(reason::kOtherMaster, *other, 1000);
  }
  if (unix_ms < state.blocked_until_ms) {
    const std::int64_t left = state.blocked_until_ms - unix_ms;
    return Wait(reason::kBlocked,
                "the last failover was too short ago, the group is left alone for another " + Seconds(left) +
                    "; to end that, run: walstitch unblock " + state.group,
                left);
  }
  return std::nullopt;
}

}  // namespace

std::int64_t PromisedLeft(const GroupSnapshot& snapshot) {
  std::int64_t left = 0;
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* report = view.Fresh();
    if (report != nullptr) left = std::max(left, report->promised_left_ms.value_or(0));
  }
  return left;
}

bool KnownFenced(const GroupSnapshot& snapshot) {
  const NodeView* master = snapshot.Find(snapshot.state.master);
  const Report* report = master == nullptr ? nullptr : master->Fresh();
  if (report == nullptr) return snapshot.seen_replica.has_value();
  return report->process == ProcessState::kDown || Fenced(*report);
}

GateAnswer JudgeFailover(const GroupSnapshot& snapshot, const Finding& trouble, const FailoverFacts& facts) {
  const GroupState& state = snapshot.state;
  const FailoverSettings& settings = snapshot.settings;
  if (trouble.code == FindingCode::kMasterOutOfSight) return No(reason::kMasterOutOfSight, trouble.sentence);
  if (auto against = WhatStandsAgainst(snapshot, facts.unix_ms)) return *against;
  if (facts.nobody_eligible) return No(reason::kNotEligible, *facts.nobody_eligible);

  const NodeView* master = snapshot.Find(state.master);
  const bool fenced = KnownFenced(snapshot);
  const std::int64_t stood = facts.now_ms - facts.since_ms;
  // 1. The master's machine loses power, and with it the end of its WAL. 2. It comes back first, and is
  // parked.
  // 3. A replica that holds more is still being restarted, or its agent is. 4. Promoted at once, the master
  // would give up what that replica has. So it is waited for; not for ever.
  //
  // The same holds for the master itself where its server says that it is a replica: its agent may be heard
  // again any moment, and the node win.
  // A master that has lost records may have sent them to a replica that had no time to say so.
  const Report* returned = master == nullptr ? nullptr : master->Fresh();
  const bool has_lost = returned != nullptr && Fenced(*returned) && snapshot.most_held && facts.best_last &&
                        *snapshot.most_held > *facts.best_last;
  const bool parked_out_of_reach = snapshot.seen_replica && !snapshot.seen_replica->by_hand;
  const std::int64_t patience_left = std::max(settings.lease.duration_ms, kStreamBackMs) - stood;
  if (facts.best_last && patience_left > 0) {
    for (const auto& [name, view] : snapshot.nodes) {
      if (name == state.master && !parked_out_of_reach) continue;
      if (view.Fresh() != nullptr || !view.candidate) continue;
      const auto stream = state.nodes.find(name);
      const auto masters = state.nodes.find(state.master);
      const bool member = stream != state.nodes.end() && masters != state.nodes.end() &&
                          stream->second.epoch == masters->second.epoch;
      if (!member) continue;
      const bool more = view.known_last && *view.known_last > *facts.best_last;
      if (!more && !has_lost) continue;
      const std::string what = more ? name + " was last known to hold " + view.known_last->ToString()
                                    : state.master + " has lost records up to " +
                                          snapshot.most_held->ToString() + " that " + name + " may hold";
      return Wait(reason::kBetterMissing,
                  what + ", more than anybody who answers (" + facts.best_last->ToString() +
                      "): it is waited for for another " + Seconds(patience_left),
                  patience_left);
    }
  }
  if (TailIsBeingLookedFor(snapshot) && stood < kTailPatienceMs) {
    return Wait(reason::kReadingTail, "what " + state.master + " holds on its disk is being looked for", 20);
  }
  if (!fenced) {
    const std::int64_t patience = trouble.code == FindingCode::kMasterProcessHung
                                      ? settings.hung_ms - (master ? master->durations.hung_ms : 0)
                                      : 0;
    if (patience > 0) return Wait("", trouble.sentence, patience);
    // 1. The master's agent is cut off from the controller and goes on for the rest of its lease. 2. Another
    // node is promoted at once. 3. Both take writes, and one side's are lost.
    const std::int64_t lease_left = facts.lease_until_ms - facts.now_ms;
    if (lease_left > 0 && !Mutated(Mutation::kPromoteWithinLease)) {
      return Wait(reason::kLeaseRuns,
                  "the lease of " + state.master + " may run for another " + Seconds(lease_left), lease_left);
    }
    if (const std::int64_t left = PromisedLeft(snapshot); left > 0) {
      return Wait(reason::kLeaseRuns,
                  state.master + " goes on by its group's promises for up to " + Seconds(left), left);
    }
  }
  if (facts.failing_over >= settings.max_concurrent) {
    return Wait(
        reason::kTooManyAtOnce,
        std::to_string(facts.failing_over) + " groups are being failed over already (failover.maxConcurrent)",
        200);
  }
  return {Gate::kGo, "", "", 0, fenced};
}

std::optional<NoFailover> WhyNoFailover(const GroupSnapshot& snapshot, std::int64_t unix_ms,
                                        const std::string& store_problem, const CandidateRules& rules) {
  if (snapshot.state.management != Management::kManaged) {
    return NoFailover{kNotManaged, "the group is not managed: run walstitch status " + snapshot.state.group};
  }
  if (!store_problem.empty()) return NoFailover{kStoreProblem, store_problem};
  // Before what the operator has set: no order helps where nobody can take over. A master that lives is none
  // of those who could.
  const std::string except = snapshot.LiveMaster() == nullptr ? std::string() : snapshot.state.master;
  const auto best = ChooseCandidate(RankCandidates(snapshot, except, rules), std::nullopt);
  if (!best) return NoFailover{reason::kNotEligible, best.error().Message()};
  if (const auto against = WhatStandsAgainst(snapshot, unix_ms))
    return NoFailover{against->code, against->sentence};
  return std::nullopt;
}

}  // namespace walstitch::core
