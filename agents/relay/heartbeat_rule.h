// When the relay sends its node a heartbeat.
//
// After `interval` without anything sent, as a master does. And soon after a frame that may be stuck
// behind a heartbeat:
//
// 1. Idle; the relay sends a heartbeat, and a few milliseconds later a frame.
// 2. Kvrocks reads both in one go. Its handler takes the heartbeat and returns at once, without looking
//    at the bytes behind it (versions of 2025 on; older ones go on).
// 3. The frame lies in the node's buffer until the next bytes arrive: with nothing more to send, until
//    the next heartbeat, two seconds later. A pad seems not to arrive, a switchover waits.
//
// So after a frame that followed a heartbeat within kWindow there comes another heartbeat as soon as
// nothing else was sent for a moment, and, as a node that is busy reads late, twice more, a little later
// each. A heartbeat costs ten bytes, and means nothing to the node.
//
// Pure: time comes in, as a duration since whatever; it must not run backwards.
#pragma once

#include <chrono>
#include <cstddef>

namespace walstitch::relay {

class HeartbeatRule {
 public:
  using Time = std::chrono::nanoseconds;

  static constexpr std::chrono::milliseconds kWindow{50};

  HeartbeatRule(std::chrono::milliseconds interval, Time now) : interval_(interval), last_sent_(now) {}

  void FrameSent(Time now);
  void HeartbeatSent(Time now);

  // When the next heartbeat is to be sent, if nothing else is sent before.
  [[nodiscard]] Time Due() const;

 private:
  static constexpr std::size_t kNudges = 3;

  std::chrono::milliseconds interval_;
  Time last_sent_;
  Time last_heartbeat_ = Time::min() / 2;
  std::size_t nudges_left_ = 0;
};

}  // namespace walstitch::relay
