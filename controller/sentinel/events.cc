#include "controller/sentinel/events.h"

namespace walstitch::sentinel {

namespace {

std::string AddressOf(const Endpoint& endpoint) {
  return endpoint.host + " " + std::to_string(endpoint.port);
}

std::string MasterText(const GroupSeen& group, const Endpoint& master) {
  return "master " + group.name + " " + AddressOf(master);
}

std::string ReplicaText(const GroupSeen& group, const NodeSeen& replica) {
  std::string text =
      "slave " + replica.endpoint.ToString() + " " + AddressOf(replica.endpoint) + " @ " + group.name;
  if (const NodeSeen* master = group.Master()) text += " " + AddressOf(master->endpoint);
  return text;
}

bool HasAddress(const NodeSeen* node) { return node != nullptr && node->endpoint.port != 0; }

// Of a group that had none, whoever waits for one is told as well.
void TellOfSwitch(const GroupSeen& now, const Endpoint& from, const Endpoint& to,
                  std::vector<Event>& events) {
  events.push_back({"+failover-end", MasterText(now, from)});
  events.push_back({"+switch-master", now.name + " " + AddressOf(from) + " " + AddressOf(to)});
}

// True if the group has another master now, of which the replicas are, too.
//
// 1. n1 is the master; its pod dies. 2. It is back at another address, parked, and shown there as down. 3. It
// is promoted again, where it was shown already. 4. Compared with what was shown, nothing has moved, and
// clients go on waiting at the old address. So it is compared with what they were told.
bool TellOfMaster(const GroupSeen& before, const GroupSeen& now, std::vector<Event>& events) {
  const NodeSeen* old = before.Master();
  const NodeSeen* usable = now.UsableMaster();
  const NodeSeen* shown = now.Master();
  if (usable != nullptr && before.told != usable->endpoint) {
    const Endpoint was_shown = HasAddress(old) ? old->endpoint : usable->endpoint;
    TellOfSwitch(now, before.told.value_or(was_shown), usable->endpoint, events);
    return true;
  }
  if (!before.told && !HasAddress(shown)) return false;
  // Of the master that they know: another one that is not yet up means nothing to them.
  const std::string text = MasterText(now, before.told ? *before.told : shown->endpoint);
  const bool was = before.UsableMaster() != nullptr;
  const bool is = usable != nullptr;
  if (was && !is) {
    events.push_back({"+sdown", text});
    events.push_back({"+odown", text + " #quorum 1/1"});
  }
  if (!before.changing && now.changing) events.push_back({"+try-failover", text});
  if (!was && is) {
    events.push_back({"-sdown", text});
    events.push_back({"-odown", text});
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
    const GroupSeen* old = before.Find(name);
    if (old == nullptr) {
      if (HasAddress(group.Master()))
        events.push_back({"+monitor", MasterText(group, group.Master()->endpoint) + " quorum 1"});
      const NodeSeen* usable = group.UsableMaster();
      const std::optional<Endpoint> told = before.ToldOf(name);
      if (usable != nullptr && told != usable->endpoint)
        TellOfSwitch(group, told.value_or(usable->endpoint), usable->endpoint, events);
      continue;
    }
    const bool switched = TellOfMaster(*old, group, events);
    TellOfReplicas(*old, group, switched, events);
  }
  const auto tell_if_gone = [&](const std::string& name, const GroupSeen& group) {
    if (!now.groups.contains(name) && !now.unknown.contains(name) && HasAddress(group.Master()))
      events.push_back({"-monitor", MasterText(group, group.Master()->endpoint)});
  };
  for (const auto& [name, group] : before.groups) tell_if_gone(name, group);
  for (const auto& [name, unknown] : before.unknown) {
    if (unknown.before) tell_if_gone(name, *unknown.before);
  }
  return events;
}

}  // namespace walstitch::sentinel
