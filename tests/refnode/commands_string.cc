// Strings: one record in column family 1 each.
#include <climits>

#include "commands.h"

namespace walstitch::refnode {
namespace {

std::string EncodeString(std::string_view value, uint64_t expire_ms) {
  Metadata metadata = Metadata::Fresh(ValueType::kString);
  metadata.expire_ms = expire_ms;
  std::string bytes = metadata.Encode();
  bytes.append(value);
  return bytes;
}

rocksdb::Status PutString(Storage& storage, const std::string& key, std::string_view value,
                          uint64_t expire_ms) {
  return Batch(storage)
      .Log(LogText(ValueType::kString))
      .Put(ColumnFamily::kMetadata, key, EncodeString(value, expire_ms))
      .Commit();
}

std::string Get(CommandContext& context, const Args& args) {
  Metadata metadata;
  std::string value;
  const rocksdb::Status status =
      LoadMetadata(context.storage, context.Key(args[1]), ValueType::kString, &metadata, &value);
  if (status.IsNotFound()) return resp::Nil();
  return status.ok() ? resp::Bulk(value) : StatusError(status);
}

std::string StrLen(CommandContext& context, const Args& args) {
  Metadata metadata;
  std::string value;
  const rocksdb::Status status =
      LoadMetadata(context.storage, context.Key(args[1]), ValueType::kString, &metadata, &value);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  return resp::Integer(static_cast<int64_t>(value.size()));
}

std::string MGet(CommandContext& context, const Args& args) {
  std::string reply = resp::ArrayHeader(args.size() - 1);
  for (size_t i = 1; i < args.size(); ++i) {
    Metadata metadata;
    std::string value;
    const rocksdb::Status status =
        LoadMetadata(context.storage, context.Key(args[i]), ValueType::kString, &metadata, &value);
    reply += status.ok() ? resp::Bulk(value) : resp::Nil();
  }
  return reply;
}

struct SetOptions {
  uint64_t expire_ms = 0;
  bool keep_ttl = false;
  bool only_new = false;
  bool only_existing = false;
  bool get = false;
};

std::string ParseSetOptions(const Args& args, SetOptions* options) {
  for (size_t i = 3; i < args.size(); ++i) {
    const std::string word = ToLower(args[i]);
    int64_t number = 0;
    if (word == "nx") {
      options->only_new = true;
    } else if (word == "xx") {
      options->only_existing = true;
    } else if (word == "get") {
      options->get = true;
    } else if (word == "keepttl") {
      options->keep_ttl = true;
    } else if (word == "ex" || word == "px" || word == "exat" || word == "pxat") {
      if (options->expire_ms != 0 || i + 1 >= args.size()) return kSyntaxError;
      if (!ParseInteger(args[++i], &number)) return IntegerError(args[i]);
      if (number <= 0) return "out of numeric range";
      const auto value = static_cast<uint64_t>(number);
      if (word == "ex") options->expire_ms = NowMs() + value * 1000;
      if (word == "px") options->expire_ms = NowMs() + value;
      if (word == "exat") options->expire_ms = value * 1000;
      if (word == "pxat") options->expire_ms = value;
    } else {
      return kSyntaxError;
    }
  }
  if (options->only_new && options->only_existing) return kSyntaxError;
  if (options->keep_ttl && options->expire_ms != 0) return kSyntaxError;
  return "";
}

std::string CheckSet(const Args& args) {
  SetOptions options;
  return ParseSetOptions(args, &options);
}

std::string SetWith(CommandContext& context, const std::string& user_key, const std::string& value,
                    const SetOptions& options, bool* was_set, std::string* old_reply) {
  const std::string key = context.Key(user_key);
  const std::lock_guard lock(context.storage.KeyLock(key));
  *was_set = false;
  *old_reply = resp::Nil();
  uint64_t expire_ms = options.expire_ms;
  if (options.only_new || options.only_existing || options.get || options.keep_ttl) {
    Metadata metadata;
    std::string old;
    const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kString, &metadata, &old);
    if (!status.ok() && !status.IsNotFound() && !status.IsInvalidArgument()) return StatusError(status);
    if (options.get) {
      if (status.IsInvalidArgument()) return StatusError(status);
      if (status.ok()) *old_reply = resp::Bulk(old);
    }
    if (options.only_new && status.ok()) return "";
    if (options.only_existing && status.IsNotFound()) return "";
    if (status.ok() && options.keep_ttl) expire_ms = metadata.expire_ms;
  }
  const rocksdb::Status status = PutString(context.storage, key, value, expire_ms);
  if (!status.ok()) return StatusError(status);
  *was_set = true;
  return "";
}

std::string Set(CommandContext& context, const Args& args) {
  SetOptions options;
  ParseSetOptions(args, &options);
  bool was_set = false;
  std::string old_reply;
  std::string error = SetWith(context, args[1], args[2], options, &was_set, &old_reply);
  if (!error.empty()) return error;
  if (options.get) return old_reply;
  return was_set ? resp::Ok() : resp::Nil();
}

std::string SetNx(CommandContext& context, const Args& args) {
  SetOptions options;
  options.only_new = true;
  bool was_set = false;
  std::string old_reply;
  std::string error = SetWith(context, args[1], args[2], options, &was_set, &old_reply);
  return error.empty() ? resp::Integer(was_set ? 1 : 0) : error;
}

std::string CheckSetEx(const Args& args) {
  int64_t number = 0;
  if (!ParseInteger(args[2], &number)) return kNotInteger;
  return number <= 0 ? "invalid expire time" : "";
}

std::string SetExpiring(CommandContext& context, const Args& args, uint64_t unit_ms) {
  int64_t number = 0;
  ParseInteger(args[2], &number);
  SetOptions options;
  options.expire_ms = NowMs() + static_cast<uint64_t>(number) * unit_ms;
  bool was_set = false;
  std::string old_reply;
  std::string error = SetWith(context, args[1], args[3], options, &was_set, &old_reply);
  return error.empty() ? resp::Ok() : error;
}

std::string SetEx(CommandContext& context, const Args& args) { return SetExpiring(context, args, 1000); }
std::string PSetEx(CommandContext& context, const Args& args) { return SetExpiring(context, args, 1); }

std::string CheckMSet(const Args& args) { return args.size() % 2 == 1 ? "" : kWrongArgumentCount; }

std::string MSet(CommandContext& context, const Args& args) {
  std::vector<std::string> keys;
  for (size_t i = 1; i < args.size(); i += 2) keys.push_back(context.Key(args[i]));
  const auto locks = context.storage.KeyLocks(keys);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kString));
  for (size_t i = 0; i < keys.size(); ++i) {
    batch.Put(ColumnFamily::kMetadata, keys[i], EncodeString(args[2 * i + 2], 0));
  }
  const rocksdb::Status status = batch.Commit();
  return status.ok() ? resp::Ok() : StatusError(status);
}

std::string Add(CommandContext& context, const std::string& user_key, int64_t increment) {
  const std::string key = context.Key(user_key);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata;
  std::string value;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kString, &metadata, &value);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  int64_t number = 0;
  if (!value.empty() && !ParseInteger(value, &number)) {
    return StatusError(rocksdb::Status::InvalidArgument(kNotInteger));
  }
  int64_t sum = 0;
  if (__builtin_add_overflow(number, increment, &sum)) {
    return StatusError(rocksdb::Status::InvalidArgument("increment or decrement would overflow"));
  }
  status = PutString(context.storage, key, std::to_string(sum), metadata.expire_ms);
  return status.ok() ? resp::Integer(sum) : StatusError(status);
}

std::string CheckIncrement(const Args& args) {
  int64_t number = 0;
  return ParseInteger(args[2], &number) ? "" : kNotInteger;
}

std::string Incr(CommandContext& context, const Args& args) { return Add(context, args[1], 1); }
std::string Decr(CommandContext& context, const Args& args) { return Add(context, args[1], -1); }
std::string IncrBy(CommandContext& context, const Args& args) {
  int64_t number = 0;
  ParseInteger(args[2], &number);
  return Add(context, args[1], number);
}

}  // namespace

const std::vector<Command>& StringCommands() {
  static const std::vector<Command> commands = {
      {"get", 2, kReadOnly, Get, nullptr, 1, 1, 1},
      {"strlen", 2, kReadOnly, StrLen, nullptr, 1, 1, 1},
      {"mget", -2, kReadOnly, MGet, nullptr, 1, -1, 1},
      {"set", -3, kWrite, Set, CheckSet, 1, 1, 1},
      {"setnx", 3, kWrite, SetNx, nullptr, 1, 1, 1},
      {"setex", 4, kWrite, SetEx, CheckSetEx, 1, 1, 1},
      {"psetex", 4, kWrite, PSetEx, CheckSetEx, 1, 1, 1},
      {"mset", -3, kWrite, MSet, CheckMSet, 1, -1, 2},
      {"incr", 2, kWrite, Incr, nullptr, 1, 1, 1},
      {"decr", 2, kWrite, Decr, nullptr, 1, 1, 1},
      {"incrby", 3, kWrite, IncrBy, CheckIncrement, 1, 1, 1},
  };
  return commands;
}

}  // namespace walstitch::refnode
