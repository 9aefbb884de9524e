// The node's data: one RocksDB with Kvrocks' column families.
//
// A command builds a Batch and commits it; concurrent commits go through
// RocksDB's own group commit, so several commands may end up in one WAL record.
// Between BeginTransaction() and CommitTransaction() every Batch joins one
// common batch and reads see it: the caller then must be the only one to run
// commands (Server's exclusive lock).
//
// Thread-safe, except that Close() and RestoreFromSyncCheckpoint() need every
// user of the database to be gone: commands by the exclusive lock, feeders and
// file senders because the server stops them.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "compaction.h"
#include "config.h"
#include "encoding.h"
#include "faults.h"

namespace walstitch::refnode {

inline constexpr size_t kReplicationIdLength = 16;
inline constexpr std::string_view kReplicationIdKey = "replication_id_";
inline constexpr std::string_view kNamespacesKey = "__namespace_keys__";

class Storage {
 public:
  Storage(Config& config, const Faults& faults) : config_(config), faults_(faults) {}
  ~Storage() { Close(); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  rocksdb::Status Open();
  void Close();

  rocksdb::Status Get(ColumnFamily family, const std::string& key, std::string* value);
  std::unique_ptr<rocksdb::Iterator> NewIterator(ColumnFamily family);
  uint64_t LatestSequence() const { return db_->GetLatestSequenceNumber(); }

  void BeginTransaction();
  rocksdb::Status CommitTransaction();

  // A batch as another node made it; nothing is added.
  rocksdb::Status ApplyRaw(std::string bytes);

  // Logs from `sequence` on. Not OK when there are none.
  rocksdb::Status LogsSince(uint64_t sequence, std::unique_ptr<rocksdb::TransactionLogIterator>* iterator);

  // With use-rsid-psync: draws a new replication id, which from now on ends
  // every batch, and writes it down (one sequence). Otherwise does nothing.
  rocksdb::Status ShiftReplicationId();
  // The id in the LogData of the batch that holds `sequence`; empty if none.
  std::string ReplicationIdAt(uint64_t sequence);
  std::string ReplicationIdInDb();

  // The files of a checkpoint for full syncs, made if there is none.
  rocksdb::Status CheckpointFiles(std::vector<std::string>* files);
  // Removes the checkpoint when nobody fetched from it for a while.
  void DropIdleCheckpoint(bool in_use);
  void TouchCheckpoint();
  // Replaces the database by the fetched one. The database must be closed; on
  // failure the old one is opened again.
  rocksdb::Status RestoreFromSyncCheckpoint();

  // Flushes every memtable, so that all logs but the live one are archived.
  rocksdb::Status FlushAll();
  rocksdb::Status CompactAll();
  // Also removes the archived logs.
  rocksdb::Status PurgeLogs();

  uint64_t TotalSstBytes() const;

  std::mutex& KeyLock(std::string_view namespaced_key) {
    return key_locks_[std::hash<std::string_view>{}(namespaced_key) % key_locks_.size()];
  }
  // All locks of these keys, in an order that cannot deadlock.
  std::vector<std::unique_lock<std::mutex>> KeyLocks(const std::vector<std::string>& namespaced_keys);

 private:
  friend class Batch;

  rocksdb::Options MakeOptions() const;
  rocksdb::Status OpenLocked();
  rocksdb::Status Write(rocksdb::WriteBatch* batch);
  rocksdb::Status WriteAsItIs(rocksdb::WriteBatch* batch);
  rocksdb::ColumnFamilyHandle* Handle(ColumnFamily family) const {
    return handles_[static_cast<size_t>(family)];
  }

  Config& config_;
  const Faults& faults_;
  // Held shared by whoever uses the database outside of commands.
  std::shared_mutex open_mutex_;
  CompactionFilters filters_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<rocksdb::WriteBatchWithIndex> transaction_;
  std::mutex checkpoint_mutex_;
  int64_t checkpoint_created_s_ = 0;
  int64_t checkpoint_touched_s_ = 0;
  uint64_t checkpoint_sequence_ = 0;
  std::string replication_id_;
  std::array<std::mutex, 256> key_locks_;
};

// The changes of one command. Use from one thread.
class Batch {
 public:
  explicit Batch(Storage& storage) : storage_(storage) {}

  // Adds LogData, which takes no sequence.
  Batch& Log(std::string_view text);
  Batch& Put(ColumnFamily family, std::string_view key, std::string_view value);
  Batch& Delete(ColumnFamily family, std::string_view key);
  Batch& DeleteRange(ColumnFamily family, std::string_view begin, std::string_view end);
  rocksdb::Status Commit();

 private:
  rocksdb::WriteBatchBase& Target();

  Storage& storage_;
  rocksdb::WriteBatch own_;
  rocksdb::Status first_error_;
};

}  // namespace walstitch::refnode
