// Writes keys of a salvage back to the node's own server, the master. Blocking.
//
// A key is left alone if it changed since the fork, for then the master's value is the newer one. It counts
// as changed if a record of the master's WAL after the fork touches it; every key does, if the WAL no longer
// reaches back to the fork, or holds a flush. Each key is one transaction:
//
// 1. WATCH. 2. An empty EXEC on another connection waits for the commands that were begun before, which WATCH
// may have missed. 3. The WAL is read up to its end: it has whatever these wrote. 4. MULTI, one command,
// EXEC: refused by the server if the key changed after 1. A change is overlooked only if the server's own
// WATCH does not see it: one between 3 and 4 by a script that did not declare the key, or that failed behind
// its write.
//
// One command, so that it happens as a whole or not at all, also on a server that refuses what makes it
// larger (max-db-size): a string's SET, a DEL, or the RENAME of a key under which the value was put together
// before.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/agent/salvage_values.h"
#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"
#include "policies/model/sequence.h"

namespace walstitch::agent {

// Which of some keys the records behind a sequence touch; reads on from where it ended last.
class ChangesSince {
 public:
  ChangesSince(wal::WalSource& source, Sequence fork, bool slot_encoded, std::set<KeyName> keys);

  Result<void> ReadOn();
  [[nodiscard]] bool Changed(const KeyName& key) const { return all_ || changed_.contains(key); }
  // Why every key counts as changed; empty: not every one does.
  [[nodiscard]] const std::string& WhyAll() const { return why_all_; }

 private:
  void All(std::string why);

  wal::WalSource& source_;
  Sequence next_;
  bool slot_encoded_;
  std::set<KeyName> keys_;
  std::set<KeyName> changed_;
  bool all_ = false;
  std::string why_all_;
};

// The answers to the first values, at least one unless there are none: it stops `budget_ms` behind the first.
// An Error: nothing was done.
Result<ReplayAnswer> ReplayValues(wal::WalSource& source, node::ClientOptions server, bool slot_encoded,
                                  const ReplayRequest& request, Sequence fork,
                                  const std::vector<SalvagedValue>& values, std::int64_t budget_ms);

}  // namespace walstitch::agent
