// What groups, nodes, tokens and webhooks may be called. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace walstitch {

inline constexpr std::size_t kLongestName = 64;

constexpr bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

// 1 to kLongestName of them.
constexpr bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         std::all_of(text.begin(), text.end(), IsNameCharacter);
}

}  // namespace walstitch
