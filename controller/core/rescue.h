// What a dead master still has on its disk, and whether the candidate may take it before its promotion. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controller/core/candidate.h"
#include "controller/core/snapshot.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

struct TailOnDisk {
  std::optional<SequenceRange>
      range;  // that the candidate does not have; none: it is not known what there is
  // Why it cannot be rescued, one sentence; empty: it can, if the candidate's last batch is the dead master's
  // batch at that place, byte for byte (whoever acts on it compares).
  std::string why_not;
};

// nullopt: the dead master has nothing that the candidate lacks, or is not dead.
std::optional<TailOnDisk> FindTailOnDisk(const GroupSnapshot& snapshot, const Candidate& candidate);

// The master's process is down, and its agent has not found out yet what it holds on its disk. That takes
// milliseconds; a disk that does not answer is not waited for longer than kTailPatienceMs.
bool TailIsBeingLookedFor(const GroupSnapshot& snapshot);
inline constexpr std::int64_t kTailPatienceMs = 2000;

// The master's process is down, and it has, or may have, what the node lacks and could take.
bool TailCanBeRead(const GroupSnapshot& snapshot, const std::string& node);

}  // namespace walstitch::core
