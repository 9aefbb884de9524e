// Random WAL directories, forged byte by byte: what RocksDB never writes, writes rarely, or wrote in versions
// that are not at hand. Records of many blocks, blocks in which no record begins, batches of count 0, zeroes
// at blocks' ends, first fragments that are empty or shorter than a batch's header, recycled logs with the
// rest of their earlier use, ZSTD, records of later versions, torn and zero-filled ends, logs that a recovery
// gave up, holes; and user data that looks like physical records or like batches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "tests/unit/wal/property.h"
#include "tests/unit/wal/wal_model.h"

namespace walstitch::wal {

struct ForgeOptions {
  bool holes = true;      // sequences that are in no batch
  bool given_up = true;   // logs whose end, or all, a later one repeats
  bool torn_ends = true;  // and zero-filled ones, and the rest of a recycled log's earlier use
  bool mimicry = true;    // user data that looks like records
};

struct ForgedRecord {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // of its last byte, plus one
  BatchHeader header;
  std::shared_ptr<const std::string> bytes;
};

struct ForgedLog {
  std::uint64_t number = 0;
  bool archived = false;
  bool recycled = false;
  bool compressed = false;
  std::string bytes;
  std::vector<ForgedRecord> records;

  // Below a data directory.
  [[nodiscard]] std::filesystem::path Path() const;
};

// In order of their numbers. At least one batch that counts is in them.
std::vector<ForgedLog> Forge(Random* random, const ForgeOptions& options);

// Makes a data directory of them.
void WriteLogs(const std::vector<ForgedLog>& logs, const std::filesystem::path& directory);

// Which batches are the history, and where they stand: the files in order of their numbers, each up to where
// the next one begins. Empty if there is no batch of a count greater than 0.
std::vector<ModelBatch> HistoryOf(const std::vector<ForgedLog>& logs, const std::filesystem::path& directory);

// What a failure is told with: every log with its kind and records.
std::string Describe(const std::vector<ForgedLog>& logs);

}  // namespace walstitch::wal
