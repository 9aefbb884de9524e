// The voice of the demo: titles, paragraphs and points, wrapped for a terminal of 100 columns. Plain text;
// titles are bold on a terminal. A silent one says nothing (`--output json`).
//
// Each method also is the place where Ctrl-C is noticed: it throws Interrupted, so that everything that was
// started ends, and every file goes. Not thread-safe.
#pragma once

#include <cstdio>
#include <string>

namespace walstitch::demo {

// Ctrl-C, or SIGTERM.
struct Interrupted {};

// From here on both set a flag. Call it once, before anything is started.
void CatchInterrupts();
bool WasInterrupted();
void ThrowIfInterrupted();

class Narrator {
 public:
  explicit Narrator(bool silent);

  // A line of its own, underlined, with a blank line before it.
  void Title(const std::string& text);
  // A paragraph, and a blank line before it.
  void Say(const std::string& text);
  // "  - text", wrapped under itself.
  void Point(const std::string& text);
  // Lines as they are (a table), each indented by two.
  void Show(const std::string& lines);

 private:
  void Print(const std::string& text);

  bool silent_;
  bool bold_;
};

// Breaks at blanks. The first line begins with `first`, the others with as many blanks.
std::string Wrap(const std::string& text, const std::string& first, size_t width);

}  // namespace walstitch::demo
