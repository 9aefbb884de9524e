// A real RocksDB with Kvrocks' column families, to write real WALs. Alone in including RocksDB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/pollupdates_source.h"
#include "policies/model/result.h"

namespace walstitch::wal {

struct TestDatabaseOptions {
  bool compress_wal = false;
  bool keep_archive = true;  // WAL_ttl_seconds, as Kvrocks has it
};

// Makes an empty directory of its own below the tests' temporary one; deletes it at the end.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& Path() const { return path_; }
  void Keep() { keep_ = true; }  // for whoever looks into a failure

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

// A record as RocksDB's own WriteBatch tells it. LogData: the value.
struct DatabaseRecord {
  std::string operation;  // "Put", "Delete", "DeleteRange", "LogData"
  std::uint32_t column_family = 0;
  std::string key;
  std::string value;
};

class TestDatabase {
 public:
  using Options = TestDatabaseOptions;

  // `directory` is Kvrocks' `dir`: the database is in its db/.
  explicit TestDatabase(const std::filesystem::path& directory, Options options = {});
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // A batch's bytes, as APPLYBATCH: the sequence in it does not matter. Thread-safe.
  void Write(const std::string& batch);
  void WriteWithoutWal(const std::string& batch);
  void Flush();  // rotates the WAL, and archives what is not needed any more
  [[nodiscard]] std::uint64_t Latest() const;
  [[nodiscard]] std::optional<std::string> Get(std::uint32_t column_family, const std::string& key) const;

  // Every batch from the sequence on, as GetUpdatesSince gives them.
  [[nodiscard]] std::vector<std::string> UpdatesSince(std::uint64_t sequence) const;
  // The records of a batch's bytes. Throws if RocksDB does not take them.
  static std::vector<DatabaseRecord> RecordsOf(const std::string& batch);
  // POLLUPDATES after MAX max_batches, as Kvrocks does it.
  [[nodiscard]] Result<PolledUpdates> Poll(Sequence after, std::uint32_t max_batches) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::wal
