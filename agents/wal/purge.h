// How long a log will stay: RocksDB's rule for purging archived logs, told in advance.
//
// The rule (db/wal_manager.cc, PurgeObsoleteWALFiles). A log that no column family needs any more moves to
// db/archive/, if ttl or size limit is set; if neither is, it is deleted at once. The archive is looked
// through after flushes and compactions, at most once per check interval:
//   * by age: a log whose contents changed more than WAL_ttl_seconds ago is deleted,
//   * by size: of the others, the oldest are deleted until as many are left as would fit in
//     WAL_size_limit_MB if each were as large as the largest.
// So a server that writes nothing purges nothing, and a log still in db/ is not purged at all.
//
// Pure and thread-safe but for ReadPurgeRule, which reads a file. Times are Unix time in milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::wal {

struct PurgeRule {
  std::uint64_t ttl_seconds = 0;    // 0: not by age
  std::uint64_t size_limit_mb = 0;  // MiB; 0: not by size
  bool operator==(const PurgeRule&) const = default;

  // At most once in so many seconds is the archive looked through.
  [[nodiscard]] std::uint64_t CheckIntervalSeconds() const;
};

// From the text of an OPTIONS file: its [DBOptions]. kInvalid if they or their numbers are not there.
Result<PurgeRule> ParsePurgeRule(std::string_view options);

struct ReadRule {
  PurgeRule rule;
  std::string file;  // path of the OPTIONS file
};
// From the newest db/OPTIONS-NNNNNN. kNotFound if there is none, kIo if it cannot be read.
Result<ReadRule> ReadPurgeRule(const std::string& database_directory);

// What the rule looks at.
struct PurgeLog {
  std::uint64_t number = 0;
  bool archived = false;
  std::uint64_t bytes = 0;
  std::int64_t modified_ms = 0;
};

enum class PurgeCause {
  kAge,       // "age"
  kSize,      // "size"
  kObsolete,  // "obsolete": nothing is archived; deleted once all that is in it was flushed
  kNever,     // "never": nothing purges it
  kUnknown,   // "unknown": by size, and nobody knows how fast logs come
};

std::string_view ToString(PurgeCause cause);

struct PurgeForecast {
  PurgeCause cause = PurgeCause::kUnknown;
  std::int64_t earliest_ms = 0;  // kAge, kSize: when the rule first allows it, never before `now`
  std::int64_t latest_ms = 0;    // and one check interval later
  bool archived = false;         // false: and not before it is archived
};

// Of the log `number`, which is one of `logs` (in the order of their numbers). `per_log_ms`: how long it
// takes until one more log is archived, as far as is known.
PurgeForecast ForecastPurge(const PurgeRule& rule, const std::vector<PurgeLog>& logs, std::uint64_t number,
                            std::optional<std::int64_t> per_log_ms, std::int64_t now_ms);

}  // namespace walstitch::wal
