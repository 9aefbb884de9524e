// Redis' glob, byte by byte. Iterative: on a mismatch it goes back to the last star only (an earlier
// star could not match anything that the last one can not), so the work is at most
// pattern length x text length, also for patterns like *a*a*a*a*b.
//
// It differs from Redis in one point: `*` also matches the empty text, because who writes a star
// means every key.
#include <algorithm>
#include <cstddef>
#include <string_view>

#include "policies/loader.h"

namespace walstitch {
namespace {

unsigned char Byte(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

// Matches one byte against the pattern's element at `*at` (no star) and moves `*at` behind it.
bool MatchOne(std::string_view pattern, std::size_t* at, unsigned char byte) {
  std::size_t p = *at;
  switch (pattern[p]) {
    case '?':
      *at = p + 1;
      return true;
    case '[': {
      ++p;
      bool negated = p < pattern.size() && pattern[p] == '^';
      if (negated) ++p;
      bool found = false;
      // A class that is never closed ends with the pattern, as in Redis.
      while (p < pattern.size() && pattern[p] != ']') {
        if (pattern[p] == '\\' && p + 1 < pattern.size()) {
          found = found || Byte(pattern, p + 1) == byte;
          p += 2;
        } else if (p + 2 < pattern.size() && pattern[p + 1] == '-') {
          unsigned char low = std::min(Byte(pattern, p), Byte(pattern, p + 2));
          unsigned char high = std::max(Byte(pattern, p), Byte(pattern, p + 2));
          found = found || (byte >= low && byte <= high);
          p += 3;
        } else {
          found = found || Byte(pattern, p) == byte;
          p += 1;
        }
      }
      *at = std::min(p + 1, pattern.size());
      return found != negated;
    }
    case '\\':
      if (p + 1 < pattern.size()) ++p;
      break;
  }
  *at = p + 1;
  return Byte(pattern, p) == byte;
}

}  // namespace

bool GlobMatches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  bool star = false;
  std::size_t after_star = 0;  // the pattern behind the last star
  std::size_t star_end = 0;    // the last star's match ends here, for now
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = true;
      after_star = ++p;
      star_end = t;
      continue;
    }
    if (p < pattern.size()) {
      std::size_t next = p;
      if (MatchOne(pattern, &next, Byte(text, t))) {
        p = next;
        ++t;
        continue;
      }
    }
    if (!star) return false;
    p = after_star;
    t = ++star_end;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace walstitch
