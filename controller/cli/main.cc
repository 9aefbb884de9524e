#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "controller/cli/app.h"

int main(int argc, char** argv) {
  // hiredis writes without MSG_NOSIGNAL; and `walstitch ... | head` is no reason to die unheard.
  std::signal(SIGPIPE, SIG_IGN);
  // What others log, a certificate that is about to expire say, is no part of the output.
  spdlog::set_default_logger(spdlog::stderr_color_st("walstitch"));
  spdlog::set_pattern("walstitch: %l: %v");
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto code = walstitch::cli::RunCommandLine(
      arguments, std::cout, std::cerr, walstitch::http::FetchBlocking, ::isatty(STDERR_FILENO) == 1);
  std::cout.flush();
  if (!std::cout && code == walstitch::cli::ExitCode::kDone) {
    std::cerr << "walstitch: the output could not be written\n";
    return static_cast<int>(walstitch::cli::ExitCode::kNo);
  }
  return static_cast<int>(code);
}
