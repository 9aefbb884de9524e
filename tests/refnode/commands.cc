#include "commands.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace walstitch::refnode {
namespace {

const std::unordered_map<std::string, const Command*>& Table() {
  static const auto* table = [] {
    auto* map = new std::unordered_map<std::string, const Command*>();
    for (const auto* commands :
         {&StringCommands(), &CollectionCommands(), &SortedSetCommands(), &KeyCommands(), &ServerCommands(),
          &ReplicationCommands(), &TransactionCommands(), &DumpCommands(), &FaultCommands(),
          &PubSubCommands()}) {
      for (const Command& command : *commands) map->emplace(command.name, &command);
    }
    return map;
  }();
  return *table;
}

std::string UnknownCommand(const Args& args) {
  std::string text = "ERR unknown command `" + args[0] + "`, with args beginning with: ";
  for (size_t i = 1; i < args.size(); ++i) text += (i > 1 ? ", `" : "`") + args[i] + "`";
  // A reply line must stay one line, whatever the arguments were.
  for (char& c : text) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  return text;
}

void MarkChangedKeys(Server& server, const Command& command, const Args& args) {
  if ((command.flags & kWrite) == 0) return;
  if (command.first_key == 0) {
    server.MarkAllChanged();
    return;
  }
  const int count = static_cast<int>(args.size());
  const int last = command.last_key > 0 ? command.last_key : count + command.last_key;
  std::vector<std::string> keys;
  for (int i = command.first_key; i <= last && i < count; i += command.key_step) {
    keys.push_back(args[static_cast<size_t>(i)]);
  }
  server.MarkChanged(keys);
}

bool IsExclusive(const Command& command, const Args& args) {
  if ((command.flags & kExclusive) != 0) return true;
  return std::string_view(command.name) == "config" && args.size() >= 2 && EqualsIgnoreCase(args[1], "set");
}

}  // namespace

const Command* FindCommand(const std::string& name) {
  const auto it = Table().find(ToLower(name));
  return it == Table().end() ? nullptr : it->second;
}

size_t CommandCount() { return Table().size(); }

std::string RunRequest(Server& server, Connection& connection, const Args& args) {
  const bool queueing = connection.in_multi && !connection.in_exec;
  const auto refuse = [&](const std::string& error) {
    if (connection.in_multi) connection.multi_failed = true;
    return resp::Error(error);
  };

  const Command* command = FindCommand(args[0]);
  if (command == nullptr) return refuse(UnknownCommand(args));
  const std::string_view name = command->name;

  if (connection.ns.empty()) {
    if (!server.config().Get("requirepass").empty()) {
      if (name != "auth" && name != "hello") return resp::Error("NOAUTH Authentication required.");
    } else {
      connection.is_admin = true;
      connection.ns = kDefaultNamespace;
    }
  }

  std::shared_lock<CommandLock> shared(server.command_lock(), std::defer_lock);
  std::unique_lock<CommandLock> exclusive(server.command_lock(), std::defer_lock);
  if (connection.in_multi && name != "exec") {
    // Queueing needs no lock, and EXEC holds it for what it runs.
  } else if (IsExclusive(*command, args)) {
    exclusive.lock();
  } else {
    shared.lock();
  }

  if (server.IsLoading() && (command->flags & kOkLoading) == 0) {
    return refuse("LOADING kvrocks is restoring the db from backup");
  }
  const int count = static_cast<int>(args.size());
  if (command->arity > 0 ? count != command->arity : count < -command->arity) {
    return refuse(std::string("ERR ") + kWrongArgumentCount);
  }
  if (command->check != nullptr) {
    if (const std::string error = command->check(args); !error.empty()) return refuse("ERR " + error);
  }
  if (connection.in_multi && (command->flags & kNoMulti) != 0) {
    return refuse("ERR Can't execute " + std::string(name) + " in MULTI");
  }
  if (queueing && (command->flags & kControlsMulti) == 0) {
    connection.queued.push_back(args);
    return resp::Simple("QUEUED");
  }
  if ((command->flags & kWrite) != 0 && server.IsReplica() && server.config().GetBool("slave-read-only")) {
    return resp::Error("READONLY You can't write against a read only slave.");
  }
  if (server.IsReplica() && !server.config().GetBool("slave-serve-stale-data") && name != "info" &&
      name != "slaveof" && server.ReplicationState() != LinkState::kConnected) {
    return resp::Error("MASTERDOWN Link with MASTER is down and slave-serve-stale-data is set to 'no'.");
  }

  server.stats().commands++;
  CommandContext context{server, connection, server.storage()};
  std::string reply = command->run(context, args);
  if (reply.empty() || reply[0] != '-') MarkChangedKeys(server, *command, args);
  return reply;
}

rocksdb::Status LoadMetadata(Storage& storage, const std::string& namespaced_key, ValueType type,
                             Metadata* metadata, std::string* payload) {
  std::string bytes;
  rocksdb::Status status = storage.Get(ColumnFamily::kMetadata, namespaced_key, &bytes);
  if (!status.ok()) return status;
  Metadata loaded;
  size_t consumed = 0;
  const bool is_valid = loaded.Decode(bytes, &consumed);
  if (loaded.Expired(NowMs())) return rocksdb::Status::NotFound("the key was expired");
  if (loaded.Type() != type) {
    return rocksdb::Status::InvalidArgument(
        "WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  if (!is_valid) return rocksdb::Status::InvalidArgument("metadata is too short");
  *metadata = loaded;
  if (payload != nullptr) *payload = bytes.substr(consumed);
  return status;
}

std::string StatusError(const rocksdb::Status& status) { return resp::Error("ERR " + status.ToString()); }

bool ParseInteger(std::string_view text, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool ParseUnsigned(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool ParseDouble(const std::string& text, double* number) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0])) != 0) return false;
  char* end = nullptr;
  *number = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size();
}

std::string IntegerError(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return "out of range of integer type";
  if (error != std::errc() || text.empty()) return "not started as an integer";
  if (end != text.data() + text.size()) return "encounter non-integer characters";
  return "";
}

std::string LogText(ValueType type) { return std::to_string(static_cast<int>(type)); }

bool EqualsIgnoreCase(std::string_view left, std::string_view right) {
  return left.size() == right.size() && ToLower(left) == ToLower(right);
}

}  // namespace walstitch::refnode
