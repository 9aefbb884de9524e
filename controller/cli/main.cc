#include <poll.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>

#include "controller/cli/app.h"

namespace {

// Nothing is left half-written: each look is flushed as a whole. On a terminal the prompt gets a line of its
// own.
void EndQuietly(int) {
  if (::isatty(STDOUT_FILENO) == 1) {
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, "\n", 1);
  }
  ::_exit(0);
}

walstitch::cli::Terminal ThisTerminal() {
  walstitch::cli::Terminal terminal;
  terminal.out = ::isatty(STDOUT_FILENO) == 1;
  terminal.error = ::isatty(STDERR_FILENO) == 1;
  terminal.size = [] {
    walstitch::cli::ScreenSize size;
    winsize window{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0 && window.ws_col > 0) {
      size = {window.ws_row, window.ws_col};
    }
    return size;
  };
  terminal.until_ended = [] {
    std::signal(SIGINT, EndQuietly);
    std::signal(SIGTERM, EndQuietly);
  };
  // 1. `walstitch status --watch | head -1`, and the controller is away: nothing is written. 2. head has seen
  // enough and ends. 3. No write fails, so nobody would tell; but poll sees a pipe that is read no more.
  terminal.wait = [](std::chrono::milliseconds time) {
    pollfd output{STDOUT_FILENO, 0, 0};
    if (::poll(&output, 1, static_cast<int>(time.count())) <= 0) return true;
    std::cout.setstate(std::ios::badbit);
    return false;
  };
  terminal.unix_ms = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  };
  return terminal;
}

}  // namespace

int main(int argc, char** argv) {
  // hiredis writes without MSG_NOSIGNAL; and `walstitch ... | head` is no reason to die unheard.
  std::signal(SIGPIPE, SIG_IGN);
  // What others log, a certificate that is about to expire say, is no part of the output.
  spdlog::set_default_logger(spdlog::stderr_color_st("walstitch"));
  spdlog::set_pattern("walstitch: %l: %v");
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto code = walstitch::cli::RunCommandLine(arguments, std::cout, std::cerr,
                                                   walstitch::http::FetchBlocking, ThisTerminal());
  std::cout.flush();
  if (!std::cout && code == walstitch::cli::ExitCode::kDone) {
    std::cerr << "walstitch: the output could not be written\n";
    return static_cast<int>(walstitch::cli::ExitCode::kNo);
  }
  return static_cast<int>(code);
}
