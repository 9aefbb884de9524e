// Crash points for tests: where the environment variable WALSTITCH_CRASH_AT names one, the process ends
// there at once, as by kill -9. "after-decision": the decision is durable, nothing was done.
// "before-outcome": everything was done, the outcome is not written.
#pragma once

#include <string_view>

namespace walstitch::shell {

void FaultPoint(std::string_view name);

}  // namespace walstitch::shell
