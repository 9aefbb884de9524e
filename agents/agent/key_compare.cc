#include "agents/agent/key_compare.h"

#include <algorithm>
#include <cstdlib>

namespace walstitch::agent {

namespace {

// Values are read on the survivor's own server, which serves clients: not too many in one message.
constexpr std::size_t kFirstPart = 100;
constexpr std::size_t kSecondPart = 16;

// It was, is, or is soon over.
bool InDoubt(const ValueState& value, std::int64_t now_ms) {
  return value.expire_ms && *value.expire_ms <= now_ms + kExpiryDoubtMs;
}

bool SameExpiry(const ValueState& a, const ValueState& b) {
  if (a.expire_ms.has_value() != b.expire_ms.has_value()) return false;
  const auto error = static_cast<std::int64_t>(a.expire_error_ms) + b.expire_error_ms;
  return !a.expire_ms || std::llabs(*a.expire_ms - *b.expire_ms) <= error;
}

}  // namespace

Compared CompareValue(const ValueState& survivor, const ValueState& own, bool changed, std::int64_t now_ms) {
  if (changed || survivor.passing || own.passing) return Compared::kChanged;
  const bool known = survivor.why.empty() && own.why.empty();
  const bool same = known && survivor.type == own.type && survivor.digest == own.digest;
  if (same && SameExpiry(survivor, own)) return Compared::kEqual;
  // Whatever differs by the clock alone is settled by waiting for it. A value may end while it is read, too.
  if (InDoubt(survivor, now_ms) || InDoubt(own, now_ms)) return Compared::kExpiring;
  // That one of them is of another type, or is not there, needs no reading; but in a namespace that cannot be
  // entered not even that is known.
  const bool types_known =
      (survivor.why.empty() || !survivor.type.empty()) && (own.why.empty() || !own.type.empty());
  if (!known && (survivor.type == own.type || !types_known)) return Compared::kUnreadable;
  return Compared::kDiffer;
}

std::vector<std::vector<UserKeyName>> PartsOfRound(const std::vector<UserKeyName>& keys, int round) {
  const std::size_t most = round == 0 ? kFirstPart : round == 1 ? kSecondPart : 1;
  std::vector<std::vector<UserKeyName>> parts;
  for (std::size_t from = 0; from < keys.size(); from += most) {
    const std::size_t to = std::min(from + most, keys.size());
    parts.emplace_back(keys.begin() + static_cast<std::ptrdiff_t>(from),
                       keys.begin() + static_cast<std::ptrdiff_t>(to));
  }
  return parts;
}

}  // namespace walstitch::agent
