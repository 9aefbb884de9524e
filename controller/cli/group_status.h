// What the controller says of its groups, as the CLI reads it: only what is shown, and leniently. A
// newer controller may know more conditions and fields than we do; that must not blind anybody.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::cli {

struct NodeStatus {
  std::string node;
  std::string agent;
  bool connected = false;
  std::int64_t priority = 0;
  std::string condition;
  std::string sentence;
  std::string zone;
  std::optional<std::string> maintenance;  // why; absent: not under maintenance
  // Of the agent's report, if there ever was one.
  std::optional<std::uint64_t> last;
  std::string relay;
  std::string version;
  bool leased = false;
  std::optional<std::int64_t> lease_left_ms;
  std::optional<std::int64_t> promised_left_ms;
  // How long its master's WAL holds what it needs next, at the present rate; absent: it lacks nothing, or
  // that is not known to be purged.
  std::optional<std::int64_t> resume_left_ms;
};

struct FindingStatus {
  std::string code;
  std::string node;  // may be empty
  std::string sentence;
  std::vector<std::string> rests_on;  // whose word it is; may be empty
};

struct PauseStatus {
  std::optional<std::int64_t> since_ms;
  std::string reason;  // may be empty
};

struct GroupStatus {
  std::string group;
  std::string managed;
  std::uint64_t epoch = 0;
  std::string master;  // empty: none
  std::string policy_name;
  std::string policy_hash;
  std::string policy_error;
  std::vector<FindingStatus> findings;
  std::vector<NodeStatus> nodes;
  std::vector<std::string> open_decisions;
  std::string busy;
  std::optional<PauseStatus> paused;
  std::optional<std::int64_t> blocked_left_ms;  // after a failover; absent: not blocked
  std::string waits;                            // what the group waits for; empty: nothing

  // Nothing is the matter: there is a master, nothing was found, and the policy loads.
  [[nodiscard]] bool Fine() const;
};

Result<GroupStatus> GroupStatusFromJson(const boost::json::value& json);

struct PlanItem {
  std::string node;
  std::string sentence;
  std::optional<Decision> decision;
};

struct GroupPlan {
  std::string group;
  std::string sentence;
  std::vector<PlanItem> items;
};

Result<GroupPlan> GroupPlanFromJson(const boost::json::value& json);

}  // namespace walstitch::cli
