#include "controller/core/candidate.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace walstitch::core {
namespace {

std::uint64_t StreamOf(const GroupState& state, const std::string& node) {
  const auto membership = state.nodes.find(node);
  return membership == state.nodes.end() ? 0 : membership->second.epoch;
}

std::string WhyNotBy(const CandidateRules& rules, const GroupState& state, const NodeView& view) {
  const Sequence last = *view.report->last;
  if (rules.not_leaving && view.report->leaving) return "its server is about to be stopped";
  if (rules.members_only && view.node != state.master &&
      StreamOf(state, view.node) != StreamOf(state, state.master)) {
    return "it did not follow " + state.master +
           " in its last epoch, and would give up what was written in it; an operator may want that: "
           "walstitch "
           "failover " +
           state.group + " --to " + view.node;
  }
  if (rules.max_lag && rules.master_last &&
      last<*rules.master_last&& * rules.master_last - last> * rules.max_lag) {
    return "it lacks " + std::to_string(*rules.master_last - last) + " records of " + state.master +
           ", and the policy allows " + std::to_string(*rules.max_lag) + " (failover.maxLag)";
  }
  return "";
}

std::string WhyNot(const GroupState& state, const NodeView& view) {
  if (!view.candidate) return "the configuration says that it is never promoted (candidate: false)";
  if (const auto hold = state.maintenance.find(view.node); hold != state.maintenance.end()) {
    return "it is in maintenance" + (hold->second.reason.empty() ? "" : " (" + hold->second.reason + ")") +
           "; to end that, run: walstitch maintenance " + state.group + " " + view.node + " off";
  }
  const Report* report = view.Fresh();
  if (report == nullptr) return "its agent does not answer";
  if (report->process != ProcessState::kUp) return "its server does not answer";
  if (view.full_sync_open || report->relay.state == RelayState::kFullSync)
    return "a full sync of it is unfinished";
  if (report->full_sync == FullSyncState::kFetching || report->full_sync == FullSyncState::kRestoring) {
    return "it is in a full sync";
  }
  if (report->loading) return "it is loading its data";
  if (!report->writes_refused.empty() || (report->disk && report->disk->read_only)) {
    return "it cannot write: " + (report->writes_refused.empty() ? std::string("its file system is read-only")
                                                                 : report->writes_refused);
  }
  if (view.rejoining) return "its rejoin is being carried out";
  if (report->relay.state == RelayState::kSplicing) return "it is being spliced";
  if (!report->last) return "its last sequence is not known";
  if (report->role != Role::kReplica || !report->upstream_is_relay) return "it is not held by its relay";
  return "";
}

}  // namespace

std::vector<Candidate> RankCandidates(const GroupSnapshot& snapshot, const std::string& except,
                                      const CandidateRules& rules) {
  struct Ranked {
    Candidate candidate;
    std::int64_t priority = 0;
    bool same_zone = false;
    [[nodiscard]] auto Order() const {
      return std::tuple(candidate.eligible, candidate.epoch, candidate.intact_last, priority, same_zone);
    }
  };
  const NodeView* master = snapshot.Find(snapshot.state.master);
  const std::string zone = master == nullptr ? std::string() : master->zone;
  std::vector<Ranked> ranked;
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == except) continue;
    Candidate candidate;
    candidate.node = name;
    candidate.reason = WhyNot(snapshot.state, view);
    if (candidate.reason.empty()) candidate.reason = WhyNotBy(rules, snapshot.state, view);
    candidate.eligible = candidate.reason.empty();
    if (candidate.eligible) {
      candidate.last = *view.Fresh()->last;
      candidate.epoch = StreamOf(snapshot.state, name);
      candidate.reason = "stream of epoch " + std::to_string(candidate.epoch) + ", last " +
                         candidate.last.ToString() + ", priority " + std::to_string(view.priority) +
                         (view.zone.empty() ? "" : ", zone " + view.zone);
      candidate.intact_last = candidate.last;
      const auto membership = snapshot.state.nodes.find(name);
      if (membership != snapshot.state.nodes.end() && membership->second.begun) {
        candidate.intact_last = std::min(candidate.last, membership->second.begun->intact_to);
        candidate.reason += ", of which only what is up to " + candidate.intact_last.ToString() +
                            " counts: the rest is of a rejoin that was not finished";
      }
    }
    ranked.push_back({std::move(candidate), view.priority, !zone.empty() && view.zone == zone});
  }
  // The map gave them by name, and a stable sort keeps that among equals.
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return b.Order() < a.Order(); });
  std::vector<Candidate> candidates;
  candidates.reserve(ranked.size());
  for (auto& one : ranked) candidates.push_back(std::move(one.candidate));
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
    // Of an agent that does not answer nothing is seen, but its lease has run out long ago.
    const bool takes_no_writes =
        report == nullptr || report->process == ProcessState::kDown || Fenced(*report);
    if (!over || !takes_no_writes) {
      return "the promotion of " + name + " in epoch " + std::to_string(suspect->second.epoch) +
             " was never answered, and it may be a master: it must be seen parked or down, or be silent, " +
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
    if (std::tuple(candidate.epoch, candidate.intact_last) < std::tuple(best.epoch, best.intact_last)) {
      return Fail(ErrorCode::kConflict, *to + " cannot be promoted: it is behind " + best.node + " (" +
                                            candidate.reason + "; " + best.node + ": " + best.reason +
                                            "), and writes would be lost");
    }
    return candidate;
  }
  return Fail(ErrorCode::kNotFound, "no node '" + *to + "' to promote in this group");
}

}  // namespace walstitch::core
