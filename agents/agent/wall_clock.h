// The time that people and files have: unix milliseconds. It is set and steps; durations are taken elsewhere.
#pragma once

#include <cstdint>

namespace walstitch::agent {

std::int64_t UnixMs();

}  // namespace walstitch::agent
