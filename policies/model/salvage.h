// A salvage: the files that keep a tail which was given up, and what is asked of them. Who makes and reads
// the files: agents/agent/salvage_format.h. Keys and namespaces are raw bytes. Value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/sequence.h"

namespace walstitch {

// One file of a salvage.
struct SalvageFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;  // 64 hex digits
  bool operator==(const SalvageFile&) const = default;
};

// What a salvage is of, and what it holds.
struct SalvageManifest {
  std::uint32_t format = 1;
  std::string id;  // of the decision that gave the tail up
  std::string group;
  std::string node;      // whose tail it was
  std::string survivor;  // for whose history it was given up
  SequenceRange range;
  Sequence fork;             // a key that the master changed after it has changed since
  std::int64_t time_ms = 0;  // unix time
  std::uint64_t batches = 0;
  std::uint64_t records = 0;        // that consume a sequence of the range
  std::uint64_t range_deletes = 0;  // of these, a flush: what it deleted is not among the keys
  std::uint64_t keys = 0;           // user keys that the records touch: values + absent + not_kept
  std::uint64_t values = 0;         // with their value
  std::uint64_t absent = 0;         // deleted, or expired
  std::uint64_t not_kept = 0;       // without their value, each with the reason
  std::string lacks;                // what it lacks of the range, and why; empty: nothing
  std::vector<SalvageFile> files;

  // Of its files.
  [[nodiscard]] std::uint64_t Bytes() const {
    std::uint64_t bytes = 0;
    for (const SalvageFile& file : files) bytes += file.bytes;
    return bytes;
  }
  bool operator==(const SalvageManifest&) const = default;
};

// A salvage that cannot be relied on.
struct DamagedSalvage {
  std::string id;
  std::string problem;  // one sentence
  bool operator==(const DamagedSalvage&) const = default;
};

struct SalvageList {
  std::vector<SalvageManifest> salvages;  // newest first
  std::vector<DamagedSalvage> damaged;
};

// How a key of a tail is kept.
enum class KeptAs {
  kValue,    // "value": its value at the time
  kAbsent,   // "absent": there was no such key any more
  kNotKept,  // "not-kept": of a type, or of a size, that cannot be written back exactly
};

std::string_view ToString(KeptAs kept);

// A key that the tail touched, as it was on the node when the salvage was made.
struct SalvagedKey {
  std::string name_space;
  std::string key;
  std::string type;  // Kvrocks' name; empty: absent
  KeptAs kept = KeptAs::kNotKept;
  std::string why;                        // not kept: one sentence
  std::optional<std::int64_t> expire_ms;  // unix time; absent: it does not expire
  std::uint64_t at = 0;                   // where it stands in its file; names it within its salvage
  std::uint64_t bytes = 0;                // of its line there
  bool operator==(const SalvagedKey&) const = default;
};

struct SalvagedKeys {
  std::vector<SalvagedKey> keys;
  std::optional<std::uint64_t> next;  // where to go on; absent: that was all
};

// Asked of the master's agent: write keys of a salvage back.
struct ReplayRequest {
  std::uint64_t epoch = 0;  // the master's; refused if the agent has seen a higher one
  std::string group;
  std::string node;               // the master
  std::string source;             // whose agent has the salvage
  std::string source_url;         // that agent, "http://host:port"
  std::string salvage;            // its id
  std::vector<std::uint64_t> at;  // SalvagedKey::at of the keys; at most kMaxReplayKeys
  bool dry_run = false;           // say what would be done, and do nothing
  bool overwrite = false;         // also keys that changed since
  bool deletions = false;         // delete the keys that are absent in the salvage
};

inline constexpr std::size_t kMaxReplayKeys = 1000;

enum class ReplayResult {
  kWritten,        // "written": or, in a dry run, would be
  kDeleted,        // "deleted": the same
  kEqual,          // "equal": the master has the very same value
  kChanged,        // "changed": the master's key changed since the fork, or nobody knows that it did not
  kExpired,        // "expired": its time to live is over
  kAbsent,         // "absent": the tail deleted it, and deletions were not asked for
  kNotReplayable,  // "not-replayable": the salvage has no value of it
  kFailed,         // "failed": the server said no
  kUnknown,        // "unknown": the server's answer was lost
};

std::string_view ToString(ReplayResult result);

struct ReplayedKey {
  std::string name_space;
  std::string key;
  std::string type;
  ReplayResult result = ReplayResult::kFailed;
  std::string why;  // one clause, where the result needs one
  bool operator==(const ReplayedKey&) const = default;
};

// Of the first keys of the request, at least one of them: ask again for the rest.
struct ReplayAnswer {
  std::vector<ReplayedKey> keys;
};

}  // namespace walstitch
