// How long the log that holds a sequence will stay: the files' sizes and times, put to the rule of purge.h at
// the rate at which the logs came so far.
//
// Pure and thread-safe but for ReadStay.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agents/wal/purge.h"
#include "agents/wal/wal_directory.h"
#include "policies/model/batch.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

// How fast the WAL grew, by the times of its logs' last writes; nullopt where they do not tell: fewer than
// two logs, less than a minute between them, or times that are not in the order of the logs (a copy).
struct WriteRate {
  std::int64_t span_ms = 0;  // between the oldest log's last write and the newest one's
  std::uint64_t bytes_per_hour = 0;
  std::uint64_t sequences_per_hour = 0;
  std::int64_t per_log_ms = 0;
};
std::optional<WriteRate> EstimateRate(const std::vector<wal::LogInfo>& logs, const WalExtent& extent);

// The log that holds the sequence; nullptr if none does.
const LogInfo* LogHolding(const std::vector<LogInfo>& logs, const WalExtent& extent, Sequence sequence);

// Of one of the logs.
PurgeForecast ForecastLog(const PurgeRule& rule, const std::vector<LogInfo>& logs, const WalExtent& extent,
                          const LogInfo& log, std::int64_t now_ms);

struct Stay {
  PurgeCause cause = PurgeCause::kUnknown;
  std::optional<std::int64_t> left_ms;  // kAge, kSize: until RocksDB may purge it, at the earliest
};
// By the directory's files at this moment. The log that is written to is not purged (kNever). kNotFound: no
// log holds the sequence, it is purged or yet to come.
Result<Stay> ReadStay(WalDirectory& directory, Sequence sequence, std::int64_t now_ms);

}  // namespace walstitch::wal
