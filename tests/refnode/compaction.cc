#include "compaction.h"

#include <string>
#include <string_view>
#include <tuple>

namespace walstitch::refnode {

namespace {

// Elements are kept for so long after their key expired: a read that began before may still want them.
constexpr uint64_t kElementsStayMs = 5 * 60 * 1000;

class MetadataFilter : public rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "MetadataFilter"; }
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*, bool*) const override {
    Metadata metadata;
    return metadata.Decode(value.ToStringView(), nullptr) && metadata.Expired(NowMs());
  }
};

// Makes a filter for each compaction.
template <typename Filter, typename... Arguments>
class Factory : public rocksdb::CompactionFilterFactory {
 public:
  explicit Factory(const char* name, Arguments... arguments) : name_(name), arguments_(arguments...) {}
  const char* Name() const override { return name_; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::apply([](auto... arguments) { return std::make_unique<Filter>(arguments...); }, arguments_);
  }

 private:
  const char* name_;
  std::tuple<Arguments...> arguments_;
};

}  // namespace

class ElementFilter : public rocksdb::CompactionFilter {
 public:
  explicit ElementFilter(const CompactionFilters* filters) : filters_(filters) {}
  const char* Name() const override { return "ElementFilter"; }
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*, bool*) const override {
    std::string namespaced_key;
    uint64_t version = 0;
    if (!filters_->in_use_ || !SplitElementKey(key.ToStringView(), &namespaced_key, &version)) return false;
    std::string bytes;
    const rocksdb::Status status =
        filters_->db_->Get(rocksdb::ReadOptions(), filters_->metadata_, namespaced_key, &bytes);
    if (status.IsNotFound()) return true;
    Metadata metadata;
    if (!status.ok() || !metadata.Decode(bytes, nullptr)) return false;
    return metadata.IsSingleValue() || metadata.version != version ||
           metadata.Expired(NowMs() - kElementsStayMs);
  }

 private:
  const CompactionFilters* filters_;
};

std::shared_ptr<rocksdb::CompactionFilterFactory> CompactionFilters::FactoryFor(ColumnFamily family) {
  switch (family) {
    case ColumnFamily::kMetadata:
      return std::make_shared<Factory<MetadataFilter>>("MetadataFilterFactory");
    case ColumnFamily::kSubkey:
    case ColumnFamily::kZSetScore:
    case ColumnFamily::kStream:
      return std::make_shared<Factory<ElementFilter, const CompactionFilters*>>("ElementFilterFactory", this);
    default:
      return nullptr;
  }
}

void CompactionFilters::Use(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* metadata) {
  db_ = db;
  metadata_ = metadata;
  in_use_ = true;
}

}  // namespace walstitch::refnode
