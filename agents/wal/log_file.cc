#include "agents/wal/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace walstitch::wal {
namespace {

// Of all that read: workers have a WalDirectory each.
std::atomic<std::uint64_t> bytes_read{0};

LogStat ToLogStat(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_ino), static_cast<std::uint64_t>(info.st_size),
          static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec};
}

}  // namespace

std::uint64_t LogBytesRead() { return bytes_read.load(std::memory_order_relaxed); }

Result<LogStat> PosixLogFile::StatOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return ToLogStat(info);
  const int error = errno;
  return Fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
              path + ": cannot be examined: " + std::strerror(error));
}

Result<std::unique_ptr<PosixLogFile>> PosixLogFile::Open(const std::string& path) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // never hang on a pipe
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) {
    const int error = errno;
    return Fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                path + ": cannot be opened: " + std::strerror(error));
  }
  std::unique_ptr<PosixLogFile> file(new PosixLogFile(path, descriptor));
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) {
    return Fail(ErrorCode::kIo, path + ": cannot be examined: " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) return Fail(ErrorCode::kIo, path + ": is not a regular file");
  file->stat_ = ToLogStat(info);
  return file;
}

PosixLogFile::~PosixLogFile() { ::close(descriptor_); }

Result<std::size_t> PosixLogFile::ReadAt(std::uint64_t offset, char* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(descriptor_, out + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      return Fail(ErrorCode::kIo, path_ + ": offset " + std::to_string(offset + done) +
                                      ": cannot be read: " + std::strerror(errno));
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
    bytes_read.fetch_add(static_cast<std::uint64_t>(got), std::memory_order_relaxed);
  }
  return done;
}

Result<std::size_t> StringLogFile::ReadAt(std::uint64_t offset, char* out, std::size_t size) {
  if (offset >= bytes_.size()) return std::size_t{0};
  const std::size_t length = std::min<std::size_t>(size, bytes_.size() - offset);
  std::memcpy(out, bytes_.data() + offset, length);
  return length;
}

}  // namespace walstitch::wal
