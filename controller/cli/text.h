// Small pieces of text for people: times, durations, counts. Pure; a time comes in as an argument.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::cli {

// Unix milliseconds -> "2025-11-22 03:04:05.678 UTC". UTC only: a record is read by people in several
// places. A time that is out of range is given as the number it is.
std::string FormatTime(std::int64_t unix_ms);

// "112 ms", "1.5 s", "2 min 5 s", "3 h 20 min", "3 h", "2 d 4 h". Cut off, not rounded.
std::string FormatDuration(std::int64_t ms);

// "500ms", "5s", "2m", "1h" (a bare number is refused: it could be either). More than 0, at most a day.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// "1 record", "2 records"; `plural` where an s does not do: Count(2, "batch", "batches").
std::string Count(std::uint64_t number, std::string_view singular, std::string_view plural = {});

// A raw namespace for people: Kvrocks' "__namespace" is "default".
std::string ShowNamespace(std::string_view name_space);

// Text from elsewhere must not steer the terminal: control characters become \xHH (a line feed, too,
// unless it is to be kept). UTF-8 stays as it is; bytes that are no UTF-8 become \xHH.
std::string Clean(std::string_view text, bool keep_line_feeds = false);

// As many columns as a terminal takes for it, near enough: one per code point.
std::size_t Width(std::string_view text);

// "a, b, c"
std::string Join(const std::vector<std::string>& parts, std::string_view separator = ", ");

}  // namespace walstitch::cli
