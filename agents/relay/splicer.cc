#include "agents/relay/splicer.h"

#include "agents/relay/sequencer.h"
#include "agents/wal/batch_decoder.h"
#include "agents/wal/filler.h"
#include "agents/wal/marker.h"

namespace walstitch::relay {

Result<void> Splicer::Check(Sequence first, std::uint32_t count) const {
  // What came behind the place where they met is the follower's.
  WALSTITCH_CHECK(!Met());
  if (first != upstream_next_) {
    return Fail(ErrorCode::kDamaged, "out of sequence: a batch at " + first.ToString() + " where " +
                                         upstream_next_.ToString() + " was expected");
  }
  const std::uint64_t node = NodeNext().Value();
  if (node > kMaxSequence.Value() || kMaxSequence.Value() - node < count) {
    return Fail(ErrorCode::kDamaged, "out of sequence: a batch at " + first.ToString() + " of " +
                                         std::to_string(count) +
                                         " records, past the greatest sequence of the node");
  }
  return {};
}

Result<std::optional<std::string>> Splicer::Take(std::string_view batch) {
  const Result<wal::BatchHeader> header = wal::ParseBatchHeader(batch);
  if (!header) return Fail(header.error());
  if (const Result<void> fits = Check(header->first, header->count); !fits) return Fail(fits.error());
  const Sequence node_first = NodeNext();
  if (!wal::MayHoldMarker(batch)) {
    std::string renumbered(batch);
    wal::SetBatchFirst(renumbered.data(), node_first);
    upstream_next_ = upstream_next_ + header->count;
    return renumbered;
  }
  Result<wal::WithoutFiller> without = wal::LeaveOutFiller(batch, marker_);
  if (!without) return Fail(without.error());
  if (without->left_out > remaining_) {
    return Fail(ErrorCode::kDamaged, "the batch at " + header->first.ToString() + " has " +
                                         std::to_string(without->left_out) + " records of the filler, and " +
                                         std::to_string(remaining_) + " were still to come");
  }
  upstream_next_ = upstream_next_ + header->count;
  remaining_ -= without->left_out;
  if (without->left_out > 0 && without->count == 0) return std::nullopt;
  wal::SetBatchFirst(without->batch.data(), node_first);
  return std::move(without->batch);
}

Result<Sequence> Splicer::TakeGreat(Sequence first, std::uint32_t count) {
  if (const Result<void> fits = Check(first, count); !fits) return Fail(fits.error());
  const Sequence node_first = NodeNext();
  upstream_next_ = upstream_next_ + count;
  return node_first;
}

}  // namespace walstitch::relay
