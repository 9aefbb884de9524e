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

// For how long the master may go on by itself. Of a node that does not answer, only the grantor counts.
std::string Lease(const NodeStatus& node) {
  if (!node.connected) return {};
  if (node.lease_left_ms) return *node.lease_left_ms > 0 ? FormatDuration(*node.lease_left_ms) : "over";
  return node.leased && node.condition == "master" ? "none" : "";
}

std::string Because(const std::string& reason) { return reason.empty() ? "" : ": " + Clean(reason); }

// What keeps the group from acting by itself.
std::string RenderHolds(const GroupStatus& group, const Palette& palette) {
  std::string out;
  if (group.paused) {
    out += "  " + palette.Paint(Tone::kWarn, "paused");
    if (group.paused->since_ms) out += " since " + FormatTime(*group.paused->since_ms);
    out += Because(group.paused->reason) + "\n";
  }
  if (group.blocked_left_ms && *group.blocked_left_ms > 0) {
    out += "  " + palette.Paint(Tone::kWarn, "blocked:") + " not failed over again for " +
           FormatDuration(*group.blocked_left_ms) + "\n";
  }
  if (!group.waits.empty()) {
    out += "  " + palette.Paint(Tone::kWarn, "waits:") + " " + Clean(group.waits) + "\n";
  }
  return out;
}

// Of a condition that a newer controller has, nothing is known.
Tone ToneOf(const NodeStatus& node) {
  const std::string& word = node.condition;
  if (word == "master" || word == "following") return node.connected ? Tone::kGood : Tone::kBad;
  if (word == "parked" || word == "down" || word == "hung" || word == "unreachable") return Tone::kBad;
  for (const char* passing : {"comparing", "splicing", "full sync", "loading", "direct"}) {
    if (word == passing) return Tone::kWarn;
  }
  return Tone::kPlain;
}

std::string Render(const GroupStatus& group, const Palette& palette) {
  std::string out = palette.Paint(Tone::kStrong, "group " + Clean(group.group)) + ": ";
  out += group.master.empty() ? palette.Paint(Tone::kBad, "no master") : "master " + Clean(group.master);
  out += ", epoch " + std::to_string(group.epoch);
  if (!group.managed.empty() && group.managed != "managed") out += ", " + Clean(group.managed);
  if (!group.policy_name.empty()) out += ", policy " + Clean(group.policy_name);
  if (!group.policy_hash.empty()) out += " (" + Clean(group.policy_hash.substr(0, 12)) + ")";
  out += "\n" + RenderHolds(group, palette);

  Table nodes({{"NODE"},
               {"CONDITION"},
               {"LAST", Align::kRight},
               {"BEHIND", Align::kRight},
               {"RELAY"},
               {"LEASE", Align::kRight},
               {"PRIORITY", Align::kRight},
               {"ZONE"},
               {"VERSION"},
               {"AGENT"}});
  for (const auto& node : group.nodes) {
    nodes.AddRow(
        {node.node, node.condition.empty() ? "unknown" : node.condition, Last(node), Behind(group, node),
         node.relay, Lease(node), std::to_string(node.priority), node.zone, node.version,
         node.connected ? node.agent : node.agent + (node.agent.empty() ? "" : " ") + "(not connected)"},
        {Tone::kPlain, ToneOf(node)});
  }
  out += nodes.Empty() ? "  no nodes\n" : nodes.Render(2, palette);
  // A sentence for each node that does not simply do its work.
  for (const auto& node : group.nodes) {
    const bool quiet = node.connected && (node.condition == "master" || node.condition == "following");
    const std::string begin = "  " + Clean(node.node) + ": ";
    if (!quiet && !node.sentence.empty()) out += begin + Clean(node.sentence) + "\n";
    if (node.resume_left_ms) {
      out += begin + "the WAL of " + Clean(group.master) + " holds what it needs next " +
             (*node.resume_left_ms == 0 ? "no longer, or perhaps not for long"
                                        : "for " + FormatDuration(*node.resume_left_ms) + " yet") +
             "\n";
    }
    if (node.maintenance) out += begin + "under maintenance" + Because(*node.maintenance) + "\n";
    if (node.connected && node.promised_left_ms && *node.promised_left_ms > 0) {
      out += begin + "has promised the master to refuse promotions, for " +
             FormatDuration(*node.promised_left_ms) + " yet\n";
    }
  }
  if (!group.findings.empty()) {
    out += "  findings\n";
    for (const auto& finding : group.findings) {
      out += "    " + palette.Paint(Tone::kWarn, Clean(finding.code));
      if (!finding.node.empty()) out += " (" + Clean(finding.node) + ")";
      out += ": " + Clean(finding.sentence);
      if (!finding.rests_on.empty()) out += " [" + Clean(Join(finding.rests_on)) + "]";
      out += "\n";
    }
  }
  if (!group.policy_error.empty()) {
    out += "  " + palette.Paint(Tone::kBad, "the policy on disk is refused") +
           ", the one before stays in force: " + Clean(group.policy_error) + "\n";
  }
  if (!group.open_decisions.empty()) {
    out += "  open " + std::string(group.open_decisions.size() == 1 ? "decision: " : "decisions: ") +
           Clean(Join(group.open_decisions)) + "\n";
  }
  if (!group.busy.empty()) out += "  now: " + Clean(group.busy) + "\n";
  return out;
}

}  // namespace

std::string RenderStatus(const std::vector<GroupStatus>& groups, const Palette& palette) {
  if (groups.empty()) return "no groups: the controller's configuration names none\n";
  std::string out;
  for (const auto& group : groups) {
    if (!out.empty()) out += "\n";
    out += Render(group, palette);
  }
  return out;
}

}  // namespace walstitch::cli
