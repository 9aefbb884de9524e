#include "agents/agent/state_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agents/wal/file_descriptor.h"

namespace walstitch::agent {

namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

tl::unexpected<Error> SystemError(const std::string& what, int number) {
  return Fail(ErrorCode::kIo, what + ": " + std::strerror(number));
}

}  // namespace

Result<StateFile> StateFile::Open(const std::string& directory, std::string name) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemError("stateDir " + directory + ": cannot be made", errno);
  }
  int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return SystemError("stateDir " + directory + ": cannot be opened", errno);
  int lock = openat(descriptor, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  StateFile file(directory, std::move(name), descriptor, lock);
  if (lock < 0) return SystemError("stateDir " + directory + ": its lock cannot be made", errno);
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return Fail(
          ErrorCode::kConflict,
          "stateDir " + directory + ": another agent uses it: give each agent a directory of its own");
    }
    return SystemError("stateDir " + directory + ": cannot be locked", errno);
  }
  return file;
}

Result<StateFile> StateFile::Beside(std::string name) const {
  const int descriptor = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return SystemError("stateDir " + directory_ + ": cannot be opened", errno);
  return StateFile(directory_, std::move(name), descriptor, -1);
}

StateFile::StateFile(std::string directory, std::string name, int descriptor, int lock)
    : directory_(std::move(directory)), name_(std::move(name)), descriptor_(descriptor), lock_(lock) {}

StateFile::StateFile(StateFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      lock_(std::exchange(other.lock_, -1)) {}

StateFile::~StateFile() {
  if (lock_ >= 0) close(lock_);
  if (descriptor_ >= 0) close(descriptor_);
}

std::string StateFile::Path() const { return directory_ + "/" + name_; }

Result<std::optional<std::string>> StateFile::Read() const {
  wal::FileDescriptor file(openat(descriptor_, name_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.Value() < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return SystemError(Path() + ": cannot be opened", errno);
  }
  std::string content;
  char bytes[16384];
  while (true) {
    ssize_t got = read(file.Value(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(Path() + ": cannot be read", errno);
    if (got == 0) return std::optional<std::string>(std::move(content));
    content.append(bytes, static_cast<std::size_t>(got));
    if (content.size() > kMaxBytes)
      return Fail(ErrorCode::kDamaged, Path() + ": is too large to be an agent's state");
  }
}

Result<void> StateFile::Write(std::string_view content) {
  const std::string temporary = name_ + ".new";
  {
    wal::FileDescriptor file(
        openat(descriptor_, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.Value() < 0) return SystemError(Path() + ": cannot be written", errno);
    if (!wal::WriteAll(file.Value(), content)) return SystemError(Path() + ": cannot be written", errno);
    if (fsync(file.Value()) != 0) return SystemError(Path() + ": cannot be synced", errno);
  }
  if (renameat(descriptor_, temporary.c_str(), descriptor_, name_.c_str()) != 0) {
    return SystemError(Path() + ": cannot be replaced", errno);
  }
  if (fsync(descriptor_) != 0) return SystemError(directory_ + ": cannot be synced", errno);
  return {};
}

}  // namespace walstitch::agent
