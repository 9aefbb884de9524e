// What a policy says of touched keys. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/decision.h"
#include "policies/model/policy.h"

namespace walstitch {

// The parts of a rule's match, each on raw bytes; what is left out of the rule matches everything. A type
// is one that is known.
bool NamespaceMatches(const KeyspaceMatch& match, std::string_view name_space);
bool KeyMatches(const KeyspaceMatch& match, std::string_view key);
bool TypeMatches(const KeyspaceMatch& match, std::string_view type);

struct KeyDecision {
  std::string keyspace;  // rule's name, "default", "internal/pubsub", ...
  std::string rule;      // "file:line:column", or "default"
  Tolerance tolerance = Tolerance::kFullSync;
};

// The rule for one key. Where the key's types are not known, a rule limited to types matches only if
// it is a fullsync rule: not knowing never makes it milder.
KeyDecision DecideKey(const TolerancePolicy& policy, const TouchedKey& key);

struct PolicyFindings {
  std::vector<KeyspaceFinding> keyspaces;    // in the order of the policy's rules
  Tolerance strictest = Tolerance::kIgnore;  // kIgnore when nothing was touched
  bool limit_passed = false;
};

// Both ranges together. A DeleteRange (flush) may touch every keyspace, so it counts under
// "internal/flush" with the strictest tolerance that the policy has anywhere, its default included.
// A truncated list counts as fullsync under "internal/truncated".
PolicyFindings EvaluateTouched(const TolerancePolicy& policy, const Touched& tail, const Touched& missed);

// Whether the policy is for this group (spec.groups).
bool AppliesToGroup(const TolerancePolicy& policy, std::string_view group);

}  // namespace walstitch
