// The bytes of one WAL file, wherever they are: a file on disk, or a string in a test.
//
// A PosixLogFile holds its file open: it can be renamed (archived) or deleted meanwhile, and is read to
// the end all the same. It is read with pread, never mapped: a file that shrinks must not be a SIGBUS.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace walstitch::wal {

class LogFile {
 public:
  virtual ~LogFile() = default;

  // As named in errors.
  [[nodiscard]] virtual const std::string& Name() const = 0;

  // Reads up to `size` bytes at `offset`. Fewer than asked for: the file ends there (as of now; a live
  // file may have grown at the next call). kIo if the operating system says no.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) = 0;
};

// What tells a file that is as it was from one that is not.
struct LogStat {
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t changed_ns = 0;  // the contents; renaming does not count
  bool operator==(const LogStat&) const = default;
};

// Bytes that this process has read of WAL files on disk since it started. Thread-safe.
std::uint64_t LogBytesRead();

class PosixLogFile : public LogFile {
 public:
  // Without opening it. Errors as Open().
  static Result<LogStat> StatOf(const std::string& path);
  // kNotFound if there is no such file, kIo otherwise.
  static Result<std::unique_ptr<PosixLogFile>> Open(const std::string& path);
  ~PosixLogFile() override;
  PosixLogFile(const PosixLogFile&) = delete;
  PosixLogFile& operator=(const PosixLogFile&) = delete;

  [[nodiscard]] const std::string& Name() const override { return path_; }
  Result<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override;

  [[nodiscard]] const LogStat& StatWhenOpened() const { return stat_; }
  [[nodiscard]] std::uint64_t SizeWhenOpened() const { return stat_.size; }

 private:
  PosixLogFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
  LogStat stat_;
};

class StringLogFile : public LogFile {
 public:
  StringLogFile(std::string name, std::string bytes) : name_(std::move(name)), bytes_(std::move(bytes)) {}

  [[nodiscard]] const std::string& Name() const override { return name_; }
  Result<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override;

 private:
  std::string name_;
  std::string bytes_;
};

}  // namespace walstitch::wal
