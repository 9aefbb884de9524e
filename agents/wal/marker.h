// Walstitch's own records in a WAL: no-op records that advance a node, and the marker that tells whose.
//
// A no-op record is a Delete in Kvrocks' pubsub column family (3) of a reserved key that begins with
// 00 FF FF: a namespace of length 0, which no Kvrocks key has. It has no effect on any data. The marker
// is a LogData record, first letter `r`, never 18 bytes long (that would be a replication id), never
// empty; Kvrocks keeps it byte for byte and reads nothing from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/sequence.h"

namespace walstitch::wal {

inline constexpr std::uint32_t kMaxPadBatch = 4096;  // no-op records in one batch

// The bytes of the LogData that marks a batch with the decision's id.
std::string MarkerLogData(std::string_view decision);

// What a decision's filler is marked with (policies/model/batch.h).
std::string FillerMarker(std::string_view decision);
// And what takes a tail back for it.
std::string UndoMarker(std::string_view decision);

// The reserved key of the no-op records: 00 FF FF "walstitch".
std::string_view NoopKey();

// The batches (RocksDB WriteBatch bytes) that advance a node from `next` to `target`, marked with the
// decision's id. The last one also carries `r ` + replication_id if that is not empty (16 characters
// of 0-9A-Z). target >= next; equal gives no batch.
std::vector<std::string> MakePadBatches(Sequence next, Sequence target, std::string_view decision,
                                        std::string_view replication_id);

// Whether a marker can be among these bytes: false is certain, and cheaper than decoding a batch.
bool MayHoldMarker(std::string_view batch);

// The decision's id, if this LogData is a marker.
std::optional<std::string> ParseMarker(std::string_view log_data);

// The replication id, if this LogData is one (18 bytes, `r ` and 16 of 0-9A-Z).
std::optional<std::string> ParseReplicationId(std::string_view log_data);

}  // namespace walstitch::wal
