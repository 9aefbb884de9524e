// policy check, policy explain.
#pragma once

#include <string>
#include <vector>

#include "controller/cli/console.h"

namespace walstitch::cli {

// Each file by itself, then merged as the controller merges: the files that are for one group. Without
// a group they are merged if they are all for the same groups. kNo: the policy is invalid; kUsage: a
// file cannot be read.
ExitCode CheckPolicyCommand(const Console& console, const std::vector<std::string>& paths,
                            const std::string& group);

struct ExplainOptions {
  std::vector<std::string> paths;
  std::string key;                     // as typed: \xHH stands for a byte
  std::string name_space = "default";  // the same
  std::string type;                    // empty: not known
  std::string group;                   // empty: whatever groups the files are for
};

ExitCode ExplainPolicyCommand(const Console& console, const ExplainOptions& options);

// Text as typed on a command line: \xHH and \\ are bytes and a backslash, everything else is itself.
Result<std::string> BytesFromTyped(std::string_view text);

}  // namespace walstitch::cli
