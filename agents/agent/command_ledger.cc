#include "agents/agent/command_ledger.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace {

constexpr int kVersion = 1;
constexpr std::size_t kMaxId = 128;
constexpr std::int64_t kMaxDeadlineMs = 10 * 60 * 1000;

bool ValidId(std::string_view id) {
  if (id.empty() || id.size() > kMaxId) return false;
  return std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// What is asked, not what it rests on: a controller that starts again repeats a promotion with another lease.
// And with another sequence: 1. The node is promoted, and the controller ends before it knows. 2. The node
// takes writes, and its last moves on. 3. The next controller requires that one, and must hear that the
// promotion was done, not that its id is taken.
std::string ContentHash(Action action) {
  if (auto* promote = std::get_if<PromoteAction>(&action)) {
    promote->lease.reset();
    promote->require_last.reset();
    promote->holder_fenced = false;
    promote->replaces.clear();
  }
  if (auto* adopt = std::get_if<AdoptMasterAction>(&action)) adopt->lease.reset();
  return Sha256Hex(Dump(ToJson(action)));
}

Result<std::string> TextField(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(boost::json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) {
    return Fail(ErrorCode::kDamaged, "'" + std::string(name) + "' is missing or no text");
  }
  const auto& text = value->get_string();
  return std::string(text.data(), text.size());
}

Result<std::uint64_t> NumberField(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(boost::json::string_view(name.data(), name.size()));
  if (value != nullptr && value->is_uint64()) return value->get_uint64();
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  return Fail(ErrorCode::kDamaged, "'" + std::string(name) + "' is missing or no number");
}

}  // namespace

CommandLedger::CommandLedger(std::string node, std::string group)
    : node_(std::move(node)), group_(std::move(group)) {}

Result<CommandLedger> CommandLedger::Restore(std::string_view text, std::string node, std::string group) {
  auto json = ParseJson(text);
  if (!json) return Fail(ErrorCode::kDamaged, json.error().Message());
  if (!json->is_object()) return Fail(ErrorCode::kDamaged, "it is no object");
  const auto& object = json->get_object();
  auto version = NumberField(object, "version");
  if (!version) return Fail(version.error());
  if (*version != kVersion) {
    return Fail(ErrorCode::kDamaged, "it is of version " + std::to_string(*version) + ", expected version 1");
  }
  auto its_node = TextField(object, "node");
  if (!its_node) return Fail(its_node.error());
  auto its_group = TextField(object, "group");
  if (!its_group) return Fail(its_group.error());
  if (*its_node != node || *its_group != group) {
    return Fail(ErrorCode::kConflict, "it is the state of node " + ToPrintable(*its_node) + " of group " +
                                          ToPrintable(*its_group) + ", but this agent is for node " + node +
                                          " of group " + group);
  }
  CommandLedger ledger(std::move(node), std::move(group));
  auto epoch = NumberField(object, "epoch");
  if (!epoch) return Fail(epoch.error());
  ledger.epoch_ = *epoch;
  auto database_name = TextField(object, "database_name");
  if (!database_name) return Fail(database_name.error());
  ledger.database_name_ = *database_name;
  const auto* commands = object.if_contains("commands");
  if (commands == nullptr || !commands->is_array()) {
    return Fail(ErrorCode::kDamaged, "'commands' is missing or no array");
  }
  for (const auto& value : commands->get_array()) {
    if (!value.is_object()) return Fail(ErrorCode::kDamaged, "a command is no object");
    Entry entry;
    auto id = TextField(value.get_object(), "id");
    if (!id) return Fail(id.error(), "a command");
    auto content = TextField(value.get_object(), "content");
    if (!content) return Fail(content.error(), "a command");
    entry.id = *id;
    entry.content = *content;
    entry.begun = true;
    if (const auto* result = value.get_object().if_contains("result")) {
      auto parsed = CommandResultFromJson(*result);
      if (!parsed) return Fail(ErrorCode::kDamaged, "a command: " + parsed.error().Message());
      entry.result = std::move(*parsed);
    } else {
      entry.result.emplace();
      entry.result->id = entry.id;
      entry.result->outcome = Outcome::kUnknown;
      entry.result->error =
          "the agent was restarted while the command was under way: it may have had its effect";
    }
    ledger.entries_.push_back(std::move(entry));
  }
  return ledger;
}

std::string CommandLedger::Save() const {
  boost::json::object object;
  object["version"] = kVersion;
  object["node"] = node_;
  object["group"] = group_;
  object["epoch"] = epoch_;
  object["database_name"] = database_name_;
  boost::json::array commands;
  for (const Entry& entry : entries_) {
    if (!entry.begun) continue;  // it never ran: after a restart it may
    boost::json::object command;
    command["id"] = entry.id;
    command["content"] = entry.content;
    if (entry.result) command["result"] = ToJson(*entry.result);
    commands.push_back(std::move(command));
  }
  object["commands"] = std::move(commands);
  return Dump(object);
}

CommandLedger::Entry* CommandLedger::FindEntry(std::string_view id) {
  auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.id == id; });
  return found == entries_.end() ? nullptr : &*found;
}

const CommandResult* CommandLedger::Find(std::string_view id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.result ? &*entry.result : nullptr;
  }
  return nullptr;
}

Result<void> CommandLedger::CheckEpoch(const Command& command) const {
  if (command.epoch >= epoch_) return {};
  return Fail(ErrorCode::kStale, "node " + node_ + ": the command's epoch " + std::to_string(command.epoch) +
                                     " is lower than " + std::to_string(epoch_) +
                                     ", which this agent has seen");
}

Result<CommandLedger::Admission> CommandLedger::Admit(const Command& command) {
  if (!ValidId(command.id)) {
    return Fail(ErrorCode::kInvalid,
                "the command's id must be 1 to 128 printable ASCII characters without spaces");
  }
  if (command.node != node_ || command.group != group_) {
    return Fail(ErrorCode::kConflict, "the command is for node " + ToPrintable(command.node) + " of group " +
                                          ToPrintable(command.group) + ", but this is the agent of node " +
                                          node_ + " of group " + group_);
  }
  if (command.deadline_ms < 1 || command.deadline_ms > kMaxDeadlineMs) {
    return Fail(ErrorCode::kInvalid,
                "the command's deadline_ms must be from 1 to " + std::to_string(kMaxDeadlineMs));
  }
  // The id comes before the epoch: a repeated command is answered as it was, however old it is by now.
  std::string content = ContentHash(command.action);
  if (Entry* entry = FindEntry(command.id)) {
    if (entry->content != content) {
      return Fail(ErrorCode::kConflict,
                  "the command's id " + command.id + " was used for another action already");
    }
    return entry->result ? Admission::kAnswered : Admission::kUnderWay;
  }
  if (auto fresh = CheckEpoch(command); !fresh) return Fail(fresh.error());
  auto waiting =
      std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return !entry.result; });
  if (static_cast<std::size_t>(waiting) >= kMaxQueued) {
    return Fail(ErrorCode::kUnavailable,
                "node " + node_ + ": " + std::to_string(waiting) + " commands wait already");
  }
  entries_.push_back({command.id, std::move(content), false, std::nullopt});
  return Admission::kNew;
}

Result<void> CommandLedger::Begin(const Command& command) {
  Entry* entry = FindEntry(command.id);
  WALSTITCH_CHECK(entry != nullptr && !entry->begun);
  if (auto fresh = CheckEpoch(command); !fresh) {
    entries_.erase(std::find_if(entries_.begin(), entries_.end(),
                                [&](const Entry& one) { return one.id == command.id; }));
    return fresh;
  }
  entry->begun = true;
  epoch_ = command.epoch;
  return {};
}

void CommandLedger::Finish(const CommandResult& result) {
  Entry* entry = FindEntry(result.id);
  WALSTITCH_CHECK(entry != nullptr && !entry->result);
  entry->begun = true;
  entry->result = result;
  auto finished = std::count_if(entries_.begin(), entries_.end(),
                                [](const Entry& one) { return one.result.has_value(); });
  for (auto at = entries_.begin(); at != entries_.end() && static_cast<std::size_t>(finished) > kKept;) {
    if (!at->result) {
      ++at;
      continue;
    }
    at = entries_.erase(at);
    --finished;
  }
}

}  // namespace walstitch::agent
