// decisions list, show, verify, export.
#pragma once

#include <cstdint>
#include <istream>
#include <string>

#include "controller/cli/console.h"
#include "controller/cli/controller_client.h"

namespace walstitch::cli {

struct DecisionListOptions {
  std::string group;  // empty: all
  std::string node;   // empty: all
  std::uint64_t max = 50;
};

ExitCode ListDecisionsCommand(const Console& console, const ControllerClient& controller,
                              const DecisionListOptions& options);

// By id, or a part of it that is unique; "latest" is the newest one.
ExitCode ShowDecisionCommand(const Console& console, const ControllerClient& controller,
                             const std::string& id, std::size_t max_keys);

// Walks the chain of hashes here, entry by entry: the controller's word is not taken for it. `expected`
// is a head noted down earlier ("INDEX:HASH", or empty): the chain must pass through it, which shows a
// log that was rewritten as a whole.
ExitCode VerifyLogCommand(const Console& console, const ControllerClient& controller,
                          const std::string& expected);
ExitCode VerifyFileCommand(const Console& console, std::istream& file, const std::string& path,
                           const std::string& expected);

// The raw lines, then {"head":{"index":N,"hash":"..."}} as the last one. Damage does not stop it. At a
// terminal the lines are cleaned (text.h): what a damaged log holds must not steer it.
ExitCode ExportLogCommand(const Console& console, const ControllerClient& controller, bool terminal);

}  // namespace walstitch::cli
