#include "agents/wal/records.h"

#include <optional>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"

namespace walstitch::wal {
namespace {

RecordInfo MakeInfo(const BatchRecord& record, std::optional<std::string_view> command_type,
                    bool slot_encoded) {
  RecordInfo info;
  info.sequence = record.sequence;
  info.column_family = record.column_family;
  info.column_family_name = ColumnFamilyName(record.column_family);
  info.operation = ToString(record.operation);
  info.key = record.key;
  info.value_bytes = record.value.size();
  if (record.operation == Operation::kDeleteRange) return info;  // its keys are bounds, not user keys

  std::optional<UserKey> user_key;
  std::optional<std::string_view> type;
  switch (record.column_family) {
    case kMetadataFamily:
      user_key = ParseMetadataKey(record.key, slot_encoded);
      if (record.operation == Operation::kPut) type = MetadataType(record.value);
      break;
    case kDefaultFamily:
    case kZsetScoreFamily:
    case kStreamFamily:
      if (const auto subkey = ParseSubkey(record.key, slot_encoded)) user_key = subkey->user_key;
      type = command_type;
      if (record.column_family == kZsetScoreFamily) type = TypeName(5);
      if (record.column_family == kStreamFamily) type = TypeName(8);
      break;
    default:
      break;
  }
  if (user_key) {
    info.has_user_key = true;
    info.name_space = user_key->name_space;
    info.user_key = user_key->key;
    if (type) info.type = *type;
  }
  return info;
}

}  // namespace

Result<std::vector<RecordInfo>> ListRecords(WalSource& source, SequenceRange range,
                                            const RecordOptions& options) {
  std::vector<RecordInfo> records;
  if (options.max_records == 0) return records;
  Result<void> decoded;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    std::optional<std::string_view> command_type;
    decoded = DecodeBatch(batch.bytes, [&](const BatchRecord& record) {
      if (record.operation == Operation::kLogData) command_type = LogDataType(record.value);
      if (!record.ConsumesSequence() || record.sequence < range.from) return true;
      if (record.sequence >= range.to || records.size() >= options.max_records) return false;
      records.push_back(MakeInfo(record, command_type, options.slot_encoded));
      return true;
    });
    return decoded.has_value() && records.size() < options.max_records;
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  return records;
}

}  // namespace walstitch::wal
