// A WAL source answers what a node's WAL holds, without opening the database. Two implementations:
// WalDirectory (wal_directory.h: the files of a data directory, alive or dead) and PollUpdatesSource
// (pollupdates_source.h: asks the server, when the directory is not readable).
//
// Not thread-safe: one caller at a time. Answers describe the moment they were asked for: on a live
// node the next call may see more at the end and less at the beginning.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

// A batch with its bytes; the view is valid only during the call that it is passed to.
struct BatchView {
  Sequence first;
  std::uint32_t count = 0;
  std::string_view bytes;  // header (12 bytes) and records, as in the WAL

  [[nodiscard]] Sequence End() const { return first + count; }
};

// Return false to stop.
using BatchVisitor = std::function<bool(const BatchView&)>;

class WalSource {
 public:
  virtual ~WalSource() = default;

  virtual Result<WalExtent> Extent() = 0;

  // Visits, in order, every batch that holds a sequence of the range (a batch that only begins before
  // it is included) and the count-0 batches inside it. kNotFound if the range begins before the oldest
  // sequence held or after last + 1, or if sequences in it are in no batch; kDamaged, with file and
  // offset, on bytes that cannot be right; a range that reaches past the end just ends there. An error
  // comes after the batches before it were visited. An empty range visits nothing.
  // Count-0 batches are extras: one that stands right before the range's first record may be left out
  // (it can be in another file), and PollUpdatesSource cannot see them all.
  virtual Result<void> ForEachBatch(SequenceRange range, const BatchVisitor& visit) = 0;

  // The info of the batch (count > 0) that holds the sequence; nullopt if it is last + 1 (not yet
  // written); kNotFound if it is purged or beyond.
  virtual Result<std::optional<BatchInfo>> BatchHolding(Sequence sequence);

  // The first boundary at or after the sequence: the first sequence of a batch with count > 0, or
  // last + 1. kNotFound if the sequence is older than the oldest, or beyond last + 1.
  virtual Result<Sequence> BoundaryAtOrAfter(Sequence sequence);
};

// kNotFound for a sequence that no WAL can hold: RocksDB keeps 56 bits.
Result<void> CheckPossible(Sequence sequence);

// Start, count, digest and marker of a batch.
BatchInfo Describe(const BatchView& batch);

// The infos of the batches in the range, at most max_batches of them. Batches of count 0 are left out:
// they take no sequence, and a master and its replica may differ in none of them.
Result<std::vector<BatchInfo>> ListBatches(WalSource& source, SequenceRange range, std::size_t max_batches);

// The keys that the records with sequences in the range touch. At most max_keys are listed.
struct TouchOptions {
  std::size_t max_keys = 200000;
  bool slot_encoded = false;  // cluster-enabled: a u16 slot stands between namespace and key
};
Result<Touched> ListTouched(WalSource& source, SequenceRange range, const TouchOptions& options);

// The replication id (use-rsid-psync) that the batch holding the sequence carries; empty if none.
Result<std::string> ReplicationIdAt(WalSource& source, Sequence sequence);

}  // namespace walstitch::wal
