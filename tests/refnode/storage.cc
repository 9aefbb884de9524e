#include "storage.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <random>
#include <thread>

namespace walstitch::refnode {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFamilyNames[kColumnFamilyCount] = {"default",   "metadata", "zset_score", "pubsub",
                                                          "propagate", "stream",   "search"};

rocksdb::Slice Slice(std::string_view text) { return {text.data(), text.size()}; }

// Takes the replication id out of a batch, if it carries one.
class ReplicationIdReader : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override { return rocksdb::Status::OK(); }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& blob) override {
    if (blob.size() == 2 + kReplicationIdLength && blob[0] == 'r') {
      id_.assign(blob.data() + 2, kReplicationIdLength);
    }
  }
  const std::string& id() const { return id_; }

 private:
  std::string id_;
};

int64_t NowSeconds() { return static_cast<int64_t>(std::time(nullptr)); }

}  // namespace

rocksdb::Options Storage::MakeOptions() const {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_write_buffer_number = static_cast<int>(config_.GetInt("rocksdb.max_write_buffer_number"));
  options.min_write_buffer_number_to_merge = 2;
  options.write_buffer_size =
      static_cast<size_t>(std::max<int64_t>(config_.GetInt("rocksdb.write_buffer_size"), 1)) << 20;
  options.max_total_wal_size = static_cast<uint64_t>(config_.GetInt("rocksdb.max_total_wal_size")) << 20;
  options.WAL_ttl_seconds = static_cast<uint64_t>(config_.GetInt("rocksdb.wal_ttl_seconds"));
  options.WAL_size_limit_MB = static_cast<uint64_t>(config_.GetInt("rocksdb.wal_size_limit_mb"));
  options.wal_compression =
      config_.Get("rocksdb.wal_compression") == "zstd" ? rocksdb::kZSTD : rocksdb::kNoCompression;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 4;
  options.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.block_cache = rocksdb::NewLRUCache(16 << 20);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::Status Storage::Open() {
  std::unique_lock lock(open_mutex_);
  return OpenLocked();
}

rocksdb::Status Storage::OpenLocked() {
  std::error_code ignored;
  fs::create_directories(config_.Directory(), ignored);
  const rocksdb::Options options = MakeOptions();
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.reserve(kColumnFamilyCount);
  for (const char* name : kFamilyNames) {
    families.emplace_back(name, options);
    families.back().options.compaction_filter_factory =
        filters_.FactoryFor(static_cast<ColumnFamily>(families.size() - 1));
  }
  rocksdb::DB* raw = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, config_.DbDirectory(), families, &handles_, &raw);
  if (!status.ok()) return status;
  db_.reset(raw);
  filters_.Use(raw, Handle(ColumnFamily::kMetadata));
  return status;
}

void Storage::Close() {
  std::unique_lock lock(open_mutex_);
  if (!db_) return;
  db_->SyncWAL();
  rocksdb::CancelAllBackgroundWork(db_.get(), true);
  filters_.Forget();
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  db_.reset();
}

rocksdb::Status Storage::Get(ColumnFamily family, const std::string& key, std::string* value) {
  if (transaction_) {
    return transaction_->GetFromBatchAndDB(db_.get(), rocksdb::ReadOptions(), Handle(family), key, value);
  }
  return db_->Get(rocksdb::ReadOptions(), Handle(family), key, value);
}

std::unique_ptr<rocksdb::Iterator> Storage::NewIterator(ColumnFamily family) {
  rocksdb::Iterator* base = db_->NewIterator(rocksdb::ReadOptions(), Handle(family));
  if (transaction_) base = transaction_->NewIteratorWithBase(Handle(family), base);
  return std::unique_ptr<rocksdb::Iterator>(base);
}

void Storage::BeginTransaction() { transaction_ = std::make_unique<rocksdb::WriteBatchWithIndex>(); }

rocksdb::Status Storage::CommitTransaction() {
  const std::unique_ptr<rocksdb::WriteBatchWithIndex> whole = std::move(transaction_);
  return Write(whole->GetWriteBatch());
}

rocksdb::Status Storage::Write(rocksdb::WriteBatch* batch) {
  if (replication_id_.size() == kReplicationIdLength) batch->PutLogData("r " + replication_id_);
  return WriteAsItIs(batch);
}

rocksdb::Status Storage::WriteAsItIs(rocksdb::WriteBatch* batch) {
  if (const int slow_ms = faults_.slow_writes_ms; slow_ms > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms));
  }
  return db_->Write(rocksdb::WriteOptions(), batch);
}

rocksdb::Status Storage::ApplyRaw(std::string bytes) {
  if (bytes.size() < 12) return rocksdb::Status::Corruption("malformed WriteBatch (too small)");
  rocksdb::WriteBatch batch(std::move(bytes));
  return WriteAsItIs(&batch);
}

rocksdb::Status Storage::LogsSince(uint64_t sequence,
                                   std::unique_ptr<rocksdb::TransactionLogIterator>* iterator) {
  const rocksdb::Status status = db_->GetUpdatesSince(sequence, iterator);
  if (!status.ok()) return status;
  if (!(*iterator)->Valid()) return rocksdb::Status::NotFound("iterator is not valid");
  return status;
}

rocksdb::Status Storage::ShiftReplicationId() {
  if (!config_.GetBool("use-rsid-psync")) return rocksdb::Status::OK();
  static constexpr std::string_view kAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::random_device random;
  std::uniform_int_distribution<size_t> pick(0, kAlphabet.size() - 1);
  replication_id_.clear();
  for (size_t i = 0; i < kReplicationIdLength; ++i) replication_id_.push_back(kAlphabet[pick(random)]);
  return Batch(*this).Put(ColumnFamily::kPropagate, kReplicationIdKey, replication_id_).Commit();
}

std::string Storage::ReplicationIdAt(uint64_t sequence) {
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  if (sequence > LatestSequence() || !LogsSince(sequence, &iterator).ok()) return "";
  ReplicationIdReader reader;
  const rocksdb::BatchResult batch = iterator->GetBatch();
  if (!batch.writeBatchPtr->Iterate(&reader).ok()) return "";
  return reader.id();
}

std::string Storage::ReplicationIdInDb() {
  std::string id;
  if (!db_->Get(rocksdb::ReadOptions(), Handle(ColumnFamily::kPropagate), Slice(kReplicationIdKey), &id)
           .ok()) {
    return "";
  }
  return id;
}

rocksdb::Status Storage::CheckpointFiles(std::vector<std::string>* files) {
  std::shared_lock open(open_mutex_);
  if (!db_) return rocksdb::Status::Aborted("DB is closing");
  std::lock_guard lock(checkpoint_mutex_);
  const std::string directory = config_.CheckpointDirectory();
  const int64_t now_s = NowSeconds();
  if (!fs::exists(directory)) {
    rocksdb::Checkpoint* raw = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &raw);
    if (!status.ok()) return status;
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
    const auto flush_above = static_cast<uint64_t>(config_.GetInt("rocksdb.write_buffer_size")) << 20;
    status = checkpoint->CreateCheckpoint(directory, flush_above, &checkpoint_sequence_);
    if (!status.ok()) return status;
    checkpoint_created_s_ = checkpoint_touched_s_ = now_s;
  } else {
    // A checkpoint is shared for at most half the life of a log: a replica that
    // restores an older one could find its next sequence purged, and would
    // full-sync for ever.
    const int64_t shareable_s = std::clamp<int64_t>(config_.GetInt("rocksdb.wal_ttl_seconds") / 2, 600, 3600);
    if (now_s - checkpoint_created_s_ > shareable_s) {
      return rocksdb::Status::Aborted("Can't use current checkpoint, waiting for next checkpoint");
    }
    std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
    const rocksdb::Status status = LogsSince(checkpoint_sequence_, &iterator);
    if (!status.ok()) return status;
    if (checkpoint_sequence_ < iterator->GetBatch().sequence) {
      return rocksdb::Status::Aborted("Can't use current checkpoint, its sequence is no longer in the WAL");
    }
  }
  for (const auto& entry : fs::directory_iterator(directory))
    files->push_back(entry.path().filename().string());
  return rocksdb::Status::OK();
}

void Storage::TouchCheckpoint() {
  std::lock_guard lock(checkpoint_mutex_);
  checkpoint_touched_s_ = NowSeconds();
}

void Storage::DropIdleCheckpoint(bool in_use) {
  std::lock_guard lock(checkpoint_mutex_);
  const int64_t now_s = NowSeconds();
  if (!fs::exists(config_.CheckpointDirectory())) return;
  if ((!in_use && now_s - checkpoint_touched_s_ > 30) || now_s - checkpoint_created_s_ > 24 * 60 * 60) {
    std::error_code ignored;
    fs::remove_all(config_.CheckpointDirectory(), ignored);
  }
}

rocksdb::Status Storage::RestoreFromSyncCheckpoint() {
  std::unique_lock lock(open_mutex_);
  const std::string current = config_.DbDirectory();
  const std::string aside = current + ".tmp";
  std::error_code error;
  fs::remove_all(config_.CheckpointDirectory(), error);
  fs::remove_all(aside, error);
  fs::create_directories(current, error);
  fs::rename(current, aside, error);
  if (error) {
    OpenLocked();
    return rocksdb::Status::IOError("can't move the database aside: " + error.message());
  }
  fs::rename(config_.SyncCheckpointDirectory(), current, error);
  rocksdb::Status status = error ? rocksdb::Status::IOError(error.message()) : OpenLocked();
  if (!status.ok()) {
    fs::remove_all(current, error);
    fs::rename(aside, current, error);
    OpenLocked();
    return status;
  }
  fs::remove_all(aside, error);
  return status;
}

rocksdb::Status Storage::FlushAll() {
  rocksdb::FlushOptions options;
  const rocksdb::Status status = db_->Flush(options, handles_);
  if (!status.ok()) return status;
  // Turning deletions off and on makes RocksDB archive obsolete logs now and
  // not at some later flush.
  db_->DisableFileDeletions();
  return db_->EnableFileDeletions(true);
}

rocksdb::Status Storage::CompactAll() {
  rocksdb::CompactRangeOptions options;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    const rocksdb::Status status = db_->CompactRange(options, handle, nullptr, nullptr);
    if (!status.ok()) return status;
  }
  return FlushAll();
}

rocksdb::Status Storage::PurgeLogs() {
  const rocksdb::Status status = FlushAll();
  if (!status.ok()) return status;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.DbDirectory() + "/archive", error)) {
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  }
  return rocksdb::Status::OK();
}

uint64_t Storage::TotalSstBytes() const {
  uint64_t total = 0;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    uint64_t bytes = 0;
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
    total += bytes;
  }
  return total;
}

std::vector<std::unique_lock<std::mutex>> Storage::KeyLocks(const std::vector<std::string>& namespaced_keys) {
  std::vector<std::mutex*> mutexes;
  mutexes.reserve(namespaced_keys.size());
  for (const std::string& key : namespaced_keys) mutexes.push_back(&KeyLock(key));
  std::sort(mutexes.begin(), mutexes.end());
  mutexes.erase(std::unique(mutexes.begin(), mutexes.end()), mutexes.end());
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(mutexes.size());
  for (std::mutex* mutex : mutexes) locks.emplace_back(*mutex);
  return locks;
}

rocksdb::WriteBatchBase& Batch::Target() {
  if (storage_.transaction_) return *storage_.transaction_;
  return own_;
}

Batch& Batch::Log(std::string_view text) {
  const rocksdb::Status status = Target().PutLogData(Slice(text));
  if (first_error_.ok()) first_error_ = status;
  return *this;
}

Batch& Batch::Put(ColumnFamily family, std::string_view key, std::string_view value) {
  const rocksdb::Status status = Target().Put(storage_.Handle(family), Slice(key), Slice(value));
  if (first_error_.ok()) first_error_ = status;
  return *this;
}

Batch& Batch::Delete(ColumnFamily family, std::string_view key) {
  const rocksdb::Status status = Target().Delete(storage_.Handle(family), Slice(key));
  if (first_error_.ok()) first_error_ = status;
  return *this;
}

Batch& Batch::DeleteRange(ColumnFamily family, std::string_view begin, std::string_view end) {
  const rocksdb::Status status = Target().DeleteRange(storage_.Handle(family), Slice(begin), Slice(end));
  if (first_error_.ok()) first_error_ = status;
  return *this;
}

rocksdb::Status Batch::Commit() {
  if (!first_error_.ok()) return first_error_;
  if (storage_.transaction_) return rocksdb::Status::OK();
  return storage_.Write(&own_);
}

}  // namespace walstitch::refnode
