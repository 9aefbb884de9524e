#include "controller/cli/wal_commands.h"

#include <algorithm>
#include <boost/json.hpp>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_info.h"
#include "controller/cli/wal_shared.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

// "the 2nd of 4 records"
std::string Ordinal(std::uint64_t number) {
  const std::uint64_t tens = number % 100;
  const char* ending = "th";
  if (tens < 11 || tens > 13) {
    if (number % 10 == 1) ending = "st";
    if (number % 10 == 2) ending = "nd";
    if (number % 10 == 3) ending = "rd";
  }
  return std::to_string(number) + ending;
}

ExitCode ServerInfo(const Console& console, NamedSource& wal) {
  auto extent = wal.source->Extent();
  if (!extent) return ComplainOf(console, wal, extent.error());
  if (console.json) {
    boost::json::object json = SourceJson(wal, std::nullopt);
    for (const auto& [name, value] : ToJson(*extent).as_object()) json[name] = value;
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  std::string out = wal.name + "\n";
  out += "  oldest  " + ShowSequence(extent->oldest) + "\n";
  out += "  last    " + ShowSequence(extent->last) + "\n";
  if (extent->last) out += "  next    " + (*extent->last + 1).ToString() + "\n";
  if (extent->oldest && extent->last && *extent->oldest <= *extent->last) {
    out += "  holds   " + Count(*extent->last + 1 - *extent->oldest, "sequence") + "\n";
  }
  if (extent->files > 0) {
    out += "  files   " + std::to_string(extent->files) + ", " + HumanBytes(extent->bytes) + "\n";
  }
  out += "  read by " + extent->source + "\n";
  console.Print(out);
  return ExitCode::kDone;
}

// Where in the files the sequence stands, and what it cost to find out.
struct Located {
  std::optional<wal::BatchPlace> place;
  wal::ReadCost cost;
  std::int64_t microseconds = 0;
};

Result<std::optional<Located>> LocateInFiles(NamedSource& wal, Sequence sequence) {
  if (wal.directory == nullptr) return std::nullopt;
  Located located;
  const auto start = std::chrono::steady_clock::now();
  auto place = wal.directory->Locate(sequence);
  const auto took = std::chrono::steady_clock::now() - start;
  if (!place) return Fail(place.error());
  located.place = std::move(*place);
  located.cost = wal.directory->Cost();
  located.microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  return located;
}

boost::json::object LocatedJson(const Located& located) {
  boost::json::object json;
  if (located.place) {
    json["log"] = located.place->log_number;
    json["file"] = Clean(located.place->file);
    json["offset"] = located.place->offset;
  }
  boost::json::object cost{{"files", located.cost.files},
                           {"reads", located.cost.reads},
                           {"bytes", located.cost.bytes},
                           {"microseconds", located.microseconds}};
  if (!located.cost.fallback.empty()) cost["fallback"] = Clean(located.cost.fallback);
  json["cost"] = std::move(cost);
  return json;
}

std::string RenderLocated(const Located& located) {
  std::string out;
  if (located.place) {
    out += "  file    " + located.place->file + "\n";
    out += "  offset  " + std::to_string(located.place->offset) + "\n";
  }
  out += "  cost    " + Count(located.cost.files, "file") + " opened, " + Count(located.cost.reads, "read") +
         ", " + HumanBytes(located.cost.bytes) + ", " + std::to_string(located.microseconds) + " us\n";
  if (!located.cost.fallback.empty()) {
    out += "          read from a log's beginning instead of searched: " + located.cost.fallback + "\n";
  }
  return out;
}

}  // namespace

ExitCode WalInfoCommand(const Console& console, NamedSource& wal, const WalInfoOptions& options) {
  if (wal.directory == nullptr) {
    if (options.sequence) {
      return console.Complain(ExitCode::kUsage, "--sequence needs the files: give a directory");
    }
    return ServerInfo(console, wal);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  // The logs last: what is listed reaches at least as far as what was read before.
  auto lock = wal::ExamineLock(wal.directory->DatabaseDirectory());
  auto rule = wal::ReadPurgeRule(wal.directory->DatabaseDirectory());
  auto extent = wal.source->Extent();
  auto logs = wal.directory->Logs();
  if (!logs) return ComplainOf(console, wal, logs.error());
  const bool whole = extent.has_value() || extent.error().Code() == ErrorCode::kDamaged;
  if (!whole) return ComplainOf(console, wal, extent.error());
  const DirectoryView view{std::move(extent), std::move(*logs), std::move(lock), std::move(rule),
                           std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
  std::optional<Sequence> asked;
  if (options.sequence) asked = Sequence(*options.sequence);
  if (console.json) {
    boost::json::object json = SourceJson(wal, view.lock);
    for (auto& [name, value] : InfoJson(view, asked)) json[name] = std::move(value);
    console.PrintJson(json);
  } else {
    console.Print(RenderInfo(wal.name, view, asked));
  }
  const bool damaged = !view.extent || std::any_of(view.logs.begin(), view.logs.end(),
                                                   [](const wal::LogInfo& log) { return log.damage; });
  const bool held = !asked || (view.extent && LogHolding(view.logs, *view.extent, *asked) != nullptr);
  return !damaged && held ? ExitCode::kDone : ExitCode::kNo;
}

ExitCode WalLocateCommand(const Console& console, NamedSource& wal, std::uint64_t sequence) {
  const Sequence wanted(sequence);
  const auto lock = LockOf(wal);
  auto located = LocateInFiles(wal, wanted);
  if (!located) return ComplainOf(console, wal, located.error());
  auto holding = wal.source->BatchHolding(wanted);
  if (!holding) return ComplainOf(console, wal, holding.error());
  auto boundary = wal.source->BoundaryAtOrAfter(wanted);
  if (!boundary) return ComplainOf(console, wal, boundary.error());
  const bool resumable = *boundary == wanted;
  if (console.json) {
    boost::json::object json = SourceJson(wal, lock);
    json["sequence"] = sequence;
    if (*holding) {
      json["batch"] = ToJson(**holding);
      json["index_in_batch"] = wanted - (*holding)->first;
    }
    json["boundary"] = boundary->Value();
    json["is_boundary"] = resumable;
    if (*located) {
      for (auto& [name, value] : LocatedJson(**located)) json[name] = std::move(value);
    }
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  std::string out;
  if (lock) out += DescribeSource(wal, lock);
  out += "sequence " + wanted.ToString();
  if (*holding) {
    const BatchInfo& batch = **holding;
    out += batch.count == 1
               ? " is the only record"
               : " is the " + Ordinal(wanted - batch.first + 1) + " of " + Count(batch.count, "record");
    out += " in batch " + SequenceRange{batch.first, batch.End()}.ToString() + "\n";
    out += "  bytes   " + std::to_string(batch.bytes) + "\n";
    out += "  digest  " + ShowDigest(batch.digest) + "\n";
    if (!batch.marker.empty()) out += "  written by decision " + batch.marker + "\n";
  } else {
    out += " is the next to be written\n";
  }
  if (*located) out += RenderLocated(**located);
  out += resumable ? "it is a boundary: a replica may resume here\n"
                   : "it is no boundary: a replica that asks for it gets a full sync; the next boundary is " +
                         boundary->ToString() + ", a pad of " + std::to_string(*boundary - wanted) + "\n";
  console.Print(out);
  return ExitCode::kDone;
}

ExitCode WalBatchesCommand(const Console& console, NamedSource& wal, const WalRange& range) {
  const auto lock = LockOf(wal);
  auto asked = AskRange(console, wal, range);
  if (!asked) return asked.error();
  auto batches = wal::ListBatches(*wal.source, asked->range, range.limit);
  if (!batches) return ComplainOf(console, wal, batches.error());
  std::optional<Sequence> next;
  if (!batches->empty() && batches->back().End() < asked->range.to) next = batches->back().End();
  if (console.json) {
    boost::json::array list;
    for (const auto& batch : *batches) list.push_back(ToJson(batch));
    boost::json::object json = SourceJson(wal, lock);
    json["batches"] = std::move(list);
    if (next) json["next"] = next->Value();
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  Table table({{"FIRST", Align::kRight},
               {"COUNT", Align::kRight},
               {"LAST", Align::kRight},
               {"BYTES", Align::kRight},
               {"DIGEST"},
               {"DECISION"}});
  for (const auto& batch : *batches) {
    table.AddRow({batch.first.ToString(), std::to_string(batch.count), (batch.End() - 1).ToString(),
                  std::to_string(batch.bytes), ShowDigest(batch.digest), batch.marker});
  }
  std::string out = table.Empty() ? "no batches\n" : table.Render();
  if (next) {
    out += "cut off after " + Count(batches->size(), "batch", "batches") +
           " (--limit); goes on with --from " + next->ToString() + "\n";
  }
  console.Print(out);
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
