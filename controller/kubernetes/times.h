// Times as Kubernetes' API writes them (RFC 3339, UTC). Pure.
#pragma once

#include <cstdint>
#include <string>

namespace walstitch::kubernetes {

std::string TimeText(std::int64_t unix_ms);       // "2026-11-26T12:00:00Z": Time
std::string MicroTimeText(std::int64_t unix_us);  // "2026-11-26T12:00:00.000000Z": MicroTime, as in a Lease

}  // namespace walstitch::kubernetes
