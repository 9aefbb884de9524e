// Writes to single keys of the node's own server, the master: each in one step, and not at all if somebody
// else changes the key meanwhile. Blocking; not thread-safe.
//
// 1. WATCH. 2. An empty EXEC on another connection waits for the commands that were begun before, which WATCH
// may have missed. 3. The caller looks at the key, and makes up its mind. 4. MULTI, one command, EXEC:
// refused by the server if the key changed after 1. A change is overlooked only if the server's own WATCH
// does not see it: one behind 3 by a script that did not declare the key, or that failed behind its write.
//
// One command, so that it happens as a whole or not at all, also on a server that refuses what makes it
// larger (max-db-size): a string's SET, a DEL, or the RENAME of a key under which the value was put together
// before.
#pragma once

#include <cstdint>
#include <string>

#include "agents/agent/key_values.h"
#include "agents/node/kvrocks_client.h"
#include "policies/model/result.h"
#include "policies/model/user_key.h"

namespace walstitch::agent {

class KeyWriter {
 public:
  // `server` outlives it. `temporary`: what the keys begin with under which values are put together, in the
  // namespace of the key that they are for; it begins with kReservedKeys (policies/model/types.h). No such
  // key is used twice, in any run: a server may still be busy with what it was sent on a connection that is
  // gone.
  KeyWriter(ValueClient& server, std::string temporary) : server_(server), temporary_(std::move(temporary)) {}

  enum class End {
    kDone,
    kChanged,  // by somebody else, meanwhile: nothing was done
    kFailed,   // nothing was done
    kUnknown,  // the server's answer was lost
  };
  struct Written {
    End end = End::kFailed;
    std::string why;
  };
  // A watched key. It is so until the next is watched.
  struct Watched {
    std::string key;
    node::KvrocksClient* client = nullptr;  // of its namespace
    std::uint64_t connection = 0;
  };

  // kNotFound: the server has no such namespace; kConflict: it refuses to watch. Any other Error: it does not
  // answer.
  Result<Watched> Watch(const UserKeyName& name);
  // Of an Error of Watch: the key alone is the matter, and not the server.
  static bool IsOfTheKey(const Error& error) {
    return error.Code() == ErrorCode::kNotFound || error.Code() == ErrorCode::kConflict;
  }

  // Makes the key what the value is, which has one (KeptAs::kValue) or is absent. `there`: the key was there.
  Written Write(const Watched& watched, const SalvagedValue& value, bool there);

  // Of a key that is not there: makes and deletes it, so that the delete is written, and replicated.
  static Written MakeAndDelete(const Watched& watched);

 private:
  static Written Execute(const Watched& watched, std::vector<node::NodeCommand> commands);

  ValueClient& server_;
  std::string temporary_;
};

}  // namespace walstitch::agent
