// What `walstitch wal info` says of a data directory. Pure: what was seen comes in, text or JSON goes out.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/database_lock.h"
#include "agents/wal/purge.h"
#include "agents/wal/wal_directory.h"
#include "policies/model/batch.h"
#include "policies/model/result.h"

namespace walstitch::cli {

// What was seen of a directory at one moment.
struct DirectoryView {
  Result<WalExtent> extent;
  std::vector<wal::LogInfo> logs;  // by number
  wal::DatabaseLock lock;
  Result<wal::ReadRule> rule;
  std::int64_t now_ms = 0;  // Unix time
};

// How fast the WAL grew, by the times of its logs' last writes; nullopt where they do not tell: fewer than
// two logs, less than a minute between them, or times that are not in the order of the logs (a copy).
struct WriteRate {
  std::int64_t span_ms = 0;  // between the oldest log's last write and the newest one's
  std::uint64_t bytes_per_hour = 0;
  std::uint64_t sequences_per_hour = 0;
  std::int64_t per_log_ms = 0;
};
std::optional<WriteRate> EstimateRate(const std::vector<wal::LogInfo>& logs, const WalExtent& extent);

// The sequences between two logs that are in neither.
std::vector<SequenceRange> GapsBetween(const std::vector<wal::LogInfo>& logs);

// The log that holds the sequence; nullptr if none does.
const wal::LogInfo* LogHolding(const std::vector<wal::LogInfo>& logs, const WalExtent& extent,
                               Sequence sequence);

std::string RenderInfo(const std::string& name, const DirectoryView& view, std::optional<Sequence> asked);
boost::json::object InfoJson(const DirectoryView& view, std::optional<Sequence> asked);

}  // namespace walstitch::cli
