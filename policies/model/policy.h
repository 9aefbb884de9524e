// A tolerance policy: what divergence may be lived with, keyspace by keyspace. Data only; the loader
// is policies/loader.h, the evaluation policies/evaluate.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace walstitch {

// Ordered by strictness: kIgnore < kEvict < kRepair < kFullSync.
enum class Tolerance { kIgnore, kEvict, kRepair, kFullSync };  // "ignore", "evict", "repair", "fullsync"

enum class Verdict { kAligned, kSpliced, kPadded, kFull, kHold };  // "aligned", "spliced", ...

enum class OnLimit { kFullSync, kHold };  // "fullsync", "hold"

// What becomes of a tail that cannot be salvaged: it is not given up, or it is.
enum class SalvageRule { kRequired, kTry };  // "required", "try"

// Who gives a node that is padded its no-op records: its agent's relay, or its master's own server, where
// that offers it.
enum class Padding { kRelay, kNative };  // "relay", "native"
// A node's next sequence is about to be purged from its master's WAL: it is told, or the node is copied
// afresh while the group is calm.
enum class OnEndangered { kTell, kFullSync };  // "tell", "fullsync"

std::string_view ToString(Tolerance tolerance);
std::string_view ToString(Verdict verdict);
std::string_view ToString(OnLimit on_limit);
std::string_view ToString(SalvageRule rule);
std::string_view ToString(Padding padding);
std::string_view ToString(OnEndangered on_endangered);

struct KeyspaceLimits {
  std::optional<std::uint64_t> records;
  std::optional<std::uint64_t> keys;
  std::optional<std::uint64_t> bytes;
  bool operator==(const KeyspaceLimits&) const = default;
};

struct KeyspaceMatch {
  std::vector<std::string> namespaces;  // globs on raw bytes; empty: all. "default" is Kvrocks' default
                                        // namespace, "__namespace" on the wire
  std::vector<std::string> keys;        // Redis globs on raw bytes; empty: all
  std::vector<std::string> types;       // Kvrocks type names; empty: all
  bool operator==(const KeyspaceMatch&) const = default;
};

struct KeyspaceRule {
  std::string name;
  KeyspaceMatch match;
  Tolerance on_divergence = Tolerance::kFullSync;
  KeyspaceLimits limits;
  std::string source;  // "file:line:column" of the rule, for people
};

struct InternalRules {
  Tolerance pubsub = Tolerance::kIgnore;
  Tolerance propagate = Tolerance::kFullSync;
  Tolerance search = Tolerance::kFullSync;
};

struct PolicyLimits {
  std::uint64_t pad = 100000;
  std::uint64_t tail = 100000;
  std::uint64_t missed = 100000;
  std::uint64_t advance_master = 100000;
  std::uint64_t undo_scan_bytes = 4ULL << 30;  // of WAL, to take a tail back; 0: nothing is taken back
  std::uint64_t borrow_bytes = 4ULL << 30;     // of another node's WAL, at once; 0: nothing is borrowed
};

// What a failover may leave behind. A replica that lacks more than max_lag of the records that the master
// was last known to hold is not promoted; the tail of a dead master, read from its disk, may take so long
// and be so large before the promotion goes on without the rest.
struct FailoverRules {
  std::optional<std::uint64_t> max_lag;  // records; absent: none is too far behind
  std::int64_t rescue_timeout_ms = 30000;
  std::uint64_t rescue_bytes = 1ULL << 30;  // 0: nothing is taken
  bool operator==(const FailoverRules&) const = default;
};

struct TolerancePolicy {
  std::string name;
  std::vector<std::string> groups;      // globs; empty: all
  std::vector<KeyspaceRule> keyspaces;  // the first that matches wins
  Tolerance default_tolerance = Tolerance::kFullSync;
  InternalRules internal;
  std::vector<Verdict> prefer = {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull};
  PolicyLimits limits;
  FailoverRules failover;
  SalvageRule salvage = SalvageRule::kRequired;
  Padding padding = Padding::kRelay;
  bool require_fork_proof = true;
  OnLimit on_limit = OnLimit::kFullSync;
  OnEndangered on_endangered = OnEndangered::kTell;
  std::string content_hash;  // SHA-256 (hex) of the files it was read from
};

}  // namespace walstitch
