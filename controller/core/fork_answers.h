// Whether what a side answered to a question of the fork search can be right at all. Pure; thread-safe.
// Each check returns what is wrong with the answer, one sentence, or "".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

// RocksDB keeps a sequence in 56 bits: anything above is no sequence, and sums stay far from overflow.
inline constexpr std::uint64_t kMaxSequence = (1ULL << 56) - 1;

using Batches = std::vector<const BatchInfo*>;

// Batches of count 0 take no sequence and are left out. The list must be without gaps, and begin with the
// batch that holds `from`.
std::string TakeBatches(std::string_view side, const std::vector<BatchInfo>& list, Sequence from,
                        Batches* batches);

// At most `parts` parts of the range, each with batches that begin in it, one behind the other.
std::string CheckDigests(std::string_view side, const RangeDigests& digests, SequenceRange range,
                         std::uint32_t parts);

// Batches of the range, in order, each with a marker; looked at up to somewhere behind the range's beginning.
std::string CheckMarked(std::string_view side, const MarkedBatches& marked, SequenceRange range);

// That the bytes are those of the batches (first, count, length and digest), one behind the other and nothing
// else, or what max_bytes leave of them.
std::string CheckBytes(std::string_view side, std::string_view bytes, const std::vector<BatchInfo>& batches,
                       std::size_t max_bytes);

}  // namespace walstitch::core
