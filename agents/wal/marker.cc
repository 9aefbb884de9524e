#include "agents/wal/marker.h"

#include <algorithm>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "policies/model/batch.h"

namespace walstitch::wal {
namespace {

constexpr std::string_view kMarkerPrefix = "rWalstitch:";
constexpr std::size_t kReplicationIdLength = 16;
constexpr std::size_t kReplicationLogDataLength = 2 + kReplicationIdLength;

void AppendLogData(std::string* out, std::string_view bytes) {
  out->push_back(0x03);
  PutLengthPrefixed(out, bytes);
}

bool IsReplicationId(std::string_view id) {
  return id.size() == kReplicationIdLength && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

}  // namespace

// Kvrocks takes any LogData of 18 bytes that begins with `r` for a replication id. A marker that would be
// that long (a decision's id of 7 bytes) gets a newline at its end, which ParseMarker takes off again.
std::string MarkerLogData(std::string_view decision) {
  std::string marker(kMarkerPrefix);
  marker += decision;
  if (marker.size() == kReplicationLogDataLength) marker += '\n';
  return marker;
}

std::string_view NoopKey() { return std::string_view("\x00\xff\xffwalstitch", 12); }

std::vector<std::string> MakePadBatches(Sequence next, Sequence target, std::string_view decision,
                                        std::string_view replication_id) {
  WALSTITCH_CHECK(target >= next);
  std::vector<std::string> batches;
  std::string record;
  record.push_back(0x04);
  PutVarint32(&record, kPubsubFamily);
  PutLengthPrefixed(&record, NoopKey());
  const std::string marker = MarkerLogData(decision);
  while (next < target) {
    const std::uint64_t count = std::min<std::uint64_t>(target - next, kMaxPadBatch);
    std::string batch;
    batch.reserve(64 + marker.size() + record.size() * count);
    PutFixed(&batch, next.Value(), 8);
    PutFixed(&batch, count, 4);
    AppendLogData(&batch, marker);
    for (std::uint64_t i = 0; i < count; ++i) batch += record;
    next = next + count;
    // Last in the batch, where Kvrocks puts it.
    if (next == target && !replication_id.empty()) AppendLogData(&batch, "r " + std::string(replication_id));
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::string UndoMarker(std::string_view decision) { return std::string(kUndoPrefix) + std::string(decision); }

std::string FillerMarker(std::string_view decision) {
  return std::string(kFillerPrefix) + std::string(decision);
}

bool MayHoldMarker(std::string_view batch) { return batch.find(kMarkerPrefix) != std::string_view::npos; }

std::optional<std::string> ParseMarker(std::string_view log_data) {
  if (!log_data.starts_with(kMarkerPrefix) || log_data.size() == kReplicationLogDataLength)
    return std::nullopt;
  if (log_data.size() == kReplicationLogDataLength + 1 && log_data.back() == '\n') log_data.remove_suffix(1);
  return std::string(log_data.substr(kMarkerPrefix.size()));
}

std::optional<std::string> ParseReplicationId(std::string_view log_data) {
  if (log_data.size() != kReplicationLogDataLength || !log_data.starts_with("r ")) return std::nullopt;
  const std::string_view id = log_data.substr(2);
  if (!IsReplicationId(id)) return std::nullopt;
  return std::string(id);
}

}  // namespace walstitch::wal
