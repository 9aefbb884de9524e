// The file system that holds the node's data. Blocks: a disk that is gone may take its time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::agent {

Result<DiskReport> ReadDisk(const std::string& directory);

// Whether the file system that holds `path` (absolute, without symbolic links) is itself read-only, by the
// text of /proc/self/mountinfo (proc_pid_mountinfo(5)): the options of the super block, not those of this
// mount. An agent has the data mounted read-only, and its server writes to them all the same. nullopt: it
// does not tell.
std::optional<bool> FileSystemReadOnly(std::string_view mountinfo, const std::string& path);

}  // namespace walstitch::agent
