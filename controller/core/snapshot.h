// A snapshot: everything that is known of a group at one moment, for the pure functions to look at.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "controller/core/group_state.h"
#include "controller/core/settings.h"
#include "policies/model/report.h"

namespace walstitch::core {

// How long something has been so, at the moment of the snapshot; 0: it is not so.
struct Durations {
  std::int64_t silent_ms = 0;   // nothing was heard of the agent
  std::int64_t hung_ms = 0;     // the server does not answer its agent
  std::int64_t loading_ms = 0;  // the server is loading
  std::int64_t stuck_ms = 0;    // the node stands still, and its master is ahead
};

struct NodeView {
  std::string node;
  std::int64_t priority = 0;  // higher is preferred
  std::string zone;
  bool candidate = true;               // false: the configuration says that it is never promoted
  bool connected = false;              // the agent answers
  std::optional<Report> report;        // the newest one, perhaps old
  std::optional<Sequence> known_last;  // that it was last known to hold, by whichever agent run
  bool full_sync_open = false;         // a decision for a full sync of this node is under way
  bool rejoining = false;              // a rejoin of this node is being carried out
  Durations durations;
  // How long the master's WAL will hold the node's next sequence, where that is not for ever; 0: it does not
  // any more, or may not at any moment.
  std::optional<std::int64_t> resume_left_ms;
  int resume_falls = 0;  // looks in a row at which a node that follows had less of that left than before

  // A report that can be acted on: the agent is connected and has reported.
  [[nodiscard]] const Report* Fresh() const { return connected && report ? &*report : nullptr; }
};

// The master's server was seen to be a replica, while its agent is out of reach. It takes no writes then, and
// goes on so: only a command to that agent could make it a master again.
struct SeenReplica {
  std::set<std::string> through;  // the nodes whose agents asked it, over the way their relays have to it
  bool probed = false;            // the controller asked it itself
  bool by_hand = false;           // the controller made it one itself, and saw it
};

struct GroupSnapshot {
  GroupState state;
  FailoverSettings settings;
  // What the controller's own connection to the master's server said, if it tried lately.
  std::optional<bool> master_probe;
  // The most that the master of this epoch was known to hold while it was one. Back from a crash of its
  // machine it may hold less.
  std::optional<Sequence> most_held;
  // Of the master; absent as soon as its agent is heard again.
  std::optional<SeenReplica> seen_replica;
  std::map<std::string, NodeView> nodes;

  [[nodiscard]] const NodeView* Find(const std::string& node) const {
    auto found = nodes.find(node);
    return found == nodes.end() ? nullptr : &found->second;
  }
  // The master of the present epoch, if it really is one now.
  [[nodiscard]] const NodeView* LiveMaster() const {
    const NodeView* view = Find(state.master);
    const Report* report = view == nullptr ? nullptr : view->Fresh();
    return report != nullptr && report->process == ProcessState::kUp && report->role == Role::kMaster
               ? view
               : nullptr;
  }
};

}  // namespace walstitch::core
