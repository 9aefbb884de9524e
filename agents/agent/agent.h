// The agent: the shell that ties relay, monitor, commands, WAL and API together for one node. It holds
// no opinion; it reports and obeys.
//
// One executor, run by one thread, carries the relay, the API and the timers; what blocks has threads of
// its own. Make it, Start(), run the context, and Stop() from the executor; destroy it after the context
// has stopped running and before it is destroyed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "agents/agent/config.h"
#include "agents/wal/undo.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class Agent {
 public:
  // Another planner is for the test that shows what a part of PlanUndo is for.
  Agent(boost::asio::any_io_executor executor, AgentConfig config,
        wal::UndoPlanner undo_planner = wal::PlanUndo);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Listens as a parked relay before anything else, so that a node that boots finds it.
  Result<void> Start();
  void Stop();  // idempotent

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::agent
