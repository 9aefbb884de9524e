// Policy files as the commands take them: files and directories, for one group or for all. Reads files.
#pragma once

#include <string>
#include <vector>

#include "policies/model/policy.h"
#include "policies/model/result.h"

namespace walstitch::cli {

// A policy, of one file or merged from several.
struct PolicyOfFiles {
  std::string files;
  TolerancePolicy policy;
};

// For the group: the files that are for it, merged; the default policy if none is. Without a group: all
// merged if they are for the same groups, else each by itself.
Result<std::vector<PolicyOfFiles>> LoadPolicies(const std::vector<std::string>& paths,
                                                const std::string& group);

}  // namespace walstitch::cli
