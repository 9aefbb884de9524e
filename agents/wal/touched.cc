// ListTouched: what a range of records does to which user keys.
//
// Types come from two places: the flags in a metadata value that is Put, and the LogData that Kvrocks
// writes in front of a command's records ("2" = hash). LogData is trusted for subkeys only, up to the next
// LogData of any kind: in a batch that several writers share, each one's records follow its own LogData,
// and its replication id, if any, closes them.
//
// A metadata Delete tells no type. If none of the range's records before it told the key's type either,
// then something of an unknown type was deleted, and the key's types stay unknown (empty) whatever comes
// after: a SET behind the DEL of a hash must not pass for "only a string was touched".
#include <map>
#include <set>
#include <tuple>

#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/records.h"
#include "agents/wal/wal_source.h"
#include "policies/model/types.h"

namespace walstitch::wal {
namespace {

class Collector {
 public:
  explicit Collector(std::size_t max_keys) : max_keys_(max_keys) {}

  void Add(const KvrocksRecord& record, const SequenceRange& range) {
    const BatchRecord& raw = record.raw;
    if (raw.sequence < range.from || raw.sequence >= range.to) return;
    bytes_ = raw.key.size() + raw.value.size();
    ++touched_.records;
    touched_.bytes += bytes_;
    const std::string_view keyspace = InternalKeyspace(raw.column_family);
    const bool range_delete = raw.operation == Operation::kDeleteRange;
    if (keyspace.empty()) {
      if (range_delete) {
        ++touched_.range_deletes;
      } else if (record.user_key && record.user_key->key.starts_with(kReservedKeys)) {
        return;  // nobody misses it
      } else if (record.user_key) {
        const bool deletes = raw.column_family == kMetadataFamily && raw.operation != Operation::kPut;
        AddUser(*record.user_key, record.type, deletes);
      } else {
        AddInternal("unknown");
      }
      return;
    }
    // Walstitch's own no-op: it exists to touch nothing.
    if (record.internal == "pad") return;
    // The id of the replication stream (use-rsid-psync) names the node's present master. Each node writes it
    // at its own promotion, so it differs by nature, and no data hangs on it.
    if (raw.column_family == kPropagateFamily && !range_delete && raw.key == kReplicationIdKey) return;
    AddInternal(keyspace);
  }

  Touched Take(SequenceRange range) && {
    touched_.range = range;
    for (auto& [identity, entry] : keys_) {
      TouchedKey key;
      std::tie(key.internal, key.name_space, key.key) = identity;
      if (!entry.deleted_unknown) key.types.assign(entry.types.begin(), entry.types.end());
      key.records = entry.records;
      key.bytes = entry.bytes;
      touched_.keys.push_back(std::move(key));
    }
    return std::move(touched_);
  }

 private:
  using Identity = std::tuple<std::string, std::string, std::string>;
  struct Entry {
    std::set<std::string> types;
    bool deleted_unknown = false;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
  };

  void AddUser(const UserKey& key, std::optional<std::string_view> type, bool deletes) {
    Entry* entry = Find({"", std::string(key.name_space), std::string(key.key)}, true);
    if (entry == nullptr) return;
    if (deletes && entry->types.empty()) entry->deleted_unknown = true;
    if (type) entry->types.emplace(*type);
    Count(entry);
  }

  // There are four of these at most, and none may be lost to the cap on user keys.
  void AddInternal(std::string_view name) { Count(Find({std::string(name), "", ""}, false)); }

  Entry* Find(Identity identity, bool capped) {
    auto found = keys_.find(identity);
    if (found == keys_.end()) {
      if (capped && user_keys_ >= max_keys_) {
        touched_.truncated = true;
        return nullptr;
      }
      if (capped) ++user_keys_;
      found = keys_.try_emplace(std::move(identity)).first;
    }
    return &found->second;
  }

  void Count(Entry* entry) const {
    ++entry->records;
    entry->bytes += bytes_;
  }

  std::size_t max_keys_;
  Touched touched_;
  std::map<Identity, Entry> keys_;
  std::size_t user_keys_ = 0;
  std::uint64_t bytes_ = 0;  // of the record at hand: key and value
};

}  // namespace

Result<Touched> ListTouched(WalSource& source, SequenceRange range, const TouchOptions& options) {
  Collector collector(options.max_keys);
  Result<void> decoded;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    decoded = ForEachRecord(batch.bytes, options.slot_encoded, [&](const KvrocksRecord& record) {
      collector.Add(record, range);
      return true;
    });
    return decoded.has_value();
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  return std::move(collector).Take(range);
}

}  // namespace walstitch::wal
