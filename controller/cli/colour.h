// Colours for people at a terminal. Pure. A colour only repeats what the words say.
#pragma once

#include <string>
#include <string_view>

namespace walstitch::cli {

enum class Tone { kPlain, kStrong, kGood, kWarn, kBad, kFaint };

// Whether the output is a terminal that does what escape sequences say. `term` is TERM; null: it is not set.
bool ObeysEscapes(bool terminal, const char* term);

// Whether text is coloured: `choice` is auto, always or never. auto: where the output is a terminal that
// obeys escapes, and NO_COLOR is not set, or empty. Null: the variable is not set.
bool WantsColours(std::string_view choice, bool terminal, const char* no_color, const char* term);

class Palette {
 public:
  explicit Palette(bool on = false) : on_(on) {}
  [[nodiscard]] bool On() const { return on_; }
  [[nodiscard]] std::string Paint(Tone tone, std::string_view text) const;
  // Text from elsewhere was cleaned already; this cleans once more (text.h), but for line feeds and for what
  // Paint writes.
  [[nodiscard]] std::string CleanPainted(std::string_view text) const;

 private:
  bool on_;
};

}  // namespace walstitch::cli
