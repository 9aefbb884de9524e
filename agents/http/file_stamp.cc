#include "agents/http/file_stamp.h"

#include <sys/stat.h>

#include <utility>

namespace walstitch::http {

namespace {

constexpr std::chrono::milliseconds kInterval{1000};

std::int64_t Nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1000000000 + std::int64_t{time.tv_nsec};
}

}  // namespace

FileStamp StampOf(const std::string& path) {
  struct stat status {};
  FileStamp stamp;
  if (::stat(path.c_str(), &status) != 0) return stamp;
  stamp.there = true;
  stamp.device = status.st_dev;
  stamp.inode = status.st_ino;
  stamp.size = static_cast<std::uint64_t>(status.st_size);
  stamp.modified_ns = Nanoseconds(status.st_mtim);
  stamp.changed_ns = Nanoseconds(status.st_ctim);
  return stamp;
}

FileWatch::FileWatch(std::vector<std::string> paths)
    : paths_(std::move(paths)), seen_(Stamps()), next_(std::chrono::steady_clock::now() + kInterval) {}

std::vector<FileStamp> FileWatch::Stamps() const {
  std::vector<FileStamp> stamps;
  stamps.reserve(paths_.size());
  for (const std::string& path : paths_) stamps.push_back(StampOf(path));
  return stamps;
}

bool FileWatch::Changed(bool now) {
  if (paths_.empty()) return false;
  const std::lock_guard lock(mutex_);
  const auto time = std::chrono::steady_clock::now();
  if (!now && time < next_) return false;
  next_ = time + kInterval;
  // Taken before the files are read: what changes while they are shows at the next look.
  std::vector<FileStamp> stamps = Stamps();
  if (stamps == seen_ && !again_) return false;
  seen_ = std::move(stamps);
  again_ = false;
  return true;
}

void FileWatch::TryAgain() {
  const std::lock_guard lock(mutex_);
  again_ = true;
}

}  // namespace walstitch::http
