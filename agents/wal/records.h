// The records of a range, decoded one by one: of which user key, of what type.
//
// Pure but for the source that is read; thread-safe. Bytes from outside: every error is a Result.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

// A record and what it is about. Views into the batch, valid during the visit.
struct KvrocksRecord {
  BatchRecord raw;
  std::optional<UserKey> user_key;       // none: not of a user key, or not Kvrocks' encoding
  std::optional<std::string_view> type;  // Kvrocks' type name; none: this record does not tell
  // Of no user key: "pubsub", "propagate", "search", "flush" (a DeleteRange), "pad" (Walstitch's own no-op),
  // "unknown". Empty for one of a user key.
  std::string_view internal;
};

// Of metadata: a delete, or a value of a type without subkeys. Whatever is in sight of the key behind it was
// written behind it, or with it.
bool RenewsKey(const BatchRecord& record);

// Return false to stop.
using KvrocksRecordVisitor = std::function<bool(const KvrocksRecord&)>;

// Visits the records of a batch that consume a sequence, in order. Errors as DecodeBatch.
Result<void> ForEachRecord(std::string_view batch, bool slot_encoded, const KvrocksRecordVisitor& visit);

// The same of all that a batch holds: what consumes no sequence (LogData, marks of transactions) is of no
// user key and of nothing internal.
Result<void> ForEachEntry(std::string_view batch, bool slot_encoded, const KvrocksRecordVisitor& visit);

struct RecordInfo {
  Sequence sequence;
  std::uint32_t column_family = 0;
  std::string column_family_name;  // kvrocks_keys.h; "unknown" for one that Kvrocks may add later
  std::string operation;           // "Put", "Delete", ... (batch_decoder.h)
  std::string internal;            // as in KvrocksRecord
  std::string name_space;          // raw bytes; empty if the record is of no user key
  std::string user_key;            // raw bytes
  bool has_user_key = false;
  std::string type;               // Kvrocks' type name; empty: this record does not tell
  std::string key;                // the RocksDB key, raw bytes; DeleteRange: the first that it covers
  std::uint64_t value_bytes = 0;  // DeleteRange: length of the first key that it does not cover
};

struct RecordOptions {
  std::size_t max_records = 1000;
  bool slot_encoded = false;                               // cluster-enabled
  std::function<bool(const KvrocksRecord&)> matches = {};  // none: every record
};

struct RecordList {
  std::vector<RecordInfo> records;
  std::optional<Sequence> next;  // max_records were found before the range's end: where to go on
};

// Only records that consume a sequence, of sequences in the range; at most max_records. Errors as
// WalSource::ForEachBatch, and kDamaged for a batch that does not decode.
Result<RecordList> ListRecords(WalSource& source, SequenceRange range, const RecordOptions& options);

}  // namespace walstitch::wal
