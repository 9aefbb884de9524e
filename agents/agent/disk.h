// The file system that holds the node's data. Blocks: a disk that is gone may take its time.
#pragma once

#include <string>

#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::agent {

Result<DiskReport> ReadDisk(const std::string& directory);

}  // namespace walstitch::agent
