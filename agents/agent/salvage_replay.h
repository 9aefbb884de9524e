// Writes keys of a salvage back to the node's own server, the master. Blocking.
//
// A key is left alone if it changed since the fork, for then the master's value is the newer one. It counts
// as changed if a record of the master's WAL after the fork touches it; every key does, if the WAL no longer
// reaches back to the fork, or holds a flush. It is looked for behind the WATCH of the key (key_writer.h):
// the WAL has whatever the commands wrote that were begun before.
#pragma once

#include <cstdint>
#include <vector>

#include "agents/agent/key_values.h"
#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"
#include "policies/model/sequence.h"

namespace walstitch::agent {

// The answers to the first values, at least one unless there are none: it stops `budget_ms` behind the first.
// An Error: nothing was done.
Result<ReplayAnswer> ReplayValues(wal::WalSource& source, node::ClientOptions server, bool slot_encoded,
                                  const ReplayRequest& request, Sequence fork,
                                  const std::vector<SalvagedValue>& values, std::int64_t budget_ms);

}  // namespace walstitch::agent
