// status, plan, failover, switchover, adopt, release, pause, resume, unblock, maintenance.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "controller/cli/console.h"
#include "controller/cli/controller_client.h"
#include "controller/cli/group_status.h"

namespace walstitch::cli {

// One look at all groups, or at one.
struct StatusLook {
  boost::json::object answer;
  std::vector<GroupStatus> groups;
  std::string notes;  // for people, a line each

  // Of notes and groups; painted with the console's palette.
  [[nodiscard]] std::string Text(const Console& console) const;
};
Answer<StatusLook> LookAtStatus(const ControllerClient& controller, const std::string& group,
                                std::chrono::milliseconds timeout);

// All groups, or one. With `check`, kNo unless every one of them is fine.
ExitCode StatusCommand(const Console& console, const ControllerClient& controller, const std::string& group,
                       bool check);

// For completions: the names of all "groups", or of the "nodes" of one or of all, one in each line. A name
// that a shell would read as more than a word is left out.
ExitCode NamesCommand(const Console& console, const ControllerClient& controller, const std::string& what,
                      const std::string& group);

// kUnknown if the verdict for some node would be hold, kNo if something would be refused.
ExitCode PlanCommand(const Console& console, const ControllerClient& controller, const std::string& group);

struct RoleChange {
  std::string verb;  // "failover", "switchover", "adopt", "release"
  std::string group;
  std::string to;  // empty: the controller chooses
  bool force = false;
  bool dry_run = false;
  bool no_rescue = false;
  std::optional<std::chrono::milliseconds> deadline;
};

// By the outcome on record: done, failed (kNo), unknown or none (kUnknown).
ExitCode RoleChangeCommand(const Console& console, const ControllerClient& controller,
                           const RoleChange& change);

// What a group, or a node of it, is told to be: it moves nobody's role.
struct GroupOrder {
  std::string verb;  // "pause", "resume", "unblock", "maintenance"
  std::string group;
  std::string reason;  // pause, maintenance; may be empty
  std::string node;    // maintenance
  bool on = false;     // maintenance
};

// By the outcome on record, as above.
ExitCode GroupOrderCommand(const Console& console, const ControllerClient& controller,
                           const GroupOrder& order);

}  // namespace walstitch::cli
