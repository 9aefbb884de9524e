// Two WALs compared without sending them: digests of the parts of a range, so that a few narrowing rounds
// find the first batch that differs. Which parts to ask for is core::ForkSearch's business.
//
// The digests are keyed (policies/model/batch.h): equal digests are equal bytes, but for a probability that
// no writer of the data can raise. Checksums are verified on every byte that is digested, by the source.
//
// As thread-safe as the source that is passed in. Memory: 64 KiB, the answer, and the source's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "agents/wal/wal_source.h"

namespace walstitch::wal {

inline constexpr std::uint32_t kMaxDigestParts = 1024;

// What one question may make an agent read, in bytes of batches: about two seconds of a warm disk, eight of
// one that gives 128 MB/s. A server that is asked by POLLUPDATES searches its logs anew for every MiB, so it
// reads less at a time. Whoever asks waits a minute for an answer (controller/shell/agent_client.cc).
inline constexpr std::uint64_t kMaxReadBytes = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kMaxPolledBytes = std::uint64_t{64} << 20;
// kMaxReadBytes or kMaxPolledBytes, whichever is for this kind of source; its errors as Extent's.
Result<std::uint64_t> MaxBytesFor(WalSource& source);

// The digests of `parts` (1..kMaxDigestParts) parts of the range; errors as WalSource::ForEachBatch. What the
// range reaches past the end of the WAL, and what begins in a batch before it, is in no part. After max_bytes
// of batches no further part is begun: the answer is shorter then, but never empty.
Result<RangeDigests> DigestRange(WalSource& source, SequenceRange range, std::uint32_t parts,
                                 const DigestKey& key, std::uint64_t max_bytes);

// The batches of the range that carry a marker of ours, at most max_batches (1 or more), and up to where was
// looked, at most the range's end: less where the WAL ends, or after max_bytes or max_batches. Errors as
// WalSource::ForEachBatch.
Result<MarkedBatches> ListMarked(WalSource& source, SequenceRange range, std::size_t max_batches,
                                 std::uint64_t max_bytes);

// The bytes of the batches (count > 0) that hold a sequence of the range, one behind the other, cut off at
// max_bytes: for the last look at what digests say is equal.
Result<std::string> BatchBytes(WalSource& source, SequenceRange range, std::size_t max_bytes);

}  // namespace walstitch::wal
