#include "controller/cli/wal_commands.h"

#include <boost/json.hpp>

#include "agents/wal/records.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/core/fork.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

// The source was there: what it does not hold is an answer ("no"), not a misuse.
ExitCode Complain(const Console& console, const NamedSource& wal, const Error& error) {
  // Some errors name the source by themselves.
  const bool named = error.Message().starts_with(wal.name);
  const std::string sentence = named ? error.Message() : wal.name + ": " + error.Message();
  switch (error.Code()) {
    case ErrorCode::kInvalid:
    case ErrorCode::kIo:
      return console.Complain(ExitCode::kUsage, sentence);
    case ErrorCode::kNotFound:
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
    case ErrorCode::kDamaged:
      return console.Complain(ExitCode::kNo, sentence);
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
      return console.Complain(ExitCode::kUnreachable, sentence);
  }
  return ExitCode::kNo;
}

std::string Show(const std::optional<Sequence>& sequence) { return sequence ? sequence->ToString() : "none"; }

std::string ShowBatch(const BatchInfo& batch) { return SequenceRange{batch.first, batch.End()}.ToString(); }

// What was asked for, within what there is. Empty WAL: nullopt.
std::optional<SequenceRange> RangeOf(const WalRange& range, const WalExtent& extent) {
  if (!extent.oldest || !extent.last) return std::nullopt;
  SequenceRange answer{range.from ? Sequence(*range.from) : *extent.oldest, *extent.last + 1};
  if (range.to && Sequence(*range.to) < answer.to) answer.to = Sequence(*range.to);
  return answer;
}

// The range for batches and records, or the code to leave with.
tl::expected<SequenceRange, ExitCode> AskRange(const Console& console, NamedSource& wal,
                                               const WalRange& range) {
  if (range.from && range.to && *range.to <= *range.from) {
    return tl::unexpected(
        console.Complain(ExitCode::kUsage, "--to must be greater than --from: the range is [from, to)"));
  }
  auto extent = wal.source->Extent();
  if (!extent) return tl::unexpected(Complain(console, wal, extent.error()));
  auto answer = RangeOf(range, *extent);
  if (!answer) return tl::unexpected(console.Complain(ExitCode::kNo, wal.name + ": the WAL holds nothing"));
  if (answer->Empty()) {
    return tl::unexpected(console.Complain(
        ExitCode::kNo,
        wal.name + ": the WAL ends at " + Show(extent->last) + ", before " + answer->from.ToString()));
  }
  return *answer;
}

}  // namespace

ExitCode WalInfoCommand(const Console& console, NamedSource& wal) {
  auto extent = wal.source->Extent();
  if (!extent) return Complain(console, wal, extent.error());
  if (console.json) {
    console.PrintJson(ToJson(*extent));
    return ExitCode::kDone;
  }
  std::string out = wal.name + "\n";
  out += "  oldest  " + Show(extent->oldest) + "\n";
  out += "  last    " + Show(extent->last) + "\n";
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

ExitCode WalLocateCommand(const Console& console, NamedSource& wal, std::uint64_t sequence) {
  const Sequence wanted(sequence);
  auto holding = wal.source->BatchHolding(wanted);
  if (!holding) return Complain(console, wal, holding.error());
  auto boundary = wal.source->BoundaryAtOrAfter(wanted);
  if (!boundary) return Complain(console, wal, boundary.error());
  const bool resumable = *boundary == wanted;
  if (console.json) {
    boost::json::object json;
    json["sequence"] = sequence;
    if (*holding) json["batch"] = ToJson(**holding);
    json["boundary"] = boundary->Value();
    json["is_boundary"] = resumable;
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  std::string out = "sequence " + wanted.ToString();
  if (*holding) {
    const BatchInfo& batch = **holding;
    out += " is in batch " + ShowBatch(batch) + ": " + Count(batch.count, "record") + ", " +
           HumanBytes(batch.bytes) + ", digest " +
           ToHex({reinterpret_cast<const char*>(batch.digest.bytes.data()), batch.digest.bytes.size()});
    if (!batch.marker.empty()) out += ", written by decision " + batch.marker;
    out += "\n";
  } else {
    out += " is the next to be written\n";
  }
  out += resumable ? "it is a boundary: a replica may resume here\n"
                   : "it is no boundary: a replica that asks for it gets a full sync; the next boundary is " +
                         boundary->ToString() + ", a pad of " + std::to_string(*boundary - wanted) + "\n";
  console.Print(out);
  return ExitCode::kDone;
}

ExitCode WalBatchesCommand(const Console& console, NamedSource& wal, const WalRange& range) {
  auto asked = AskRange(console, wal, range);
  if (!asked) return asked.error();
  auto batches = wal::ListBatches(*wal.source, *asked, range.max);
  if (!batches) return Complain(console, wal, batches.error());
  std::optional<Sequence> next;
  if (!batches->empty() && batches->back().End() < asked->to) next = batches->back().End();
  if (console.json) {
    boost::json::array list;
    for (const auto& batch : *batches) list.push_back(ToJson(batch));
    boost::json::object json;
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
    table.AddRow(
        {batch.first.ToString(), std::to_string(batch.count), (batch.End() - 1).ToString(),
         std::to_string(batch.bytes),
         ToHex({reinterpret_cast<const char*>(batch.digest.bytes.data()), batch.digest.bytes.size()}),
         batch.marker});
  }
  console.Print(table.Empty() ? "no batches\n" : table.Render());
  if (next) console.Print("more: --from " + next->ToString() + "\n");
  return ExitCode::kDone;
}

ExitCode WalRecordsCommand(const Console& console, NamedSource& wal, const WalRange& range) {
  auto asked = AskRange(console, wal, range);
  if (!asked) return asked.error();
  auto records =
      wal::ListRecords(*wal.source, *asked, {.max_records = range.max, .slot_encoded = range.cluster});
  if (!records) return Complain(console, wal, records.error());
  std::optional<Sequence> next;
  if (!records->empty() && records->back().sequence + 1 < asked->to) next = records->back().sequence + 1;
  if (console.json) {
    boost::json::array list;
    for (const auto& record : *records) {
      boost::json::object json;
      json["sequence"] = record.sequence.Value();
      json["column_family"] = record.column_family;
      json["column_family_name"] = record.column_family_name;
      json["operation"] = record.operation;
      if (record.has_user_key) {
        json["namespace"] = ToPrintable(record.name_space);
        json["user_key"] = ToPrintable(record.user_key);
      }
      if (!record.type.empty()) json["type"] = record.type;
      json["key"] = ToPrintable(record.key);
      json["value_bytes"] = record.value_bytes;
      list.push_back(std::move(json));
    }
    boost::json::object json;
    json["records"] = std::move(list);
    if (next) json["next"] = next->Value();
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  Table table({{"SEQUENCE", Align::kRight},
               {"FAMILY"},
               {"OPERATION"},
               {"NAMESPACE"},
               {"KEY"},
               {"TYPE"},
               {"VALUE BYTES", Align::kRight}});
  for (const auto& record : *records) {
    // A record of no user key is shown by its raw key.
    table.AddRow({record.sequence.ToString(),
                  record.column_family_name == "unknown" ? std::to_string(record.column_family)
                                                         : record.column_family_name,
                  record.operation, record.has_user_key ? ShowNamespace(record.name_space) : "-",
                  ToPrintable(record.has_user_key ? record.user_key : record.key), record.type,
                  std::to_string(record.value_bytes)});
  }
  console.Print(table.Empty() ? "no records\n" : table.Render());
  if (next) console.Print("more: --from " + next->ToString() + "\n");
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
