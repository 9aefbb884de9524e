// Sorted sets: metadata in column family 1, member -> score in 0, and the same
// by score in 2.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unordered_set>

#include "commands.h"

namespace walstitch::refnode {
namespace {

struct AddOptions {
  bool only_new = false;
  bool only_existing = false;
  bool count_changed = false;
  size_t first_pair = 2;
};

std::string ParseAdd(const Args& args, AddOptions* options) {
  size_t i = 2;
  for (; i < args.size(); ++i) {
    const std::string word = ToLower(args[i]);
    if (word == "nx") {
      options->only_new = true;
    } else if (word == "xx") {
      options->only_existing = true;
    } else if (word == "ch") {
      options->count_changed = true;
    } else {
      break;
    }
  }
  options->first_pair = i;
  if (options->only_new && options->only_existing)
    return "XX and NX options at the same time are not compatible";
  if (i == args.size() || (args.size() - i) % 2 != 0) return kSyntaxError;
  for (; i < args.size(); i += 2) {
    double score = 0;
    if (!ParseDouble(args[i], &score)) return "value is not a valid float";
    if (std::isnan(score)) return "score is not a valid float";
  }
  return "";
}

std::string CheckAdd(const Args& args) {
  AddOptions options;
  return ParseAdd(args, &options);
}

std::string ScoreText(double score) {
  if (std::isinf(score)) return score > 0 ? "inf" : "-inf";
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", score);
  return text;
}

// Of a member that is named twice the last score counts; members are written
// last first, as Kvrocks does.
std::string ZAdd(CommandContext& context, const Args& args) {
  AddOptions options;
  ParseAdd(args, &options);
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata = Metadata::Fresh(ValueType::kZSet);
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kZSet, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kZSet));
  std::unordered_set<std::string> seen;
  int64_t added = 0;
  int64_t changed = 0;
  for (size_t i = args.size() - 1; i > options.first_pair; i -= 2) {
    const std::string& member = args[i];
    if (!seen.insert(member).second) continue;
    double score = 0;
    ParseDouble(args[i - 1], &score);
    const std::string score_bytes = EncodeScore(score);
    const std::string element = ElementKey(key, metadata.version, member);
    const std::string by_score = ElementKey(key, metadata.version, score_bytes + member);
    if (metadata.size > 0) {
      std::string old_bytes;
      const rocksdb::Status found = context.storage.Get(ColumnFamily::kSubkey, element, &old_bytes);
      if (!found.ok() && !found.IsNotFound()) return StatusError(found);
      if (found.ok()) {
        if (options.only_new || DecodeScore(old_bytes) == score) continue;
        batch.Delete(ColumnFamily::kZSetScore, ElementKey(key, metadata.version, old_bytes + member));
        batch.Put(ColumnFamily::kSubkey, element, score_bytes);
        batch.Put(ColumnFamily::kZSetScore, by_score, "");
        ++changed;
        continue;
      }
    }
    if (options.only_existing) continue;
    batch.Put(ColumnFamily::kSubkey, element, score_bytes);
    batch.Put(ColumnFamily::kZSetScore, by_score, "");
    ++added;
  }
  if (added > 0) {
    metadata.size += static_cast<uint64_t>(added);
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  status = batch.Commit();
  if (!status.ok()) return StatusError(status);
  return resp::Integer(options.count_changed ? added + changed : added);
}

std::string ZRem(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  const std::lock_guard lock(context.storage.KeyLock(key));
  Metadata metadata;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kZSet, &metadata);
  if (status.IsNotFound()) return resp::Integer(0);
  if (!status.ok()) return StatusError(status);
  Batch batch(context.storage);
  batch.Log(LogText(ValueType::kZSet));
  std::unordered_set<std::string> seen;
  uint64_t removed = 0;
  for (size_t i = 2; i < args.size(); ++i) {
    if (!seen.insert(args[i]).second) continue;
    const std::string element = ElementKey(key, metadata.version, args[i]);
    std::string score_bytes;
    if (!context.storage.Get(ColumnFamily::kSubkey, element, &score_bytes).ok()) continue;
    batch.Delete(ColumnFamily::kSubkey, element);
    batch.Delete(ColumnFamily::kZSetScore, ElementKey(key, metadata.version, score_bytes + args[i]));
    ++removed;
  }
  if (removed > 0) {
    metadata.size -= removed;
    batch.Put(ColumnFamily::kMetadata, key, metadata.Encode());
  }
  status = batch.Commit();
  return status.ok() ? resp::Integer(static_cast<int64_t>(removed)) : StatusError(status);
}

std::string CheckRange(const Args& args) {
  int64_t number = 0;
  if (!ParseInteger(args[2], &number) || !ParseInteger(args[3], &number)) return kNotInteger;
  if (args.size() > 5 || (args.size() == 5 && !EqualsIgnoreCase(args[4], "withscores"))) return kSyntaxError;
  return "";
}

std::string ZRange(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  int64_t start = 0;
  int64_t stop = 0;
  ParseInteger(args[2], &start);
  ParseInteger(args[3], &stop);
  const bool with_scores = args.size() == 5;
  Metadata metadata;
  const rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kZSet, &metadata);
  if (!status.ok() && !status.IsNotFound()) return StatusError(status);
  const auto size = static_cast<int64_t>(metadata.size);
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (stop < 0) stop += size;
  std::vector<std::string> items;
  if (status.ok() && start <= stop) {
    const std::string prefix = ElementKey(key, metadata.version, "");
    const auto iterator = context.storage.NewIterator(ColumnFamily::kZSetScore);
    int64_t rank = 0;
    for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix) && rank <= stop;
         iterator->Next(), ++rank) {
      if (rank < start) continue;
      const std::string_view element = ElementOf(iterator->key().ToStringView());
      items.emplace_back(element.substr(std::min<size_t>(8, element.size())));
      if (with_scores) items.push_back(ScoreText(DecodeScore(element)));
    }
  }
  return resp::BulkArray(items);
}

std::string ZCard(CommandContext& context, const Args& args) {
  Metadata metadata;
  const rocksdb::Status status =
      LoadMetadata(context.storage, context.Key(args[1]), ValueType::kZSet, &metadata);
  if (status.IsNotFound()) return resp::Integer(0);
  return status.ok() ? resp::Integer(static_cast<int64_t>(metadata.size)) : StatusError(status);
}

std::string ZScore(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  Metadata metadata;
  std::string bytes;
  rocksdb::Status status = LoadMetadata(context.storage, key, ValueType::kZSet, &metadata);
  if (status.ok()) {
    status = context.storage.Get(ColumnFamily::kSubkey, ElementKey(key, metadata.version, args[2]), &bytes);
  }
  if (status.IsNotFound()) return resp::Nil();
  return status.ok() ? resp::Bulk(ScoreText(DecodeScore(bytes))) : StatusError(status);
}

}  // namespace

const std::vector<Command>& SortedSetCommands() {
  static const std::vector<Command> commands = {
      {"zadd", -4, kWrite, ZAdd, CheckAdd, 1, 1, 1},
      {"zrem", -3, kWrite, ZRem, nullptr, 1, 1, 1},
      {"zrange", -4, kReadOnly, ZRange, CheckRange, 1, 1, 1},
      {"zcard", 2, kReadOnly, ZCard, nullptr, 1, 1, 1},
      {"zscore", 3, kReadOnly, ZScore, nullptr, 1, 1, 1},
  };
  return commands;
}

}  // namespace walstitch::refnode
