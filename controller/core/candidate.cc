#include "controller/core/candidate.h"

#include <algorithm>
#include <string>
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

bool Fenced(const Report& report) {
  return report.process == ProcessState::kUp && report.role == Role::kReplica && report.upstream_is_relay &&
         report.relay.state == RelayState::kParked;
}

std::optional<std::string> OtherMaster(const GroupSnapshot& snapshot, std::int64_t now_ms,
                                       const std::string& except) {
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == snapshot.state.master || name == except) continue;
    const Report* report = view.Fresh();
    if (report != nullptr && report->process == ProcessState::kUp && report->role == Role::kMaster) {
      return name + " is a master, though not the recorded one: stop it, or look at what it took";
    }
    const auto suspect = snapshot.state.suspects.find(name);
    if (suspect == snapshot.state.suspects.end()) continue;
    const bool over = now_ms - suspect->second.since_ms >= kSuspicionMs;
    const bool takes_no_writes =
        report != nullptr && (report->process == ProcessState::kDown || Fenced(*report));
    if (!over || !takes_no_writes) {
      return "the promotion of " + name + " in epoch " + std::to_string(suspect->second.epoch) +
             " was never answered, and it may be a master: it must be seen parked or down, " +
             std::to_string(kSuspicionMs / 1000) + " s after that command";
    }
  }
  return std::nullopt;
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
