// Quantities as people write them in a file: "10000", "64Mi", "1500ms", "1%". Each is what it says and
// nothing else: no blanks, no signs, no leading zeros, no unit left out where one is needed. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace walstitch {

enum class QuantityProblem { kMalformed, kTooLarge };

template <typename T>
using Quantity = tl::expected<T, QuantityProblem>;

Quantity<std::uint64_t> WholeFromText(std::string_view text);

// Bytes: a whole number, alone or with one of k, M, G, T (of 1000), Ki, Mi, Gi, Ti (of 1024).
Quantity<std::uint64_t> ByteCountFromText(std::string_view text);

// The same back, in the largest unit of 1024 that says it exactly: "1Gi", "1500", "0".
std::string ByteCountText(std::uint64_t bytes);

// Milliseconds: a whole number with one of ms, s, m, h. A bare number is malformed: it could be any.
Quantity<std::int64_t> MillisecondsFromText(std::string_view text);

// The same back, in the largest unit that says it exactly: "1500ms", "3s", "10m", "1h", "0s".
std::string DurationText(std::int64_t ms);

// Thousandths: a percentage with at most one decimal, "1%" or "0.5%", from 0% to 100%.
Quantity<std::int64_t> PermilleFromText(std::string_view text);

// The same back: "1%", "0.5%".
std::string PercentText(std::int64_t permille);

}  // namespace walstitch
