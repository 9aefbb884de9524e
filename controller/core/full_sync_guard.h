// Whether a full sync that was decided may begin now, and how one that has begun gets on. Pure.
//
// | what stands against it                                          | code                  | what follows |
// |-----------------------------------------------------------------|-----------------------|--------------|
// | so many are under way, in all or in the node's zone             | full-sync-queued      | it waits     |
// | the copy does not fit on the node's disk                        | full-sync-no-room     | it is held   |
// | the node empties itself first, and nobody else could be promoted | full-sync-last-copy  | it is held   |
//
// What is not known stands against nothing: an agent of an older version reports no sizes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "controller/core/snapshot.h"
#include "policies/model/decision.h"

namespace walstitch::core {

// What all groups share.
struct FullSyncQueue {
  std::int64_t limit = 1;              // at once
  std::int64_t zone_limit = 0;         // of nodes in one zone; 0: no limit of its own
  std::uint64_t bytes_per_second = 0;  // each of them; 0: as fast as it goes
  std::int64_t running = 0;
  std::map<std::string, std::int64_t> running_in;  // by zone

  void Begin(const std::string& zone);
  void End(const std::string& zone);
};

// nullopt: it may begin.
std::optional<Reason> WhyNoFullSync(const GroupSnapshot& snapshot, const std::string& node,
                                    const FullSyncQueue& queue);

struct FullSyncProgress {
  std::uint64_t bytes = 0;                // to the node so far
  std::optional<std::uint64_t> of_bytes;  // about as many, by the survivor's own count of its files
  std::optional<std::int64_t> left_ms;    // at the rate so far
};

// `took_ms`: since it began. The survivor's count leaves out what is not yet in files, so it may be too low.
FullSyncProgress ProgressOf(std::uint64_t bytes, std::optional<std::uint64_t> of_bytes, std::int64_t took_ms);

// "512 MiB of 2 GiB, about 30 s left"
std::string Describe(const FullSyncProgress& progress);

}  // namespace walstitch::core
