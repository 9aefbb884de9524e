// `walstitch status --watch`: the status again and again. On a terminal each look takes the place of the one
// before; elsewhere it is written behind it, with its time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "controller/cli/console.h"
#include "controller/cli/controller_client.h"

namespace walstitch::cli {

struct ScreenSize {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

// What a command sees of the terminal that it runs at, or of the file or pipe in its place.
struct Terminal {
  bool out = false;                   // answers go to one
  bool error = false;                 // so does the rest: what takes long shows its progress there
  std::function<ScreenSize()> size;   // of it; may change
  std::function<void()> until_ended;  // Ctrl-C ends the program with 0 from here on
  // Between two looks; false: that was enough, or, where the output is bad by then, nobody reads any more.
  std::function<bool(std::chrono::milliseconds)> wait;
  std::function<std::int64_t()> unix_ms;
};

// The text as the screen shows it above its last line. A line that is too long goes on in the next row,
// further in; what goes beyond the last row is counted there, and `remedy` says how to see it. Pure.
std::string FitToScreen(const std::string& text, ScreenSize size, const std::string& remedy);

// Until it is ended. A controller that is away is looked for again, and what was known last stays on the
// screen. kNo: nobody reads any more. What is wrong with the first question ends it.
ExitCode WatchStatusCommand(const Console& console, const ControllerClient& controller,
                            const std::string& group, std::chrono::milliseconds interval,
                            const Terminal& terminal);

}  // namespace walstitch::cli
