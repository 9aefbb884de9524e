// Hashes, sets and lists: metadata in column family 1, elements in 0.
#include <algorithm>
#include <unordered_set>

#include "commands.h"

namespace walstitch::refnode {
namespace {

// Calls `visit(element, value)` for each element of this version, in key order,
// until it returns false.
template <typename Visit>
void ForEachElement(Storage& storage, const std::string& key, const Metadata& metadata, Visit visit) {
  const std::string prefix = ElementKey(key, metadata.version, "");
  const auto iterator = storage.NewIterator(ColumnFamily::kSubkey);
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix); iterator->Next()) {
    if (!visit(ElementOf(iterator->key().ToStringView()), iterator->value().ToStringView())) return;
  }
}

std::string SizeOf(CommandContext& context, const Args& args, ValueType type) {
  Metadata metadata;
  const rocksdb::Status status = LoadMetadata(context.storage, context.Key(args[1]), type, &metadata);
  if (status.IsNotFound()) return resp::Integer(0);
  return status.ok() ? resp::Integer(static_cast<int64_t>(metadata.size)) : StatusError(status);
}

// Hashes.

// Of a field that is named twice the last value counts, and fields are written
// last first, as Kvrocks does: batches must be equal byte for byte.
rocksdb::Status SetFields(CommandContext& context, const Args& args, int64_t* added) {
  *added = 0;
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata = Metadata::Fresh(ValueType::kHash);
  const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kHash, &metadata);
  if (!status.ok() && !status.IsNotFound()) return status;
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kHash));
  std::unordered_set<std::string> seen;
  for (size_t i = args.size() - 1; i >= 3; i -= 2) {
    const std::string& field = args[i - 1];
    const std::string& value = args[i];
    if (!seen.insert(field).second) continue;
    const std::string element = ElementKey(key, metadata.version, field);
    bool exists = false;
    if (metadata.size > 0) {
      std::string old;
      const rocksdb::Status found = context.storage.Get(ColumnFamily::kSubkey, element, &old);
      if (!found.ok() && !found.IsNotFound()) return found;
      if (found.ok() && old == value) continue;
      exists = found.ok();
    }
    if (!exists) ++*added;
    batch.Put(ColumnFamily::kSubkey, element, value);
  }
  if (*added > 0) {
    metadata.size += static_cast<uint64_t>(*added);
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  return batch.Commit();
}

std::string CheckFields(const Args& args) { return args.size() % 2 == 0 ? "" : kWrongArgumentCount; }

std::string HSet(CommandContext& context, const Args& args) {
  int64_t added = 0;
  const rocksdb::Status status = SetFields(context, args, &added);
  return status.ok() ? resp::Integer(added) : StatusError(status);
}

std::string HMSet(CommandContext& context, const Args& args) {
  int64_t added = 0;
  const rocksdb::Status status = SetFields(context, args, &added);
  return status.ok() ? resp::Ok() : StatusError(status);
}

std::string HGet(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  Metadata metadata;
  std::string value;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kHash, &metadata);
  if (status.ok()) {
    status = context.storage.Get(ColumnFamily::kSubkey, ElementKey(key, metadata.version, args[2]), &value);
  }
  if (status.IsNotFound()) return resp::Nil();
  return status.ok() ? resp::Bulk(value) : StatusError(status);
}

std::string HDel(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kHash, &metadata);
  if (status.IsNotFound()) return resp::Integer(0);
  if (!status.ok()) return StatusError(status);
  std::vector<std::string> doomed;
  std::unordered_set<std::string> seen;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!seen.insert(args[i]).second) continue;
    const std::string element = ElementKey(key, metadata.version, args[i]);
    std::string old;
    if (context.storage.Get(ColumnFamily::kSubkey, element, &old).ok()) doomed.push_back(element);
  }
  if (doomed.empty()) return resp::Integer(0);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kHash));
  for (const std::string& element : doomed) batch.Delete(ColumnFamily::kSubkey, element);
  metadata.size -= doomed.size();
  batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  status = batch.Commit();
  return status.ok() ? resp::Integer(static_cast<int64_t>(doomed.size())) : StatusError(status);
}

std::string HGetAll(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  Metadata metadata;
  const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kHash, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  std::vector<std::string> flat;
  if (status.ok()) {
    ForEachElement(context.storage, key, metadata, [&](std::string_view field, std::string_view value) {
      flat.emplace_back(field);
      flat.emplace_back(value);
      return true;
    });
  }
  return resp::BulkArray(flat);
}

std::string HLen(CommandContext& context, const Args& args) {
  return SizeOf(context, args, ValueType::kHash);
}

// Sets.

std::string SAdd(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata = Metadata::Fresh(ValueType::kSet);
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kSet, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kSet));
  std::unordered_set<std::string> seen;
  int64_t added = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!seen.insert(args[i]).second) continue;
    const std::string element = ElementKey(key, metadata.version, args[i]);
    std::string old;
    if (context.storage.Get(ColumnFamily::kSubkey, element, &old).ok()) continue;
    batch.Put(ColumnFamily::kSubkey, element, "");
    ++added;
  }
  if (added > 0) {
    metadata.size += static_cast<uint64_t>(added);
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  status = batch.Commit();
  return status.ok() ? resp::Integer(added) : StatusError(status);
}

std::string SRem(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kSet, &metadata);
  if (status.IsNotFound()) return resp::Integer(0);
  if (!status.ok()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kSet));
  std::unordered_set<std::string> seen;
  uint64_t removed = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!seen.insert(args[i]).second) continue;
    const std::string element = ElementKey(key, metadata.version, args[i]);
    std::string old;
    if (!context.storage.Get(ColumnFamily::kSubkey, element, &old).ok()) continue;
    batch.Delete(ColumnFamily::kSubkey, element);
    ++removed;
  }
  if (removed > 0 && removed == metadata.size) {
    batch.Delete(ColumnFamily::kMetadata, key);
  } else if (removed > 0) {
    metadata.size -= removed;
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  status = batch.Commit();
  return status.ok() ? resp::Integer(static_cast<int64_t>(removed)) : StatusError(status);
}

std::string SMembers(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  Metadata metadata;
  const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kSet, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  std::vector<std::string> members;
  if (status.ok()) {
    ForEachElement(context.storage, key, metadata, [&](std::string_view member, std::string_view) {
      members.emplace_back(member);
      return true;
    });
  }
  return resp::BulkArray(members);
}

std::string SIsMember(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  Metadata metadata;
  std::string value;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kSet, &metadata);
  if (status.ok()) {
    status = context.storage.Get(ColumnFamily::kSubkey, ElementKey(key, metadata.version, args[2]), &value);
  }
  if (status.IsNotFound()) return resp::Integer(0);
  return status.ok() ? resp::Integer(1) : StatusError(status);
}

std::string SCard(CommandContext& context, const Args& args) {
  return SizeOf(context, args, ValueType::kSet);
}

// Lists: elements by a 64-bit index that begins in the middle.

// The number that Kvrocks' LogData gives the command after the type.
enum ListCommand { kLPop = 3, kRPop = 4, kLPush = 6, kRPush = 7 };

std::string IndexBytes(uint64_t index) {
  std::string bytes;
  PutFixed64(&bytes, index);
  return bytes;
}

std::string ListLog(ListCommand command) {
  return LogText(ValueType::kList) + " " + std::to_string(static_cast<int>(command));
}

std::string Push(CommandContext& context, const Args& args, bool left) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata = Metadata::Fresh(ValueType::kList);
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kList, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(ListLog(left ? kLPush : kRPush));
  for (size_t i = 2; i < args.size(); ++i) {
    const uint64_t index = left ? --metadata.head : metadata.tail++;
    batch.Put(ColumnFamily::kSubkey, ElementKey(key, metadata.version, IndexBytes(index)), args[i]);
  }
  metadata.size += args.size() - 2;
  batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  status = batch.Commit();
  return status.ok() ? resp::Integer(static_cast<int64_t>(metadata.size)) : StatusError(status);
}

std::string LPush(CommandContext& context, const Args& args) { return Push(context, args, true); }
std::string RPush(CommandContext& context, const Args& args) { return Push(context, args, false); }

std::string Pop(CommandContext& context, const Args& args, bool left) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kList, &metadata);
  if (status.IsNotFound()) return resp::Nil();
  if (!status.ok()) return StatusError(status);
  const uint64_t index = left ? metadata.head++ : --metadata.tail;
  const std::string element = ElementKey(key, metadata.version, IndexBytes(index));
  std::string value;
  status = context.storage.Get(ColumnFamily::kSubkey, element, &value);
  if (!status.ok()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(ListLog(left ? kLPop : kRPop)).Delete(ColumnFamily::kSubkey, element);
  if (--metadata.size == 0) {
    batch.Delete(ColumnFamily::kMetadata, key);
  } else {
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  status = batch.Commit();
  return status.ok() ? resp::Bulk(value) : StatusError(status);
}

std::string LPop(CommandContext& context, const Args& args) { return Pop(context, args, true); }
std::string RPop(CommandContext& context, const Args& args) { return Pop(context, args, false); }
std::string LLen(CommandContext& context, const Args& args) {
  return SizeOf(context, args, ValueType::kList);
}

std::string CheckRange(const Args& args) {
  int64_t number = 0;
  return ParseInteger(args[2], &number) && ParseInteger(args[3], &number) ? "" : kNotInteger;
}

std::string LRange(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  int64_t start = 0;
  int64_t stop = 0;
  ParseInteger(args[2], &start);
  ParseInteger(args[3], &stop);
  Metadata metadata;
  const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kList, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  const auto size = static_cast<int64_t>(metadata.size);
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (stop < 0) stop += size;
  std::vector<std::string> items;
  if (status.ok() && start <= stop) {
    int64_t rank = 0;
    ForEachElement(context.storage, key, metadata, [&](std::string_view, std::string_view value) {
      if (rank >= start) items.emplace_back(value);
      return ++rank <= stop;
    });
  }
  return resp::BulkArray(items);
}

}  // namespace

const std::vector<Command>& CollectionCommands() {
  static const std::vector<Command> commands = {
      {"hset", -4, kWrite, HSet, CheckFields, 1, 1, 1},
      {"hmset", -4, kWrite, HMSet, CheckFields, 1, 1, 1},
      {"hget", 3, kReadOnly, HGet, nullptr, 1, 1, 1},
      {"hdel", -3, kWrite, HDel, nullptr, 1, 1, 1},
      {"hgetall", 2, kReadOnly, HGetAll, nullptr, 1, 1, 1},
      {"hlen", 2, kReadOnly, HLen, nullptr, 1, 1, 1},
      {"sadd", -3, kWrite, SAdd, nullptr, 1, 1, 1},
      {"srem", -3, kWrite, SRem, nullptr, 1, 1, 1},
      {"smembers", 2, kReadOnly, SMembers, nullptr, 1, 1, 1},
      {"sismember", 3, kReadOnly, SIsMember, nullptr, 1, 1, 1},
      {"scard", 2, kReadOnly, SCard, nullptr, 1, 1, 1},
      {"lpush", -3, kWrite, LPush, nullptr, 1, 1, 1},
      {"rpush", -3, kWrite, RPush, nullptr, 1, 1, 1},
      {"lpop", 2, kWrite, LPop, nullptr, 1, 1, 1},
      {"rpop", 2, kWrite, RPop, nullptr, 1, 1, 1},
      {"llen", 2, kReadOnly, LLen, nullptr, 1, 1, 1},
      {"lrange", 4, kReadOnly, LRange, CheckRange, 1, 1, 1},
  };
  return commands;
}

}  // namespace walstitch::refnode
