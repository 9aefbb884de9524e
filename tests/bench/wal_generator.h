// Writes large WALs with RocksDB, for benchmarks: the same batches for the same seed, whatever the database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace walstitch::bench {

struct WalShape {
  std::uint64_t bytes = 0;       // about, of all WAL files
  std::uint64_t file_bytes = 0;  // a new file after so many; 0: one file
  std::uint64_t seed = 1;
  // From this share of the batches on they are others: a second node's, with another history since there.
  double fork_at = 1.0;
  bool compressed = false;
};

// A database, open, whose WAL has the shape. Its batches are like Kvrocks' own: most of them one or two
// records (a SET, an HSET) of 60 to 500 bytes, one in a hundred of 16 KiB, one in ten thousand of 1 MiB. Its
// memtables are kept small by keys that are written again and again, for only the WAL is of interest.
class WalGenerator {
 public:
  // `directory` is like Kvrocks' `dir`. Throws std::runtime_error if RocksDB says no.
  WalGenerator(std::string directory, WalShape shape);
  ~WalGenerator();
  WalGenerator(const WalGenerator&) = delete;
  WalGenerator& operator=(const WalGenerator&) = delete;

  [[nodiscard]] const std::string& Directory() const { return directory_; }
  [[nodiscard]] std::uint64_t Latest() const;
  [[nodiscard]] std::uint64_t ForkSequence() const { return fork_; }  // last one before fork_at

  // The batch that GetUpdatesSince finds for the sequence: its first sequence, 0 if none.
  [[nodiscard]] std::uint64_t UpdatesSince(std::uint64_t sequence) const;
  // Reads everything with TransactionLogIterator; the bytes of all batches.
  [[nodiscard]] std::uint64_t IterateAll() const;

 private:
  class Impl;
  std::string directory_;
  std::uint64_t fork_ = 0;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::bench
