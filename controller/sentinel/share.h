// How much of the controller's thread clients get: in each slice of time so many requests, and so much time.
//
// 1. Clients ask without end, all at once. 2. The thread that answers them is the controller's: it would be
// late with everything else, with leases above all. 3. A bound of requests alone is none: one may cost a
// hundred times as much as another. So the time that each took is counted, and what was taken beyond a
// slice's share is missing in the next ones.
//
// Pure: time is an argument, in microseconds of a steady clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace walstitch::sentinel {

class Share {
 public:
  static constexpr std::int64_t kSliceUs = 10000;
  static constexpr std::int64_t kTimeUs = 3000;  // of each slice
  static constexpr int kRequests = 200;          // in each slice: 20,000 a second

  // One more request may be handled now.
  [[nodiscard]] bool MayHandle(std::int64_t now_us) {
    GoOnTo(now_us);
    return requests_ < kRequests && spent_us_ < kTimeUs;
  }
  void Handled(std::int64_t now_us, std::int64_t took_us) {
    GoOnTo(now_us);
    ++requests_;
    spent_us_ += std::max<std::int64_t>(0, took_us);
  }
  // Time that was spent on clients, and on no request.
  void Spent(std::int64_t now_us, std::int64_t took_us) {
    Handled(now_us, took_us);
    --requests_;
  }
  // Until the next slice begins.
  [[nodiscard]] static std::int64_t LeftUs(std::int64_t now_us) { return kSliceUs - now_us % kSliceUs; }

 private:
  void GoOnTo(std::int64_t now_us) {
    const std::int64_t slice = now_us / kSliceUs;
    if (slice <= slice_) return;
    // A second at most is made up for: afterwards clients are answered again, whatever was.
    spent_us_ = std::min(spent_us_, 100 * kTimeUs);
    spent_us_ -= std::min(spent_us_, (slice - slice_) * kTimeUs);
    slice_ = slice;
    requests_ = 0;
  }

  std::int64_t slice_ = 0;
  std::int64_t spent_us_ = 0;
  int requests_ = 0;
};

}  // namespace walstitch::sentinel
