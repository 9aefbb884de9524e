// Carries a replay out, between two agents: the one that has the salvage, and the master's, which writes.
// Runs on the controller's executor.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "controller/core/replay.h"
#include "controller/shell/agent_client.h"
#include "policies/model/policy.h"
#include "policies/model/result.h"

namespace walstitch::shell {

struct ReplayTask {
  core::ReplayOrder order;
  std::string group;
  AgentClient source;
  std::string source_url;
  AgentClient master;
  TolerancePolicy policy;  // the one in force when it began
};

// An Error: nothing was written. What goes wrong later is in the summary, with what was done until then.
boost::asio::awaitable<Result<core::ReplaySummary>> CarryOutReplay(ReplayTask task);

}  // namespace walstitch::shell
