#include "controller/cli/group_commands.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "controller/cli/render_decision.h"
#include "controller/cli/render_status.h"
#include "controller/cli/text.h"
#include "policies/model/json.h"
#include "policies/name.h"

namespace walstitch::cli {
namespace {

// How long an order may take when nobody says: a forced failover waits for agents, and the answer
// comes only with the outcome.
constexpr std::chrono::milliseconds kOrderTimeout{60000};

ExitCode CodeOfPlanned(const Decision& decision) {
  if (decision.kind == DecisionKind::kRefusal) return ExitCode::kNo;
  if (decision.verdict && decision.verdict->verdict == Verdict::kHold) return ExitCode::kUnknown;
  return ExitCode::kDone;
}

ExitCode CodeOfRecord(const DecisionRecord& record) {
  if (record.decision.kind == DecisionKind::kRefusal) return ExitCode::kNo;
  if (!record.outcome) return ExitCode::kUnknown;
  switch (record.outcome->outcome) {
    case Outcome::kDone:
      return ExitCode::kDone;
    case Outcome::kFailed:
      return ExitCode::kNo;
    case Outcome::kUnknown:
      return ExitCode::kUnknown;
  }
  return ExitCode::kUnknown;
}

// An order that the controller did not carry out: its answer, too, if it gave one.
ExitCode Refused(const Console& console, const Refusal& refusal) {
  if (refusal.body && console.json) console.PrintJson(*refusal.body);
  return Complain(console, refusal);
}

// The answer to an order: the decision's record.
ExitCode ShowRecord(const Console& console, const boost::json::object& answer) {
  const auto* json = answer.if_contains("record");
  auto record = json == nullptr ? Result<DecisionRecord>(Fail(ErrorCode::kInvalid, "no record"))
                                : DecisionRecordFromJson(*json);
  if (!record) return Complain(console, NotUnderstood(record.error().Message(), true));
  if (console.json) {
    console.PrintJson(answer);
  } else {
    console.Print(RenderDecision(*record));
  }
  return CodeOfRecord(*record);
}

// A name that every shell takes as one word, and as no option. The controller refuses others in its
// configuration; but whoever answers in its place could send a command, and it would end up behind a prompt.
bool IsPlainName(std::string_view name) {
  return !name.empty() && name.front() != '-' && std::all_of(name.begin(), name.end(), IsNameCharacter);
}

std::string GroupTarget(const std::string& group) { return "/v1/groups/" + http::PercentEncode(group); }

}  // namespace

std::string StatusLook::Text(const Console& console) const {
  return notes + RenderStatus(groups, console.palette);
}

Answer<StatusLook> LookAtStatus(const ControllerClient& controller, const std::string& group,
                                std::chrono::milliseconds timeout) {
  auto answer = controller.Get(group.empty() ? "/v1/status" : GroupTarget(group), timeout);
  if (!answer) return tl::unexpected(answer.error());
  StatusLook look;
  std::vector<GroupStatus>& groups = look.groups;
  auto add = [&](const boost::json::value& value) -> Result<void> {
    auto status = GroupStatusFromJson(value);
    if (!status) return Fail(status.error());
    groups.push_back(std::move(*status));
    return {};
  };
  Result<void> read;
  if (group.empty()) {
    const auto* list = answer->if_contains("groups");
    if (list == nullptr || !list->is_array()) {
      return tl::unexpected(NotUnderstood("no list of groups"));
    }
    for (const auto& value : list->get_array()) {
      if (read) read = add(value);
    }
  } else {
    read = add(*answer);
  }
  if (!read) return tl::unexpected(NotUnderstood(read.error().Message()));
  if (const auto* notes = answer->if_contains("notes"); notes != nullptr && notes->is_array()) {
    for (const auto& note : notes->get_array()) {
      if (note.is_string()) look.notes += "note: " + Clean(note.get_string()) + "\n";
    }
  }
  look.answer = std::move(*answer);
  return look;
}

ExitCode StatusCommand(const Console& console, const ControllerClient& controller, const std::string& group,
                       bool check) {
  auto look = LookAtStatus(controller, group, std::chrono::seconds(10));
  if (!look) return Complain(console, look.error());
  if (console.json) {
    console.PrintJson(look->answer);
  } else {
    console.Print(look->Text(console));
  }
  if (!check) return ExitCode::kDone;
  for (const auto& status : look->groups) {
    if (!status.Fine()) return ExitCode::kNo;
  }
  return ExitCode::kDone;
}

ExitCode NamesCommand(const Console& console, const ControllerClient& controller, const std::string& what,
                      const std::string& group) {
  auto look = LookAtStatus(controller, group, std::chrono::seconds(10));
  if (!look) return Complain(console, look.error());
  std::set<std::string> names;
  for (const auto& status : look->groups) {
    if (what == "groups") names.insert(status.group);
    if (what == "nodes") {
      for (const auto& node : status.nodes) names.insert(node.node);
    }
  }
  for (const auto& name : names) {
    if (IsPlainName(name)) console.Print(name + "\n");
  }
  return ExitCode::kDone;
}

ExitCode PlanCommand(const Console& console, const ControllerClient& controller, const std::string& group) {
  auto answer = controller.Get(GroupTarget(group) + "/plan");
  if (!answer) return Complain(console, answer.error());
  auto plan = GroupPlanFromJson(*answer);
  if (!plan) return Complain(console, NotUnderstood(plan.error().Message()));
  if (console.json) {
    console.PrintJson(*answer);
  } else {
    console.Print(RenderPlan(*plan));
  }
  ExitCode code = ExitCode::kDone;
  for (const auto& item : plan->items) {
    if (!item.decision) continue;
    const ExitCode item_code = CodeOfPlanned(*item.decision);
    // A refusal outweighs a hold: waiting does not help it.
    if (item_code == ExitCode::kNo || code == ExitCode::kDone) code = item_code;
    if (code == ExitCode::kNo) break;
  }
  return code;
}

ExitCode RoleChangeCommand(const Console& console, const ControllerClient& controller,
                           const RoleChange& change) {
  boost::json::object body;
  if (!change.to.empty()) body["to"] = change.to;
  if (change.force) body["force"] = true;
  if (change.dry_run) body["dry_run"] = true;
  if (change.no_rescue) body["rescue"] = false;
  if (change.deadline) body["deadline_ms"] = change.deadline->count();
  auto answer = controller.Post(GroupTarget(change.group) + "/" + change.verb, body,
                                kOrderTimeout + change.deadline.value_or(std::chrono::milliseconds(0)),
                                !change.dry_run);
  if (!answer) return Refused(console, answer.error());
  if (change.dry_run) {
    const auto* json = answer->if_contains("decision");
    auto decision = json == nullptr ? Result<Decision>(Fail(ErrorCode::kInvalid, "no decision"))
                                    : DecisionFromJson(*json);
    if (!decision) return Complain(console, NotUnderstood(decision.error().Message()));
    if (console.json) {
      console.PrintJson(*answer);
    } else {
      console.Print(RenderDecision({*decision, {}, std::nullopt}, {.max_keys = 20, .planned = true}) +
                    "\nnothing was changed\n");
    }
    return CodeOfPlanned(*decision);
  }
  return ShowRecord(console, *answer);
}

ExitCode GroupOrderCommand(const Console& console, const ControllerClient& controller,
                           const GroupOrder& order) {
  boost::json::object body;
  if (order.verb == "maintenance") {
    body["node"] = order.node;
    body["on"] = order.on;
  }
  if (!order.reason.empty()) body["reason"] = order.reason;
  auto answer = controller.Post(GroupTarget(order.group) + "/" + order.verb, body, kOrderTimeout, true);
  if (!answer) return Refused(console, answer.error());
  return ShowRecord(console, *answer);
}

}  // namespace walstitch::cli
