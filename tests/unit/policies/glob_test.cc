#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "policies/loader.h"

namespace walstitch {
namespace {

struct GlobCase {
  std::string pattern;
  std::string text;
  bool matches;
};

TEST(Glob, SpeaksRedis) {
  const GlobCase cases[] = {
      {"page:*", "page:1", true},
      {"page:*", "page:", true},
      {"page:*", "pag", false},
      {"*", "", true},  // here Redis says no; who writes a star means every key
      {"*", "anything", true},
      {"", "", true},
      {"", "a", false},
      {"a", "", false},
      {"h?llo", "hello", true},
      {"h?llo", "hllo", false},
      {"h[ae]llo", "hallo", true},
      {"h[ae]llo", "hillo", false},
      {"h[^e]llo", "hallo", true},
      {"h[^e]llo", "hello", false},
      {"h[a-c]llo", "hbllo", true},
      {"h[c-a]llo", "hbllo", true},
      {"h[a-c]llo", "hdllo", false},
      {"[]", "a", false},
      {"[^]", "a", true},
      {"[a", "a", true},
      {"[\\]]", "]", true},
      {"[\\-]", "-", true},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\x", "x", true},
      {"a\\", "a\\", true},
      {"*a*b*c*", "xxaxxbxxcxx", true},
      {"*a*b*c*", "xxaxxcxxbxx", false},
      {"a*", "A", false},
      {"***a", "ba", true},
      {std::string("\xff*"), std::string("\xff\x00z", 3), true},
      {std::string("[\x80-\xff]"), std::string("\xc3"), true},
      {std::string("[\x80-\xff]"), std::string("a"), false},
  };
  for (const GlobCase& one : cases) {
    EXPECT_EQ(GlobMatches(one.pattern, one.text), one.matches) << one.pattern << " on " << one.text;
  }
}

TEST(Glob, ManyStarsTakeNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  // With backtracking to every star, this would outlive the universe.
  EXPECT_FALSE(GlobMatches(pattern + "b", std::string(10000, 'a')));
  EXPECT_TRUE(GlobMatches(pattern, std::string(10000, 'a')));
}

// What a glob means, star by star, without any cleverness.
bool Naive(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (Naive(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         Naive(pattern.substr(1), text.substr(1));
}

RC_GTEST_PROP(Glob, AgreesWithTheNaiveReading, ()) {
  auto pattern = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '*', '?'));
  auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b'));
  pattern.resize(std::min<std::size_t>(pattern.size(), 12));
  text.resize(std::min<std::size_t>(text.size(), 16));
  RC_ASSERT(GlobMatches(pattern, text) == Naive(pattern, text));
}

RC_GTEST_PROP(Glob, AnyBytesAreAPattern, (const std::string& pattern, const std::string& text)) {
  GlobMatches(pattern, text);
}

RC_GTEST_PROP(Glob, AnEscapedTextMatchesItselfOnly, (const std::string& text, const std::string& other)) {
  std::string pattern;
  for (char c : text) pattern += std::string("\\") + c;
  RC_ASSERT(GlobMatches(pattern, text));
  RC_ASSERT(GlobMatches(pattern, other) == (text == other));
}

}  // namespace
}  // namespace walstitch
