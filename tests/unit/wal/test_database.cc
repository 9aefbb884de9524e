#include "tests/unit/wal/test_database.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/transaction_log.h>
#include <stdlib.h>

#include <limits>

namespace walstitch::wal {
namespace {

void Require(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

class Recorder : public rocksdb::WriteBatch::Handler {
 public:
  explicit Recorder(std::vector<DatabaseRecord>* records) : records_(records) {}

  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    return Add("Put", family, key, value);
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice& key) override {
    return Add("Delete", family, key, {});
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t family, const rocksdb::Slice& begin,
                                const rocksdb::Slice& end) override {
    return Add("DeleteRange", family, begin, end);
  }
  void LogData(const rocksdb::Slice& bytes) override { (void)Add("LogData", 0, {}, bytes); }

 private:
  rocksdb::Status Add(const char* operation, std::uint32_t family, const rocksdb::Slice& key,
                      const rocksdb::Slice& value) {
    records_->push_back({operation, family, key.ToString(), value.ToString()});
    return rocksdb::Status::OK();
  }

  std::vector<DatabaseRecord>* records_;
};

}  // namespace

TestDirectory::TestDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "walstitch_wal_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
}

TestDirectory::~TestDirectory() {
  if (keep_) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

class TestDatabase::Impl {
 public:
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::unique_ptr<rocksdb::DB> db;
};

TestDatabase::TestDatabase(const std::filesystem::path& directory, Options options)
    : impl_(std::make_unique<Impl>()) {
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  if (options.keep_archive) db_options.WAL_ttl_seconds = 10800;
  if (options.compress_wal) db_options.wal_compression = rocksdb::kZSTD;
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  // The last one stands for what a later Kvrocks may add.
  for (const char* name :
       {"default", "metadata", "zset_score", "pubsub", "propagate", "stream", "search", "later"}) {
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  rocksdb::DB* db = nullptr;
  Require(rocksdb::DB::Open(db_options, (directory / "db").string(), descriptors, &impl_->families, &db));
  impl_->db.reset(db);
}

TestDatabase::~TestDatabase() {
  for (auto* family : impl_->families) impl_->db->DestroyColumnFamilyHandle(family);
}

void TestDatabase::Write(const std::string& batch) {
  rocksdb::WriteBatch write(batch);
  Require(impl_->db->Write({}, &write));
}

void TestDatabase::WriteWithoutWal(const std::string& batch) {
  rocksdb::WriteBatch write(batch);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  Require(impl_->db->Write(options, &write));
}

void TestDatabase::Flush() { Require(impl_->db->Flush({}, impl_->families)); }

std::uint64_t TestDatabase::Latest() const { return impl_->db->GetLatestSequenceNumber(); }

std::optional<std::string> TestDatabase::Get(std::uint32_t column_family, const std::string& key) const {
  std::string value;
  const rocksdb::Status status = impl_->db->Get({}, impl_->families.at(column_family), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  Require(status);
  return value;
}

std::vector<std::string> TestDatabase::UpdatesSince(std::uint64_t sequence) const {
  std::vector<std::string> batches;
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  Require(impl_->db->GetUpdatesSince(sequence, &iterator));
  for (; iterator->Valid(); iterator->Next()) batches.push_back(iterator->GetBatch().writeBatchPtr->Data());
  if (!iterator->status().ok() && !iterator->status().IsTryAgain()) Require(iterator->status());
  return batches;
}

std::vector<DatabaseRecord> TestDatabase::RecordsOf(const std::string& batch) {
  std::vector<DatabaseRecord> records;
  Recorder recorder(&records);
  Require(rocksdb::WriteBatch(batch).Iterate(&recorder));
  return records;
}

Result<PolledUpdates> TestDatabase::Poll(Sequence after, std::uint32_t max_batches) const {
  PolledUpdates polled;
  polled.next = after;
  polled.latest = Sequence(Latest());
  const std::uint64_t next = after.Value() + 1;
  if (next == Latest() + 1) return polled;
  if (next > Latest() + 1) return Fail(ErrorCode::kInvalid, "ERR next sequence is out of range");
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  const rocksdb::Status status = impl_->db->GetUpdatesSince(next, &iterator);
  if (!status.ok()) return Fail(ErrorCode::kInvalid, "ERR " + status.ToString());
  if (!iterator->Valid()) return Fail(ErrorCode::kInvalid, "ERR iterator is not valid");
  for (; polled.batches.size() < max_batches && iterator->Valid() && iterator->status().ok();
       iterator->Next()) {
    auto batch = iterator->GetBatch();
    polled.batches.push_back(batch.writeBatchPtr->Data());
    polled.next = Sequence(batch.sequence + static_cast<std::uint64_t>(batch.writeBatchPtr->Count()) - 1);
  }
  return polled;
}

}  // namespace walstitch::wal
