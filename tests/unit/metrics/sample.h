// Numbers of a controller and an agent at two moments, for tests: while all is well, and while everything
// that can be the matter is. Every metric there is says something at one of them, and something else at the
// other.
#pragma once

#include "agents/agent/metrics.h"
#include "controller/api/metrics.h"

namespace walstitch::test {

// `records` outlives what it is given to.
api::ControllerNumbers CalmController(const core::RecordCounters& records);
api::ControllerNumbers TroubledController(const core::RecordCounters& records);

// The group is known, and nothing was decided.
core::RecordCounters NothingDecided();
// A decision of each sort that counts.
core::RecordCounters MuchDecided();

agent::AgentNumbers CalmAgent();
agent::AgentNumbers TroubledAgent();

}  // namespace walstitch::test
