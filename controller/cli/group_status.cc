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

// Times and priorities: they may be negative, and one that is no whole number is as good as absent.
std::optional<std::int64_t> Signed(const json::object& object, std::string_view name) {
  const json::value* value = Field(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  if (error) return std::nullopt;
  return number;
}

bool Flag(const json::object& object, std::string_view name) {
  const json::value* value = Field(object, name);
  return value != nullptr && value->is_bool() && value->get_bool();
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

std::vector<std::string> Texts(const json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  for (const json::value& item : Array(object, name)) {
    if (item.is_string()) texts.emplace_back(std::string_view(item.get_string()));
  }
  return texts;
}

NodeStatus NodeFrom(const json::object& object) {
  NodeStatus node;
  node.node = Text(object, "node");
  node.agent = Text(object, "agent");
  node.connected = Flag(object, "connected");
  node.priority = Signed(object, "priority").value_or(0);
  node.condition = Text(object, "condition");
  node.sentence = Text(object, "sentence");
  node.zone = Text(object, "zone");
  node.resume_left_ms = Signed(object, "resume_left_ms");
  if (Field(object, "maintenance") != nullptr) node.maintenance = Text(object, "maintenance");
  if (const json::object* report = Object(object, "report")) {
    node.last = Number(*report, "last");
    node.version = Text(*report, "version");
    if (const json::object* relay = Object(*report, "relay")) node.relay = Text(*relay, "state");
    node.leased = Flag(*report, "leased");
    node.lease_left_ms = Signed(*report, "lease_left_ms");
    node.promised_left_ms = Signed(*report, "promised_left_ms");
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
      status.findings.push_back({Text(*finding, "code"), Text(*finding, "node"), Text(*finding, "sentence"),
                                 Texts(*finding, "rests_on")});
    }
  }
  for (const json::value& item : Array(*object, "nodes")) {
    if (const json::object* node = item.if_object()) status.nodes.push_back(NodeFrom(*node));
  }
  status.open_decisions = Texts(*object, "open_decisions");
  status.busy = Text(*object, "busy");
  if (const json::object* paused = Object(*object, "paused")) {
    status.paused = PauseStatus{Signed(*paused, "since_ms"), Text(*paused, "reason")};
  }
  status.blocked_left_ms = Signed(*object, "blocked_left_ms");
  status.waits = Text(*object, "waits");
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
