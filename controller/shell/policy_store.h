// The policies in force, by group. Files are read again when they change on disk; a file that became
// invalid is refused whole, and what was in force stays in force. A directory that a kubelet mounts is
// exchanged as a whole (its files are links into `..data`, which is a link itself): it is read as one, never
// half of the old and half of the new. Not thread-safe.
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

  // Reads the files if any changed since the last call. True if the policies changed. Files that contradict
  // each other in a group that was ever asked for are refused as well.
  bool Refresh();

  // The policy of the group: its files merged in name order; the default policy if none is for it.
  [[nodiscard]] const TolerancePolicy& For(const std::string& group);
  // Why the files as they are now are not in force; empty if they are.
  [[nodiscard]] const std::string& Problem() const { return problem_; }

 private:
  Result<std::vector<PolicyFile>> ReadFiles() const;
  static Result<TolerancePolicy> Merge(const std::vector<PolicyFile>& files, const std::string& group);

  std::vector<std::string> paths_;
  std::string fingerprint_ = "never read";
  std::vector<PolicyFile> in_force_;
  std::map<std::string, TolerancePolicy> merged_;
  std::string problem_;
};

}  // namespace walstitch::shell
