#include "agents/wal/tail.h"

#include <optional>

#include "agents/wal/log_format.h"

namespace walstitch::wal {

Result<TailBatches> ReadTail(WalSource& source, Sequence from, std::uint64_t max_bytes) {
  TailBatches tail;
  tail.next = from;
  std::uint64_t bytes = 0;
  std::optional<Sequence> elsewhere;  // where the first batch begins, if not at `from`
  const SequenceRange rest{from, Sequence(kMaxSequence)};
  Result<void> read = source.ForEachBatch(rest, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    if (tail.batches.empty() && batch.first != from) {
      elsewhere = batch.first;
      return false;
    }
    tail.more = !tail.batches.empty() && bytes + batch.bytes.size() > max_bytes;
    if (tail.more) return false;
    bytes += batch.bytes.size();
    tail.batches.push_back({std::string(batch.bytes)});
    tail.next = batch.End();
    return true;
  });
  if (elsewhere && *elsewhere < from) {
    return Fail(ErrorCode::kConflict, "sequence " + from.ToString() + " is inside the batch at " +
                                          elsewhere->ToString() + ": no reading can begin there");
  }
  if (elsewhere) {
    return Fail(ErrorCode::kNotFound, "sequence " + from.ToString() + " is no longer in the WAL");
  }
  // What was read whole stands for itself; what is wrong behind it, the next question is told.
  if (!read && tail.batches.empty()) return Fail(read.error());
  if (!read) tail.more = true;
  return tail;
}

}  // namespace walstitch::wal
