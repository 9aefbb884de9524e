#include "controller/cli/colour.h"

#include <algorithm>

#include "controller/cli/text.h"

namespace walstitch::cli {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

std::string_view CodeOf(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kStrong:
      return "\x1b[1m";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kWarn:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kFaint:
      return "\x1b[2m";
  }
  return "";
}

constexpr Tone kTones[] = {Tone::kStrong, Tone::kGood, Tone::kWarn, Tone::kBad, Tone::kFaint};

// One of ours at the beginning of the text; empty: none.
std::string_view OursAt(std::string_view text) {
  if (text.starts_with(kReset)) return kReset;
  for (const Tone tone : kTones) {
    if (text.starts_with(CodeOf(tone))) return CodeOf(tone);
  }
  return {};
}

}  // namespace

bool ObeysEscapes(bool terminal, const char* term) {
  return terminal && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

bool WantsColours(std::string_view choice, bool terminal, const char* no_color, const char* term) {
  if (choice != "auto") return choice == "always";
  const bool refused = no_color != nullptr && *no_color != '\0';
  return !refused && ObeysEscapes(terminal, term);
}

std::string Palette::Paint(Tone tone, std::string_view text) const {
  if (!on_ || tone == Tone::kPlain || text.empty()) return std::string(text);
  return std::string(CodeOf(tone)) + std::string(text) + std::string(kReset);
}

std::string Palette::CleanPainted(std::string_view text) const {
  if (!on_) return Clean(text, true);
  std::string out;
  while (!text.empty()) {
    const std::string_view ours = OursAt(text);
    out += ours;
    text.remove_prefix(ours.size());
    // From behind an escape that is none of ours on.
    const std::size_t end = std::min(text.find('\x1b', ours.empty() ? 1 : 0), text.size());
    out += Clean(text.substr(0, end), true);
    text.remove_prefix(end);
  }
  return out;
}

}  // namespace walstitch::cli
