// `walstitch wal verify`: is the WAL whole?
#include <boost/json.hpp>

#include "agents/wal/verify.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_shared.h"
#include "policies/model/bytes.h"

namespace walstitch::cli {
namespace {

std::string_view ForPeople(wal::FindingKind kind) {
  switch (kind) {
    case wal::FindingKind::kDamage:
      return "damage";
    case wal::FindingKind::kGap:
      return "gap";
    case wal::FindingKind::kUnreadable:
      return "unreadable";
    case wal::FindingKind::kTornTail:
      return "normal, a torn tail";
    case wal::FindingKind::kGivenUp:
      return "normal, given up";
    case wal::FindingKind::kPurged:
      return "normal, purged meanwhile";
  }
  return "damage";
}

std::string Render(const NamedSource& wal, const std::optional<wal::DatabaseLock>& lock,
                   const wal::VerifyReport& report) {
  std::string out = DescribeSource(wal, lock);
  out += "read " + Count(report.logs, "log") + ", " + HumanBytes(report.bytes) + ": " +
         Count(report.records, "record") + " in " + Count(report.batches, "batch", "batches");
  if (report.first && report.end) {
    out += ", sequences " + SequenceRange{*report.first, *report.end}.ToString();
  }
  out += "\n";
  for (const wal::VerifyFinding& finding : report.findings) {
    out += std::string(ForPeople(finding.kind)) + ": ";
    // What could not be opened has no offset, and some errors name their file by themselves.
    const bool opened =
        finding.kind != wal::FindingKind::kPurged && finding.kind != wal::FindingKind::kUnreadable;
    if (opened) {
      out += finding.file + ": offset " + std::to_string(finding.offset) + ": ";
    } else if (!finding.what.starts_with(finding.file)) {
      out += finding.file + ": ";
    }
    out += finding.what + "\n";
  }
  if (report.more_findings) out += "and more, which are not listed\n";
  if (!report.Whole()) return out + "the WAL is not whole: " + Count(report.faults, "fault") + "\n";
  return out + (!report.first ? "the WAL is empty\n" : "the WAL is whole\n");
}

boost::json::object ReportJson(const wal::VerifyReport& report) {
  boost::json::object json;
  json["whole"] = report.Whole();
  json["logs"] = report.logs;
  json["bytes"] = report.bytes;
  json["batches"] = report.batches;
  json["records"] = report.records;
  if (report.first) json["first"] = report.first->Value();
  if (report.end) json["end"] = report.end->Value();
  json["faults"] = report.faults;
  boost::json::array findings;
  for (const wal::VerifyFinding& finding : report.findings) {
    findings.push_back(boost::json::object{{"kind", wal::ToString(finding.kind)},
                                           {"fault", wal::IsFault(finding.kind)},
                                           {"log", finding.log_number},
                                           {"file", Clean(finding.file)},
                                           {"offset", finding.offset},
                                           {"what", Clean(finding.what)}});
  }
  json["findings"] = std::move(findings);
  json["more_findings"] = report.more_findings;
  return json;
}

}  // namespace

ExitCode WalVerifyCommand(const Console& console, NamedSource& wal) {
  if (wal.directory == nullptr) {
    return console.Complain(ExitCode::kUsage,
                            "verify reads files: give a directory; a server only shows what it could read");
  }
  const auto lock = LockOf(wal);
  auto logs = wal.directory->Logs();
  if (!logs) return ComplainOf(console, wal, logs.error());
  std::uint64_t bytes = 0;
  for (const wal::LogInfo& log : *logs) bytes += log.bytes;
  Progress progress(console.progress, bytes);
  const wal::VerifyReport report =
      wal::VerifyLogs(*logs, wal::OpenListedLog, [&](std::uint64_t done) { progress.Show(done); });
  progress.Clear();
  if (console.json) {
    boost::json::object json = SourceJson(wal, lock);
    for (auto& [name, value] : ReportJson(report)) json[name] = std::move(value);
    console.PrintJson(json);
  } else {
    console.Print(Render(wal, lock, report));
  }
  return report.Whole() ? ExitCode::kDone : ExitCode::kNo;
}

}  // namespace walstitch::cli
