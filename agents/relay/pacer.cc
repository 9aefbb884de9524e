#include "agents/relay/pacer.h"

#include <algorithm>

namespace walstitch::relay {

Pacer::Time Pacer::Passed(std::uint64_t bytes, Time now) {
  if (rate_ == 0) return now;
  const std::chrono::duration<double> takes(static_cast<double>(bytes) / static_cast<double>(rate_));
  free_at_ = std::max(free_at_, now) + std::chrono::duration_cast<Time::duration>(takes);
  return free_at_;
}

}  // namespace walstitch::relay
