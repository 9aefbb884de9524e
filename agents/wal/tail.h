// The end of a WAL, batch by batch, for another node to take: a rescue (relay.md).
#pragma once

#include <cstdint>

#include "agents/wal/wal_source.h"

namespace walstitch::wal {

// Whole batches (count > 0) from exactly `from` on, as many as fit into max_bytes, but at least one if there
// is one. kConflict if `from` is inside a batch; else errors as WalSource::ForEachBatch. No batches, `from`
// is last + 1: nothing more.
Result<TailBatches> ReadTail(WalSource& source, Sequence from, std::uint64_t max_bytes);

}  // namespace walstitch::wal
