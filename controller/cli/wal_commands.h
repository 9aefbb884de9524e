// wal info, locate, batches, records, diff, stat, verify.
//
// Each works on the WAL of a data directory, whether a server runs on it, is down, or it is a copy; those
// that need no files also on what a server answers. Each says which of these it was: of a live WAL the answer
// is of that moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/database_lock.h"
#include "agents/wal/purge.h"
#include "agents/wal/wal_directory.h"
#include "agents/wal/wal_source.h"
#include "controller/cli/console.h"

namespace walstitch::cli {

// A WAL with the name that it is shown by: a data directory, or "host:port" of a server.
struct NamedSource {
  std::string name;
  std::unique_ptr<wal::WalSource> source;
  wal::WalDirectory* directory = nullptr;  // the source, if it is a directory
};

struct SourceOptions {
  std::vector<std::string> directories;  // data directories: they contain db/
  std::vector<std::string> servers;      // host:port, asked by POLLUPDATES
  std::string password;                  // of the servers
  std::chrono::milliseconds timeout{10000};
};

// The sources, directories first; exactly `expected` of them.
Result<std::vector<NamedSource>> OpenSources(const SourceOptions& options, std::size_t expected);

struct WalRange {
  std::optional<std::uint64_t> from;  // absent: the oldest
  std::optional<std::uint64_t> to;    // not included; absent: the end
  std::uint64_t limit = 100;
  bool cluster = false;  // keys carry a slot
};

struct WalInfoOptions {
  std::optional<std::uint64_t> sequence;  // how long will it stay?
};
ExitCode WalInfoCommand(const Console& console, NamedSource& wal, const WalInfoOptions& options);

ExitCode WalLocateCommand(const Console& console, NamedSource& wal, std::uint64_t sequence);
ExitCode WalBatchesCommand(const Console& console, NamedSource& wal, const WalRange& range);

// Each batch as it is written, a line for each, until so many were shown or what was shown is no longer what
// the WAL holds (kNo). Only of a directory.
struct WalFollowOptions {
  std::optional<std::uint64_t> from;   // absent: what is written from now on
  std::optional<std::uint64_t> limit;  // absent: for ever
};
ExitCode WalFollowCommand(const Console& console, NamedSource& wal, const WalFollowOptions& options);

// Only the records that fit all that is said.
struct WalRecordFilter {
  std::string name_space;  // glob; "default" is Kvrocks' default namespace
  std::string key;         // glob
  std::string type;        // Kvrocks' name or the everyday one
  std::string keyspace;    // as the policy names it, or "default", "internal/pubsub", ...
  std::vector<std::string> policy_paths;

  [[nodiscard]] bool Any() const {
    return !(name_space.empty() && key.empty() && type.empty() && keyspace.empty());
  }
};
ExitCode WalRecordsCommand(const Console& console, NamedSource& wal, const WalRange& range,
                           const WalRecordFilter& filter);

struct WalStatOptions {
  WalRange range;  // its limit is not used
  std::uint64_t top = 10;
  std::string delimiter = ":";
  std::uint32_t depth = 1;
};
ExitCode WalStatCommand(const Console& console, NamedSource& wal, const WalStatOptions& options);

// Reads everything. kNo: it is not whole.
ExitCode WalVerifyCommand(const Console& console, NamedSource& wal);

struct WalDiffOptions {
  std::optional<std::uint64_t> from;  // everything before it is taken for common
  std::uint64_t max_keys = 20;        // listed for people; the rest is counted
  bool cluster = false;
  std::vector<std::string> policy_paths;  // divergent keys by its keyspaces instead of by namespace
};

// Where two histories part, and the keys that each side touched after it. `a` stands as the rejoiner, `b`
// as the survivor. kNo: both went on by themselves; kUnknown: the fork is not known.
ExitCode WalDiffCommand(const Console& console, NamedSource& a, NamedSource& b,
                        const WalDiffOptions& options);

}  // namespace walstitch::cli
