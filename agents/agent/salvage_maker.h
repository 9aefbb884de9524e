// Makes one salvage: the tail's batches and records from the WAL, then the values of the keys that they touch
// from the server. Memory is bounded, whatever the tail's size. Blocking.
//
// What the WAL does not give any more is no reason to fail: it will not come back, and a node that waited for
// it would wait for ever. It is named in the manifest; so is, where the salvage is not required, what of the
// WAL cannot be read just now, and the values for which there is no time. Whatever else may pass (a full
// disk, a server that does not answer) is an Error, and leaves nothing behind.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agents/agent/key_values.h"
#include "agents/agent/salvage_store.h"
#include "agents/wal/wal_source.h"
#include "policies/model/command.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch::agent {

struct SalvageOrder {
  SalvageAction action;  // with a valid id
  std::string group;
  std::string node;
  bool slot_encoded = false;  // cluster-enabled
  std::int64_t now_ms = 0;    // unix time
};

// The values of keys, as ValueClient::Read.
using ReadValues = std::function<Result<std::vector<SalvagedValue>>(const std::vector<UserKeyName>&)>;
// An Error ends the making: the reason.
using GoOn = std::function<Result<void>()>;

// `time_is_left` is asked for before values are read: without any the salvage ends without the rest of them.
//
// A salvage that is there already is given as it is: one of this id; or an earlier one of the very same
// batches, for a rejoin that is tried again and again must not fill the disk.
Result<SalvageManifest> MakeSalvage(wal::WalSource& source, SalvageStore& store, const SalvageOrder& order,
                                    const ReadValues& read, const GoOn& go_on,
                                    const std::function<bool()>& time_is_left);

}  // namespace walstitch::agent
