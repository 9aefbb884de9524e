// Reads tolerance policies from YAML. An invalid file is refused whole, with file, line, column and
// what was expected; the caller keeps the policy in force. Pure but for LoadPolicyPaths' reading.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/model/policy.h"
#include "policies/model/result.h"

namespace walstitch {

struct PolicyFile {
  std::string path;  // as named in errors
  std::string content;
};

// Several files are merged in name order: keyspaces are appended (the first that matches wins); a
// setting given by two files with different values is an error that names both places.
Result<TolerancePolicy> ParsePolicy(std::vector<PolicyFile> files);

// Files, or directories whose *.yaml and *.yml are taken. No path at all: DefaultPolicy().
Result<TolerancePolicy> LoadPolicyPaths(const std::vector<std::string>& paths);

// Nothing may be skipped until someone says so: default fullsync.
TolerancePolicy DefaultPolicy();

// Redis' glob (*, ?, [abc], [^a-z], backslash) on raw bytes.
bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace walstitch
