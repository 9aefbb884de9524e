#include "agents/wal/wal_follower.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include "agents/wal/crc32c.h"

namespace walstitch::wal {
namespace {

// How often the directory is looked at where it cannot be watched.
constexpr std::chrono::milliseconds kLookInterval{100};

// Logs that come, go and move. Not what is written to all the files: a compaction writes much.
constexpr std::uint32_t kFolderEvents =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

// 0: there is none.
std::uint64_t InodeOf(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_ino) : 0;
}

}  // namespace

WalFollower::WalFollower(std::string data_directory, Sequence from)
    : data_directory_(std::move(data_directory)),
      wal_(data_directory_),
      next_(from),
      inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (inotify_ < 0) not_watching_ = std::string("inotify: ") + std::strerror(errno);
}

WalFollower::~WalFollower() {
  if (inotify_ >= 0) ::close(inotify_);
}

// To be called before reading: what is written after the watch is set wakes, what was written before is read.
// Watching the same file again changes nothing.
void WalFollower::Watch() {
  if (inotify_ < 0) return;
  not_watching_.clear();
  // Where db/ comes back after a full sync; db/, where logs are made and archived; the log that grows.
  ::inotify_add_watch(inotify_, data_directory_.c_str(), kFolderEvents);
  if (::inotify_add_watch(inotify_, wal_.DatabaseDirectory().c_str(), kFolderEvents) < 0) {
    not_watching_ = wal_.DatabaseDirectory() + ": cannot be watched: " + std::strerror(errno);
    return;
  }
  const Result<std::string> newest = wal_.NewestLog();
  if (!newest || newest->empty()) return;  // what is wrong, reading says
  const int watch = ::inotify_add_watch(inotify_, newest->c_str(), IN_MODIFY);
  if (watch < 0 && errno != ENOENT) {  // gone already: the folder's watch wakes
    not_watching_ = *newest + ": cannot be watched: " + std::strerror(errno);
  }
  if (watch >= 0 && watch != log_watch_) {
    if (log_watch_ >= 0) ::inotify_rm_watch(inotify_, log_watch_);
    log_watch_ = watch;
  }
}

// What the events say does not matter: everything is looked at anyway.
void WalFollower::Drain() const {
  alignas(inotify_event) std::array<char, 4096> events;
  while (inotify_ >= 0 && ::read(inotify_, events.data(), events.size()) > 0) {
  }
}

Result<void> WalFollower::Read(Sequence from, std::uint64_t inode, const BatchVisitor& visit) {
  bool changed = false;
  Result<void> read = wal_.ForEachBatch(
      {from, Sequence(std::numeric_limits<std::uint64_t>::max())}, [&](const BatchView& batch) {
        if (batch.count == 0) return true;
        const std::uint32_t checksum = Crc32c(batch.bytes);
        if (visited_ && batch.first < next_) {
          changed = batch.first != visited_->header.first || batch.count != visited_->header.count ||
                    checksum != visited_->checksum;
          return !changed;
        }
        next_ = batch.End();
        visited_ = Visited{{batch.first, batch.count}, checksum, inode};
        return visit(batch);
      });
  if (changed) {
    return Fail(ErrorCode::kConflict, wal_.DatabaseDirectory() + ": the batch at sequence " +
                                          visited_->header.first.ToString() +
                                          " is another one than when it was read: a recovery gave it up, or "
                                          "the database was replaced");
  }
  return read;
}

Result<Sequence> WalFollower::Poll(const BatchVisitor& visit) {
  Drain();
  Watch();
  // Of before the reading: a database that is put here meanwhile is found out at the next look.
  const std::uint64_t inode = InodeOf(wal_.DatabaseDirectory());
  if (visited_ && inode != 0 && inode != visited_->database_inode) {
    return Fail(ErrorCode::kConflict, wal_.DatabaseDirectory() +
                                          ": the database was replaced (a full sync) after sequence " +
                                          (next_ - 1).ToString() + " was read");
  }
  const Sequence before = next_;
  const auto nothing_found = [&](const Result<void>& read) {
    return !read && read.error().Code() == ErrorCode::kNotFound && next_ == before;
  };
  Result<void> read = Read(visited_ ? visited_->header.first : next_, inode, visit);
  if (nothing_found(read)) {
    Result<WalExtent> extent = wal_.Extent();
    if (!extent) return Fail(extent.error());
    if (!extent->oldest) return next_;  // an empty log, and nothing else yet, or any more
    // What was visited may be purged, and nobody needs it; or the first batch came this very moment.
    const bool purged = visited_ && *extent->oldest > visited_->header.first;
    read = Read(visited_ && !purged ? visited_->header.first : next_, inode, visit);
    if (nothing_found(read) && visited_ && !purged) {
      return Fail(ErrorCode::kConflict, wal_.DatabaseDirectory() + ": the WAL ends at " +
                                            extent->last.value_or(Sequence(0)).ToString() +
                                            ", before what was read of it: a recovery gave up the rest");
    }
  }
  if (!read && (read.error().Code() != ErrorCode::kNotFound || next_ == before)) return Fail(read.error());
  return next_;
}

void WalFollower::Wait(std::chrono::milliseconds at_most) {
  if (!not_watching_.empty()) {
    std::this_thread::sleep_for(std::min(at_most, kLookInterval));
    return;
  }
  pollfd descriptor{inotify_, POLLIN, 0};
  ::poll(&descriptor, 1, static_cast<int>(std::min<std::int64_t>(at_most.count(), 1'000'000'000)));
}

}  // namespace walstitch::wal
