#include "controller/core/lag.h"

#include <algorithm>

namespace walstitch::core {
namespace {

// Reports come several times a second. With fewer looks the answer is coarser, and no less true.
constexpr std::size_t kMostSeen = 4096;

}  // namespace

void LagClock::Note(std::uint64_t epoch, std::int64_t now_ms, Sequence last) {
  if (epoch != epoch_) seen_.clear();
  epoch_ = epoch;
  // Back from a crash of its machine it may hold less, and what it writes then is of now.
  while (!seen_.empty() && seen_.back().last > last) seen_.pop_back();
  if (!seen_.empty() && seen_.back().last == last) return;
  seen_.push_back({now_ms, last});
  if (seen_.size() <= kMostSeen) return;
  // Every other one, and never the newest: what is remembered reaches as far back as before.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < seen_.size(); i += 2) seen_[kept++] = seen_[i];
  if (seen_[kept - 1].last != seen_.back().last) seen_[kept++] = seen_.back();
  seen_.resize(kept);
}

std::optional<std::int64_t> LagClock::BehindMs(std::int64_t now_ms, Sequence last) const {
  if (seen_.empty()) return std::nullopt;
  const auto lacked = std::upper_bound(seen_.begin(), seen_.end(), last,
                                       [](Sequence held, const Seen& seen) { return held < seen.last; });
  return lacked == seen_.end() ? 0 : std::max<std::int64_t>(now_ms - lacked->time_ms, 0);
}

}  // namespace walstitch::core
