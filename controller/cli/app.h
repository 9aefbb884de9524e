// The command line: what may be typed, and which command it is. Everything that a command needs from
// outside comes in here, so that tests run it without a process or a controller.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "controller/cli/controller_client.h"
#include "controller/cli/exit_code.h"
#include "controller/cli/watch.h"
#include "policies/command_line/words.h"

namespace walstitch::cli {

// `arguments` without the program's name. Never throws; says its one sentence on `error` itself.
// `terminal` says what is behind `out` and `error`. Of the environment it reads what walstitch(1) names.
ExitCode RunCommandLine(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& error,
                        const Fetcher& fetch, const Terminal& terminal = {});

// What may be typed: all commands with their arguments and options, but the hidden ones.
CommandWords DescribeCommandLine();

}  // namespace walstitch::cli
