// The rules by which an agent takes commands: no epoch lower than the highest it has seen, and no
// command twice. Pure: what is to be kept is text that the caller writes to disk.
//
// A command is admitted (queued), begun (the caller makes that durable, then runs it), and finished. A
// command that was begun and has no result when the agent starts again may or may not have had its
// effect: its result is `unknown`. One that was only queued never ran, and may come again.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "policies/model/command.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class CommandLedger {
 public:
  static constexpr std::size_t kKept = 256;      // results remembered
  static constexpr std::size_t kMaxQueued = 64;  // commands that wait

  CommandLedger(std::string node, std::string group);

  // From Save()'s text. kDamaged if it is none; kConflict if it is that of another node or group.
  static Result<CommandLedger> Restore(std::string_view text, std::string node, std::string group);
  [[nodiscard]] std::string Save() const;

  // The highest epoch of a command that was begun.
  [[nodiscard]] std::uint64_t Epoch() const { return epoch_; }

  // The node's db-name, as learned once: it must be known before the node can be asked.
  [[nodiscard]] const std::string& DatabaseName() const { return database_name_; }
  void SetDatabaseName(std::string name) { database_name_ = std::move(name); }

  enum class Admission {
    kNew,       // the caller queues it
    kUnderWay,  // it is queued or runs: the caller waits for its result
    kAnswered,  // see Find
  };
  // kInvalid: the command is malformed; kStale: its epoch is too low; kConflict: it is for another node
  // or group, or its id was used for another action; kUnavailable: too many wait.
  Result<Admission> Admit(const Command& command);

  // The command's turn has come: raises the epoch. kStale, and the command is forgotten, if a higher
  // epoch came first.
  Result<void> Begin(const Command& command);

  void Finish(const CommandResult& result);

  // The result of a finished command, or nullptr.
  [[nodiscard]] const CommandResult* Find(std::string_view id) const;

 private:
  struct Entry {
    std::string id;
    std::string content;  // hash of the action, so that an id is not used twice
    bool begun = false;
    std::optional<CommandResult> result;
  };

  Entry* FindEntry(std::string_view id);
  [[nodiscard]] Result<void> CheckEpoch(const Command& command) const;

  std::string node_;
  std::string group_;
  std::uint64_t epoch_ = 0;
  std::string database_name_;
  std::deque<Entry> entries_;  // in the order of admission
};

}  // namespace walstitch::agent
