// Builders of WAL bytes for tests: batches record by record, files physical record by physical record.
// Written from the format's description, without the product's encoders; and a plain reader of whole files.
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

  // Sets ZSTD, which must be the first that is done: what is added from now on is compressed.
  LogText& Compress();

  LogText& Add(std::string_view record);
  // The record's header is the recyclable one for all types but 9 if the log is recycled.
  LogText& AddPhysical(std::uint8_t type, std::string_view payload);
  LogText& Raw(std::string_view bytes);
  // Zeroes to the end of the block, as a writer leaves them that begins a record with a new one.
  LogText& FillBlock();

  [[nodiscard]] const std::string& Bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t Size() const { return bytes_.size(); }
  [[nodiscard]] std::size_t HeaderSize() const { return recycled_ ? 11 : 7; }
  [[nodiscard]] std::size_t BlockLeft() const { return 32768 - bytes_.size() % 32768; }
  // Where the next record will begin: behind the zeroes at a block's end.
  [[nodiscard]] std::uint64_t NextOffset() const;

 private:
  bool recycled_;
  std::uint32_t log_number_;
  bool compressed_ = false;
  std::string bytes_;
};

// One logical record of a file.
struct PlacedRecord {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // of its last fragment
  std::string bytes;      // not compressed
};

// The records of a file without fault, read as the format's description has it, and nothing verified. Ends
// at what is no record.
std::vector<PlacedRecord> RecordsIn(std::string_view file);

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
