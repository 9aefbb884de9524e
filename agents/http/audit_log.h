// Where lines of the audit go: to the log of the process.
#pragma once

#include <functional>
#include <string>

namespace walstitch::http {

// Writes to wherever the default logger of this moment writes, in its pattern, whatever `logLevel` leaves
// out: who changed something is to be known even where nothing but errors is logged. Thread-safe.
std::function<void(const std::string& line)> AuditToLog();

}  // namespace walstitch::http
