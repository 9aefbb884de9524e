// Virtual time: what happens next, in true microseconds. Of two events of the same moment, the one that was
// asked for first comes first. Nothing else makes time go on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace walstitch::simulation {

class EventQueue {
 public:
  using Call = std::function<void()>;

  [[nodiscard]] std::int64_t NowUs() const { return now_us_; }
  // How many events have been run: the index of the next one.
  [[nodiscard]] std::uint64_t Executed() const { return executed_; }

  void At(std::int64_t us, Call call) {
    heap_.push_back({std::max(us, now_us_), ++order_, std::move(call)});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  void After(std::int64_t us, Call call) { At(now_us_ + std::max<std::int64_t>(0, us), std::move(call)); }

  [[nodiscard]] std::int64_t NextUs() const { return heap_.empty() ? -1 : heap_.front().at_us; }
  bool RunNext() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_us_ = event.at_us;
    ++executed_;
    event.call();
    return true;
  }

 private:
  struct Event {
    std::int64_t at_us;
    std::uint64_t order;
    Call call;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.at_us != b.at_us ? a.at_us > b.at_us : a.order > b.order;
  }

  std::vector<Event> heap_;
  std::int64_t now_us_ = 0;
  std::uint64_t order_ = 0;
  std::uint64_t executed_ = 0;
};

// A machine's clock: it began somewhere, and gains or loses a little against true time.
struct Clock {
  std::int64_t zero_us = 0;  // the true time at which it showed offset_ms
  std::int64_t offset_ms = 0;
  std::int64_t gains_ppm = 0;

  [[nodiscard]] std::int64_t ReadMs(std::int64_t true_us) const {
    return offset_ms + (true_us - zero_us) * (1'000'000 + gains_ppm) / 1'000'000'000;
  }
  // When it will show that time; not before `true_us`.
  [[nodiscard]] std::int64_t WhenUs(std::int64_t shows_ms, std::int64_t true_us) const {
    if (shows_ms <= ReadMs(true_us)) return true_us;
    const std::int64_t rate = 1'000'000 + gains_ppm;
    return zero_us + ((shows_ms - offset_ms) * 1'000'000'000 + rate - 1) / rate;
  }
};

}  // namespace walstitch::simulation
