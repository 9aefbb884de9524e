#include "agents/wal/wal_source.h"

#include <algorithm>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/batch_digest.h"
#include "agents/wal/log_format.h"
#include "agents/wal/marker.h"

namespace walstitch::wal {
namespace {

SequenceRange Only(Sequence sequence) { return {sequence, sequence + 1}; }

}  // namespace

Result<void> CheckPossible(Sequence sequence) {
  if (sequence.Value() <= kMaxSequence) return {};
  return Fail(ErrorCode::kNotFound, "sequence " + sequence.ToString() + " is beyond RocksDB's sequences");
}

Result<std::optional<BatchInfo>> WalSource::BatchHolding(Sequence sequence) {
  if (auto possible = CheckPossible(sequence); !possible) return Fail(possible.error());
  std::optional<BatchInfo> found;
  Result<void> read = ForEachBatch(Only(sequence), [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    found = Describe(batch);
    return false;
  });
  if (!read) return Fail(read.error());
  return found;  // none: the sequence is last + 1, anything further is kNotFound
}

Result<Sequence> WalSource::BoundaryAtOrAfter(Sequence sequence) {
  if (auto possible = CheckPossible(sequence); !possible) return Fail(possible.error());
  Sequence boundary = sequence;
  Result<void> read = ForEachBatch(Only(sequence), [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    // Behind a batch there is another one, or next: both are boundaries.
    boundary = batch.first == sequence ? sequence : batch.End();
    return false;
  });
  if (!read) return Fail(read.error());
  return boundary;
}

BatchInfo Describe(const BatchView& batch) {
  BatchInfo info;
  info.first = batch.first;
  info.count = batch.count;
  info.bytes = batch.bytes.size();
  info.digest = DigestOf(batch.bytes);
  // Decoding is dear, and few batches are ours.
  if (MayHoldMarker(batch.bytes)) {
    // A batch that does not decode just has no marker: what is wrong with it shows where it is decoded.
    (void)DecodeBatch(batch.bytes, [&](const BatchRecord& record) {
      if (record.operation != Operation::kLogData) return true;
      std::optional<std::string> marker = ParseMarker(record.value);
      if (!marker) return true;
      info.marker = std::move(*marker);
      return false;
    });
  }
  return info;
}

Result<std::vector<BatchInfo>> ListBatches(WalSource& source, SequenceRange range, std::size_t max_batches) {
  std::vector<BatchInfo> batches;
  if (max_batches == 0) return batches;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    if (batch.count > 0) batches.push_back(Describe(batch));
    return batches.size() < max_batches;
  });
  if (!read) return Fail(read.error());
  return batches;
}

Result<std::string> ReplicationIdAt(WalSource& source, Sequence sequence) {
  if (auto possible = CheckPossible(sequence); !possible) return Fail(possible.error());
  std::string id;
  Result<void> decoded;
  Result<void> read = source.ForEachBatch(Only(sequence), [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    decoded = DecodeBatch(batch.bytes, [&](const BatchRecord& record) {
      if (record.operation != Operation::kLogData) return true;
      // The last one counts: of several writers in one batch Kvrocks reads the last, too.
      if (std::optional<std::string> found = ParseReplicationId(record.value)) id = std::move(*found);
      return true;
    });
    return false;
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  return id;
}

}  // namespace walstitch::wal
