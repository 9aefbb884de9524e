// A replay: keys of a salvage written back to the group's master, because an operator wants it. What was
// chosen, and what came of it. Pure but for the carrying out, which is the environment's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policies/model/decision.h"
#include "policies/model/policy.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch::core {

// Which keys. Each list that is not empty must have one that fits; all three empty: every key.
struct ReplayChoice {
  std::vector<std::string> namespaces;  // globs, as in a policy: "default" is the default namespace
  std::vector<std::string> keys;        // globs on raw bytes
  std::vector<std::string> keyspaces;   // of the policy in force, by name
};

struct ReplayOrder {
  std::string source;   // the node whose agent has the salvage
  std::string salvage;  // its id
  ReplayChoice choice;
  bool dry_run = false;
  bool overwrite = false;
  bool deletions = false;
  std::string by;  // who asks, for the record; empty: not known
  // Filled in when it is carried out.
  std::string master;
  std::uint64_t epoch = 0;
};

struct ReplaySummary {
  std::map<ReplayResult, std::uint64_t> counts;  // of the chosen keys
  std::vector<ReplayedKey> keys;                 // the first kMaxListed of them
  std::string ended_early;                       // why not all of them were come to; empty: they were

  void Add(ReplayedKey key);
  [[nodiscard]] std::uint64_t Of(ReplayResult result) const;
  // "12 keys written, 3 equal already, 1 left alone, for they changed since"
  [[nodiscard]] std::string Sentence(bool dry_run) const;
};

inline constexpr std::size_t kMaxListed = 10000;

struct ReplayReport {
  DecisionRecord record;  // of a dry run: the decision only, with an empty id
  ReplaySummary summary;
};

// kNotFound, with the names that there are, for a keyspace that the policy does not have.
Result<void> CheckChoice(const ReplayChoice& choice, const TolerancePolicy& policy);
bool IsChosen(const ReplayChoice& choice, const TolerancePolicy& policy, const SalvagedKey& key);
// "keys page:* of namespace default", "all keys"; for people.
std::string Describe(const ReplayChoice& choice);

}  // namespace walstitch::core
