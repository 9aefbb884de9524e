// Whether a server has the database open: RocksDB holds db/LOCK with fcntl(F_SETLK) as long as it does.
//
// Asks the kernel who holds it (F_GETLK) and takes nothing. Never to be called by the process that holds the
// lock itself: closing any descriptor of the file would give the lock away. Thread-safe otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace walstitch::wal {

enum class DatabaseUse {
  kLive,      // "live": a process has it open
  kNotInUse,  // "not-in-use": there is a LOCK file, and nobody holds it
  kCopied,    // "copied": there is no LOCK file; a server leaves one behind
  kUnknown,   // "unknown": the file system or the permissions do not let us ask
};

std::string_view ToString(DatabaseUse use);

struct DatabaseLock {
  DatabaseUse use = DatabaseUse::kUnknown;
  std::int64_t process = 0;  // who holds it; 0: not known (another PID namespace, another machine)
  std::string program;       // that process's name, as it calls itself; empty: not known
  std::string note;          // kUnknown: why
};

// `database_directory` is db/ itself.
DatabaseLock ExamineLock(const std::string& database_directory);

// One phrase for people: "live: held by process 4711 (kvrocks)", "not in use", "copied (no LOCK file)".
std::string Describe(const DatabaseLock& lock);

}  // namespace walstitch::wal
