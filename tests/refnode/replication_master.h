// The master's side of replication: one feeder per replica.
//
// A feeder runs on its replica's connection thread. It sends `+OK`, then every
// batch of the log as one bulk string, and a `ping` about every two seconds in
// which nothing else was sent. It never reads, so it notices a replica that went
// away only when it sends; like Kvrocks it has no flow control of its own and
// waits in send() for a replica that does not read.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "connection.h"

namespace walstitch::refnode {

class Server;

class Feeder {
 public:
  // `pad_from`, unless it is 0: no-op records from there up to `next` come first.
  Feeder(Server& server, Connection& connection, uint64_t next, uint64_t pad_from)
      : server_(server), connection_(connection), next_(next), pad_from_(pad_from) {}

  // Returns when stopped or when the replica is gone.
  void Run();
  // From any thread.
  void Stop();

  bool IsStopped() const { return stopped_; }
  uint64_t SentSequence() const { return next_ == 0 ? 0 : next_ - 1; }
  Connection& connection() const { return connection_; }

 private:
  void Idle();
  void Pad();

  Server& server_;
  Connection& connection_;
  std::atomic<uint64_t> next_;
  uint64_t pad_from_;
  std::atomic<bool> stopped_{false};
  unsigned idle_rounds_ = 0;
};

// True if a replica may resume at `next`: the first sequence of a batch in the
// log, or the sequence after the last.
bool IsBoundary(Server& server, uint64_t next);
// The first such at or behind `next`; `next` itself if there is none in the log.
uint64_t BoundaryBehind(Server& server, uint64_t next);

}  // namespace walstitch::refnode
