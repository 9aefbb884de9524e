#include "tests/simulation/history.h"

#include <algorithm>
#include <map>

#include "policies/model/bytes.h"

namespace walstitch::simulation {
namespace {

std::uint64_t Mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15ULL + (hash << 6) + (hash >> 2);
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9ULL;
  return hash ^ (hash >> 27);
}

std::string NameOf(std::uint8_t key) { return (key < kIgnoredKeys ? "s:" : "o:") + std::to_string(key); }

void PutLittleEndian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}

}  // namespace

TolerancePolicy SimulatedPolicy() {
  TolerancePolicy policy;
  policy.name = "simulated";
  KeyspaceRule rule;
  rule.name = "scratch";
  rule.match.keys = {"s:*"};
  rule.on_divergence = Tolerance::kIgnore;
  rule.source = "simulated:1:1";
  policy.keyspaces.push_back(std::move(rule));
  policy.default_tolerance = Tolerance::kFullSync;
  policy.content_hash = "simulated";
  return policy;
}

void Seal(Batch& batch) {
  std::uint64_t hash = Mix(batch.first, batch.count);
  if (batch.IsPad()) {
    hash = Mix(hash, static_cast<std::uint64_t>(batch.marker) + 1'000'000'007ULL);
  } else {
    for (std::uint32_t i = 0; i < batch.count; ++i) {
      hash = Mix(hash, batch.records[i].key + (std::uint64_t{batch.records[i].value} << 8));
    }
  }
  batch.identity = hash | 1;
  if (batch.written == 0) batch.written = batch.identity;
}

void Data::Apply(const Batch& batch) {
  if (batch.IsPad()) return;
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    versions[batch.records[i].key] = batch.written;
    values[batch.records[i].key] = batch.records[i].value;
  }
}

std::size_t History::Find(std::uint64_t sequence) const {
  const auto found = std::partition_point(batches_.begin(), batches_.end(),
                                          [&](const Batch& batch) { return batch.End() <= sequence; });
  return static_cast<std::size_t>(found - batches_.begin());
}

const Batch* History::At(std::uint64_t sequence) const {
  const std::size_t index = Find(sequence);
  return index < batches_.size() && batches_[index].first == sequence ? &batches_[index] : nullptr;
}

Data History::DataBefore(std::uint64_t sequence) const {
  Data data;
  for (const Batch& batch : batches_) {
    if (batch.End() > sequence) break;
    data.Apply(batch);
  }
  return data;
}

bool WalView::Holds(std::uint64_t sequence) const {
  const std::size_t index = history_.Find(sequence);
  return index >= begin_ && index < history_.Batches().size();
}

std::string WalView::BytesOf(const Batch& batch) const {
  std::string bytes;
  PutLittleEndian(bytes, batch.first, 8);
  PutLittleEndian(bytes, batch.count, 4);
  if (batch.IsPad()) return bytes + "pad " + markers_[static_cast<std::size_t>(batch.marker)];
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    bytes.push_back(static_cast<char>(batch.records[i].key));
    PutLittleEndian(bytes, batch.records[i].value, 4);
  }
  return bytes;
}

BatchInfo WalView::InfoOf(const Batch& batch) const {
  BatchInfo info;
  const std::string bytes = BytesOf(batch);
  info.first = Sequence(batch.first);
  info.count = batch.count;
  info.bytes = bytes.size();
  const auto hash = Sha256(bytes);
  std::copy_n(hash.begin(), info.digest.bytes.size(), info.digest.bytes.begin());
  if (batch.IsPad()) info.marker = markers_[static_cast<std::size_t>(batch.marker)];
  return info;
}

WalExtent WalView::Extent() const {
  WalExtent extent;
  extent.source = "files";
  if (begin_ >= history_.Batches().size()) return extent;
  extent.files = 1;
  extent.oldest = Sequence(history_.Batches()[begin_].first);
  extent.last = Sequence(history_.Next() - 1);
  return extent;
}

Result<std::vector<BatchInfo>> WalView::Batches(SequenceRange range, std::size_t max) const {
  std::vector<BatchInfo> list;
  const auto& batches = history_.Batches();
  std::size_t index = history_.Find(range.from.Value());
  if (index < begin_) return Fail(ErrorCode::kNotFound, "the WAL begins later");
  for (; index < batches.size() && batches[index].first < range.to.Value() && list.size() < max; ++index) {
    list.push_back(InfoOf(batches[index]));
  }
  if (list.empty()) return Fail(ErrorCode::kNotFound, "the WAL ends before");
  return list;
}

Result<RangeDigests> WalView::Digests(SequenceRange range, std::uint32_t parts) const {
  RangeDigests digests;
  if (!Holds(range.from.Value())) return Fail(ErrorCode::kNotFound, "it is not in the WAL");
  const auto& batches = history_.Batches();
  std::size_t index = history_.Find(range.from.Value());
  if (index < batches.size() && batches[index].first < range.from.Value()) ++index;
  for (std::uint32_t i = 0; i < parts; ++i) {
    const SequenceRange part = PartOf(range, parts, i);
    PartDigest digest;
    std::uint64_t hash = 0;
    for (; index < batches.size() && batches[index].first < part.to.Value(); ++index) {
      if (digest.batches++ == 0) digest.first = Sequence(batches[index].first);
      digest.end = Sequence(batches[index].End());
      hash = Mix(hash, batches[index].identity);
    }
    for (std::size_t byte = 0; byte < 8; ++byte)
      digest.digest[byte] = static_cast<std::uint8_t>(hash >> (8 * byte) & 0xFF);
    digests.parts.push_back(digest);
  }
  return digests;
}

Result<MarkedBatches> WalView::Marked(SequenceRange range, std::size_t max) const {
  MarkedBatches marked;
  marked.looked_to = range.to;
  const auto& batches = history_.Batches();
  for (std::size_t index = std::max(begin_, history_.Find(range.from.Value())); index < batches.size();
       ++index) {
    if (batches[index].first >= range.to.Value()) break;
    if (!batches[index].IsPad()) continue;
    if (marked.batches.size() == max) {
      marked.looked_to = Sequence(batches[index].first);
      break;
    }
    marked.batches.push_back(InfoOf(batches[index]));
  }
  return marked;
}

Result<RangeBytes> WalView::Bytes(SequenceRange range, std::size_t max) const {
  RangeBytes bytes;
  const auto& batches = history_.Batches();
  std::size_t index = history_.Find(range.from.Value());
  if (index < begin_) return Fail(ErrorCode::kNotFound, "the WAL begins later");
  for (; index < batches.size() && batches[index].first < range.to.Value(); ++index) {
    bytes.bytes += BytesOf(batches[index]);
  }
  if (bytes.bytes.size() > max) bytes.bytes.resize(max);
  return bytes;
}

Result<Sequence> WalView::Boundary(Sequence at) const {
  const auto& batches = history_.Batches();
  if (begin_ >= batches.size()) return Fail(ErrorCode::kNotFound, "the WAL is empty");
  if (at.Value() < batches[begin_].first) return Fail(ErrorCode::kNotFound, "the WAL begins later");
  if (at.Value() > history_.Next()) return Fail(ErrorCode::kNotFound, "the WAL ends before");
  for (std::size_t index = history_.Find(at.Value()); index < batches.size(); ++index) {
    if (batches[index].first >= at.Value()) return Sequence(batches[index].first);
  }
  return Sequence(history_.Next());
}

Result<Touched> WalView::ListTouched(SequenceRange range) const {
  Touched touched;
  touched.range = range;
  if (!Holds(range.from.Value()) || !Holds(range.to.Value() - 1)) {
    return Fail(ErrorCode::kNotFound, "not all of " + range.ToString() + " is in the WAL");
  }
  std::map<std::string, TouchedKey> keys;
  TouchedKey pads;
  pads.internal = "pubsub";
  const auto& batches = history_.Batches();
  for (std::size_t index = history_.Find(range.from.Value()); index < batches.size(); ++index) {
    const Batch& batch = batches[index];
    for (std::uint32_t i = 0; i < batch.count; ++i) {
      if (batch.first + i < range.from.Value() || batch.first + i >= range.to.Value()) continue;
      ++touched.records;
      if (batch.IsPad()) {
        ++pads.records;
        continue;
      }
      TouchedKey& key = keys[NameOf(batch.records[i].key)];
      key.name_space = "__namespace";
      key.key = NameOf(batch.records[i].key);
      key.types = {"string"};
      ++key.records;
    }
    if (batch.End() >= range.to.Value()) break;
  }
  for (auto& [name, key] : keys) touched.keys.push_back(std::move(key));
  if (pads.records > 0) touched.keys.push_back(std::move(pads));
  return touched;
}

}  // namespace walstitch::simulation
