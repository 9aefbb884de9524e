// The command table, and how one request is run.
//
// Run() does what Kvrocks does around every command, in its order: look up,
// authenticate, lock, loading, arity, arguments, MULTI, read-only. The order
// shows in which error wins.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "connection.h"
#include "server.h"

namespace walstitch::refnode {

struct CommandContext {
  Server& server;
  Connection& connection;
  Storage& storage;

  std::string Key(std::string_view user_key) const { return NamespacedKey(connection.ns, user_key); }
};

enum CommandFlag : unsigned {
  kReadOnly = 0,
  kWrite = 1 << 0,
  kExclusive = 1 << 1,
  kOkLoading = 1 << 2,  // runs while a full sync is being restored
  kNoMulti = 1 << 3,    // refused between MULTI and EXEC
  kControlsMulti = 1 << 4,
};

struct Command {
  const char* name;
  int arity;  // negative: at least so many
  unsigned flags;
  std::string (*run)(CommandContext& context, const Args& args);
  // The text of an error in the arguments; empty if there is none. May be null.
  std::string (*check)(const Args& args) = nullptr;
  // Which arguments are keys, for WATCH; the last counts from the end if negative.
  int first_key = 0;
  int last_key = 0;
  int key_step = 1;
};

const Command* FindCommand(const std::string& name);
size_t CommandCount();

// Runs a request and returns the reply; empty if there is none.
std::string RunRequest(Server& server, Connection& connection, const Args& args);

// The tables of the single files.
const std::vector<Command>& StringCommands();
const std::vector<Command>& CollectionCommands();
const std::vector<Command>& SortedSetCommands();
const std::vector<Command>& KeyCommands();
const std::vector<Command>& ServerCommands();
const std::vector<Command>& ReplicationCommands();
const std::vector<Command>& TransactionCommands();
const std::vector<Command>& DumpCommands();
const std::vector<Command>& FaultCommands();
const std::vector<Command>& PubSubCommands();

// Helpers for commands.

// Loads a value's metadata. NotFound if there is none or it has expired; then
// `metadata` stays as it is. `payload` gets a string's value; may be null.
rocksdb::Status LoadMetadata(Storage& storage, const std::string& namespaced_key, ValueType type,
                             Metadata* metadata, std::string* payload = nullptr);
std::string StatusError(const rocksdb::Status& status);
bool ParseInteger(std::string_view text, int64_t* number);
bool ParseUnsigned(std::string_view text, uint64_t* number);
bool ParseDouble(const std::string& text, double* number);
// What Kvrocks says about a text that is not an integer.
std::string IntegerError(std::string_view text);
std::string LogText(ValueType type);
bool EqualsIgnoreCase(std::string_view left, std::string_view right);

inline constexpr const char* kNotInteger = "value is not an integer or out of range";
inline constexpr const char* kSyntaxError = "syntax error";
inline constexpr const char* kWrongArgumentCount = "wrong number of arguments";
inline constexpr const char* kAdminRequired = "admin permission required to perform the command";

}  // namespace walstitch::refnode
