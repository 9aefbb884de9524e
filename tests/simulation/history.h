// A modelled WAL, and the data that it makes. What a batch is to the product (bytes, a digest) is made from
// it only where somebody asks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/policy.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::simulation {

inline constexpr std::size_t kIgnoredKeys = 6;  // keys that may differ, says the policy: "s:0", "s:1", ...
inline constexpr std::size_t kKeys = 12;        // the others may not: "o:6", ...
inline constexpr std::size_t kMostRecords = 4;

// What the simulated groups may lose.
TolerancePolicy SimulatedPolicy();

struct Record {
  std::uint8_t key = 0;
  std::uint32_t value = 0;
};

struct Batch {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::array<Record, kMostRecords> records{};  // none in a pad
  std::int32_t marker = -1;                    // a pad's decision: an index of the world's list
  std::uint64_t identity = 0;                  // of its bytes: equal where they are
  std::uint64_t written = 0;                   // its identity where it was written first

  [[nodiscard]] std::uint64_t End() const { return first + count; }
  [[nodiscard]] bool IsPad() const { return marker >= 0; }
};

// Sets the identity, anew where it was given another number.
void Seal(Batch& batch);

// What the keys hold. The version of a key is that of the batch that wrote it last, whatever number it has
// there: a splice replays it under another one.
struct Data {
  std::array<std::uint64_t, kKeys> versions{};
  std::array<std::uint32_t, kKeys> values{};
  void Apply(const Batch& batch);
};

class History {
 public:
  [[nodiscard]] std::uint64_t Next() const { return batches_.empty() ? 1 : batches_.back().End(); }
  [[nodiscard]] const std::vector<Batch>& Batches() const { return batches_; }
  void Append(const Batch& batch) { batches_.push_back(batch); }
  void CutTo(std::size_t size) { batches_.resize(size); }
  // The index of the batch that holds the sequence, or of the first behind it.
  [[nodiscard]] std::size_t Find(std::uint64_t sequence) const;
  // A batch begins there.
  [[nodiscard]] const Batch* At(std::uint64_t sequence) const;
  // The data that its batches before the sequence make.
  [[nodiscard]] Data DataBefore(std::uint64_t sequence) const;

 private:
  std::vector<Batch> batches_;
};

// What an agent reads of the WAL files: the batches of a history from an index on.
class WalView {
 public:
  WalView(const History& history, std::size_t begin, const std::vector<std::string>& markers)
      : history_(history), begin_(begin), markers_(markers) {}

  [[nodiscard]] WalExtent Extent() const;
  [[nodiscard]] Result<std::vector<BatchInfo>> Batches(SequenceRange range, std::size_t max) const;
  [[nodiscard]] Result<RangeDigests> Digests(SequenceRange range, std::uint32_t parts) const;
  [[nodiscard]] Result<MarkedBatches> Marked(SequenceRange range, std::size_t max) const;
  [[nodiscard]] Result<RangeBytes> Bytes(SequenceRange range, std::size_t max) const;
  [[nodiscard]] Result<Sequence> Boundary(Sequence at) const;
  [[nodiscard]] Result<Touched> ListTouched(SequenceRange range) const;
  [[nodiscard]] BatchInfo InfoOf(const Batch& batch) const;

 private:
  [[nodiscard]] bool Holds(std::uint64_t sequence) const;
  [[nodiscard]] std::string BytesOf(const Batch& batch) const;

  const History& history_;
  std::size_t begin_;
  const std::vector<std::string>& markers_;
};

}  // namespace walstitch::simulation
