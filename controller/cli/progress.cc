#include "controller/cli/progress.h"

#include <algorithm>
#include <cmath>

#include "controller/cli/text.h"
#include "policies/model/bytes.h"

namespace walstitch::cli {
namespace {

constexpr std::chrono::milliseconds kQuietAtFirst{500};
constexpr std::chrono::milliseconds kBetween{100};
// Back to the line's beginning, and all behind it erased.
constexpr const char* kErase = "\r\x1b[K";

}  // namespace

std::string DescribeProgress(std::uint64_t done, std::uint64_t all, std::chrono::milliseconds elapsed) {
  if (all > 0) done = std::min(done, all);
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const double rate = static_cast<double>(done) / seconds;
  std::string text = HumanBytes(done);
  if (all > 0) text += " of " + HumanBytes(all);
  text += ", " + HumanBytes(static_cast<std::uint64_t>(rate)) + "/s";
  if (all > 0 && rate > 0) {
    const double left = static_cast<double>(all - done) / rate;  // seconds
    constexpr double kDay = 24.0 * 3600;
    if (left < 60) {
      text += ", " + std::to_string(std::max(1L, std::lround(left))) + " s left";
    } else if (left < 100 * kDay) {
      text += ", " + FormatDuration(static_cast<std::int64_t>(left * 1000)) + " left";
    }
  }
  return text;
}

Progress::Progress(std::ostream* out, std::uint64_t all_bytes, Clock clock)
    : out_(out),
      all_bytes_(all_bytes),
      clock_(std::move(clock)),
      start_(clock_()),
      next_(start_ + kQuietAtFirst) {}

void Progress::Show(std::uint64_t done_bytes) {
  if (out_ == nullptr) return;
  const auto now = clock_();
  if (now < next_) return;
  next_ = now + kBetween;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - start_);
  *out_ << kErase << "  " << DescribeProgress(done_bytes, all_bytes_, elapsed) << std::flush;
  shown_ = true;
}

void Progress::Clear() {
  if (!shown_) return;
  *out_ << kErase << std::flush;
  shown_ = false;
}

}  // namespace walstitch::cli
