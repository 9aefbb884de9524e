#include "controller/cli/watch.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

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

// A character, as Width counts it, and the colour that it has; empty: none.
struct Cell {
  std::string_view bytes;
  std::string_view colour;
};

std::vector<Cell> CellsOf(std::string_view line) {
  std::vector<Cell> cells;
  std::string_view colour;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '\x1b') {
      const std::size_t end = std::min(line.find('m', at), line.size() - 1) + 1;
      colour = line.substr(at, end - at);
      if (colour == kPlain) colour = {};
      at = end;
      continue;
    }
    std::size_t length = 1;
    while (at + length < line.size() && (static_cast<unsigned char>(line[at + length]) & 0xc0) == 0x80) {
      ++length;
    }
    cells.push_back({line.substr(at, length), colour});
    at += length;
  }
  return cells;
}

std::string Painted(std::span<const Cell> cells) {
  std::string out;
  std::string_view colour;
  for (const Cell& cell : cells) {
    if (cell.colour != colour) {
      if (!colour.empty()) out += kPlain;
      out += cell.colour;
      colour = cell.colour;
    }
    out += cell.bytes;
  }
  return colour.empty() ? out : out + std::string(kPlain);
}

bool IsBlank(const Cell& cell) { return cell.bytes == " "; }

// Rows are broken at blanks, and within a word only where it fills a row by itself.
void AddRows(std::string_view line, std::size_t columns, std::vector<std::string>* rows) {
  const std::vector<Cell> cells = CellsOf(line);
  const auto text = std::find_if_not(cells.begin(), cells.end(), IsBlank);
  const std::size_t leading = static_cast<std::size_t>(text - cells.begin());
  const std::size_t indent = std::min(leading + 2, columns / 2);
  std::size_t from = 0;
  do {
    const std::size_t room = from == 0 ? columns : columns - indent;
    std::size_t to = std::min(cells.size(), from + room);
    if (to < cells.size()) {
      std::size_t blank = to;
      while (blank > std::max(from, leading) && !IsBlank(cells[blank])) --blank;
      if (blank > std::max(from, leading)) to = blank;
    }
    rows->push_back((from == 0 ? "" : std::string(indent, ' ')) +
                    Painted(std::span(cells).subspan(from, to - from)));
    from = to;
    while (from < cells.size() && IsBlank(cells[from])) ++from;
  } while (from < cells.size());
}

}  // namespace

std::string FitToScreen(const std::string& text, ScreenSize size, const std::string& remedy) {
  std::vector<std::string> rows;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    AddRows(std::string_view(text).substr(at, end - at), std::max<std::size_t>(size.columns, 1), &rows);
    at = end + 1;
  }
  const std::size_t room = std::max<std::size_t>(size.rows, 1) - 1;
  if (rows.size() > room && room > 0) {
    const std::string more = "… " + Count(rows.size() - (room - 1), "more line") + ": " + remedy;
    rows.resize(room - 1);
    const std::vector<Cell> cells = CellsOf(more);
    rows.push_back(Painted(std::span(cells).first(std::min(cells.size(), size.columns))));
  }
  rows.resize(std::min(rows.size(), room));
  std::string out;
  for (const std::string& row : rows) out += row + "\n";
  return out;
}

ExitCode WatchStatusCommand(const Console& console, const ControllerClient& controller,
                            const std::string& group, std::chrono::milliseconds interval,
                            const Terminal& terminal) {
  if (terminal.until_ended) terminal.until_ended();
  const bool redraw = ObeysEscapes(terminal.out, std::getenv("TERM")) && !console.json;
  const std::string remedy =
      group.empty() ? "walstitch status GROUP --watch, or a larger window" : "a larger window shows them";
  std::string last;           // what was shown
  std::int64_t last_ms = 0;   // and when; 0: never
  std::string complained_of;  // on stderr, once
  bool first = true;
  do {
    const std::int64_t now_ms = terminal.unix_ms();
    auto look = LookAtStatus(controller, group, kPatience);
    std::string trouble;
    if (look) {
      if (redraw) {
        // What does not fit on the screen should be what is least worth looking at.
        std::stable_partition(look->groups.begin(), look->groups.end(),
                              [](const GroupStatus& status) { return !status.Fine(); });
      }
      last = look->Text(console);
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
      // Behind a row that fills the screen's width the cursor stays on its last character, which kRestOfLine
      // would clear.
      ScreenSize size = terminal.size();
      size.columns -= size.columns > 1 ? 1 : 0;
      text = FitToScreen(console.palette.CleanPainted(text + "\n" + last), size, remedy);
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
  return console.out.good() ? ExitCode::kDone : ExitCode::kNo;
}

}  // namespace walstitch::cli
