#include "controller/core/rescue.h"

namespace walstitch::core {

std::optional<TailOnDisk> FindTailOnDisk(const GroupSnapshot& snapshot, const Candidate& candidate) {
  const std::string& master = snapshot.state.master;
  const NodeView* view = snapshot.Find(master);
  const Report* report = view == nullptr ? nullptr : view->Fresh();
  if (candidate.node == master || report == nullptr || report->process != ProcessState::kDown) {
    return std::nullopt;
  }
  TailOnDisk tail;
  if (!report->last) {
    tail.why_not = "what " + master + " holds on its disk is not known";
    return tail;
  }
  if (*report->last <= candidate.last) return std::nullopt;
  tail.range = SequenceRange{candidate.last + 1, *report->last + 1};
  // A number that fits proves nothing: only a member of the master's own stream goes on where it ended.
  const auto membership = snapshot.state.nodes.find(master);
  if (membership == snapshot.state.nodes.end() || membership->second.epoch != candidate.epoch) {
    tail.why_not = candidate.node + " did not follow " + master + " in its last epoch";
  } else if (!report->wal_readable) {
    tail.why_not = "the WAL files of " + master + " cannot be read";
  }
  return tail;
}

bool TailCanBeRead(const GroupSnapshot& snapshot, const std::string& node) {
  if (TailIsBeingLookedFor(snapshot)) return true;
  for (const auto& candidate : RankCandidates(snapshot, "")) {
    if (candidate.node != node || !candidate.eligible) continue;
    const auto tail = FindTailOnDisk(snapshot, candidate);
    return tail && tail->why_not.empty();
  }
  return false;
}

bool TailIsBeingLookedFor(const GroupSnapshot& snapshot) {
  const NodeView* view = snapshot.Find(snapshot.state.master);
  const Report* report = view == nullptr ? nullptr : view->Fresh();
  return report != nullptr && report->process == ProcessState::kDown && !report->last && report->wal_readable;
}

}  // namespace walstitch::core
