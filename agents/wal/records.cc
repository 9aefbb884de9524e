#include "agents/wal/records.h"

#include "agents/wal/kvrocks_values.h"
#include "agents/wal/marker.h"

namespace walstitch::wal {
namespace {

KvrocksRecord Understand(const BatchRecord& raw, std::optional<std::string_view> command_type,
                         bool slot_encoded) {
  KvrocksRecord record;
  record.raw = raw;
  if (raw.operation == Operation::kDeleteRange) {  // its keys are bounds, not user keys
    record.internal = "flush";
    return record;
  }
  switch (raw.column_family) {
    case kMetadataFamily:
      record.user_key = ParseMetadataKey(raw.key, slot_encoded);
      if (raw.operation == Operation::kPut) record.type = MetadataType(raw.value);
      break;
    case kDefaultFamily:
    case kZsetScoreFamily:
    case kStreamFamily:
      if (const auto subkey = ParseSubkey(raw.key, slot_encoded)) record.user_key = subkey->user_key;
      record.type = command_type;
      if (raw.column_family == kZsetScoreFamily) record.type = TypeName(5);
      if (raw.column_family == kStreamFamily) record.type = TypeName(8);
      break;
    default:
      record.internal = InternalKeyspace(raw.column_family);
      if (raw.column_family == kPubsubFamily && raw.operation == Operation::kDelete && raw.key == NoopKey()) {
        record.internal = "pad";
      }
      break;
  }
  if (!record.user_key) record.type.reset();
  if (!record.user_key && record.internal.empty()) record.internal = "unknown";
  return record;
}

RecordInfo MakeInfo(const KvrocksRecord& record) {
  RecordInfo info;
  info.sequence = record.raw.sequence;
  info.column_family = record.raw.column_family;
  info.column_family_name = ColumnFamilyName(record.raw.column_family);
  info.operation = ToString(record.raw.operation);
  info.internal = record.internal;
  info.key = record.raw.key;
  info.value_bytes = record.raw.value.size();
  if (record.user_key) {
    info.has_user_key = true;
    info.name_space = record.user_key->name_space;
    info.user_key = record.user_key->key;
  }
  if (record.type) info.type = *record.type;
  return info;
}

}  // namespace

bool RenewsKey(const BatchRecord& record) {
  if (record.column_family != kMetadataFamily) return false;
  if (record.operation == Operation::kDelete || record.operation == Operation::kSingleDelete) return true;
  if (record.operation != Operation::kPut) return false;
  const auto fields = ParseMetadata(record.value);
  return fields && !fields->version;
}

Result<void> ForEachEntry(std::string_view batch, bool slot_encoded, const KvrocksRecordVisitor& visit) {
  std::optional<std::string_view> command_type;
  return DecodeBatch(batch, [&](const BatchRecord& raw) {
    if (raw.operation == Operation::kLogData) command_type = LogDataType(raw.value);
    if (raw.ConsumesSequence()) return visit(Understand(raw, command_type, slot_encoded));
    KvrocksRecord mark;
    mark.raw = raw;
    return visit(mark);
  });
}

Result<void> ForEachRecord(std::string_view batch, bool slot_encoded, const KvrocksRecordVisitor& visit) {
  return ForEachEntry(batch, slot_encoded, [&](const KvrocksRecord& record) {
    return !record.raw.ConsumesSequence() || visit(record);
  });
}

Result<RecordList> ListRecords(WalSource& source, SequenceRange range, const RecordOptions& options) {
  RecordList list;
  if (options.max_records == 0) return list;
  Result<void> decoded;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    decoded = ForEachRecord(batch.bytes, options.slot_encoded, [&](const KvrocksRecord& record) {
      if (record.raw.sequence < range.from) return true;
      if (record.raw.sequence >= range.to) return false;
      if (list.records.size() == options.max_records) {
        list.next = record.raw.sequence;
        return false;
      }
      if (options.matches && !options.matches(record)) return true;
      list.records.push_back(MakeInfo(record));
      return true;
    });
    if (!decoded) decoded = Fail(decoded.error(), "the batch at sequence " + batch.first.ToString());
    return decoded.has_value() && !list.next;
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  return list;
}

}  // namespace walstitch::wal
