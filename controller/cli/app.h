// The command line: what may be typed, and which command it is. Everything that a command needs from
// outside comes in here, so that tests run it without a process or a controller.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "controller/cli/controller_client.h"
#include "controller/cli/exit_code.h"

namespace walstitch::cli {

// `arguments` without the program's name. Never throws; says its one sentence on `error` itself.
// `person_looks`: `error` is a terminal, so what takes long shows its progress there.
ExitCode RunCommandLine(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& error,
                        const Fetcher& fetch, bool person_looks = false);

}  // namespace walstitch::cli
