// Follows the WAL of a data directory as it grows: what was written since the last look, and a wait for more
// that costs nothing while nothing is written (inotify).
//
// Each look reads the directory anew (WalDirectory), so rotation, archiving and purging need no care here: a
// log that vanishes is no error until a sequence in it is needed. A record that is being written is not seen
// until it is whole. What was visited last is compared again at each look: if the same sequences hold other
// bytes by now, because a recovery gave them up or a full sync replaced the database, the follower says so
// instead of going on in another history.
//
// A record that is in the WAL need not be applied or published yet, and can be given up by a crash.
//
// Not thread-safe. Owns the inotify descriptor.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agents/wal/wal_directory.h"

namespace walstitch::wal {

class WalFollower {
 public:
  // Begins with the batch that holds `from`, or that will. `data_directory` is Kvrocks' `dir`.
  WalFollower(std::string data_directory, Sequence from);
  ~WalFollower();
  WalFollower(const WalFollower&) = delete;
  WalFollower& operator=(const WalFollower&) = delete;

  // Visits the batches (count > 0) that were written since the last call; a visitor that returns false stops,
  // and the next call goes on behind that batch. Never waits. The next sequence, one past the last that was
  // visited (or `from`). Errors: kNotFound if sequences that were not visited yet are purged, or `from` is
  // beyond the end; kConflict if what was visited is no longer what the WAL holds: follow anew; kUnavailable
  // while there is no database; kDamaged, kIo as WalDirectory. After an error the next call tries the same
  // again.
  Result<Sequence> Poll(const BatchVisitor& visit);

  // Waits until something was written, or logs came or went, since the last Poll(); at most so long. May
  // return for less.
  void Wait(std::chrono::milliseconds at_most);

  // Becomes readable when Wait() would return: for event loops. -1: cannot watch.
  [[nodiscard]] int Descriptor() const { return inotify_; }
  // Why the directory cannot be watched, so that Wait() looks every 100 ms instead; empty if it can.
  [[nodiscard]] const std::string& NotWatching() const { return not_watching_; }

 private:
  // The last batch that was visited.
  struct Visited {
    BatchHeader header;
    std::uint32_t checksum = 0;
    std::uint64_t database_inode = 0;  // of db/ then
  };

  void Watch();
  void Drain() const;
  Result<void> Read(Sequence from, std::uint64_t inode, const BatchVisitor& visit);

  std::string data_directory_;
  WalDirectory wal_;
  Sequence next_;
  std::optional<Visited> visited_;
  int inotify_ = -1;
  int log_watch_ = -1;
  std::string not_watching_;
};

}  // namespace walstitch::wal
