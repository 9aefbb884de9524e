// What a WAL directory must answer, worked out from the list of its batches by plain loops: the other side of
// every comparison in the property tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/property.h"

namespace walstitch::wal {

struct ModelBatch {
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // > 0
  std::shared_ptr<const std::string> bytes;
  // Where it stands, if that is known.
  std::uint64_t log_number = 0;
  std::string file;
  std::uint64_t offset = 0;

  [[nodiscard]] std::uint64_t End() const { return first + count; }
};

class WalModel {
 public:
  // In order. Between two of them sequences may be missing: then they are in no batch.
  explicit WalModel(std::vector<ModelBatch> batches) : batches_(std::move(batches)) {}

  [[nodiscard]] const std::vector<ModelBatch>& Batches() const { return batches_; }
  [[nodiscard]] std::uint64_t Oldest() const { return batches_.front().first; }
  [[nodiscard]] std::uint64_t Next() const { return batches_.back().End(); }
  // Null: in no batch.
  [[nodiscard]] const ModelBatch* Holding(std::uint64_t sequence) const;

  // Sequences worth asking for: both ends of the WAL and what is beyond them, and `random` others, of which
  // most are the first or the last of a batch.
  [[nodiscard]] std::vector<std::uint64_t> Questions(Random* random, std::size_t count) const;

  // Each compares one answer with what it must be: empty if it is right, else what is wrong.
  [[nodiscard]] std::string CheckExtent(WalDirectory& wal) const;
  [[nodiscard]] std::string CheckBatchHolding(WalDirectory& wal, std::uint64_t sequence) const;
  [[nodiscard]] std::string CheckBoundary(WalDirectory& wal, std::uint64_t sequence) const;
  [[nodiscard]] std::string CheckLocate(WalDirectory& wal, std::uint64_t sequence) const;  // header and bytes
  [[nodiscard]] std::string CheckPlace(WalDirectory& wal,
                                       std::uint64_t sequence) const;  // and file and offset
  // Batches of count 0 are not looked at.
  [[nodiscard]] std::string CheckRange(WalDirectory& wal, std::uint64_t from, std::uint64_t to) const;

 private:
  std::vector<ModelBatch> batches_;
};

// Empty if the place is this batch's header and size; else what is wrong.
std::string CompareHeader(const BatchPlace& place, const ModelBatch& batch);
// The same, and for log, file and offset.
std::string ComparePlace(const BatchPlace& place, const ModelBatch& batch);

}  // namespace walstitch::wal
