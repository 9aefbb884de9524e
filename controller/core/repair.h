// Which keys are made equal again after a rejoin that lets keys differ, and which are looked at before the
// node is in service. Pure.
//
// A key whose two values look the same is repaired all the same. 1. Both sides delete a hash and make it
// again, with the same fields. 2. Its subkeys stand under another version on each. 3. The next HSET of a
// field on the master is out of sight on the rejoiner, for ever. A repair brings one version for both.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"
#include "policies/model/user_key.h"
#include "policies/model/values.h"

namespace walstitch::core {

// What of the tail may differ after a splice: what is neither taken back nor settled by the replay.
std::optional<Touched> LeftBySplice(const Evidence& evidence);

// The keys of one keyspace that are to be repaired, or to be evicted.
struct RepairKeys {
  std::string keyspace;
  Tolerance how = Tolerance::kRepair;  // or kEvict
  std::uint64_t max_bytes = 0;         // the keyspace's limits.bytes; 0: none
  std::vector<UserKeyName> keys;       // sorted
};

// After that verdict, by that policy; in the order of the policy's rules. Empty for a verdict after which
// nothing differs.
std::vector<RepairKeys> FindRepairs(Verdict verdict, const Evidence& evidence, const TolerancePolicy& policy);

// The keys that tail and missed touch, of any keyspace that is to be repaired or evicted: what the survivor
// is asked about. Sorted.
std::vector<UserKeyName> KeysToMend(const TolerancePolicy& policy, const Evidence& evidence);

// 1. The tail sets a string over a hash; its records tell of a string only. 2. The survivor has the hash. 3.
// By a rule for strings it would be deleted there. So the types that the survivor has count as touched, too;
// empty: it does not have the key.
void NoteTypes(const std::vector<UserKeyName>& keys, const std::vector<std::string>& types,
               Evidence* evidence);

// The steps behind those that bring the node into its master's stream: the keys that are to be made equal are
// looked at, made equal, and looked at again; those that a splice took back are looked at. Not more than
// kMostKeysInStep of them in one step.
inline constexpr std::size_t kMostKeysInStep = 500;
std::vector<PlanStep> PlanRepairs(const std::string& decision, Verdict verdict, const Evidence& evidence,
                                  const TolerancePolicy& policy, const std::string& survivor_url);

// Why a comparison does not show what it had to: keys that differ, or that never stood still. nullopt: it
// does.
std::optional<std::string> WhyNot(const CompareAction& action, const Comparison& comparison);

// For people: "12 keys are equal; 2 keys differ: a, b".
std::string Describe(const Comparison& comparison);
std::string Describe(const RepairReport& report);
std::string Describe(const KeysMended& keys);

void Add(const Comparison& more, Comparison* all);
void Add(const RepairReport& more, RepairReport* all);

}  // namespace walstitch::core
