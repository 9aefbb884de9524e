// The policies in force, by group. Files are read again when they change on disk; a file that became
// invalid is refused whole, and what was in force stays in force. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policies/loader.h"
#include "policies/model/policy.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class PolicyStore {
 public:
  // Files or directories (*.yaml, *.yml). None: the default policy for every group.
  explicit PolicyStore(std::vector<std::string> paths);

  // Reads the files if any changed since the last call. True if the policies changed.
  bool Refresh();

  // The policy of the group: its files merged in name order; the default policy if none is for it.
  [[nodiscard]] const TolerancePolicy& For(const std::string& group);
  // Why the files as they are now are not in force; empty if they are.
  [[nodiscard]] const std::string& Problem() const { return problem_; }

 private:
  Result<std::vector<PolicyFile>> ReadFiles() const;

  std::vector<std::string> paths_;
  std::string fingerprint_ = "never read";
  std::vector<PolicyFile> in_force_;
  std::map<std::string, TolerancePolicy> merged_;
  std::string problem_;
};

}  // namespace walstitch::shell
