#include "controller/core/endangered.h"

#include <algorithm>

#include "controller/core/finding.h"
#include "controller/core/tail_given_up.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

std::optional<Sequence> LacksFrom(const GroupSnapshot& snapshot, const NodeView& view) {
  const NodeView* master = snapshot.LiveMaster();
  if (master == nullptr || view.node == master->node || !master->report->last) return std::nullopt;
  if (!view.known_last || view.full_sync_open) return std::nullopt;
  if (const Report* report = view.Fresh()) {
    const bool copied = report->relay.state == RelayState::kFullSync ||
                        report->full_sync == FullSyncState::kFetching ||
                        report->full_sync == FullSyncState::kRestoring;
    if (copied || report->loading) return std::nullopt;
  }
  Sequence last = *view.known_last;
  const KnownHistory known = KnownBetween(snapshot.state, view.node, master->node);
  if (known.promoted_at) last = std::min(last, *known.promoted_at);
  if (last >= *master->report->last) return std::nullopt;
  return last;
}

bool FallsBehind(const ResumeLook& before, const ResumeLook& now) {
  return before.left_ms && now.left_ms && *now.left_ms <= *before.left_ms && now.behind >= before.behind;
}

bool IsEndangered(const GroupSnapshot& snapshot, const NodeView& view) {
  return view.resume_left_ms && *view.resume_left_ms < snapshot.settings.purge_warning_ms;
}

std::string WhyNotCalm(const GroupSnapshot& snapshot, const std::string& node, std::int64_t unix_ms) {
  const NodeView* master = snapshot.LiveMaster();
  if (master == nullptr) return "there is no living master";
  if (!master->report->writes_refused.empty() || (master->report->disk && master->report->disk->read_only))
    return "master " + master->node + " cannot write";
  if (snapshot.state.paused) return "the group is paused";
  if (snapshot.state.maintenance.contains(node)) return node + " is in maintenance";
  if (!snapshot.state.suspects.empty()) return "a promotion was never answered";
  if (unix_ms < snapshot.state.blocked_until_ms) return "a failover was just now";
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == node || name == master->node) continue;
    if (!InService(snapshot, view) || view.full_sync_open || view.rejoining)
      return name + " is not in service";
  }
  return "";
}

std::optional<EndangeredEvidence> FindEndangered(const GroupSnapshot& snapshot, const std::string& node,
                                                 const TolerancePolicy& policy, std::int64_t unix_ms) {
  const NodeView* view = snapshot.Find(node);
  const Report* report = view == nullptr ? nullptr : view->Fresh();
  if (policy.on_endangered != OnEndangered::kFullSync || report == nullptr) return std::nullopt;
  if (report->process != ProcessState::kUp || report->loading || report->role != Role::kReplica)
    return std::nullopt;
  if (!IsEndangered(snapshot, *view)) return std::nullopt;
  const bool falls_behind = view->resume_falls >= kFallsToAct;
  if (InService(snapshot, *view) && !falls_behind) return std::nullopt;
  if (!WhyNotCalm(snapshot, node, unix_ms).empty()) return std::nullopt;
  return EndangeredEvidence{*view->resume_left_ms, falls_behind};
}

VerdictDecision CopyIfEndangered(VerdictDecision decision, const Evidence& evidence,
                                 const TolerancePolicy& policy) {
  if (!evidence.endangered || policy.on_endangered != OnEndangered::kFullSync) return decision;
  const Verdict instead = decision.verdict;
  const bool held = instead == Verdict::kHold && !decision.reasons.empty() &&
                    decision.reasons.front().code != reason::kAdvancedFirst;
  const bool falls = instead == Verdict::kAligned && evidence.endangered->falls_behind;
  if (!held && !falls) return decision;
  const auto full = std::find_if(decision.alternatives.begin(), decision.alternatives.end(),
                                 [](const Alternative& one) { return one.verdict == Verdict::kFull; });
  if (full == decision.alternatives.end() || !full->possible) return decision;
  decision.verdict = Verdict::kFull;
  const std::string& node = evidence.rejoiner.node;
  const std::string& master = evidence.survivor.node;
  *full = {instead, true,
           held ? node + " would stay parked, and its next be purged meanwhile"
                : node + " would follow, and fall behind again"};
  const std::string sentence =
      "the WAL of " + master + " may hold what " + node + " needs next for no more than " +
      std::to_string(evidence.endangered->left_ms / 1000) + " s, and " + node +
      (falls ? " falls behind: " : " is held: ") +
      "it is copied afresh now, while the group is calm, as the policy wants it (onResumePointEndangered)";
  decision.reasons.insert(decision.reasons.begin(), {std::string(reason::kResumePointEndangered), sentence});
  auto tail = FindTailGivenUp(Verdict::kFull, evidence);
  if (tail.remark) decision.reasons.push_back(std::move(*tail.remark));
  return decision;
}

}  // namespace walstitch::core
