// The decision: the same evidence and policy give the same verdict, for ever. Pure.
//
// | what stands in the way                                        | reason             | verdict        |
// |---------------------------------------------------------------|--------------------|----------------|
// | cluster mode differs                                          | incompatible       | hold           |
// | evidence is missing that is expected to come                  | evidence-missing   | hold           |
// | it is not known where the survivor stands                     | evidence-missing   | hold           |
// | other evidence is missing, or contradicts itself              | evidence-missing   | full           |
// | the rejoiner is ahead of the survivor                         | rejoiner-ahead     | as onLimit says|
// | fork unknown; only recorded, and the policy demands proof     | fork-unknown, fork-unproven | full  |
// | no WAL reaches the target, the tail or what is missed         | wal-purged         | full           |
// | a keyspace touched asks for more than this version can do for | keyspace-fullsync  | full           |
// |   it: `fullsync`, and as long as they cannot be done `evict`, `repair` |           |                |
// | a limit is passed                                             | keyspace-limit, pad-limit, tail-limit,
// missed-limit | as onLimit says |
//
// Nothing in the way: `aligned` where nothing differs (prefix-of-survivor), else `padded`
// (within-policy, and number-fits-histories-differ where Kvrocks would resume by itself). What the policy
// does not prefer is passed over (not-preferred); if nothing is left, `hold`.
//
// What of the tail cannot be salvaged before a padded or full rejoin is a reason, too (tail-not-salvaged,
// tail-salvaged-in-part), and changes no verdict.
//
// Never `spliced` in this version. Every verdict carries at least one reason, and every other verdict is
// among the alternatives with its cost, or with why it is not possible.
#pragma once

#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"

namespace walstitch::core {

// Reason codes are listed in policies/README.md, one per rule; every verdict carries at least one.
VerdictDecision Decide(const Evidence& evidence, const TolerancePolicy& policy);

}  // namespace walstitch::core
