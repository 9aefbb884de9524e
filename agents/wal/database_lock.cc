#include "agents/wal/database_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "agents/wal/file_descriptor.h"

namespace walstitch::wal {
namespace {

FileDescriptor OpenToAsk(const std::string& path) {
  int value = -1;
  do {
    value = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // never hang on a pipe
  } while (value < 0 && errno == EINTR);
  return FileDescriptor(value);
}

std::string ProgramOf(std::int64_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

DatabaseLock Unknown(int error) {
  DatabaseLock lock;
  lock.note = std::string("db/LOCK cannot be examined: ") + std::strerror(error);
  return lock;
}

}  // namespace

std::string_view ToString(DatabaseUse use) {
  switch (use) {
    case DatabaseUse::kLive:
      return "live";
    case DatabaseUse::kNotInUse:
      return "not-in-use";
    case DatabaseUse::kCopied:
      return "copied";
    case DatabaseUse::kUnknown:
      return "unknown";
  }
  return "unknown";
}

DatabaseLock ExamineLock(const std::string& database_directory) {
  const FileDescriptor file = OpenToAsk(database_directory + "/LOCK");
  if (file.Value() < 0) {
    if (errno != ENOENT) return Unknown(errno);
    DatabaseLock copied;
    copied.use = DatabaseUse::kCopied;
    return copied;
  }
  struct flock asked {};
  asked.l_type = F_WRLCK;
  asked.l_whence = SEEK_SET;
  if (::fcntl(file.Value(), F_GETLK, &asked) != 0) return Unknown(errno);
  DatabaseLock lock;
  if (asked.l_type == F_UNLCK) {
    lock.use = DatabaseUse::kNotInUse;
    return lock;
  }
  lock.use = DatabaseUse::kLive;
  if (asked.l_pid > 0) {
    lock.process = asked.l_pid;
    lock.program = ProgramOf(lock.process);
  }
  return lock;
}

std::string Describe(const DatabaseLock& lock) {
  switch (lock.use) {
    case DatabaseUse::kLive:
      if (lock.process == 0) return "live: held by a process that cannot be seen from here";
      return "live: held by process " + std::to_string(lock.process) +
             (lock.program.empty() ? "" : " (" + lock.program + ")");
    case DatabaseUse::kNotInUse:
      return "not in use";
    case DatabaseUse::kCopied:
      return "copied (no LOCK file)";
    case DatabaseUse::kUnknown:
      return "in use or not, unknown: " + lock.note;
  }
  return {};
}

}  // namespace walstitch::wal
