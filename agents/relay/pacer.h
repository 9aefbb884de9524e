// Holds what passes to so many bytes a second, on the average. Pure: the time is an argument.
#pragma once

#include <chrono>
#include <cstdint>

namespace walstitch::relay {

class Pacer {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Pacer(std::uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}  // 0: no limit

  // So many bytes passed now; no more before the time that it gives. What a pause saved is not caught up on.
  Time Passed(std::uint64_t bytes, Time now);

 private:
  std::uint64_t rate_;
  Time free_at_;
};

}  // namespace walstitch::relay
