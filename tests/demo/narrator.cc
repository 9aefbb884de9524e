#include "tests/demo/narrator.h"

#include <unistd.h>

#include <csignal>
#include <sstream>

#include "controller/cli/text.h"

namespace walstitch::demo {
namespace {

constexpr size_t kWidth = 98;

volatile std::sig_atomic_t interrupted = 0;

void Note(int) { interrupted = 1; }

}  // namespace

// A handler, not a mask: a mask would be inherited by every process that is started.
void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = Note;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

bool WasInterrupted() { return interrupted != 0; }

void ThrowIfInterrupted() {
  if (WasInterrupted()) throw Interrupted();
}

std::string Wrap(const std::string& text, const std::string& first, size_t width) {
  std::istringstream words(text);
  std::string out;
  std::string line = first;
  bool empty = true;
  for (std::string word; words >> word; empty = false) {
    if (!empty && cli::Width(line) + 1 + cli::Width(word) > width) {
      out += line + "\n";
      line.assign(first.size(), ' ');
      empty = true;
    }
    line += (empty ? "" : " ") + word;
  }
  return out + line + "\n";
}

Narrator::Narrator(bool silent) : silent_(silent), bold_(::isatty(STDOUT_FILENO) == 1) {}

void Narrator::Print(const std::string& text) {
  ThrowIfInterrupted();
  if (silent_) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Narrator::Title(const std::string& text) {
  const std::string line(cli::Width(text), '=');
  Print(bold_ ? "\n\033[1m" + text + "\n" + line + "\033[0m\n" : "\n" + text + "\n" + line + "\n");
}

void Narrator::Say(const std::string& text) { Print("\n" + Wrap(text, "", kWidth)); }

void Narrator::Point(const std::string& text) { Print(Wrap(text, "  - ", kWidth)); }

void Narrator::Show(const std::string& lines) {
  std::istringstream in(lines);
  std::string out;
  for (std::string line; std::getline(in, line);) out += line.empty() ? "\n" : "  " + line + "\n";
  Print(out);
}

}  // namespace walstitch::demo
