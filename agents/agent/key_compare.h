// Two nodes' values of some keys, made comparable. Pure, thread-safe.
//
// The survivor is read while it is written to, and the rejoiner behind it, while it follows. A key counts
// only if no record touched it between what the survivor had read when it began, and what the rejoiner had
// when it ended: then both were read at one sequence, so to speak. A key that did change is looked at again.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "policies/model/user_key.h"
#include "policies/model/values.h"

namespace walstitch::agent {

// What a look at some keys tells of each.
enum class Compared {
  kEqual,
  kDiffer,
  kUnreadable,
  kChanged,   // in between: nothing is known
  kExpiring,  // one of the two may already be gone by its time to live, or is: it is to be looked at again
};

// `now_ms`: unix time, behind both readings.
Compared CompareValue(const ValueState& survivor, const ValueState& own, bool changed, std::int64_t now_ms);

// How far two clocks, and the servers' own looks at them, may be apart.
inline constexpr std::int64_t kExpiryDoubtMs = 2000;

// The keys that are looked at together, in one round: all of them at first; a few, then one at a time of
// those that changed, for the less is read, the less can change meanwhile.
std::vector<std::vector<UserKeyName>> PartsOfRound(const std::vector<UserKeyName>& keys, int round);

// Rounds that are made at most.
inline constexpr int kMostRounds = 30;

}  // namespace walstitch::agent
