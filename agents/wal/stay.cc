#include "agents/wal/stay.h"

namespace walstitch::wal {
namespace {

constexpr std::int64_t kHourMs = 3600 * 1000;
constexpr std::int64_t kShortestSpanMs = 60 * 1000;

std::uint64_t PerHour(std::uint64_t amount, std::int64_t span_ms) {
  return static_cast<std::uint64_t>(static_cast<double>(amount) * static_cast<double>(kHourMs) /
                                    static_cast<double>(span_ms));
}

}  // namespace

std::optional<WriteRate> EstimateRate(const std::vector<LogInfo>& logs, const WalExtent& extent) {
  const LogInfo* oldest = nullptr;
  const LogInfo* newest = nullptr;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;  // of all but the oldest
  for (const LogInfo& log : logs) {
    if (!log.first) continue;
    if (newest != nullptr && log.modified_ms < newest->modified_ms) return std::nullopt;
    newest = &log;
    if (oldest == nullptr) {
      oldest = &log;
      continue;
    }
    ++count;
    bytes += log.bytes;
  }
  if (count == 0 || !oldest->end || !extent.last || *extent.last + 1 < *oldest->end) return std::nullopt;
  WriteRate rate;
  rate.span_ms = newest->modified_ms - oldest->modified_ms;
  if (rate.span_ms < kShortestSpanMs) return std::nullopt;
  rate.bytes_per_hour = PerHour(bytes, rate.span_ms);
  rate.sequences_per_hour = PerHour(*extent.last + 1 - *oldest->end, rate.span_ms);
  rate.per_log_ms = rate.span_ms / static_cast<std::int64_t>(count);
  return rate;
}

const LogInfo* LogHolding(const std::vector<LogInfo>& logs, const WalExtent& extent, Sequence sequence) {
  if (!extent.last || sequence > *extent.last) return nullptr;
  const LogInfo* holding = nullptr;
  for (const LogInfo& log : logs) {
    if (log.first && *log.first <= sequence) holding = &log;
  }
  if (holding != nullptr && holding->end && sequence >= *holding->end) return nullptr;
  return holding;
}

PurgeForecast ForecastLog(const PurgeRule& rule, const std::vector<LogInfo>& logs, const WalExtent& extent,
                          const LogInfo& log, std::int64_t now_ms) {
  std::vector<PurgeLog> seen;
  seen.reserve(logs.size());
  for (const LogInfo& each : logs) seen.push_back({each.number, each.archived, each.bytes, each.modified_ms});
  std::optional<std::int64_t> per_log_ms;
  if (const auto rate = EstimateRate(logs, extent)) per_log_ms = rate->per_log_ms;
  return ForecastPurge(rule, seen, log.number, per_log_ms, now_ms);
}

Result<Stay> ReadStay(WalDirectory& directory, Sequence sequence, std::int64_t now_ms) {
  auto rule = ReadPurgeRule(directory.DatabaseDirectory());
  if (!rule) return Fail(rule.error());
  auto extent = directory.Extent();
  if (!extent) return Fail(extent.error());
  auto logs = directory.Logs();
  if (!logs) return Fail(logs.error());
  const LogInfo* log = LogHolding(*logs, *extent, sequence);
  if (log == nullptr) {
    const bool purged = extent->oldest && sequence < *extent->oldest;
    return Fail(ErrorCode::kNotFound,
                "sequence " + sequence.ToString() + (purged ? " is purged" : " is in no log"));
  }
  // The log that is written to is purged by nothing, however long ago that was: it is not archived.
  if (log == &logs->back()) return Stay{PurgeCause::kNever, std::nullopt};
  const PurgeForecast forecast = ForecastLog(rule->rule, *logs, *extent, *log, now_ms);
  Stay stay;
  stay.cause = forecast.cause;
  if (forecast.cause == PurgeCause::kAge || forecast.cause == PurgeCause::kSize) {
    stay.left_ms = forecast.earliest_ms - now_ms;
  }
  return stay;
}

}  // namespace walstitch::wal
