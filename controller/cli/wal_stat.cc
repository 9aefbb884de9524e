// `walstitch wal stat`: who writes how much.
#include <boost/json.hpp>
#include <cstdio>

#include "agents/wal/write_stats.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_shared.h"
#include "policies/model/bytes.h"

namespace walstitch::cli {
namespace {

std::string Share(std::uint64_t part, std::uint64_t whole) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f%%",
                whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

// How a table's names are shown.
enum class Naming { kNamespace, kPrefix, kWord };

std::string ShowName(const wal::WriteRow& row, Naming naming, const std::string& delimiter) {
  if (row.internal) return "(" + row.name + ")";
  switch (naming) {
    case Naming::kNamespace:
      return ShowNamespace(row.name);
    case Naming::kPrefix:
      return ToPrintable(row.name) +
             (row.name.ends_with(delimiter) || row.name.size() == wal::kMaxName ? "*" : "");
    case Naming::kWord:
      return row.name;
  }
  return row.name;
}

std::string RenderTable(const char* heading, const wal::WriteTable& rows, Naming naming,
                        const WalStatOptions& options, std::uint64_t all_bytes) {
  Table table({{naming == Naming::kPrefix ? "NAMESPACE" : ""},
               {heading},
               {"RECORDS", Align::kRight},
               {"BYTES", Align::kRight},
               {"SHARE", Align::kRight},
               {"BATCHES", Align::kRight}});
  for (const wal::WriteRow& row : rows.rows) {
    std::string name_space;
    if (naming == Naming::kPrefix) name_space = row.internal ? "-" : ShowNamespace(row.name_space);
    table.AddRow({name_space, ShowName(row, naming, options.delimiter), std::to_string(row.count.records),
                  HumanBytes(row.count.bytes), Share(row.count.bytes, all_bytes),
                  std::to_string(row.count.batches)});
  }
  if (rows.others.records > 0) {
    const std::uint64_t left = rows.names - rows.rows.size();
    table.AddRow({naming == Naming::kPrefix ? "-" : "",
                  "(others: " + std::string(rows.folded ? "about " : "") + std::to_string(left) + ")",
                  std::to_string(rows.others.records), HumanBytes(rows.others.bytes),
                  Share(rows.others.bytes, all_bytes), "-"});
  }
  std::string out = "\n" + table.Render();
  if (rows.folded) {
    out += "more names than are kept in memory: each row is at least so much\n";
  }
  return out;
}

boost::json::object CountJson(const wal::WriteCount& count) {
  return {{"records", count.records}, {"bytes", count.bytes}, {"batches", count.batches}};
}

boost::json::object TableJson(const wal::WriteTable& table, bool with_namespace) {
  boost::json::array rows;
  for (const wal::WriteRow& row : table.rows) {
    boost::json::object json;
    if (with_namespace && !row.internal) json["namespace"] = ToPrintable(row.name_space);
    json["name"] = ToPrintable(row.name);
    if (row.internal) json["internal"] = true;
    for (const auto& [name, value] : CountJson(row.count)) json[name] = value;
    rows.push_back(std::move(json));
  }
  boost::json::object json;
  json["rows"] = std::move(rows);
  json["others"] = boost::json::object{{"records", table.others.records}, {"bytes", table.others.bytes}};
  json["names"] = table.names;
  json["at_least"] = table.folded;
  return json;
}

// A part of the range that could not be read.
struct Unread {
  SequenceRange range;
  Error error;
};

boost::json::array UnreadJson(const std::vector<Unread>& unread) {
  boost::json::array list;
  for (const Unread& part : unread) {
    list.push_back(boost::json::object{{"from", part.range.from.Value()},
                                       {"to", part.range.to.Value()},
                                       {"error", Clean(part.error.Message())}});
  }
  return list;
}

// Counts everything in the range. Where something cannot be read, goes on with the next log.
std::vector<Unread> ReadAll(const AskedRange& asked, NamedSource& wal, wal::WriteStats* stats,
                            Progress* progress) {
  std::vector<Unread> unread;
  SequenceRange rest = asked.range;
  for (;;) {
    Result<void> decoded;
    Result<void> read = wal.source->ForEachBatch(rest, [&](const wal::BatchView& batch) {
      decoded = stats->Add(batch, asked.range);
      if (!decoded) {
        decoded = Fail(decoded.error(), "the batch at sequence " + batch.first.ToString());
        return false;
      }
      rest.from = batch.End();
      progress->Show(BytesUpTo(asked, batch.first));
      return true;
    });
    if (read) read = decoded;
    if (read) return unread;
    const auto behind = NextLogBehind(wal, rest.from);
    const bool last = !behind || *behind >= asked.range.to;
    unread.push_back({{rest.from, last ? asked.range.to : *behind}, read.error()});
    if (last) return unread;
    rest.from = *behind;
  }
}

}  // namespace

ExitCode WalStatCommand(const Console& console, NamedSource& wal, const WalStatOptions& options) {
  if (options.delimiter.empty()) return console.Complain(ExitCode::kUsage, "--delimiter must not be empty");
  const auto lock = LockOf(wal);
  auto asked = AskRange(console, wal, options.range);
  if (!asked) return asked.error();
  wal::WriteStatsOptions how;
  how.delimiter = options.delimiter;
  how.depth = options.depth;
  how.slot_encoded = options.range.cluster;
  wal::WriteStats stats(how);
  Progress progress(console.progress, asked->extent.bytes);
  const std::vector<Unread> unread = ReadAll(*asked, wal, &stats, &progress);
  progress.Clear();
  const wal::WriteReport report = stats.Report(options.top);
  if (console.json) {
    boost::json::object json = SourceJson(wal, lock);
    json["from"] = asked->range.from.Value();
    json["to"] = asked->range.to.Value();
    json["complete"] = unread.empty();
    json["unread"] = UnreadJson(unread);
    json["total"] = CountJson(report.total);
    json["batch_bytes"] = report.batch_bytes;
    json["namespaces"] = TableJson(report.namespaces, false);
    json["prefixes"] = TableJson(report.prefixes, true);
    json["types"] = TableJson(report.types, false);
    json["column_families"] = TableJson(report.families, false);
    console.PrintJson(json);
  } else if (report.total.batches > 0) {
    std::string out = DescribeSource(wal, lock);
    out += asked->range.ToString() + ": " + Count(report.total.records, "record") + ", " +
           HumanBytes(report.total.bytes) + " of keys and values, in " +
           Count(report.total.batches, "batch", "batches") + " of " + HumanBytes(report.batch_bytes) + "\n";
    const std::uint64_t bytes = report.total.bytes;
    out += RenderTable("NAMESPACE", report.namespaces, Naming::kNamespace, options, bytes);
    out += RenderTable("PREFIX", report.prefixes, Naming::kPrefix, options, bytes);
    out += RenderTable("TYPE", report.types, Naming::kWord, options, bytes);
    out += RenderTable("FAMILY", report.families, Naming::kWord, options, bytes);
    console.Print(out);
  }
  if (unread.empty()) return ExitCode::kDone;
  const Unread& first = unread.front();
  std::string which = "incomplete, without " + first.range.ToString();
  if (unread.size() > 1) which += " and " + Count(unread.size() - 1, "more range");
  return ComplainOf(console, wal, first.error.Within(which));
}

}  // namespace walstitch::cli
