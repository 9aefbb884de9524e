// Builders of WAL bytes for tests: batches record by record, files physical record by physical record.
// Written from the format's description, without the product's encoders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/wal_source.h"

namespace walstitch::wal {

// One batch: BatchText(7).Log("1").Put(1, key, value).Bytes()
class BatchText {
 public:
  explicit BatchText(std::uint64_t first) : first_(first) {}

  BatchText& Put(std::uint32_t family, std::string_view key, std::string_view value);
  BatchText& Delete(std::uint32_t family, std::string_view key);
  BatchText& DeleteRange(std::uint32_t family, std::string_view begin, std::string_view end);
  BatchText& Log(std::string_view bytes);
  BatchText& Raw(std::string_view bytes, std::uint32_t consumed = 0);

  [[nodiscard]] std::string Bytes() const;

 private:
  std::uint64_t first_;
  std::uint32_t count_ = 0;
  std::string records_;
};

// One file. Add() splits logical records as RocksDB does; AddPhysical() forges.
class LogText {
 public:
  // recycled: records of types 5..8 with this log number.
  explicit LogText(bool recycled = false, std::uint32_t log_number = 0)
      : recycled_(recycled), log_number_(log_number) {}

  LogText& Add(std::string_view record);
  LogText& AddPhysical(std::uint8_t type, std::string_view payload);
  LogText& Raw(std::string_view bytes);

  [[nodiscard]] const std::string& Bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t Size() const { return bytes_.size(); }

 private:
  bool recycled_;
  std::uint32_t log_number_;
  std::string bytes_;
};

std::string Fixed(std::uint64_t value, int bytes);  // little-endian

// Kvrocks' keys.
std::string MetadataKey(std::string_view name_space, std::string_view key);
std::string SubkeyKey(std::string_view name_space, std::string_view key, std::uint64_t version,
                      std::string_view rest);
std::string MetadataValue(int type, std::string_view rest = "");

// A source over batches in memory, for what is asked of any source. The batches must be in order.
class ListSource : public WalSource {
 public:
  explicit ListSource(std::vector<std::string> batches) : batches_(std::move(batches)) {}
  Result<WalExtent> Extent() override;
  Result<void> ForEachBatch(SequenceRange range, const BatchVisitor& visit) override;

 private:
  std::vector<std::string> batches_;
};

}  // namespace walstitch::wal
