#include "policies/model/lease.h"

#include <algorithm>

namespace walstitch {
namespace {

constexpr std::int64_t kShortest = 500;
constexpr std::int64_t kLongest = 10 * 60 * 1000;
constexpr std::int64_t kMostDrift = 100;

}  // namespace

std::int64_t HolderDeadline(std::int64_t anchor_ms, const LeaseTerms& terms) {
  const std::int64_t sure = terms.duration_ms * (1000 - terms.drift_permille) / 1000;
  return anchor_ms + std::max<std::int64_t>(0, sure - terms.park_ms);
}

std::int64_t GrantorDeadline(std::int64_t granted_ms, const LeaseTerms& terms) {
  return granted_ms + (terms.duration_ms * (1000 + terms.drift_permille) + 999) / 1000;
}

std::int64_t RenewInterval(const LeaseTerms& terms) {
  return std::max<std::int64_t>(50, (HolderDeadline(0, terms)) / 4);
}

Result<void> CheckTerms(const LeaseTerms& terms) {
  if (terms.duration_ms < kShortest || terms.duration_ms > kLongest) {
    return Fail(ErrorCode::kInvalid, "a lease lasts from " + std::to_string(kShortest) + " ms to " +
                                         std::to_string(kLongest / 60000) + " minutes, not " +
                                         std::to_string(terms.duration_ms) + " ms");
  }
  if (terms.drift_permille < 0 || terms.drift_permille > kMostDrift) {
    return Fail(ErrorCode::kInvalid, "the clocks' drift is bounded by 0 to " + std::to_string(kMostDrift) +
                                         " thousandths, not " + std::to_string(terms.drift_permille));
  }
  if (terms.park_ms < 0 || HolderDeadline(0, terms) < terms.duration_ms / 2) {
    return Fail(ErrorCode::kInvalid, "of a lease of " + std::to_string(terms.duration_ms) +
                                         " ms, a park time of " + std::to_string(terms.park_ms) +
                                         " ms and the drift leave the master less than half");
  }
  return {};
}

}  // namespace walstitch
