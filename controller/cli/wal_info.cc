#include "controller/cli/wal_info.h"

#include <algorithm>
#include <boost/json.hpp>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

constexpr std::size_t kMaxGapsShown = 5;
// Of more logs than this, the oldest and the newest are shown, half of each.
constexpr std::size_t kMaxLogsShown = 40;

std::string LogName(const wal::LogInfo& log) {
  const std::size_t slash = log.path.rfind('/');
  return slash == std::string::npos ? std::to_string(log.number) : log.path.substr(slash + 1);
}

std::string Describe(const wal::PurgeRule& rule) {
  if (rule.ttl_seconds == 0 && rule.size_limit_mb == 0) {
    return "nothing is archived: a log is deleted once all that is in it was flushed";
  }
  std::vector<std::string> parts;
  if (rule.ttl_seconds > 0) {
    const std::uint64_t most = 1ULL << 50;
    parts.push_back(FormatDuration(static_cast<std::int64_t>(std::min(rule.ttl_seconds, most) * 1000)) +
                    " after a log's last write");
  }
  if (rule.size_limit_mb > 0) {
    const std::uint64_t most = 1ULL << 43;
    parts.push_back("the oldest when the archive is larger than " +
                    HumanBytes(std::min(rule.size_limit_mb, most) << 20));
  }
  return Join(parts, "; ");
}

std::optional<wal::PurgeForecast> Forecast(const DirectoryView& view, const wal::LogInfo& log) {
  if (!view.rule || !view.extent) return std::nullopt;
  return wal::ForecastLog(view.rule->rule, view.logs, *view.extent, log, view.now_ms);
}

std::string Describe(const wal::PurgeForecast& forecast, std::int64_t now_ms) {
  const std::string but = forecast.archived ? "" : ", if it is in db/archive/ by then";
  const bool due = forecast.earliest_ms <= now_ms;
  switch (forecast.cause) {
    case wal::PurgeCause::kAge:
      if (due) return "is old enough to go at the next flush or compaction" + but;
      return "stays " + FormatDuration(forecast.earliest_ms - now_ms) +
             " more, and goes at a flush or compaction within " +
             FormatDuration(forecast.latest_ms - forecast.earliest_ms) + " of that" + but;
    case wal::PurgeCause::kSize:
      if (due) return "goes at the next flush or compaction: the archive is too large" + but;
      return "stays about " + FormatDuration(forecast.earliest_ms - now_ms) +
             " more, until the archive is too large" + but;
    case wal::PurgeCause::kObsolete:
      return "goes once all that is in it was flushed";
    case wal::PurgeCause::kNever:
      return "stays: no setting purges what an earlier one archived";
    case wal::PurgeCause::kUnknown:
      return "stays until the archive is too large; how fast logs come is not known";
  }
  return {};
}

boost::json::object ForecastJson(const wal::LogInfo& log, const wal::PurgeForecast& forecast) {
  boost::json::object json;
  json["log"] = log.number;
  json["cause"] = wal::ToString(forecast.cause);
  if (forecast.cause == wal::PurgeCause::kAge || forecast.cause == wal::PurgeCause::kSize) {
    json["earliest_ms"] = forecast.earliest_ms;
    json["latest_ms"] = forecast.latest_ms;
  }
  json["archived"] = forecast.archived;
  return json;
}

const wal::LogInfo* OldestLog(const std::vector<wal::LogInfo>& logs) {
  const auto oldest = std::find_if(logs.begin(), logs.end(), [](const auto& log) { return log.first; });
  return oldest == logs.end() ? nullptr : &*oldest;
}

std::string RenderPurge(const DirectoryView& view, std::optional<Sequence> asked) {
  if (!view.rule) return "  purge    not known: " + view.rule.error().Message() + "\n";
  std::string out = "  purge    " + Describe(view.rule->rule) + "\n";
  const bool copied = view.lock.use == wal::DatabaseUse::kCopied;
  if (copied) out += "           nothing purges a copy\n";
  if (view.lock.use == wal::DatabaseUse::kNotInUse) {
    out += "           nothing is purged as long as no server runs; once one does:\n";
  }
  const wal::LogInfo* oldest = OldestLog(view.logs);
  if (oldest != nullptr && !copied) {
    if (const auto forecast = Forecast(view, *oldest)) {
      out += "           " + LogName(*oldest) + ", the oldest, " + Describe(*forecast, view.now_ms) + "\n";
    }
  }
  if (!asked || !view.extent) return out;
  out += "           sequence " + asked->ToString();
  if (const wal::LogInfo* log = LogHolding(view.logs, *view.extent, *asked)) {
    out += " is in " + LogName(*log);
    const auto forecast = Forecast(view, *log);
    if (forecast && !copied) out += ", which " + Describe(*forecast, view.now_ms);
    return out + "\n";
  }
  const bool gone = view.extent->oldest && *asked < *view.extent->oldest;
  return out + (gone ? " is purged\n" : " is in no log\n");
}

std::string RenderLogs(const DirectoryView& view) {
  Table table({{"LOG"},
               {"WHERE"},
               {"BYTES", Align::kRight},
               {"FIRST", Align::kRight},
               {"LAST", Align::kRight},
               {"WRITTEN", Align::kRight},
               {"NOTE"}});
  const std::size_t count = view.logs.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (count > kMaxLogsShown && i == kMaxLogsShown / 2) {
      const std::size_t left_out = count - kMaxLogsShown;
      table.AddRow({"...", "", "", "", "", "", Count(left_out, "log") + " not shown; --output json has all"});
      i += left_out;
    }
    const wal::LogInfo& log = view.logs[i];
    std::vector<std::string> notes;
    if (log.damage) notes.push_back("damaged: " + log.damage->Message());
    if (!log.first && !log.damage) notes.emplace_back(log.bytes == 0 ? "empty" : "no part of the history");
    if (log.compressed) notes.emplace_back("compressed");
    if (!log.tail_note.empty()) notes.push_back(log.tail_note);
    std::optional<Sequence> end = log.end;
    if (!end && log.first && i + 1 == count && view.extent && view.extent->last) end = *view.extent->last + 1;
    const bool any = end && log.first && *end > *log.first;
    const std::int64_t age = std::max<std::int64_t>(0, view.now_ms - log.modified_ms);
    table.AddRow({LogName(log), log.archived ? "archive" : "db", HumanBytes(log.bytes),
                  log.first ? log.first->ToString() : "-", any ? (*end - 1).ToString() : "-",
                  FormatDuration(age) + " ago", Join(notes, "; ")});
  }
  return table.Render();
}

}  // namespace

std::vector<SequenceRange> GapsBetween(const std::vector<wal::LogInfo>& logs) {
  std::vector<SequenceRange> gaps;
  std::optional<Sequence> end;
  for (const wal::LogInfo& log : logs) {
    if (!log.first) continue;
    if (end && *end < *log.first) gaps.push_back({*end, *log.first});
    end = log.end;
  }
  return gaps;
}

std::string RenderInfo(const std::string& name, const DirectoryView& view, std::optional<Sequence> asked) {
  std::string out = name + ": " + wal::Describe(view.lock);
  if (view.lock.use == wal::DatabaseUse::kLive) out += "; the answer is of this moment";
  out += "\n";
  const std::vector<SequenceRange> gaps = GapsBetween(view.logs);
  if (view.extent) {
    const WalExtent& extent = *view.extent;
    if (!extent.oldest) out += "  the WAL is empty\n";
    out += "  oldest   " + (extent.oldest ? extent.oldest->ToString() : "none") + "\n";
    out += "  last     " + (extent.last ? extent.last->ToString() : "none") + "\n";
    if (extent.last) out += "  next     " + (*extent.last + 1).ToString() + "\n";
    if (extent.oldest && extent.last && *extent.oldest <= *extent.last) {
      std::uint64_t held = *extent.last + 1 - *extent.oldest;
      for (const SequenceRange& gap : gaps) held -= std::min(held, gap.Size());
      out += "  holds    " + Count(held, "sequence") + "\n";
    }
  } else {
    out += "  broken   " + view.extent.error().Message() + "\n";
  }
  std::uint64_t bytes = 0;
  std::uint64_t archived = 0;
  for (const wal::LogInfo& log : view.logs) {
    bytes += log.bytes;
    if (log.archived) ++archived;
  }
  out += "  logs     " + std::to_string(view.logs.size()) + ", " + HumanBytes(bytes);
  if (!view.logs.empty()) {
    out += ": " + std::to_string(view.logs.size() - archived) + " in db/, " + std::to_string(archived) +
           " in db/archive/";
  }
  out += "\n";
  for (std::size_t i = 0; i < gaps.size() && i < kMaxGapsShown; ++i) {
    out += "  missing  the sequences " + gaps[i].ToString() + "\n";
  }
  if (gaps.size() > kMaxGapsShown) {
    out += "  missing  and " + std::to_string(gaps.size() - kMaxGapsShown) + " more ranges (--output json)\n";
  }
  if (view.extent) {
    if (const auto rate = EstimateRate(view.logs, *view.extent)) {
      out += "  grows    by " + HumanBytes(rate->bytes_per_hour) + " and " +
             Count(rate->sequences_per_hour, "sequence") + " an hour, by the logs' times over " +
             FormatDuration(rate->span_ms) + "\n";
    }
  }
  if (!view.logs.empty()) out += RenderPurge(view, asked);
  if (!view.logs.empty()) out += "\n" + RenderLogs(view);
  return out;
}

boost::json::object InfoJson(const DirectoryView& view, std::optional<Sequence> asked) {
  boost::json::object json;
  if (view.extent) {
    json = ToJson(*view.extent).as_object();
  } else {
    json["broken"] = Clean(view.extent.error().Message());
  }
  boost::json::array logs;
  for (const wal::LogInfo& log : view.logs) {
    boost::json::object each;
    each["number"] = log.number;
    each["path"] = Clean(log.path);
    each["archived"] = log.archived;
    each["bytes"] = log.bytes;
    each["modified_ms"] = log.modified_ms;
    each["compressed"] = log.compressed;
    if (log.first) each["first"] = log.first->Value();
    if (log.end) each["end"] = log.end->Value();
    if (!log.tail_note.empty()) each["tail_note"] = Clean(log.tail_note);
    if (log.damage) each["damage"] = Clean(log.damage->Message());
    logs.push_back(std::move(each));
  }
  json["logs"] = std::move(logs);
  boost::json::array gaps;
  for (const SequenceRange& gap : GapsBetween(view.logs)) {
    gaps.push_back(boost::json::object{{"from", gap.from.Value()}, {"to", gap.to.Value()}});
  }
  json["gaps"] = std::move(gaps);
  if (view.extent) {
    if (const auto rate = EstimateRate(view.logs, *view.extent)) {
      json["rate"] = boost::json::object{{"span_ms", rate->span_ms},
                                         {"bytes_per_hour", rate->bytes_per_hour},
                                         {"sequences_per_hour", rate->sequences_per_hour}};
    }
  }
  boost::json::object purge;
  if (view.rule) {
    purge["ttl_seconds"] = view.rule->rule.ttl_seconds;
    purge["size_limit_mb"] = view.rule->rule.size_limit_mb;
    purge["check_interval_seconds"] = view.rule->rule.CheckIntervalSeconds();
    purge["file"] = Clean(view.rule->file);
    const wal::LogInfo* oldest = OldestLog(view.logs);
    if (oldest != nullptr) {
      if (const auto forecast = Forecast(view, *oldest)) purge["oldest"] = ForecastJson(*oldest, *forecast);
    }
    const wal::LogInfo* holding =
        asked && view.extent ? LogHolding(view.logs, *view.extent, *asked) : nullptr;
    if (holding != nullptr) {
      if (const auto forecast = Forecast(view, *holding)) {
        purge["sequence"] = ForecastJson(*holding, *forecast);
        purge["sequence"].as_object()["sequence"] = asked->Value();
      }
    }
  } else {
    purge["unknown"] = Clean(view.rule.error().Message());
  }
  json["purge"] = std::move(purge);
  return json;
}

}  // namespace walstitch::cli
