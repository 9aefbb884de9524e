// A line of the decision log as text that an API server takes: as it is, or compressed where it is long, for
// lists of keys repeat themselves and etcd takes 1.5 MiB at most. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace walstitch::shell {

// Shorter ones stay as they are, for people to read.
inline constexpr std::size_t kLongLine = 64 << 10;

std::string PackLine(const std::string& line);          // "zstd:" and base64, or the line
Result<std::string> UnpackLine(std::string_view text);  // kDamaged: it was not packed by PackLine

}  // namespace walstitch::shell
