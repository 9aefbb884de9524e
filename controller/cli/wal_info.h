// What `walstitch wal info` says of a data directory. Pure: what was seen comes in, text or JSON goes out.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/database_lock.h"
#include "agents/wal/purge.h"
#include "agents/wal/stay.h"
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

// The sequences between two logs that are in neither.
std::vector<SequenceRange> GapsBetween(const std::vector<wal::LogInfo>& logs);

std::string RenderInfo(const std::string& name, const DirectoryView& view, std::optional<Sequence> asked);
boost::json::object InfoJson(const DirectoryView& view, std::optional<Sequence> asked);

}  // namespace walstitch::cli
