#include "agents/relay/heartbeat_rule.h"

#include <algorithm>
#include <array>

namespace walstitch::relay {

void HeartbeatRule::FrameSent(Time now) {
  if (now - last_heartbeat_ < kWindow) nudges_left_ = kNudges;
  last_sent_ = now;
}

void HeartbeatRule::HeartbeatSent(Time now) {
  if (nudges_left_ > 0) --nudges_left_;
  last_sent_ = now;
  last_heartbeat_ = now;
}

HeartbeatRule::Time HeartbeatRule::Due() const {
  using std::chrono::milliseconds;
  // Waits after the last thing sent, by how many nudges are left: none, last, second, first.
  constexpr std::array<milliseconds, kNudges> kWaits{milliseconds(400), milliseconds(90), milliseconds(10)};
  if (nudges_left_ == 0) return last_sent_ + interval_;
  return last_sent_ + std::min(interval_, kWaits[nudges_left_ - 1]);
}

}  // namespace walstitch::relay
