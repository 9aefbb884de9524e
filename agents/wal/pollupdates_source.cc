#include "agents/wal/pollupdates_source.h"

#include <algorithm>

#include "agents/wal/batch_decoder.h"

namespace walstitch::wal {
namespace {

constexpr std::uint32_t kFirstPoll = 16;
constexpr std::uint32_t kMaxPoll = 1000;
// An answer of about this size is wanted: batches are up to a MiB, and come as hex.
constexpr std::size_t kWantedBytes = 1U << 20;

bool Says(const Error& error, std::string_view text) {
  return error.Message().find(text) != std::string::npos;
}

// The server has no WAL to read from (Storage::GetWALIter).
bool SaysNothingThere(const Error& error) {
  return Says(error, "iterator is not valid") || Says(error, "unable to get WAL iterator");
}

tl::unexpected<Error> Damaged(const std::string& what) {
  return Fail(ErrorCode::kDamaged, "POLLUPDATES: " + what);
}

}  // namespace

Result<WalExtent> PollUpdatesSource::Extent() {
  WalExtent extent;
  extent.source = "pollupdates";
  Result<PolledUpdates> polled = poll_(Sequence(0), kFirstPoll);
  if (!polled) {
    if (SaysNothingThere(polled.error())) return extent;
    return Fail(polled.error(), "POLLUPDATES");
  }
  for (const std::string& bytes : polled->batches) {
    Result<BatchHeader> header = ParseBatchHeader(bytes);
    if (!header) return Fail(header.error(), "POLLUPDATES");
    if (header->count == 0) continue;
    extent.oldest = header->first;
    extent.last = std::max(polled->latest, header->first + header->count - 1);
    break;
  }
  return extent;
}

Result<void> PollUpdatesSource::ForEachBatch(SequenceRange range, const BatchVisitor& visit) {
  if (range.Empty()) return {};
  if (range.from.Value() == 0) {
    return Fail(ErrorCode::kNotFound, "sequence 0 is in no WAL: sequences begin at 1");
  }
  Sequence expected = range.from;  // the first sequence not yet visited
  std::uint32_t ask = kFirstPoll;
  bool any = false;
  while (expected < range.to) {
    Result<PolledUpdates> polled = poll_(expected - 1, ask);
    if (!polled) {
      if (Says(polled.error(), "sequence is out of range")) {
        if (any) return {};
        return Fail(ErrorCode::kNotFound,
                    "sequence " + range.from.ToString() + " is beyond the last sequence of the server");
      }
      if (SaysNothingThere(polled.error())) {
        return Fail(ErrorCode::kNotFound,
                    "sequence " + expected.ToString() + " is no longer in the server's WAL");
      }
      return Fail(polled.error(), "POLLUPDATES");
    }
    const Sequence asked = expected;
    std::size_t total = 0;
    for (const std::string& bytes : polled->batches) {
      total += bytes.size();
      Result<BatchHeader> header = ParseBatchHeader(bytes);
      if (!header) return Fail(header.error(), "POLLUPDATES");
      const BatchView batch{header->first, header->count, bytes};
      if (batch.first >= range.to) return {};
      if (batch.first > expected) {
        return Fail(ErrorCode::kNotFound, "sequences " + SequenceRange{expected, batch.first}.ToString() +
                                              " are no longer in the server's WAL: it answers with the "
                                              "batch at " +
                                              batch.first.ToString());
      }
      // Only the first batch of the range may begin before what is expected, and it must reach it.
      if (batch.first < expected && (any || batch.End() <= expected)) {
        if (batch.count == 0 && !any) continue;
        return Damaged("asked for sequence " + asked.ToString() + ", the server gave the batch " +
                       SequenceRange{batch.first, batch.End()}.ToString() + " when " + expected.ToString() +
                       " was next");
      }
      any = true;
      if (!visit(batch)) return {};
      expected = batch.End();
      if (expected >= range.to) return {};
    }
    if (expected == asked) {
      // Nothing new. That is the end, unless the server has the sequence and does not give it.
      if (polled->latest >= asked && polled->batches.empty()) {
        // It may just have been written, between the reading and the answer: once more settles it.
        polled = poll_(asked - 1, ask);
        if (!polled) return Fail(polled.error(), "POLLUPDATES");
        if (!polled->batches.empty()) continue;
        if (polled->latest >= asked) {
          return Fail(ErrorCode::kNotFound, "sequence " + asked.ToString() +
                                                " is not in the server's WAL, though its last is " +
                                                polled->latest.ToString());
        }
      }
      return {};
    }
    if (total < kWantedBytes / 2) {
      ask = std::min(ask * 2, kMaxPoll);
    } else if (total > kWantedBytes * 2) {
      ask = std::max(ask / 2, 1U);
    }
  }
  return {};
}

}  // namespace walstitch::wal
