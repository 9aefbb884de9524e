// Reads a whole WAL and says what is wrong with it: every checksum, every batch decoded, counts, sequences
// without jumps inside a log and from one log to the next.
//
// It finds out by reading from start to end, never by searching, and does not stop at the first fault: after
// damage it goes on with the next log. What is normal is told apart from what is not:
//   * a torn tail, if the next log goes on where the good part ends, or if there is no next log,
//   * whatever stands behind the first sequence of the next log: a recovery gave it up.
// Memory: one log's reader (log_reader.h), and at most kMaxFindings findings.
// Pure but for OpenListedLog. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/log_file.h"
#include "agents/wal/wal_directory.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

enum class FindingKind {
  kDamage,      // "damage": bytes that are there and cannot be right
  kGap,         // "gap": sequences that are in no batch
  kUnreadable,  // "unreadable": the operating system said no
  kTornTail,    // "torn-tail": normal, see above
  kGivenUp,     // "given-up": normal, see above
  kPurged,      // "purged": normal, an old log went away while the WAL was read
};

std::string_view ToString(FindingKind kind);
// Whether it makes the WAL less than whole.
bool IsFault(FindingKind kind);

struct VerifyFinding {
  FindingKind kind = FindingKind::kDamage;
  std::uint64_t log_number = 0;
  std::string file;
  std::uint64_t offset =
      0;             // in the file, of what cannot be right; kGap: where the sequences should have been
  std::string what;  // one clause
};

struct VerifyReport {
  std::uint64_t logs = 0;  // read
  std::uint64_t bytes = 0;
  std::uint64_t batches = 0;  // of count > 0
  std::uint64_t records = 0;  // that consume a sequence
  std::optional<Sequence> first;
  std::optional<Sequence> end;  // one past the last
  std::vector<VerifyFinding> findings;
  std::uint64_t faults = 0;    // all of them, listed or not
  bool more_findings = false;  // than kMaxFindings

  [[nodiscard]] bool Whole() const { return faults == 0; }
};

inline constexpr std::size_t kMaxFindings = 1000;

using LogOpener = std::function<Result<std::unique_ptr<LogFile>>(const LogInfo&)>;
// Called now and then with the bytes read so far, of all logs.
using BytesDone = std::function<void(std::uint64_t)>;

// Opens the log where it was listed; if it has been archived since, there.
Result<std::unique_ptr<LogFile>> OpenListedLog(const LogInfo& log);

// `logs` by number, as WalDirectory::Logs() gives them; used of them: number, path, bytes, first.
VerifyReport VerifyLogs(const std::vector<LogInfo>& logs, const LogOpener& open, const BytesDone& done);

}  // namespace walstitch::wal
