// What works on keys of every type.
#include "commands.h"

namespace walstitch::refnode {
namespace {

// The number that Kvrocks' LogData gives EXPIRE after the type "none".
constexpr const char* kExpireLog = "0 8";

std::string Del(CommandContext& context, const Args& args) {
  std::vector<std::string> keys;
  for (size_t i = 1; i < args.size(); ++i) keys.push_back(context.Key(args[i]));
  const auto locks = context.storage.KeyLocks(keys);
  Batch batch(context.storage);
  std::vector<std::string> doomed;
  for (const std::string& key : keys) {
    std::string bytes;
    Metadata metadata;
    if (!context.storage.Get(ColumnFamily::kMetadata, key, &bytes).ok()) continue;
    if (!metadata.Decode(bytes, nullptr) || metadata.Expired(NowMs())) continue;
    doomed.push_back(key);
  }
  if (doomed.empty()) return resp::Integer(0);
  batch.Log(LogText(ValueType::kNone));
  for (const std::string& key : doomed) batch.Delete(ColumnFamily::kMetadata, key);
  const rocksdb::Status status = batch.Commit();
  return status.ok() ? resp::Integer(static_cast<int64_t>(doomed.size())) : StatusError(status);
}

bool LoadAny(CommandContext& context, const std::string& key, std::string* bytes, Metadata* metadata) {
  return context.storage.Get(ColumnFamily::kMetadata, key, bytes).ok() && metadata->Decode(*bytes, nullptr) &&
         !metadata->Expired(NowMs());
}

bool SetExpiry(CommandContext& context, const std::string& user_key, uint64_t expire_ms) {
  const std::string key = context.Key(user_key);
  const std::lock_guard lock(context.storage.KeyLock(key));
  std::string bytes;
  Metadata metadata;
  if (!LoadAny(context, key, &bytes, &metadata)) return false;
  if (metadata.expire_ms == expire_ms) return true;
  std::string expiry;
  if (metadata.Is64Bit()) {
    PutFixed64(&expiry, expire_ms);
  } else {
    PutFixed32(&expiry, static_cast<uint32_t>((expire_ms + 499) / 1000));
  }
  bytes.replace(1, expiry.size(), expiry);
  return Batch(context.storage).Log(kExpireLog).Put(ColumnFamily::kMetadata, key, bytes).Commit().ok();
}

std::string CheckExpire(const Args& args) { return IntegerError(args[2]); }

int64_t Number(const std::string& text) {
  int64_t number = 0;
  ParseInteger(text, &number);
  return number;
}

std::string Expire(CommandContext& context, const Args& args) {
  return resp::Integer(
      SetExpiry(context, args[1], NowMs() + static_cast<uint64_t>(Number(args[2])) * 1000) ? 1 : 0);
}
std::string PExpire(CommandContext& context, const Args& args) {
  return resp::Integer(SetExpiry(context, args[1], NowMs() + static_cast<uint64_t>(Number(args[2]))) ? 1 : 0);
}
std::string ExpireAt(CommandContext& context, const Args& args) {
  return resp::Integer(SetExpiry(context, args[1], static_cast<uint64_t>(Number(args[2])) * 1000) ? 1 : 0);
}
std::string PExpireAt(CommandContext& context, const Args& args) {
  return resp::Integer(SetExpiry(context, args[1], static_cast<uint64_t>(Number(args[2]))) ? 1 : 0);
}

int64_t TtlMs(CommandContext& context, const std::string& user_key) {
  std::string bytes;
  Metadata metadata;
  if (!context.storage.Get(ColumnFamily::kMetadata, context.Key(user_key), &bytes).ok()) return -2;
  if (!metadata.Decode(bytes, nullptr)) return -2;
  return metadata.TtlMs(NowMs());
}

std::string Ttl(CommandContext& context, const Args& args) {
  const int64_t ttl_ms = TtlMs(context, args[1]);
  return resp::Integer(ttl_ms > 0 ? ttl_ms / 1000 : ttl_ms);
}
std::string PTtl(CommandContext& context, const Args& args) { return resp::Integer(TtlMs(context, args[1])); }

int64_t ExpiresAtMs(CommandContext& context, const std::string& user_key) {
  std::string bytes;
  Metadata metadata;
  if (!LoadAny(context, context.Key(user_key), &bytes, &metadata)) return -2;
  return metadata.expire_ms == 0 ? -1 : static_cast<int64_t>(metadata.expire_ms);
}

std::string PExpireTime(CommandContext& context, const Args& args) {
  return resp::Integer(ExpiresAtMs(context, args[1]));
}

std::string Persist(CommandContext& context, const Args& args) {
  if (TtlMs(context, args[1]) < 0) return resp::Integer(0);
  return resp::Integer(SetExpiry(context, args[1], 0) ? 1 : 0);
}

// Moves subkeys with their version, as Kvrocks does: whatever is left of the new key's old value is of
// another.
std::string Rename(CommandContext& context, const Args& args) {
  const std::string from = context.Key(args[1]);
  const std::string to = context.Key(args[2]);
  const auto locks = context.storage.KeyLocks({from, to});
  std::string bytes;
  Metadata metadata;
  if (!LoadAny(context, from, &bytes, &metadata)) return resp::Error("ERR no such key");
  if (from == to) return resp::Ok();
  Batch batch(context.storage);
  batch.Log(LogText(metadata.Type())).Delete(ColumnFamily::kMetadata, from);
  batch.Put(ColumnFamily::kMetadata, to, bytes);
  if (!metadata.IsSingleValue()) {
    for (const ColumnFamily family : {ColumnFamily::kSubkey, ColumnFamily::kZSetScore}) {
      const std::string prefix = ElementKey(from, metadata.version, "");
      const auto iterator = context.storage.NewIterator(family);
      for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix);
           iterator->Next()) {
        batch.Put(family,
                  ElementKey(to, metadata.version, iterator->key().ToStringView().substr(prefix.size())),
                  iterator->value().ToStringView());
      }
    }
  }
  const rocksdb::Status status = batch.Commit();
  return status.ok() ? resp::Ok() : StatusError(status);
}

std::string Exists(CommandContext& context, const Args& args) {
  int64_t found = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    std::string bytes;
    Metadata metadata;
    if (LoadAny(context, context.Key(args[i]), &bytes, &metadata)) ++found;
  }
  return resp::Integer(found);
}

std::string Type(CommandContext& context, const Args& args) {
  std::string bytes;
  Metadata metadata;
  if (!LoadAny(context, context.Key(args[1]), &bytes, &metadata)) return resp::Simple("none");
  return resp::Simple(TypeName(metadata.Type()));
}

// Collects live keys of the namespace that start with `prefix`, after `after`
// if that is not empty, at most `limit` (0: all).
std::vector<std::string> CollectKeys(CommandContext& context, const std::string& prefix,
                                     const std::string& after, size_t limit) {
  std::vector<std::string> keys;
  const std::string bound = context.Key(prefix);
  const auto iterator = context.storage.NewIterator(ColumnFamily::kMetadata);
  if (after.empty()) {
    iterator->Seek(bound);
  } else {
    const std::string start = context.Key(after);
    iterator->Seek(start);
    if (iterator->Valid() && iterator->key() == start) iterator->Next();
  }
  const uint64_t now_ms = NowMs();
  for (; iterator->Valid() && iterator->key().starts_with(bound); iterator->Next()) {
    Metadata metadata;
    if (!metadata.Decode(iterator->value().ToStringView(), nullptr) || metadata.Expired(now_ms)) continue;
    std::string_view ns;
    std::string_view user_key;
    if (!SplitNamespacedKey(iterator->key().ToStringView(), &ns, &user_key)) continue;
    keys.emplace_back(user_key);
    if (limit != 0 && keys.size() == limit) break;
  }
  return keys;
}

bool IsPrefixPattern(const std::string& pattern) {
  return !pattern.empty() && pattern.find('*') == pattern.size() - 1;
}

std::string Keys(CommandContext& context, const Args& args) {
  if (!IsPrefixPattern(args[1])) return resp::Error("ERR only keys prefix match was supported");
  return resp::BulkArrayEmptyAsNil(CollectKeys(context, args[1].substr(0, args[1].size() - 1), "", 0));
}

struct ScanOptions {
  std::string prefix;
  uint64_t count = 20;
};

std::string ParseScan(const Args& args, ScanOptions* options) {
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return kSyntaxError;
    if (EqualsIgnoreCase(args[i], "match")) {
      if (!IsPrefixPattern(args[i + 1])) return "currently only key prefix matching is supported";
      options->prefix = args[i + 1].substr(0, args[i + 1].size() - 1);
    } else if (EqualsIgnoreCase(args[i], "count")) {
      if (!ParseUnsigned(args[i + 1], &options->count)) return "count param should be type int";
      if (options->count == 0) return kSyntaxError;
    } else {
      return kSyntaxError;
    }
  }
  return "";
}

std::string CheckScan(const Args& args) {
  ScanOptions options;
  return ParseScan(args, &options);
}

std::string Scan(CommandContext& context, const Args& args) {
  ScanOptions options;
  ParseScan(args, &options);
  const std::string after = args[1] == "0" ? "" : context.server.KeyOfCursor(args[1]);
  const std::vector<std::string> keys = CollectKeys(context, options.prefix, after, options.count);
  const bool more = keys.size() >= options.count;
  return resp::ArrayHeader(2) + resp::Bulk(more ? context.server.MakeCursor(keys.back()) : "0") +
         resp::BulkArray(keys);
}

std::string DbSize(CommandContext& context, const Args& args) {
  if (args.size() == 2 && EqualsIgnoreCase(args[1], "scan")) {
    context.server.SetKeyCount(context.connection.ns, CollectKeys(context, "", "", 0).size());
    return resp::Ok();
  }
  if (args.size() != 1) return resp::Error("ERR DBSIZE subcommand only supports scan");
  return resp::Integer(static_cast<int64_t>(context.server.KeyCount(context.connection.ns)));
}

std::string FlushDb(CommandContext& context, const Args&) {
  const std::string begin = context.Key("");
  const rocksdb::Status status =
      Batch(context.storage).DeleteRange(ColumnFamily::kMetadata, begin, AfterPrefix(begin)).Commit();
  return status.ok() ? resp::Ok() : StatusError(status);
}

std::string FlushAll(CommandContext& context, const Args&) {
  if (!context.connection.is_admin) return resp::Error(std::string("ERR ") + kAdminRequired);
  const auto iterator = context.storage.NewIterator(ColumnFamily::kMetadata);
  iterator->SeekToFirst();
  if (!iterator->Valid()) return resp::Ok();
  const std::string first = iterator->key().ToString();
  iterator->SeekToLast();
  const std::string end = AfterPrefix(iterator->key().ToString());
  const rocksdb::Status status =
      Batch(context.storage).DeleteRange(ColumnFamily::kMetadata, first, end).Commit();
  return status.ok() ? resp::Ok() : StatusError(status);
}

}  // namespace

const std::vector<Command>& KeyCommands() {
  static const std::vector<Command> commands = {
      {"del", -2, kWrite, Del, nullptr, 1, -1, 1},
      {"unlink", -2, kWrite, Del, nullptr, 1, -1, 1},
      {"rename", 3, kWrite, Rename, nullptr, 1, 2, 1},
      {"expire", 3, kWrite, Expire, CheckExpire, 1, 1, 1},
      {"pexpire", 3, kWrite, PExpire, CheckExpire, 1, 1, 1},
      {"expireat", 3, kWrite, ExpireAt, CheckExpire, 1, 1, 1},
      {"pexpireat", 3, kWrite, PExpireAt, CheckExpire, 1, 1, 1},
      {"persist", 2, kWrite, Persist, nullptr, 1, 1, 1},
      {"ttl", 2, kReadOnly, Ttl, nullptr, 1, 1, 1},
      {"pttl", 2, kReadOnly, PTtl, nullptr, 1, 1, 1},
      {"pexpiretime", 2, kReadOnly, PExpireTime, nullptr, 1, 1, 1},
      {"exists", -2, kReadOnly, Exists, nullptr, 1, -1, 1},
      {"type", 2, kReadOnly, Type, nullptr, 1, 1, 1},
      {"keys", 2, kReadOnly, Keys},
      {"scan", -2, kReadOnly, Scan, CheckScan},
      {"dbsize", -1, kReadOnly, DbSize},
      {"flushdb", 1, kWrite, FlushDb},
      {"flushall", 1, kWrite, FlushAll},
  };
  return commands;
}

}  // namespace walstitch::refnode
