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

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/marker.h"
#include "agents/wal/wal_source.h"

namespace walstitch::wal {
namespace {

class Collector {
 public:
  explicit Collector(const TouchOptions& options) : options_(options) {}

  // To be called with each batch's records, in order.
  void BeginBatch() { command_type_.reset(); }

  void Add(const BatchRecord& record, const SequenceRange& range) {
    if (!record.ConsumesSequence()) {
      if (record.operation == Operation::kLogData) command_type_ = LogDataType(record.value);
      return;
    }
    if (record.sequence < range.from || record.sequence >= range.to) return;
    bytes_ = record.key.size() + record.value.size();
    ++touched_.records;
    touched_.bytes += bytes_;
    switch (record.column_family) {
      case kMetadataFamily:
        AddMetadata(record);
        break;
      case kDefaultFamily:
        AddSubkey(record, command_type_);
        break;
      case kZsetScoreFamily:
        AddSubkey(record, TypeName(5));
        break;
      case kStreamFamily:
        AddSubkey(record, TypeName(8));
        break;
      case kPubsubFamily:
        // Walstitch's own no-op: it exists to touch nothing.
        if (record.operation != Operation::kDelete || record.key != NoopKey()) AddInternal("pubsub");
        break;
      case kPropagateFamily:
        // The id of the replication stream (use-rsid-psync) names the node's present master. Each node
        // writes it at its own promotion, so it differs by nature, and no data hangs on it.
        if (record.operation == Operation::kDeleteRange || record.key != kReplicationIdKey) {
          AddInternal("propagate");
        }
        break;
      case kSearchFamily:
        AddInternal("search");
        break;
      default:
        AddInternal("unknown");
        break;
    }
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

  void AddMetadata(const BatchRecord& record) {
    if (record.operation == Operation::kDeleteRange) {
      ++touched_.range_deletes;
      return;
    }
    const std::optional<UserKey> key = ParseMetadataKey(record.key, options_.slot_encoded);
    if (!key) return AddInternal("unknown");
    if (record.operation == Operation::kPut) return AddUser(*key, MetadataType(record.value));
    AddUser(*key, std::nullopt, /*deletes=*/true);
  }

  void AddSubkey(const BatchRecord& record, std::optional<std::string_view> type) {
    if (record.operation == Operation::kDeleteRange) {
      ++touched_.range_deletes;
      return;
    }
    const std::optional<Subkey> subkey = ParseSubkey(record.key, options_.slot_encoded);
    if (!subkey) return AddInternal("unknown");
    AddUser(subkey->user_key, type);
  }

  void AddUser(const UserKey& key, std::optional<std::string_view> type, bool deletes = false) {
    Entry* entry = Find({"", std::string(key.name_space), std::string(key.key)}, true);
    if (entry == nullptr) return;
    if (deletes && entry->types.empty()) entry->deleted_unknown = true;
    if (type) entry->types.emplace(*type);
    Count(entry);
  }

  // There are four of these at most, and none may be lost to the cap on user keys.
  void AddInternal(const char* name) { Count(Find({name, "", ""}, false)); }

  Entry* Find(Identity identity, bool capped) {
    auto found = keys_.find(identity);
    if (found == keys_.end()) {
      if (capped && user_keys_ >= options_.max_keys) {
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

  TouchOptions options_;
  Touched touched_;
  std::map<Identity, Entry> keys_;
  std::size_t user_keys_ = 0;
  std::uint64_t bytes_ = 0;                       // of the record at hand: key and value
  std::optional<std::string_view> command_type_;  // a static name
};

}  // namespace

Result<Touched> ListTouched(WalSource& source, SequenceRange range, const TouchOptions& options) {
  Collector collector(options);
  Result<void> decoded;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    collector.BeginBatch();
    decoded = DecodeBatch(batch.bytes, [&](const BatchRecord& record) {
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
