#include "controller/sentinel/events.h"

namespace walstitch::sentinel {

namespace {

std::string AddressOf(const NodeSeen& node) {
  return node.endpoint.host + " " + std::to_string(node.endpoint.port);
}

std::string MasterText(const GroupSeen& group, const NodeSeen& master) {
  return "master " + group.name + " " + AddressOf(master);
}

std::string ReplicaText(const GroupSeen& group, const NodeSeen& replica) {
  std::string text = "slave " + replica.endpoint.ToString() + " " + AddressOf(replica) + " @ " + group.name;
  if (const NodeSeen* master = group.Master()) text += " " + AddressOf(*master);
  return text;
}

bool HasAddress(const NodeSeen* node) { return node != nullptr && node->endpoint.port != 0; }

// True if the group has another master now, of which the replicas are, too.
bool TellOfMaster(const GroupSeen& before, const GroupSeen& now, std::vector<Event>& events) {
  const NodeSeen* old = before.Master();
  const NodeSeen* usable = now.UsableMaster();
  const NodeSeen* shown = now.Master();
  if (usable != nullptr && (!HasAddress(old) || old->endpoint != usable->endpoint)) {
    // Of a group that had none, whoever waits for one is told as well.
    const NodeSeen& from = HasAddress(old) ? *old : *usable;
    events.push_back({"+failover-end", MasterText(now, from)});
    events.push_back({"+switch-master", now.name + " " + AddressOf(from) + " " + AddressOf(*usable)});
    return true;
  }
  if (!HasAddress(shown)) return false;
  const bool was = before.UsableMaster() != nullptr;
  const bool is = usable != nullptr;
  if (was && !is) {
    events.push_back({"+sdown", MasterText(now, *shown)});
    events.push_back({"+odown", MasterText(now, *shown) + " #quorum 1/1"});
  }
  if (!before.changing && now.changing) events.push_back({"+try-failover", MasterText(now, *shown)});
  if (!was && is) {
    events.push_back({"-sdown", MasterText(now, *shown)});
    events.push_back({"-odown", MasterText(now, *shown)});
  }
  return false;
}

void TellOfReplicas(const GroupSeen& before, const GroupSeen& now, bool switched,
                    std::vector<Event>& events) {
  for (const auto& [name, node] : now.nodes) {
    if (name == now.master || !HasAddress(&node)) continue;
    const auto found = before.nodes.find(name);
    const NodeSeen* old = found == before.nodes.end() ? nullptr : &found->second;
    const std::string text = ReplicaText(now, node);
    const bool is_new = switched || !HasAddress(old) || old->endpoint != node.endpoint;
    if (is_new) events.push_back({"+slave", text});
    const bool was_usable = is_new || old->usable;
    if (was_usable && !node.usable) events.push_back({"+sdown", text});
    if (!was_usable && node.usable) events.push_back({"-sdown", text});
    if (old == nullptr || old->role == node.role) continue;
    if (node.role == Role::kReplica) events.push_back({"+role-change", text + " new reported role is slave"});
    if (node.role == Role::kMaster) events.push_back({"-role-change", text + " new reported role is master"});
  }
}

}  // namespace

std::vector<Event> EventsBetween(const View& before, const View& now) {
  std::vector<Event> events;
  for (const auto& [name, group] : now.groups) {
    const auto found = before.groups.find(name);
    if (found == before.groups.end()) {
      if (HasAddress(group.Master()))
        events.push_back({"+monitor", MasterText(group, *group.Master()) + " quorum 1"});
      continue;
    }
    const bool switched = TellOfMaster(found->second, group, events);
    TellOfReplicas(found->second, group, switched, events);
  }
  for (const auto& [name, group] : before.groups) {
    if (!now.groups.contains(name) && HasAddress(group.Master()))
      events.push_back({"-monitor", MasterText(group, *group.Master())});
  }
  return events;
}

}  // namespace walstitch::sentinel
