#include "controller/cli/render_status.h"

#include "controller/cli/table.h"
#include "controller/cli/text.h"

namespace walstitch::cli {
namespace {

// How far a node is behind the master, by what both last reported.
std::string Behind(const GroupStatus& group, const NodeStatus& node) {
  if (!node.last || !node.connected || node.node == group.master) return {};
  for (const auto& other : group.nodes) {
    if (other.node != group.master || !other.last || !other.connected) continue;
    if (*node.last <= *other.last) return std::to_string(*other.last - *node.last);
    return std::to_string(*node.last - *other.last) + " ahead";
  }
  return {};
}

// A node that does not answer may be anywhere by now.
std::string Last(const NodeStatus& node) {
  if (!node.last) return {};
  return node.connected ? std::to_string(*node.last) : "was " + std::to_string(*node.last);
}

std::string Render(const GroupStatus& group) {
  std::string out = "group " + Clean(group.group) + ": ";
  out += group.master.empty() ? "no master" : "master " + Clean(group.master);
  out += ", epoch " + std::to_string(group.epoch);
  if (!group.managed.empty() && group.managed != "managed") out += ", " + Clean(group.managed);
  if (!group.policy_name.empty()) out += ", policy " + Clean(group.policy_name);
  if (!group.policy_hash.empty()) out += " (" + Clean(group.policy_hash.substr(0, 12)) + ")";
  out += "\n";

  Table nodes({{"NODE"},
               {"CONDITION"},
               {"LAST", Align::kRight},
               {"BEHIND", Align::kRight},
               {"RELAY"},
               {"PRIORITY", Align::kRight},
               {"VERSION"},
               {"AGENT"}});
  for (const auto& node : group.nodes) {
    nodes.AddRow(
        {node.node, node.condition.empty() ? "unknown" : node.condition, Last(node), Behind(group, node),
         node.relay, std::to_string(node.priority), node.version,
         node.connected ? node.agent : node.agent + (node.agent.empty() ? "" : " ") + "(not connected)"});
  }
  out += nodes.Empty() ? "  no nodes\n" : nodes.Render(2);
  // A sentence for each node that does not simply do its work.
  for (const auto& node : group.nodes) {
    const bool quiet = node.connected && (node.condition == "master" || node.condition == "following");
    if (!quiet && !node.sentence.empty()) out += "  " + Clean(node.node) + ": " + Clean(node.sentence) + "\n";
  }
  if (!group.findings.empty()) {
    out += "  findings\n";
    for (const auto& finding : group.findings) {
      out += "    " + Clean(finding.code);
      if (!finding.node.empty()) out += " (" + Clean(finding.node) + ")";
      out += ": " + Clean(finding.sentence) + "\n";
    }
  }
  if (!group.policy_error.empty()) {
    out +=
        "  the policy on disk is refused, the one before stays in force: " + Clean(group.policy_error) + "\n";
  }
  if (!group.open_decisions.empty()) {
    out += "  open " + std::string(group.open_decisions.size() == 1 ? "decision: " : "decisions: ") +
           Clean(Join(group.open_decisions)) + "\n";
  }
  if (!group.busy.empty()) out += "  now: " + Clean(group.busy) + "\n";
  return out;
}

}  // namespace

std::string RenderStatus(const std::vector<GroupStatus>& groups) {
  if (groups.empty()) return "no groups: the controller's configuration names none\n";
  std::string out;
  for (const auto& group : groups) {
    if (!out.empty()) out += "\n";
    out += Render(group);
  }
  return out;
}

}  // namespace walstitch::cli
