// wal info, locate, batches, records, diff.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/wal_source.h"
#include "controller/cli/console.h"

namespace walstitch::cli {

// A WAL with the name that it is shown by: a data directory, or "host:port" of a server.
struct NamedSource {
  std::string name;
  std::unique_ptr<wal::WalSource> source;
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
  std::uint64_t max = 100;
  bool cluster = false;  // keys carry a slot
};

ExitCode WalInfoCommand(const Console& console, NamedSource& wal);
ExitCode WalLocateCommand(const Console& console, NamedSource& wal, std::uint64_t sequence);
ExitCode WalBatchesCommand(const Console& console, NamedSource& wal, const WalRange& range);
ExitCode WalRecordsCommand(const Console& console, NamedSource& wal, const WalRange& range);

struct WalDiffOptions {
  std::optional<std::uint64_t> from;  // everything before it is taken for common
  std::uint64_t max_keys = 20;        // listed for people; the rest is counted
  bool cluster = false;
};

// Where two histories part, and the keys that each side touched after it. `a` stands as the rejoiner, `b`
// as the survivor. kNo: both went on by themselves; kUnknown: the fork is not known.
ExitCode WalDiffCommand(const Console& console, NamedSource& a, NamedSource& b,
                        const WalDiffOptions& options);

}  // namespace walstitch::cli
