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

std::optional<Endpoint> View::ToldOf(const std::string& group) const {
  if (const auto found = groups.find(group); found != groups.end()) return found->second.told;
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

void CarryOver(const View* before, View* now) {
  for (auto& [name, group] : now->groups) {
    const GroupSeen* old = nullptr;
    if (before != nullptr) {
      if (const auto found = before->groups.find(name); found != before->groups.end()) old = &found->second;
    }
    CarryOver(old, &group, now->at_ms);
    if (!group.told && before != nullptr) group.told = before->ToldOf(name);
  }
  if (before == nullptr) return;
  now->told_of_gone = before->told_of_gone;
  for (const auto& [name, group] : before->groups) {
    if (group.told) now->told_of_gone.insert_or_assign(name, *group.told);
  }
  std::erase_if(now->told_of_gone, [now](const auto& item) { return now->groups.contains(item.first); });
}

}  // namespace walstitch::sentinel
