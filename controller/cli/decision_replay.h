// decisions replay: what another policy would have decided on the evidence of recorded rejoins.
#pragma once

#include <string>
#include <vector>

#include "controller/cli/console.h"
#include "controller/cli/controller_client.h"
#include "controller/core/reconsider.h"
#include "policies/model/policy.h"

namespace walstitch::cli {

struct DecisionReplayOptions {
  std::string id;                     // or "latest"; empty: every rejoin on record
  std::vector<std::string> policies;  // files or directories
  std::string group;                  // only of this group; with an id: of no use
  std::string file;                   // what `decisions export` wrote; empty: the controller's log
  bool check = false;                 // kNo if a verdict would be another
};

ExitCode ReplayDecisionsCommand(const Console& console, const ControllerClient& controller,
                                const DecisionReplayOptions& options);

// For people. Pure.
std::string RenderReconsidered(const core::Reconsidered& rejoin, const TolerancePolicy& policy);
std::string RenderTrial(const core::Trial& trial);

}  // namespace walstitch::cli
