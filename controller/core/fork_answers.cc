#include "controller/core/fork_answers.h"

#include <algorithm>
#include <array>
#include <optional>

#include "policies/model/bytes.h"

namespace walstitch::core {
namespace {

// A batch begins with its first sequence (8 bytes) and its count (4 bytes), little-endian.
constexpr std::size_t kBatchHeaderSize = 12;

std::uint64_t LittleEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    value = (value << 8) | static_cast<std::uint8_t>(*byte);
  }
  return value;
}

bool IsBatch(std::string_view bytes, const BatchInfo& batch) {
  if (bytes.size() < kBatchHeaderSize) return false;
  const auto hash = Sha256(bytes);
  return Sequence(LittleEndian(bytes.substr(0, 8))) == batch.first &&
         LittleEndian(bytes.substr(8, 4)) == batch.count &&
         std::equal(batch.digest.bytes.begin(), batch.digest.bytes.end(), hash.begin());
}

bool Possible(Sequence first) { return first.Value() > 0 && first.Value() <= kMaxSequence; }

}  // namespace

std::string TakeBatches(std::string_view side, const std::vector<BatchInfo>& list, Sequence from,
                        Batches* batches) {
  const std::string whose = "the " + std::string(side) + "'s list of batches ";
  for (const auto& batch : list) {
    if (batch.count == 0) continue;
    if (!Possible(batch.first)) return whose + "holds the impossible sequence " + batch.first.ToString();
    if (!batches->empty() && batches->back()->End() != batch.first) {
      return whose + "goes from " + batches->back()->End().ToString() + " to " + batch.first.ToString();
    }
    batches->push_back(&batch);
  }
  if (batches->empty()) return whose + "holds nothing at " + from.ToString();
  if (batches->front()->first > from) {
    return whose + "begins at " + batches->front()->first.ToString() + ", and " + from.ToString() +
           " was asked for: its WAL was purged meanwhile";
  }
  if (batches->front()->End() <= from) {
    return whose + "begins with a batch that ends before " + from.ToString();
  }
  return "";
}

std::string CheckDigests(std::string_view side, const RangeDigests& digests, SequenceRange range,
                         std::uint32_t parts) {
  const std::string whose = "the " + std::string(side) + "'s digests ";
  if (digests.parts.empty())
    return whose + "of " + range.ToString() + " are none: they are not in its WAL any more";
  if (digests.parts.size() > parts) {
    return whose + "are of " + std::to_string(digests.parts.size()) + " parts, and " + std::to_string(parts) +
           " were asked for";
  }
  std::optional<Sequence> expected;
  for (std::uint32_t i = 0; i < digests.parts.size(); ++i) {
    const PartDigest& part = digests.parts[i];
    const SequenceRange within = PartOf(range, parts, i);
    if (part.batches == 0) {
      if (part != PartDigest{}) return whose + "tell of batches in a part without any, " + within.ToString();
      continue;
    }
    if (part.first < within.from || part.first >= within.to) {
      return whose + "have a batch at " + part.first.ToString() + " in the part " + within.ToString();
    }
    if (part.end.Value() > kMaxSequence + 1 || part.end <= part.first || part.batches > within.Size() ||
        part.batches > part.end - part.first) {
      return whose + "have " + std::to_string(part.batches) + " batches from " + part.first.ToString() +
             " to " + part.end.ToString() + " in the part " + within.ToString();
    }
    if (expected && part.first != *expected) {
      return whose + "go from " + expected->ToString() + " to " + part.first.ToString();
    }
    expected = part.end;
  }
  return "";
}

std::string CheckMarked(std::string_view side, const MarkedBatches& marked, SequenceRange range) {
  const std::string whose = "the " + std::string(side) + "'s list of marked batches ";
  if (marked.looked_to <= range.from || marked.looked_to > range.to) {
    return whose + "of " + range.ToString() + " reaches to " + marked.looked_to.ToString();
  }
  Sequence before = range.from;  // a batch must end behind it
  for (const auto& batch : marked.batches) {
    const bool first = &batch == &marked.batches.front();
    if (!Possible(batch.first) || batch.count == 0 || batch.marker.empty() || batch.first >= range.to ||
        batch.End() <= before || (!first && batch.first < before)) {
      return whose + "of " + range.ToString() + " holds the batch " +
             SequenceRange{batch.first, batch.End()}.ToString() +
             ", out of range or order, or without a marker";
    }
    before = batch.End();
  }
  return "";
}

std::string CheckBytes(std::string_view side, std::string_view bytes, const std::vector<BatchInfo>& batches,
                       std::size_t max_bytes) {
  const std::string whose = "the " + std::string(side) + "'s bytes ";
  if (bytes.size() > max_bytes) return whose + "are more than were asked for";
  const bool cut_off = bytes.size() == max_bytes;
  for (const auto& batch : batches) {
    if (batch.bytes > bytes.size()) {
      if (cut_off) return "";
      return whose + "end inside the batch at " + batch.first.ToString();
    }
    if (!IsBatch(bytes.substr(0, batch.bytes), batch)) {
      return whose + "at " + batch.first.ToString() + " are not the batch that it listed there";
    }
    bytes.remove_prefix(batch.bytes);
  }
  return bytes.empty() ? "" : whose + "go on behind the last batch that was asked for";
}

}  // namespace walstitch::core
