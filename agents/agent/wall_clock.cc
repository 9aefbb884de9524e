#include "agents/agent/wall_clock.h"

#include <chrono>

namespace walstitch::agent {

std::int64_t UnixMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace walstitch::agent
