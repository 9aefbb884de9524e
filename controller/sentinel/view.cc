#include "controller/sentinel/view.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "policies/model/json.h"

namespace walstitch::sentinel {

namespace {

std::string TextOf(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

template <typename T>
T NumberOf(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code problem;
  const T number = value->to_number<T>(problem);
  return problem ? T{0} : number;
}

const boost::json::array* ListOf(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

// A master whose agent alone is gone: its server was heard, or asked, by others.
bool IsOutOfSight(const boost::json::object& status, std::string_view node) {
  const auto* findings = ListOf(status, "findings");
  if (findings == nullptr) return false;
  return std::any_of(findings->begin(), findings->end(), [node](const boost::json::value& finding) {
    const auto* object = finding.if_object();
    return object != nullptr && TextOf(*object, "code") == "MasterOutOfSight" &&
           TextOf(*object, "node") == node;
  });
}

Result<std::pair<NodeSeen, std::string>> ReadNode(const boost::json::value& json) {
  const auto* object = json.if_object();
  if (object == nullptr || TextOf(*object, "node").empty())
    return Fail(ErrorCode::kInvalid, "a node of a group's status has no name");
  NodeSeen node;
  node.name = TextOf(*object, "node");
  node.ever_heard = object->contains("silent_ms");
  node.silent_ms = NumberOf<std::int64_t>(*object, "silent_ms");
  const auto* candidate = object->if_contains("candidate");
  node.candidate = candidate == nullptr || candidate->is_null() || *candidate == boost::json::value(true);
  const auto* connected = object->if_contains("connected");
  if (const auto* report = object->if_contains("report")) {
    auto read = ReportFromJson(*report);
    if (!read) return Fail(read.error(), "node " + node.name);
    node.endpoint = read->endpoint;
    node.role = read->role;
    if (read->last) node.last = read->last->Value();
    node.heard =
        connected != nullptr && *connected == boost::json::value(true) && read->process == ProcessState::kUp;
  }
  return std::pair(std::move(node), TextOf(*object, "place"));
}

}  // namespace

const NodeSeen* GroupSeen::Master() const {
  const auto found = nodes.find(master);
  return found == nodes.end() ? nullptr : &found->second;
}

const NodeSeen* GroupSeen::UsableMaster() const {
  const NodeSeen* node = Master();
  return node != nullptr && node->usable && node->endpoint.port != 0 ? node : nullptr;
}

std::size_t GroupSeen::ReplicaCount() const {
  return static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [this](const auto& item) {
    return item.first != master && item.second.endpoint.port != 0;
  }));
}

const GroupSeen* View::Find(const std::string& group) const {
  if (const auto found = groups.find(group); found != groups.end()) return &found->second;
  const auto found = unknown.find(group);
  return found == unknown.end() || !found->second.before ? nullptr : &*found->second.before;
}

std::optional<Endpoint> View::ToldOf(const std::string& group) const {
  if (const GroupSeen* seen = Find(group)) return seen->told;
  const auto gone = told_of_gone.find(group);
  return gone == told_of_gone.end() ? std::nullopt : std::optional(gone->second);
}

Result<GroupSeen> ReadGroup(const boost::json::value& status) {
  const auto* object = status.if_object();
  const auto* nodes = object == nullptr ? nullptr : ListOf(*object, "nodes");
  if (nodes == nullptr || TextOf(*object, "group").empty())
    return Fail(ErrorCode::kInvalid, "this is no status of a group");
  GroupSeen group;
  group.name = TextOf(*object, "group");
  group.epoch = NumberOf<std::uint64_t>(*object, "epoch");
  group.master = TextOf(*object, "master");
  group.recorded = group.master;
  if (const auto* none = object->if_contains("no_failover"); none != nullptr && none->is_object()) {
    group.no_failover = TextOf(none->get_object(), "sentence");
    group.no_failover_code = TextOf(none->get_object(), "code");
  }
  const std::string busy = TextOf(*object, "busy");
  group.changing = busy == "failover" || busy == "switchover";
  const bool managed = TextOf(*object, "managed") == "managed";
  std::size_t masters = 0;
  std::string in_role;
  for (const auto& item : *nodes) {
    auto read = ReadNode(item);
    if (!read) return Fail(read.error(), "group " + group.name);
    auto& [node, place] = *read;
    if (place == "master") {
      ++masters;
      in_role = node.name;
    }
    node.usable = place == "replica";
    group.nodes.emplace(node.name, std::move(node));
  }
  // Two masters of a group that nobody manages: which of them is meant, nobody knows.
  if (masters == 1 && (!managed || in_role == group.master)) {
    group.master = in_role;
    group.nodes.at(in_role).usable = true;
  } else if (const auto found = group.nodes.find(group.master); found != group.nodes.end()) {
    found->second.usable = managed && masters == 0 && IsOutOfSight(*object, group.master);
  }
  return group;
}

Result<View> ReadStatus(const boost::json::value& answer, std::int64_t now_ms) {
  const auto* object = answer.if_object();
  const auto* groups = object == nullptr ? nullptr : ListOf(*object, "groups");
  if (groups == nullptr) return Fail(ErrorCode::kInvalid, "this is no status of a controller");
  if (const auto* discovering = object->if_contains("discovering");
      discovering != nullptr && *discovering == boost::json::value(true)) {
    return Fail(ErrorCode::kUnavailable, "it looks for its groups, and has not been told of all of them yet");
  }
  View view;
  view.at_ms = now_ms;
  for (const auto& item : *groups) {
    auto group = ReadGroup(item);
    if (!group) return Fail(group.error());
    view.groups.emplace(group->name, std::move(*group));
  }
  return view;
}

void CarryOver(const GroupSeen* before, GroupSeen* now, std::int64_t now_ms) {
  // An agent that has begun anew has not reported yet: its server is where it was, and what it was.
  if (before != nullptr) {
    for (auto& [name, node] : now->nodes) {
      const auto old = before->nodes.find(name);
      if (old == before->nodes.end() || node.endpoint.port != 0) continue;
      node.endpoint = old->second.endpoint;
      node.role = old->second.role;
      node.last = old->second.last;
    }
  }
  NodeSeen* master = nullptr;
  if (const auto found = now->nodes.find(now->master); found != now->nodes.end()) master = &found->second;
  // Out of sight counts only for what was last known to be a master.
  if (master != nullptr && master->usable && master->role != Role::kMaster) master->usable = false;
  // 1. A promotion is on record, and not yet carried out. 2. Named already, the new master would be called
  // down; and when it is up, nobody would be told of a switch.
  if (now->UsableMaster() == nullptr && before != nullptr && now->nodes.contains(before->master)) {
    if (before->master != now->master) now->nodes.at(before->master).usable = false;
    now->master = before->master;
  }
  for (auto& [name, node] : now->nodes) {
    const NodeSeen* old = nullptr;
    if (before != nullptr) {
      if (const auto found = before->nodes.find(name); found != before->nodes.end()) old = &found->second;
    }
    node.usable_since = old != nullptr && old->usable == node.usable ? old->usable_since : now_ms;
    node.role_since = old != nullptr && old->role == node.role ? old->role_since : now_ms;
  }
  if (const NodeSeen* usable = now->UsableMaster()) {
    now->told = usable->endpoint;
  } else if (before != nullptr) {
    now->told = before->told;
  }
}

namespace {

// Of a group without a master nothing is known either, until its nodes were heard.
bool IsHeard(const GroupSeen& group) {
  if (const NodeSeen* master = group.Master()) return master->ever_heard;
  return std::all_of(group.nodes.begin(), group.nodes.end(),
                     [](const auto& item) { return item.second.ever_heard; });
}

std::int64_t KnownMs(const GroupSeen& group) {
  if (const NodeSeen* master = group.Master()) return master->known_ms;
  std::int64_t known = 0;
  for (const auto& [name, node] : group.nodes) known = std::max(known, node.known_ms);
  return known;
}

// What is known of replicas that were not heard yet. Whoever was the master is none of them: it may have been
// called usable for what it is not any more.
void AwaitReplicas(const GroupSeen& before, GroupSeen* group, std::int64_t now_ms) {
  for (auto& [name, node] : group->nodes) {
    const auto old = before.nodes.find(name);
    if (node.ever_heard || name == group->master || name == before.master || old == before.nodes.end())
      continue;
    if (now_ms - old->second.known_ms > kFreshMs) continue;
    node = old->second;
    node.ever_heard = false;
  }
}

}  // namespace

void AwaitReports(const View* before, View* now) {
  const bool fresh = before != nullptr && now->at_ms - before->at_ms <= kFreshMs;
  for (auto group = now->groups.begin(); group != now->groups.end();) {
    const std::string& name = group->first;
    for (auto& [node, seen] : group->second.nodes) seen.known_ms = seen.ever_heard ? now->at_ms : 0;
    const GroupSeen* old = before == nullptr ? nullptr : before->Find(name);
    if (IsHeard(group->second)) {
      if (old != nullptr) AwaitReplicas(*old, &group->second, now->at_ms);
      ++group;
      continue;
    }
    std::int64_t since = now->at_ms;
    if (fresh) {
      const auto found = before->unheard_since.find(name);
      if (found != before->unheard_since.end()) since = found->second;
    }
    now->unheard_since[name] = since;
    const bool may_come = now->at_ms - since < kFreshMs;
    const bool known = fresh && old != nullptr && now->at_ms - KnownMs(*old) <= kFreshMs;
    const bool same = known && (group->second.recorded.empty() || old->master == group->second.recorded);
    if (may_come && same) {
      group->second = *old;
    } else if (may_come && !known) {
      View::Unknown unknown;
      unknown.since_ms = since;
      if (old != nullptr) unknown.before = *old;
      now->unknown.emplace(name, std::move(unknown));
      group = now->groups.erase(group);
      continue;
    }
    ++group;
  }
}

void CarryOver(const View* before, View* now) {
  for (auto& [name, group] : now->groups) {
    CarryOver(before == nullptr ? nullptr : before->Find(name), &group, now->at_ms);
    if (!group.told && before != nullptr) group.told = before->ToldOf(name);
  }
  if (before == nullptr) return;
  now->told_of_gone = before->told_of_gone;
  const auto note = [now](const std::string& name, const GroupSeen& group) {
    if (group.told) now->told_of_gone.insert_or_assign(name, *group.told);
  };
  for (const auto& [name, group] : before->groups) note(name, group);
  for (const auto& [name, unknown] : before->unknown) {
    if (unknown.before) note(name, *unknown.before);
  }
  std::erase_if(now->told_of_gone, [now](const auto& item) { return now->Find(item.first) != nullptr; });
}

}  // namespace walstitch::sentinel
