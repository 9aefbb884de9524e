// The records of a range, decoded one by one, for people (`walstitch wal records`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

struct RecordInfo {
  Sequence sequence;
  std::uint32_t column_family = 0;
  std::string column_family_name;  // kvrocks_keys.h; "unknown" for one that Kvrocks may add later
  std::string operation;           // "Put", "Delete", ... (batch_decoder.h)
  std::string name_space;          // raw bytes; empty if the record is of no user key
  std::string user_key;            // raw bytes
  bool has_user_key = false;
  std::string type;               // Kvrocks' type name; empty: this record does not tell
  std::string key;                // the RocksDB key, raw bytes; DeleteRange: the first that it covers
  std::uint64_t value_bytes = 0;  // DeleteRange: length of the first key that it does not cover
};

struct RecordOptions {
  std::size_t max_records = 1000;
  bool slot_encoded = false;  // cluster-enabled
};

// Only records that consume a sequence, of sequences in the range; at most max_records. Errors as
// WalSource::ForEachBatch, and kDamaged for a batch that does not decode.
Result<std::vector<RecordInfo>> ListRecords(WalSource& source, SequenceRange range,
                                            const RecordOptions& options);

}  // namespace walstitch::wal
