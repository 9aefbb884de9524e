#include "controller/core/full_sync_guard.h"

#include <algorithm>

#include "controller/core/candidate.h"
#include "policies/model/bytes.h"
#include "policies/model/reason_codes.h"
#include "policies/model/result.h"

namespace walstitch::core {
namespace {

// What the survivor writes while it is copied, and what is not yet in its files.
std::uint64_t WithRoomToGrow(std::uint64_t bytes) { return bytes + bytes / 10; }

std::optional<Reason> NoRoom(const Report& target, const Report& survivor) {
  if (!target.disk || !survivor.data_bytes) return std::nullopt;
  const bool empties = target.empties_before_full_sync.value_or(false);
  const std::uint64_t freed = empties ? target.data_bytes.value_or(0) : 0;
  const std::uint64_t room = target.disk->free_bytes + freed;
  const std::uint64_t needed = WithRoomToGrow(*survivor.data_bytes);
  if (needed <= room) return std::nullopt;
  return Reason{std::string(reason::kFullSyncNoRoom),
                "a copy of " + survivor.node + " needs about " + HumanBytes(needed) + ", and the disk of " +
                    target.node + " has room for " + HumanBytes(room) +
                    (empties ? "" : " beside what it holds, which it keeps until the copy is there") +
                    ": make room"};
}

std::optional<Reason> LastCopy(const GroupSnapshot& snapshot, const Report& target) {
  if (!target.empties_before_full_sync.value_or(false)) return std::nullopt;
  for (const auto& candidate : RankCandidates(snapshot, snapshot.state.master)) {
    if (candidate.eligible && candidate.node != target.node) return std::nullopt;
  }
  return Reason{
      std::string(reason::kFullSyncLastCopy),
      target.node +
          " empties itself before a full sync (slave-empty-db-before-fullsync), and no "
          "other replica could be promoted meanwhile: were " +
          snapshot.state.master + " lost, everything would be. On " + target.node +
          " run: CONFIG SET slave-empty-db-before-fullsync no; or bring another replica back first"};
}

std::optional<Reason> Queued(const FullSyncQueue& queue, const std::string& zone) {
  const auto queued = [](std::int64_t running, std::int64_t limit, const std::string& where,
                         const std::string& setting) {
    return Reason{std::string(reason::kFullSyncQueued),
                  "it waits for its turn, " + std::to_string(running) + " of " + std::to_string(limit) +
                      " full syncs are under way" + where + " (" + setting + ")"};
  };
  if (queue.running >= queue.limit) return queued(queue.running, queue.limit, "", "maxConcurrentFullSyncs");
  if (queue.zone_limit == 0 || zone.empty()) return std::nullopt;
  const auto found = queue.running_in.find(zone);
  const std::int64_t running = found == queue.running_in.end() ? 0 : found->second;
  if (running < queue.zone_limit) return std::nullopt;
  return queued(running, queue.zone_limit, " in zone " + zone, "maxConcurrentFullSyncsPerZone");
}

}  // namespace

void FullSyncQueue::Begin(const std::string& zone) {
  ++running;
  if (!zone.empty()) ++running_in[zone];
}

void FullSyncQueue::End(const std::string& zone) {
  WALSTITCH_CHECK(running > 0);
  --running;
  const auto found = running_in.find(zone);
  if (found != running_in.end() && --found->second == 0) running_in.erase(found);
}

std::optional<Reason> WhyNoFullSync(const GroupSnapshot& snapshot, const std::string& node,
                                    const FullSyncQueue& queue) {
  const NodeView* view = snapshot.Find(node);
  const NodeView* master = snapshot.Find(snapshot.state.master);
  const Report* target = view == nullptr ? nullptr : view->Fresh();
  const Report* survivor = master == nullptr ? nullptr : master->Fresh();
  if (target == nullptr || survivor == nullptr) return std::nullopt;
  // What no waiting helps against is said first.
  if (auto no_room = NoRoom(*target, *survivor)) return no_room;
  if (auto last_copy = LastCopy(snapshot, *target)) return last_copy;
  return Queued(queue, view->zone);
}

FullSyncProgress ProgressOf(std::uint64_t bytes, std::optional<std::uint64_t> of_bytes,
                            std::int64_t took_ms) {
  FullSyncProgress progress{bytes, of_bytes, std::nullopt};
  if (of_bytes) progress.of_bytes = std::max(*of_bytes, bytes);
  if (!of_bytes || bytes == 0 || took_ms <= 0) return progress;
  const double left = static_cast<double>(*progress.of_bytes - bytes);
  progress.left_ms =
      static_cast<std::int64_t>(left * static_cast<double>(took_ms) / static_cast<double>(bytes));
  return progress;
}

std::string Describe(const FullSyncProgress& progress) {
  std::string text = HumanBytes(progress.bytes);
  if (progress.of_bytes) text += " of " + HumanBytes(*progress.of_bytes);
  if (progress.left_ms) text += ", about " + std::to_string((*progress.left_ms + 999) / 1000) + " s left";
  return text;
}

}  // namespace walstitch::core
