#include "agents/wal/filler.h"

#include <functional>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/marker.h"

namespace walstitch::wal {
namespace {

constexpr std::size_t kHeaderBytes = 12;

// Visits every record, and says whether it is the filler's (its marker is, too).
Result<void> ForEach(std::string_view batch, std::string_view marker,
                     const std::function<void(const BatchRecord&, bool ours)>& visit) {
  bool in_filler = false;
  return DecodeBatch(batch, [&](const BatchRecord& record) {
    if (record.operation == Operation::kLogData) {
      const std::optional<std::string> found = ParseMarker(record.value);
      in_filler = found && *found == marker;
    } else {
      in_filler = in_filler && record.operation == Operation::kDelete &&
                  record.column_family == kPubsubFamily && record.key == NoopKey();
    }
    visit(record, in_filler);
    return true;
  });
}

}  // namespace

Result<std::uint32_t> CountFiller(std::string_view batch, std::string_view marker) {
  if (!MayHoldMarker(batch)) return std::uint32_t{0};
  std::uint32_t count = 0;
  const Result<void> decoded = ForEach(batch, marker, [&count](const BatchRecord& record, bool ours) {
    if (ours && record.ConsumesSequence()) ++count;
  });
  if (!decoded) return Fail(decoded.error());
  return count;
}

Result<WithoutFiller> LeaveOutFiller(std::string_view batch, std::string_view marker) {
  WithoutFiller without;
  without.batch = batch.substr(0, kHeaderBytes);
  const Result<void> decoded = ForEach(batch, marker, [&without](const BatchRecord& record, bool ours) {
    if (!ours) without.batch += record.bytes;
    if (record.ConsumesSequence()) ++(ours ? without.left_out : without.count);
  });
  if (!decoded) return Fail(decoded.error());
  SetBatchCount(without.batch.data(), without.count);
  return without;
}

}  // namespace walstitch::wal
