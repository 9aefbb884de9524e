// What compaction drops, as Kvrocks' compaction filters do: metadata that has expired, and elements that no
// metadata brings to sight. It happens by itself, at any time, and is in no log.
//
// Thread-safe: RocksDB calls the filters from threads of its own.
#pragma once

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>

#include <atomic>
#include <memory>

#include "encoding.h"

namespace walstitch::refnode {

class CompactionFilters {
 public:
  // Of a column family; null if nothing of it is ever dropped. What it makes must not outlive this.
  std::shared_ptr<rocksdb::CompactionFilterFactory> FactoryFor(ColumnFamily family);

  // Where metadata is looked up. Nothing is dropped before the first Use() and after Forget(), which must not
  // be called while a compaction runs.
  void Use(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* metadata);
  void Forget() { in_use_ = false; }

 private:
  friend class ElementFilter;

  std::atomic<bool> in_use_{false};
  rocksdb::DB* db_ = nullptr;
  rocksdb::ColumnFamilyHandle* metadata_ = nullptr;
};

}  // namespace walstitch::refnode
