// A snapshot: everything that is known of a group at one moment, for the pure functions to look at.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "controller/core/group_state.h"
#include "policies/model/report.h"

namespace walstitch::core {

struct NodeView {
  std::string node;
  std::int64_t priority = 0;     // higher is preferred
  bool connected = false;        // the agent answers
  std::optional<Report> report;  // the newest one, perhaps old
  bool full_sync_open = false;   // a decision for a full sync of this node is under way

  // A report that can be acted on: the agent is connected and has reported.
  [[nodiscard]] const Report* Fresh() const { return connected && report ? &*report : nullptr; }
};

struct GroupSnapshot {
  GroupState state;
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
