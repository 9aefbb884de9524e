// The decision record and the entries of the decision log it is made of.
//
// The log is a chain of entries, each carrying the hash of the one before it: one "decision" entry,
// then "step" entries, then one "outcome" entry for each decision, interleaved with those of others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/command.h"
#include "policies/model/evidence.h"
#include "policies/model/policy.h"

namespace walstitch {

enum class DecisionKind {
  kRejoin,
  kFailover,
  kSwitchover,
  kBootstrap,
  kAdopt,
  kRelease,
  kPause,        // of a group
  kResume,       // the same
  kMaintenance,  // of a node: its begin or its end
  kUnblock,      // of a group, after a failover
  kReplay,       // of a salvage: keys of it were written to the master
  kRefusal,      // something was not done
};

std::string_view ToString(DecisionKind kind);

struct Reason {
  std::string code;      // stable, see policies/README.md
  std::string sentence;  // for people, with the numbers
  bool operator==(const Reason&) const = default;
};

// What the policy says of one keyspace that tail or missed touch.
struct KeyspaceFinding {
  std::string keyspace;  // rule's name, "default", or "internal/pubsub" and so on
  std::string rule;      // where the rule stands: "file:line:column", or "default"
  Tolerance tolerance = Tolerance::kFullSync;
  std::uint64_t tail_records = 0;
  std::uint64_t missed_records = 0;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> limits_passed;  // one sentence each
};

// What another verdict would have cost, or why it was not possible.
struct Alternative {
  Verdict verdict = Verdict::kFull;
  bool possible = false;
  std::string cost;  // e.g. "64 MiB to copy", "3 records on 2 keys would differ"
};

struct VerdictDecision {
  Verdict verdict = Verdict::kHold;
  std::vector<Reason> reasons;  // never empty
  std::vector<KeyspaceFinding> keyspaces;
  std::vector<Alternative> alternatives;
};

// One action of a plan, on one node.
struct PlanStep {
  std::string node;
  Action action;
  std::string why;  // one sentence, for people
};

struct Decision {
  std::string id;            // ULID
  std::int64_t time_ms = 0;  // unix time
  std::string group;
  std::uint64_t epoch = 0;  // the epoch of its commands
  DecisionKind kind = DecisionKind::kRejoin;
  std::string node;      // rejoin: the rejoiner; failover, switchover: the node to promote
  std::string survivor;  // rejoin: the master; failover, switchover: the old master, or empty
  std::string finding;   // what it answers, one sentence
  // failover that nobody asked for: unix time at which the master's loss was noticed
  std::optional<std::int64_t> noticed_ms{};
  std::optional<Evidence> evidence;  // rejoin
  std::string policy_name;
  std::string policy_hash;
  std::optional<VerdictDecision> verdict;  // rejoin
  std::vector<Reason> reasons;             // other kinds
  // failover: what of the old master's tail nobody has any more, as far as its disk could be read
  std::optional<Touched> left_behind;
  std::vector<PlanStep> plan;
};

struct StepRecord {
  std::string node;
  std::string action;   // ActionName
  std::string command;  // the command's id
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  Outcome outcome = Outcome::kUnknown;
  std::string detail;
};

// What became of the keys that may differ, and shall not.
struct KeysMended {
  Comparison before{};  // of those that were repaired or evicted, before that
  RepairReport repair{};
  Comparison after{};  // of these, and of what was taken back
};

struct OutcomeRecord {
  Outcome outcome = Outcome::kUnknown;
  std::string sentence;
  std::int64_t time_ms = 0;
  std::optional<SyncCounters> survivor_before;
  std::optional<SyncCounters> survivor_after;
  std::uint64_t bytes_to_node = 0;  // through the relay, stream and full-sync files
  std::int64_t took_ms = 0;
  std::optional<std::int64_t> without_master_ms;
  std::optional<SalvageRef> salvage{};  // of the tail that was given up
  std::optional<KeysMended> keys{};     // absent: no key had to be looked at
};

struct DecisionRecord {
  Decision decision;
  std::vector<StepRecord> steps;
  std::optional<OutcomeRecord> outcome;  // absent while it is open
};

}  // namespace walstitch
