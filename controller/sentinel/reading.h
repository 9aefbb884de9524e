// Whether a client takes what it is sent. While something waits for it without a break, it must take so much
// in each `timeout`.
//
// 1. A client asks much, and reads a few bytes every second. 2. Each time something is taken, and what waits
// is never taken in full. 3. Were any progress enough, it would keep its place and its memory for ever.
//
// Pure: time is an argument, in milliseconds of a steady clock.
#pragma once

#include <cstddef>
#include <cstdint>

namespace walstitch::sentinel {

class Reading {
 public:
  static constexpr std::size_t kAtLeast = 64 * 1024;

  // There is something for it.
  void Waits(std::int64_t now_ms) {
    if (since_ms_ >= 0) return;
    since_ms_ = now_ms;
    taken_ = 0;
  }
  // It took so much, and so much is left.
  void Took(std::size_t bytes, std::size_t left) {
    taken_ += bytes;
    if (left == 0) since_ms_ = -1;
  }
  // To be asked now and then: with each `true` it is too slow, and with each time that it is not the next
  // begins.
  [[nodiscard]] bool IsSlow(std::int64_t now_ms, std::int64_t timeout_ms) {
    if (since_ms_ < 0 || now_ms - since_ms_ <= timeout_ms) return false;
    if (taken_ < kAtLeast) return true;
    since_ms_ = now_ms;
    taken_ = 0;
    return false;
  }

 private:
  std::int64_t since_ms_ = -1;  // -1: nothing waits
  std::size_t taken_ = 0;       // since then
};

}  // namespace walstitch::sentinel
