// Deliberate faults for the simulator: each breaks one rule, and the checker of the invariant that the rule
// keeps must find it (tests/simulation). In a product build there are none, and no code for them.
#pragma once

#include <string_view>

namespace walstitch::core {

enum class Mutation {
  kNone,
  kPromoteWithinLease,  // 1: another node is promoted while the old master's lease runs
  kIgnorePolicy,        // 2: a keyspace that must not differ is padded over
  kForgetOutcome,       // 3: a decision is left without an outcome
  kUndecidedFullSync,   // 4: what should be padded is copied afresh, and no decision says so
  kTrustTheNumber,      // 5: a sequence is taken for a history: what differs is not looked at
  kSkipRescue,          // 6: what the dead master has on its disk is not fetched
  kWorstCandidate,      // 7: the least advanced eligible node is promoted
  kWaitForEver,         // 8: a failover that may go on never does
};

#ifdef WALSTITCH_MUTATIONS
inline Mutation active_mutation = Mutation::kNone;  // of this process; set before anything runs
inline bool Mutated(Mutation mutation) { return active_mutation == mutation; }
#else
constexpr bool Mutated(Mutation) { return false; }
#endif

}  // namespace walstitch::core
