// Decodes a batch (RocksDB's WriteBatch): header, then records. Pure, thread-safe; views point into the
// bytes that were passed in. Bytes from outside: every error is a Result, kDamaged, never a crash.
//
//   batch  := first sequence u64 | count u32 | record*           little-endian
//   record := tag u8 | [column family varint32] | strings        string := varint32 length | bytes
//
// Records that change data consume one sequence each, in order; LogData and the marks of transactions
// consume none. A batch whose count is not the number of records that consume is damaged: RocksDB would
// refuse it too (db/write_batch.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

struct BatchHeader {
  Sequence first;
  std::uint32_t count = 0;
};

// kDamaged if there are fewer than 12 bytes, or the sequences do not fit RocksDB's 56 bits.
Result<BatchHeader> ParseBatchHeader(std::string_view bytes);

enum class Operation {
  kPut,
  kDelete,
  kSingleDelete,
  kDeleteRange,
  kMerge,
  kBlobIndex,
  kPutEntity,
  kTimedPut,
  kLogData,          // consumes no sequence, as all below
  kTransactionMark,  // BeginPrepare, EndPrepare, Commit, Rollback, Noop
};

// "Put", "Delete", "SingleDelete", "DeleteRange", "Merge", "BlobIndex", "PutEntity", "TimedPut", "LogData",
// "TransactionMark"
std::string_view ToString(Operation operation);

struct BatchRecord {
  Operation operation = Operation::kTransactionMark;
  std::uint32_t column_family = 0;
  Sequence sequence;       // of this record; for one that consumes none: of the next that does
  std::string_view key;    // DeleteRange: first key covered; LogData: empty
  std::string_view value;  // DeleteRange: first key not covered; LogData: its bytes
  std::string_view bytes;  // the whole record, as it stands in the batch

  [[nodiscard]] bool ConsumesSequence() const {
    return operation != Operation::kLogData && operation != Operation::kTransactionMark;
  }
};

// Return false to stop.
using BatchRecordVisitor = std::function<bool(const BatchRecord&)>;

// Visits the records in order. An Error comes after the records before the fault were visited; a visitor
// that stops early gets no check of what follows.
Result<void> DecodeBatch(std::string_view bytes, const BatchRecordVisitor& visit);

// Appends, as a WriteBatch has it: for building batches. A fixed number is little-endian.
void PutFixed(std::string* out, std::uint64_t value, int bytes);
void PutVarint32(std::string* out, std::uint32_t value);
void PutLengthPrefixed(std::string* out, std::string_view bytes);

// Into the header of a batch of at least 12 bytes.
void SetBatchFirst(char* batch, Sequence first);
void SetBatchCount(char* batch, std::uint32_t count);

}  // namespace walstitch::wal
