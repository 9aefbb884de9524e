// The values of keys, read from the node's own server and written to it, exactly.
//
// Types that can be read and written exactly with plain commands: string, hash, list, set, zset. DUMP and
// RESTORE would be one command for all of them, but change what they carry: Kvrocks dumps a text such as
// "007" as the number 7, and a bitmap as a string. Of every other type, and of values beyond the bounds
// below, the records of the tail are all there is.
//
// Blocking; not thread-safe. A namespace other than the default is entered with its token, which the server
// tells an administrator.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agent/salvage_format.h"
#include "agents/node/kvrocks_client.h"
#include "policies/model/result.h"
#include "policies/model/user_key.h"
#include "policies/model/values.h"

namespace walstitch::agent {

// What memory may be taken for one value.
inline constexpr std::uint64_t kMaxValueBytes = std::uint64_t{16} << 20;
inline constexpr std::int64_t kMaxValueElements = 100000;

class ValueClient {
 public:
  explicit ValueClient(node::ClientOptions administrator);

  // The values of keys, in their order. What cannot be read of one is said in its `why`. An Error: the server
  // does not answer.
  Result<std::vector<SalvagedValue>> Read(const std::vector<UserKeyName>& keys);

  // A client of the namespace's own connection. kNotFound: the server has no token for it.
  Result<node::KvrocksClient*> Enter(const std::string& name_space);

  // What of the keys' values tells whether they are equal, in their order; of more types than Read().
  Result<std::vector<ValueState>> ReadStates(const std::vector<UserKeyName>& keys);

  // Which of the keys cannot be written as they are now, and why; and what types they have.
  Result<RepairableAnswer> FindUnrepairable(const std::vector<UserKeyName>& keys);

  // What is known of namespaces and their tokens: it is asked for anew. After an error, which may come of it.
  void ForgetNamespaces();

  // Waits until every command that the server has begun is done. On a connection of its own: a WATCH
  // elsewhere stands.
  Result<void> AwaitCommands();

 private:
  Result<void> ReadNamespace(const std::string& name_space, const std::vector<UserKeyName>& keys,
                             std::size_t from, std::size_t to, std::vector<SalvagedValue>* values);
  Result<void> ReadOne(node::KvrocksClient& client, SalvagedValue* value);
  Result<ValueState> ReadState(const UserKeyName& name);
  Result<void> LearnTokens();

  node::ClientOptions options_;
  node::KvrocksClient administrator_;
  node::KvrocksClient waiting_;
  std::map<std::string, std::string> tokens_;  // by namespace
  std::optional<std::chrono::steady_clock::time_point> tokens_asked_;
  std::map<std::string, std::unique_ptr<node::KvrocksClient>> clients_;  // by namespace
  int timeouts_ = 0;                                                     // in a row
};

// The commands that make an absent key what it is in the salvage; for a string or a deletion, also a key that
// is there. A server that is full may refuse any of them but DEL: more than one belong to a key that nobody
// needs, to be renamed when all of them are done.
std::vector<node::NodeCommand> CommandsToWrite(const SalvagedValue& value, const std::string& key);

// The same type, elements and time to live, as near as the clock can tell.
bool SameValue(const SalvagedValue& a, const SalvagedValue& b);

}  // namespace walstitch::agent
