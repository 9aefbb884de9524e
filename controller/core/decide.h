// The decision: the same evidence and policy give the same verdict, for ever. Pure.
//
// | what stands in the way                                        | reason             | verdict        |
// |---------------------------------------------------------------|--------------------|----------------|
// | cluster mode differs                                          | incompatible       | hold           |
// | evidence is missing that is expected to come                  | evidence-missing   | hold           |
// | it is not known where the survivor stands                     | evidence-missing   | hold           |
// | the rejoiner never left the survivor's stream, and holds more | master-lost-records | hold          |
// | other evidence is missing, or contradicts itself              | evidence-missing   | full           |
// | fork unknown; only recorded, and the policy demands proof     | fork-unknown, fork-unproven | full  |
// | a keyspace touched asks for more than this version can do for | keyspace-fullsync  | full           |
// |   it: `fullsync`, and as long as they cannot be done `evict`, `repair` |           |                |
// | a limit of a keyspace, or of the tail, is passed              | keyspace-limit, tail-limit | onLimit |
//
// of a splice only, which is judged by the tail alone (of that only what is the rejoiner's own, where an
// earlier splice broke off):
//
// | no batch of the survivor's WAL begins behind the fork         | wal-purged, evidence-missing | next  |
// | the survivor would be advanced too far                        | advance-limit      | next, or onLimit |
// | splices of the rejoiner fail again and again                  | splice-failed      | next, or onLimit |
//
// of a pad only, which is judged by tail and missed together:
//
// | the rejoiner is ahead of the survivor                         | rejoiner-ahead     | onLimit          |
// | no WAL reaches the target, the tail or what is missed         | wal-purged         | full             |
// | what another node would lend is too much                      | borrow-limit       | onLimit          |
// | a limit is passed                                             | pad-limit, missed-limit | onLimit     |
//
// "next" is the next verdict in the policy's order, "onLimit" what the policy says of a limit.
//
// Nothing in the way: `aligned` where nothing differs (prefix-of-survivor; borrowed, where another node lends
// what the survivor's WAL no longer holds); `spliced` where there is a tail (nothing-missed); `padded`
// (within-policy); and number-fits-histories-differ where Kvrocks would resume by itself. The first of them
// in the policy's order is taken. A rejoiner that is ahead, and that nothing else keeps from being padded, is
// held for the survivor to be advanced past it (advanced-first). What the policy does not prefer is passed
// over (not-preferred); if nothing is left, `hold`.
//
// A node that would be held, or follow and fall behind again, while its resume point is about to be purged,
// is copied afresh instead where the policy wants it (resume-point-endangered, see endangered.h).
//
// What of the tail cannot be salvaged before it is given up is a reason, too (tail-not-salvaged,
// tail-salvaged-in-part), and changes no verdict.
//
// Every verdict carries at least one reason, and every other verdict is among the alternatives with its cost,
// or with why it is not possible.
#pragma once

#include <cstdint>

#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"

namespace walstitch::core {

// A splice that broke is made again; one that breaks every time is not the way.
inline constexpr std::uint64_t kMostSplices = 5;

// Reason codes are listed in policies/README.md, one per rule; every verdict carries at least one.
VerdictDecision Decide(const Evidence& evidence, const TolerancePolicy& policy);

}  // namespace walstitch::core
