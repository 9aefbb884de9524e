#include "controller/cli/group_status.h"

#include <boost/json.hpp>

#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

namespace json = boost::json;

const json::value* Field(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string Text(const json::object& object, std::string_view name) {
  const json::value* value = Field(object, name);
  return value != nullptr && value->is_string() ? std::string(std::string_view(value->get_string())) : "";
}

std::optional<std::uint64_t> Number(const json::object& object, std::string_view name) {
  const json::value* value = Field(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  if (error) return std::nullopt;
  return number;
}

const json::object* Object(const json::object& object, std::string_view name) {
  const json::value* value = Field(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array& Array(const json::object& object, std::string_view name) {
  static const json::array kNone;
  const json::value* value = Field(object, name);
  const json::array* array = value == nullptr ? nullptr : value->if_array();
  return array == nullptr ? kNone : *array;
}

NodeStatus NodeFrom(const json::object& object) {
  NodeStatus node;
  node.node = Text(object, "node");
  node.agent = Text(object, "agent");
  const json::value* connected = Field(object, "connected");
  node.connected = connected != nullptr && connected->is_bool() && connected->get_bool();
  if (const json::value* priority = Field(object, "priority"); priority != nullptr && priority->is_int64()) {
    node.priority = priority->get_int64();
  }
  node.condition = Text(object, "condition");
  node.sentence = Text(object, "sentence");
  if (const json::object* report = Object(object, "report")) {
    node.last = Number(*report, "last");
    node.version = Text(*report, "version");
    if (const json::object* relay = Object(*report, "relay")) node.relay = Text(*relay, "state");
  }
  return node;
}

}  // namespace

bool GroupStatus::Fine() const {
  return !master.empty() && findings.empty() && policy_error.empty() && open_decisions.empty();
}

Result<GroupStatus> GroupStatusFromJson(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr || Text(*object, "group").empty()) {
    return Fail(ErrorCode::kInvalid, "a group's status without a group");
  }
  GroupStatus status;
  status.group = Text(*object, "group");
  status.managed = Text(*object, "managed");
  status.epoch = Number(*object, "epoch").value_or(0);
  status.master = Text(*object, "master");
  if (const json::object* policy = Object(*object, "policy")) {
    status.policy_name = Text(*policy, "name");
    status.policy_hash = Text(*policy, "hash");
    status.policy_error = Text(*policy, "error");
  }
  for (const json::value& item : Array(*object, "findings")) {
    if (const json::object* finding = item.if_object()) {
      status.findings.push_back({Text(*finding, "code"), Text(*finding, "node"), Text(*finding, "sentence")});
    }
  }
  for (const json::value& item : Array(*object, "nodes")) {
    if (const json::object* node = item.if_object()) status.nodes.push_back(NodeFrom(*node));
  }
  for (const json::value& item : Array(*object, "open_decisions")) {
    if (item.is_string()) status.open_decisions.emplace_back(std::string_view(item.get_string()));
  }
  status.busy = Text(*object, "busy");
  return status;
}

Result<GroupPlan> GroupPlanFromJson(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return Fail(ErrorCode::kInvalid, "a plan that is no JSON object");
  GroupPlan plan;
  plan.group = Text(*object, "group");
  plan.sentence = Text(*object, "sentence");
  for (const json::value& entry : Array(*object, "items")) {
    const json::object* item = entry.if_object();
    if (item == nullptr) continue;
    PlanItem parsed;
    parsed.node = Text(*item, "node");
    parsed.sentence = Text(*item, "sentence");
    if (const json::value* decision = Field(*item, "decision")) {
      auto read = DecisionFromJson(*decision);
      if (!read) return Fail(read.error(), "the plan for " + parsed.node);
      parsed.decision = std::move(*read);
    }
    plan.items.push_back(std::move(parsed));
  }
  return plan;
}

}  // namespace walstitch::cli
