// The WAL as the server tells it (POLLUPDATES), for when its directory is not readable.
//
// What the command does, and what follows from it (Kvrocks' Server::PollUpdates, RocksDB's
// GetUpdatesSince):
//   * It reads from after + 1. If that sequence is inside a batch, the batch that holds it comes first.
//   * If that sequence is purged, the first later batch comes silently; sequences missing in between are
//     silent, too. So every sequence is verified here, and what does not fit is kNotFound.
//   * after = 0 thus yields the oldest batch: Extent() costs one call.
//   * A count-0 batch is skipped where the reading begins, and never comes last: count-0 batches are only
//     seen between others.
//
// Not thread-safe, as its PollFunction need not be. Owns the function, and nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agents/wal/wal_source.h"

namespace walstitch::wal {

// One answer of POLLUPDATES.
struct PolledUpdates {
  Sequence latest;                   // the server's last sequence
  std::vector<std::string> batches;  // raw bytes
  Sequence next;                     // what the server says to feed back; not relied on here
};

// POLLUPDATES after MAX max_batches FORMAT RAW; max_batches is 1..1000. An -ERR of the server is an Error
// whose message contains the server's text.
using PollFunction = std::function<Result<PolledUpdates>(Sequence after, std::uint32_t max_batches)>;

class PollUpdatesSource : public WalSource {
 public:
  explicit PollUpdatesSource(PollFunction poll) : poll_(std::move(poll)) {}

  // `files` and `bytes` are 0, `source` is "pollupdates". `oldest` is the oldest batch of count > 0.
  Result<WalExtent> Extent() override;
  Result<void> ForEachBatch(SequenceRange range, const BatchVisitor& visit) override;

 private:
  PollFunction poll_;
};

}  // namespace walstitch::wal
