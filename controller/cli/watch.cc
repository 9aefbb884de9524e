#include "controller/cli/watch.h"

#include <algorithm>
#include <boost/json.hpp>

#include "controller/cli/group_commands.h"
#include "controller/cli/text.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

// A look that takes longer is as good as none.
constexpr std::chrono::seconds kPatience{5};

constexpr std::string_view kEmptyScreen = "\x1b[2J";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kRestOfLine = "\x1b[K";
constexpr std::string_view kRestOfScreen = "\x1b[J";
constexpr std::string_view kPlain = "\x1b[0m";

// How much of the line fits, and whether a colour is left on there.
std::string CutLine(std::string_view line, std::size_t columns) {
  std::string out;
  std::size_t width = 0;
  bool painted = false;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '\x1b') {
      const std::size_t end = std::min(line.find('m', at), line.size() - 1);
      const std::string_view code = line.substr(at, end + 1 - at);
      painted = code != kPlain;
      out += code;
      at = end + 1;
      continue;
    }
    std::size_t length = 1;  // of a character, as Width counts it
    while (at + length < line.size() && (static_cast<unsigned char>(line[at + length]) & 0xc0) == 0x80) {
      ++length;
    }
    if (width == columns) break;
    out += line.substr(at, length);
    ++width;
    at += length;
  }
  return painted ? out + std::string(kPlain) : out;
}

}  // namespace

std::string FitToScreen(const std::string& text, ScreenSize size) {
  std::string out;
  std::size_t rows = 0;
  for (std::size_t at = 0; at < text.size() && rows + 1 < size.rows; ++rows) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out += CutLine(std::string_view(text).substr(at, end - at), size.columns) + "\n";
    at = end + 1;
  }
  return out;
}

ExitCode WatchStatusCommand(const Console& console, const ControllerClient& controller,
                            const std::string& group, std::chrono::milliseconds interval,
                            const Terminal& terminal) {
  if (terminal.until_ended) terminal.until_ended();
  const bool redraw = terminal.out && !console.json;
  std::string last;           // what was shown
  std::int64_t last_ms = 0;   // and when; 0: never
  std::string complained_of;  // on stderr, once
  bool first = true;
  do {
    const std::int64_t now_ms = terminal.unix_ms();
    auto look = LookAtStatus(console, controller, group, kPatience);
    std::string trouble;
    if (look) {
      last = look->text;
      last_ms = now_ms;
    } else {
      const ExitCode code = look.error().code;
      if (last_ms == 0 && code != ExitCode::kUnreachable) return Complain(console, look.error());
      trouble = look.error().sentence;
    }
    if (redraw) {
      std::string text =
          console.palette.Paint(Tone::kFaint, FormatTime(now_ms).substr(0, 19) + " UTC, every " +
                                                  FormatDuration(interval.count()) + "; Ctrl-C ends it") +
          "\n";
      if (!trouble.empty()) {
        text += console.palette.Paint(Tone::kBad, Clean(trouble)) + "\n";
        if (last_ms > 0) text += "as it was at " + FormatTime(last_ms).substr(0, 19) + " UTC:\n";
      }
      text = FitToScreen(console.palette.CleanPainted(text + "\n" + last), terminal.size());
      std::string frame(first ? kEmptyScreen : "");
      frame += kHome;
      for (const char c : text) {
        if (c == '\n') frame += kRestOfLine;
        frame += c;
      }
      console.out << frame << kRestOfScreen;
    } else if (!trouble.empty()) {
      if (trouble != complained_of) (void)Complain(console, look.error());
    } else if (console.json) {
      console.out << Dump(look->answer) << "\n";
    } else {
      console.Print((first ? "" : "\n") + FormatTime(now_ms) + "\n" + last);
    }
    complained_of = trouble;
    if (redraw || look) first = false;
    console.out.flush();
    if (!console.out.good()) return ExitCode::kNo;  // nobody reads any more
  } while (terminal.wait(interval));
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
