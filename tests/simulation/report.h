// What a run is, in words.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/schedule.h"

namespace walstitch::simulation {

// The last `lines` of the trace; 0: all.
std::string DescribeTrace(const RunResult& result, std::size_t lines);
// Seed, invariant, and the end of the trace (none with 0).
std::string DescribeFailure(std::uint64_t seed, const RunResult& result, std::size_t lines);

}  // namespace walstitch::simulation
