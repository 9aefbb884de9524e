#include "tests/bench/wal_generator.h"

#include <rocksdb/db.h>
#include <rocksdb/transaction_log.h>

#include <filesystem>
#include <random>
#include <stdexcept>
#include <vector>

namespace walstitch::bench {
namespace {

void Require(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
}

}  // namespace

class WalGenerator::Impl {
 public:
  explicit Impl(const std::string& directory, const WalShape& shape) {
    std::filesystem::create_directories(directory);
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.WAL_ttl_seconds = 10800;
    options.max_total_wal_size = std::uint64_t{64} << 30;
    if (shape.compressed) options.wal_compression = rocksdb::kZSTD;
    rocksdb::ColumnFamilyOptions family;
    family.write_buffer_size = std::size_t{16} << 30;
    family.disable_auto_compactions = true;
    // A key that is written again is changed in place: memtables stay small.
    family.inplace_update_support = true;
    options.allow_concurrent_memtable_write = false;
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const char* name : {"default", "metadata"}) descriptors.emplace_back(name, family);
    rocksdb::DB* opened = nullptr;
    Require(rocksdb::DB::Open(options, directory + "/db", descriptors, &families, &opened));
    db.reset(opened);
  }
  ~Impl() {
    for (auto* handle : families) db->DestroyColumnFamilyHandle(handle);
  }

  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::unique_ptr<rocksdb::DB> db;
};

WalGenerator::WalGenerator(std::string directory, WalShape shape)
    : directory_(std::move(directory)), impl_(std::make_unique<Impl>(directory_, shape)) {
  std::mt19937_64 random(shape.seed);
  std::string noise(1 << 20, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const auto fork_bytes = static_cast<std::uint64_t>(static_cast<double>(shape.bytes) * shape.fork_at);
  std::uint64_t written = 0;
  std::uint64_t in_file = 0;
  const auto value = [&](std::size_t size) {
    return rocksdb::Slice(noise.data() + random() % (noise.size() - size + 1), size);
  };
  while (written < shape.bytes) {
    if (fork_ == 0 && written >= fork_bytes && shape.fork_at < 1.0) {
      fork_ = impl_->db->GetLatestSequenceNumber();
      random.seed(shape.seed + 1);
    }
    rocksdb::WriteBatch batch;
    const std::uint64_t dice = random() % 10000;
    std::size_t size = 60 + random() % 440;
    if (dice == 0) {
      size = 1 << 20;
    } else if (dice < 100) {
      size = 16 << 10;
    }
    const std::string key = "\x0b__namespacebench:" + std::to_string(random() % 64);
    batch.PutLogData(dice % 2 == 0 ? "1" : "2");
    Require(batch.Put(impl_->families[1], key, value(dice % 2 == 0 ? size : 40)));
    if (dice % 2 == 1) Require(batch.Put(impl_->families[0], key, value(size)));
    Require(impl_->db->Write({}, &batch));
    written += batch.GetDataSize() + 7;
    in_file += batch.GetDataSize() + 7;
    if (shape.file_bytes > 0 && in_file >= shape.file_bytes) {
      Require(impl_->db->Flush({}, impl_->families));
      in_file = 0;
    }
  }
  Require(impl_->db->FlushWAL(false));
}

WalGenerator::~WalGenerator() = default;

std::uint64_t WalGenerator::Latest() const { return impl_->db->GetLatestSequenceNumber(); }

std::uint64_t WalGenerator::UpdatesSince(std::uint64_t sequence) const {
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  Require(impl_->db->GetUpdatesSince(sequence, &iterator));
  return iterator->Valid() ? iterator->GetBatch().sequence : 0;
}

std::uint64_t WalGenerator::IterateAll() const {
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  Require(impl_->db->GetUpdatesSince(1, &iterator));
  std::uint64_t bytes = 0;
  for (; iterator->Valid(); iterator->Next()) bytes += iterator->GetBatch().writeBatchPtr->GetDataSize();
  Require(iterator->status());
  return bytes;
}

}  // namespace walstitch::bench
