// Whether a file is another one than it was, without reading it: for certificates and tokens that are looked
// at again. Symbolic links are followed, so a directory that is swapped for another, as Kubernetes does with
// mounted Secrets, shows too.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace walstitch::http {

struct FileStamp {
  bool there = false;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

FileStamp StampOf(const std::string& path);

// Tells once a second at most that one of some files is not what it was when it was told last. Thread-safe.
class FileWatch {
 public:
  explicit FileWatch(std::vector<std::string> paths);

  // `now`: look even if that was done a moment ago. True: read them; and whatever comes of it, true comes
  // again only when they have changed again.
  bool Changed(bool now = false);
  // They could not be taken as they are: true comes again with the next look, whether they change or not.
  void TryAgain();

 private:
  [[nodiscard]] std::vector<FileStamp> Stamps() const;

  std::vector<std::string> paths_;
  std::mutex mutex_;
  std::vector<FileStamp> seen_;
  bool again_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace walstitch::http
