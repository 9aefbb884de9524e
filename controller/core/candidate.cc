#include "controller/core/candidate.h"

#include <algorithm>
#include <tuple>

namespace walstitch::core {
namespace {

std::string WhyNot(const NodeView& view) {
  const Report* report = view.Fresh();
  if (report == nullptr) return "its agent does not answer";
  if (report->process != ProcessState::kUp) return "its server does not answer";
  if (view.full_sync_open || report->relay.state == RelayState::kFullSync)
    return "a full sync of it is unfinished";
  if (report->full_sync == FullSyncState::kFetching || report->full_sync == FullSyncState::kRestoring) {
    return "it is in a full sync";
  }
  if (report->loading) return "it is loading its data";
  if (!report->last) return "its last sequence is not known";
  if (report->role != Role::kReplica || !report->upstream_is_relay) return "it is not held by its relay";
  return "";
}

}  // namespace

std::vector<Candidate> RankCandidates(const GroupSnapshot& snapshot, const std::string& except) {
  std::vector<std::pair<Candidate, std::int64_t>> ranked;
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == except) continue;
    Candidate candidate;
    candidate.node = name;
    candidate.reason = WhyNot(view);
    candidate.eligible = candidate.reason.empty();
    if (candidate.eligible) {
      candidate.last = *view.Fresh()->last;
      if (auto membership = snapshot.state.nodes.find(name); membership != snapshot.state.nodes.end()) {
        candidate.epoch = membership->second.epoch;
      }
      candidate.reason = "stream of epoch " + std::to_string(candidate.epoch) + ", last " +
                         candidate.last.ToString() + ", priority " + std::to_string(view.priority);
    }
    ranked.emplace_back(std::move(candidate), view.priority);
  }
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return std::tuple(b.first.eligible, b.first.epoch, b.first.last, b.second, a.first.node) <
           std::tuple(a.first.eligible, a.first.epoch, a.first.last, a.second, b.first.node);
  });
  std::vector<Candidate> candidates;
  candidates.reserve(ranked.size());
  for (auto& [candidate, priority] : ranked) candidates.push_back(std::move(candidate));
  return candidates;
}

Result<Candidate> ChooseCandidate(const std::vector<Candidate>& ranked,
                                  const std::optional<std::string>& to) {
  std::string rejected;
  for (const auto& candidate : ranked) {
    if (!candidate.eligible)
      rejected += (rejected.empty() ? "" : "; ") + candidate.node + ": " + candidate.reason;
  }
  if (ranked.empty() || !ranked.front().eligible) {
    return Fail(ErrorCode::kConflict, "no node can be promoted" + (rejected.empty() ? "" : ": " + rejected));
  }
  if (!to) return ranked.front();
  for (const auto& candidate : ranked) {
    if (candidate.node != *to) continue;
    if (!candidate.eligible)
      return Fail(ErrorCode::kConflict, *to + " cannot be promoted: " + candidate.reason);
    const Candidate& best = ranked.front();
    if (std::tuple(candidate.epoch, candidate.last) < std::tuple(best.epoch, best.last)) {
      return Fail(ErrorCode::kConflict, *to + " cannot be promoted: it is behind " + best.node + " (" +
                                            candidate.reason + "; " + best.node + ": " + best.reason +
                                            "), and writes would be lost");
    }
    return candidate;
  }
  return Fail(ErrorCode::kNotFound, "no node '" + *to + "' to promote in this group");
}

}  // namespace walstitch::core
