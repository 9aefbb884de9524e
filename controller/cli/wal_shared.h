// What the WAL commands have in common: which WAL it was, the range that was asked for, errors, progress.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "agents/wal/database_lock.h"
#include "agents/wal/wal_source.h"
#include "controller/cli/progress.h"
#include "controller/cli/wal_commands.h"

namespace walstitch::cli {

// The WAL was there: what it does not hold is an answer ("no"), not a misuse.
ExitCode ComplainOf(const Console& console, const NamedSource& wal, const Error& error);

// Nothing for a server that was asked.
std::optional<wal::DatabaseLock> LockOf(const NamedSource& wal);
// One line: "/var/lib/kvrocks: live: held by process 4711 (kvrocks); the answer is of this moment".
std::string DescribeSource(const NamedSource& wal, const std::optional<wal::DatabaseLock>& lock);
// "wal", and of a directory "state" and "process".
boost::json::object SourceJson(const NamedSource& wal, const std::optional<wal::DatabaseLock>& lock);

std::string ShowDigest(const BatchDigest& digest);                  // in hexadecimal
std::string ShowSequence(const std::optional<Sequence>& sequence);  // or "none"

// What was asked for within what there is, for batches, records and statistics; or the code to leave with.
struct AskedRange {
  SequenceRange range;
  WalExtent extent;
};
tl::expected<AskedRange, ExitCode> AskRange(const Console& console, NamedSource& wal, const WalRange& range);

// Where reading can go on behind something that cannot be read at or after `stuck`: the first sequence of the
// next log. Nothing if there is none, or for a server.
std::optional<Sequence> NextLogBehind(const NamedSource& wal, Sequence stuck);

// How many bytes of the WAL's files the batches of the range before `at` are, taking sequences for equally
// large: good enough for a progress line.
std::uint64_t BytesUpTo(const AskedRange& asked, Sequence at);

}  // namespace walstitch::cli
