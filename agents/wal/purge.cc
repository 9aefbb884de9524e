#include "agents/wal/purge.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace walstitch::wal {
namespace {

constexpr std::uint64_t kDefaultCheckSeconds = 600;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::string_view kOptionsPrefix = "OPTIONS-";
// RocksDB's own have some tens of KiB.
constexpr std::uint64_t kMaxOptionsBytes = 16 << 20;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Milliseconds that do not fit become the largest that do.
std::int64_t Milliseconds(std::uint64_t seconds) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 4000;
  return static_cast<std::int64_t>(std::min(seconds, kMost)) * 1000;
}

std::int64_t Times(std::int64_t each, std::uint64_t count) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 4;
  if (each <= 0) return 0;
  return count > static_cast<std::uint64_t>(kMost / each) ? kMost : each * static_cast<std::int64_t>(count);
}

// How many more logs must be archived until the rule of size takes this one; 0: it may be taken now.
std::uint64_t LogsUntilSize(const PurgeRule& rule, const std::vector<PurgeLog>& logs, std::uint64_t number,
                            std::int64_t now_ms) {
  const std::int64_t ttl_ms = Milliseconds(rule.ttl_seconds);
  std::uint64_t largest = 0;           // in the archive
  std::uint64_t largest_anywhere = 0;  // what to expect of the archive as long as it is empty
  std::uint64_t archived = 0;
  std::uint64_t before = 0;  // older ones, archived or on their way there
  for (const PurgeLog& log : logs) {
    const bool aged = rule.ttl_seconds > 0 && log.modified_ms < now_ms - ttl_ms;
    largest_anywhere = std::max(largest_anywhere, log.bytes);
    if (log.bytes == 0 || (log.archived && aged)) continue;
    if (log.number < number) ++before;
    if (!log.archived) continue;
    ++archived;
    largest = std::max(largest, log.bytes);
  }
  if (largest == 0) largest = largest_anywhere;
  if (largest == 0) return 0;
  const std::uint64_t limit = std::min(rule.size_limit_mb, std::numeric_limits<std::uint64_t>::max() / kMiB);
  const std::uint64_t kept = limit * kMiB / largest;
  const std::uint64_t needed = before + 1 + kept;  // it goes when so many are archived
  return needed > archived ? needed - archived : 0;
}

}  // namespace

std::uint64_t PurgeRule::CheckIntervalSeconds() const {
  if (ttl_seconds == 0) return kDefaultCheckSeconds;
  return std::min(kDefaultCheckSeconds, std::max<std::uint64_t>(1, ttl_seconds / 2));
}

std::string_view ToString(PurgeCause cause) {
  switch (cause) {
    case PurgeCause::kAge:
      return "age";
    case PurgeCause::kSize:
      return "size";
    case PurgeCause::kObsolete:
      return "obsolete";
    case PurgeCause::kNever:
      return "never";
    case PurgeCause::kUnknown:
      return "unknown";
  }
  return "unknown";
}

Result<PurgeRule> ParsePurgeRule(std::string_view options) {
  std::optional<std::uint64_t> ttl;
  std::optional<std::uint64_t> size;
  bool in_database_options = false;
  while (!options.empty()) {
    const auto end = options.find('\n');
    const std::string_view line = Trim(options.substr(0, end));
    options.remove_prefix(end == std::string_view::npos ? options.size() : end + 1);
    if (line.starts_with('[')) {
      in_database_options = line == "[DBOptions]";
      continue;
    }
    const auto equals = line.find('=');
    if (!in_database_options || equals == std::string_view::npos) continue;
    const std::string_view name = Trim(line.substr(0, equals));
    const std::string_view value = Trim(line.substr(equals + 1));
    if (name == "WAL_ttl_seconds") ttl = ParseNumber(value);
    if (name == "WAL_size_limit_MB") size = ParseNumber(value);
  }
  if (!ttl || !size) {
    return Fail(ErrorCode::kInvalid, std::string("its [DBOptions] have no number for ") +
                                         (!ttl ? "WAL_ttl_seconds" : "WAL_size_limit_MB"));
  }
  return PurgeRule{*ttl, *size};
}

Result<ReadRule> ReadPurgeRule(const std::string& database_directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::optional<std::uint64_t> newest;
  fs::path path;
  fs::directory_iterator entry(database_directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kOptionsPrefix)) continue;
    const auto number = ParseNumber(std::string_view(name).substr(kOptionsPrefix.size()));
    if (!number || (newest && *number <= *newest)) continue;
    newest = number;
    path = entry->path();
  }
  if (error) return Fail(ErrorCode::kIo, database_directory + ": cannot be listed: " + error.message());
  if (!newest) return Fail(ErrorCode::kNotFound, database_directory + ": there is no OPTIONS file");
  const std::uintmax_t bytes = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  if (error || bytes == 0 || bytes > kMaxOptionsBytes) {
    return Fail(ErrorCode::kIo, path.string() + ": is not a file that options could be in");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Fail(ErrorCode::kIo, path.string() + ": cannot be read");
  auto rule = ParsePurgeRule(text.str());
  if (!rule) return Fail(rule.error(), path.string());
  return ReadRule{*rule, path.string()};
}

PurgeForecast ForecastPurge(const PurgeRule& rule, const std::vector<PurgeLog>& logs, std::uint64_t number,
                            std::optional<std::int64_t> per_log_ms, std::int64_t now_ms) {
  const auto log = std::find_if(logs.begin(), logs.end(),
                                [number](const PurgeLog& candidate) { return candidate.number == number; });
  WALSTITCH_CHECK(log != logs.end());
  PurgeForecast forecast;
  forecast.archived = log->archived;
  if (rule.ttl_seconds == 0 && rule.size_limit_mb == 0) {
    // What an earlier setting archived stays for good.
    forecast.cause = log->archived ? PurgeCause::kNever : PurgeCause::kObsolete;
    return forecast;
  }
  std::optional<std::int64_t> by_age;
  // The age is counted in whole seconds, and must be more than the limit.
  if (rule.ttl_seconds > 0) by_age = log->modified_ms + Milliseconds(rule.ttl_seconds) + 1000;
  std::optional<std::int64_t> by_size;
  if (rule.size_limit_mb > 0) {
    const std::uint64_t more = LogsUntilSize(rule, logs, number, now_ms);
    if (more == 0) {
      by_size = now_ms;
    } else if (per_log_ms) {
      by_size = now_ms + Times(*per_log_ms, more);
    }
  }
  if (!by_age && !by_size) return forecast;
  const bool size_first = by_size && (!by_age || *by_size < *by_age);
  forecast.cause = size_first ? PurgeCause::kSize : PurgeCause::kAge;
  forecast.earliest_ms = std::max(now_ms, size_first ? *by_size : *by_age);
  forecast.latest_ms = forecast.earliest_ms + Milliseconds(rule.CheckIntervalSeconds());
  return forecast;
}

}  // namespace walstitch::wal
