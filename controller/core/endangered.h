// A node whose resume point, the next record that it needs, is about to be purged from its master's WAL.
// After that it takes a full sync, at whatever moment it may be. Where the policy wants it
// (onResumePointEndangered: fullsync), the copy is made before, while the group is calm. Pure.
//
// A node that follows closely is never among them: the log that its master writes to is not purged. Nor is
// one that is behind and catches up. So what follows is taken off its stream only when several looks in a row
// have found it no nearer to its master, and its next nearer to the end of its time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controller/core/snapshot.h"
#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"

namespace walstitch::core {

// The last record of the node that is not its own tail, by record: the next one is its resume point, or where
// a splice begins. nullopt: it is not known what it holds, or it lacks nothing of its master.
std::optional<Sequence> LacksFrom(const GroupSnapshot& snapshot, const NodeView& view);

// What a look at a node that follows has found.
struct ResumeLook {
  std::optional<std::int64_t> left_ms;
  std::uint64_t behind = 0;  // records
};
// It is no nearer to its master than at the look before, and its resume point has less time left.
bool FallsBehind(const ResumeLook& before, const ResumeLook& now);

// So many looks in a row, and it will not come any more by itself.
inline constexpr int kFallsToAct = 3;

bool IsEndangered(const GroupSnapshot& snapshot, const NodeView& view);

// Why this is no moment for a full sync of the node that can wait, one sentence; empty: the group is calm.
// Every other node is in service, nothing is wrong with the master, no failover was just now, and nobody
// wants the group or the node left alone.
std::string WhyNotCalm(const GroupSnapshot& snapshot, const std::string& node, std::int64_t unix_ms);

// What the policy lets be done about it now; nullopt: nothing.
std::optional<EndangeredEvidence> FindEndangered(const GroupSnapshot& snapshot, const std::string& node,
                                                 const TolerancePolicy& policy, std::int64_t unix_ms);

// The verdict, or a full sync instead: of a node that would be held until its resume point is gone, and of
// one that would follow and fall behind again. Never where a full sync would not be possible at all.
VerdictDecision CopyIfEndangered(VerdictDecision decision, const Evidence& evidence,
                                 const TolerancePolicy& policy);

}  // namespace walstitch::core
