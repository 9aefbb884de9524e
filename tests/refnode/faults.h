// Switches that make the node misbehave, for tests. All atomic, all off at
// first; REFNODE.FAULT turns them.
#pragma once

#include <atomic>

namespace walstitch::refnode {

struct Faults {
  std::atomic<bool> stop_reading{false};     // connections are accepted and then not read
  std::atomic<bool> refuse{false};           // new connections are closed at once
  std::atomic<int> delay_ms{0};              // before each command
  std::atomic<bool> stop_feeding{false};     // replicas get heartbeats, but no batches
  std::atomic<bool> stop_applying{false};    // the replica side leaves its stream unread
  std::atomic<bool> fail_checkpoint{false};  // _fetch_meta fails
  std::atomic<int> slow_writes_ms{0};        // before each batch is written to the log: a slow disk

  void Clear() {
    stop_reading = false;
    refuse = false;
    delay_ms = 0;
    stop_feeding = false;
    stop_applying = false;
    fail_checkpoint = false;
    slow_writes_ms = 0;
  }
};

}  // namespace walstitch::refnode
