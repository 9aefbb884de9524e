#include "agents/agent/salvage_format.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/kvrocks_values.h"
#include "agents/wal/log_format.h"
#include "agents/wal/records.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/model/names.h"

namespace walstitch::agent {

namespace {

constexpr std::string_view kUlidDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kUlidLength = 26;

std::string_view OperationWord(wal::Operation operation) {
  switch (operation) {
    case wal::Operation::kPut:
      return "put";
    case wal::Operation::kDelete:
      return "delete";
    case wal::Operation::kSingleDelete:
      return "single_delete";
    case wal::Operation::kDeleteRange:
      return "delete_range";
    case wal::Operation::kMerge:
      return "merge";
    case wal::Operation::kBlobIndex:
      return "blob_index";
    case wal::Operation::kPutEntity:
      return "put_entity";
    case wal::Operation::kTimedPut:
      return "timed_put";
    case wal::Operation::kLogData:
      return "log_data";
    case wal::Operation::kTransactionMark:
      return "transaction_mark";
  }
  return "?";
}

// One record's line in the making.
class Line {
 public:
  Line(const wal::BatchView& batch, std::uint64_t raw_at) : batch_(batch), raw_at_(raw_at) {}

  std::string Of(const wal::KvrocksRecord& record, bool slot_encoded) {
    const wal::BatchRecord& raw = record.raw;
    line_["sequence"] = raw.sequence.Value();
    line_["batch"] = batch_.first.Value();
    line_["operation"] = OperationWord(raw.operation);
    if (!raw.ConsumesSequence()) {
      if (raw.operation == wal::Operation::kTransactionMark) Bytes("raw_key", raw.key);
      Value(raw.value);
      return Dump(line_) + "\n";
    }
    line_["family"] = wal::ColumnFamilyName(raw.column_family);
    if (wal::ColumnFamilyName(raw.column_family) == "unknown") line_["family_id"] = raw.column_family;
    if (raw.operation == wal::Operation::kDeleteRange) {
      line_["internal"] = "flush";
      Bytes("raw_key", raw.key);
      Bytes("to", raw.value);
    } else if (!record.user_key) {
      line_["internal"] = record.internal;
      Bytes("raw_key", raw.key);
      if (HasValue(raw)) Value(raw.value);
    } else {
      Bytes("namespace", record.user_key->name_space);
      Bytes("key", record.user_key->key);
      if (record.type) line_["type"] = *record.type;
      if (raw.column_family == wal::kMetadataFamily) {
        Metadata(raw);
      } else {
        Subkey(record, slot_encoded);
      }
    }
    return Dump(line_) + "\n";
  }

 private:
  static bool HasValue(const wal::BatchRecord& raw) {
    return raw.operation != wal::Operation::kDelete && raw.operation != wal::Operation::kSingleDelete;
  }

  void Bytes(boost::json::string_view name, std::string_view bytes) { line_[name] = BytesToJson(bytes); }

  void Value(std::string_view bytes) {
    if (bytes.size() <= kMaxRecordValue) return Bytes("value", bytes);
    line_["raw_at"] = raw_at_;
    line_["value_bytes"] = bytes.size();
  }

  void Metadata(const wal::BatchRecord& raw) {
    if (!HasValue(raw)) return;
    const auto fields = raw.operation == wal::Operation::kPut ? wal::ParseMetadata(raw.value) : std::nullopt;
    if (!fields) return Value(raw.value);
    if (fields->expire_ms != 0) line_["expire_ms"] = fields->expire_ms;
    if (fields->version) line_["version"] = *fields->version;
    if (fields->size) line_["size"] = *fields->size;
    // Of a string it is all there is; of JSON, a byte that tells the form stands in front; of any other type
    // it is the type's own bookkeeping.
    if (!fields->version || !fields->rest.empty()) Value(fields->rest);
  }

  void Subkey(const wal::KvrocksRecord& record, bool slot_encoded) {
    const wal::BatchRecord& raw = record.raw;
    const auto subkey = wal::ParseSubkey(raw.key, slot_encoded);
    WALSTITCH_CHECK(subkey);  // it has a user key
    line_["version"] = subkey->version;
    const std::string_view type = record.type.value_or("");
    std::string_view rest = subkey->rest;
    std::string_view value = raw.value;
    bool told = false;  // all that the key and value say
    if (type == "hash") {
      Bytes("field", rest);
    } else if (type == "set" && value.empty()) {
      Bytes("member", rest);
      told = true;
    } else if (type == "list" && rest.size() == 8) {
      line_["index"] = *wal::TakeIndex(&rest);
    } else if (type == "stream" && rest.size() == 16) {
      const auto ms = *wal::TakeIndex(&rest);
      line_["entry"] = std::to_string(ms) + "-" + std::to_string(*wal::TakeIndex(&rest));
    } else if (raw.column_family == wal::kZsetScoreFamily && rest.size() >= 8 && value.empty()) {
      Score(*wal::TakeScore(&rest));
      Bytes("member", rest);
      told = true;
    } else if (type == "zset" && raw.column_family == wal::kDefaultFamily &&
               (value.size() == 8 || !HasValue(raw))) {
      Bytes("member", rest);
      if (value.size() == 8) Score(*wal::TakeScore(&value));
      told = true;
    } else {
      Bytes("subkey", rest);
    }
    if (!told && HasValue(raw)) Value(raw.value);
  }

  // JSON knows no infinity, and not every reader all digits of a double: as Redis writes it.
  void Score(double score) {
    char text[64];
    std::snprintf(text, sizeof text, "%.17g", score);
    line_["score"] = text;
  }

  const wal::BatchView& batch_;
  std::uint64_t raw_at_;
  boost::json::object line_;
};

Result<std::string> TextField(const boost::json::object& object, boost::json::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) {
    return Fail(ErrorCode::kDamaged, "'" + std::string(name) + "' is missing or no text");
  }
  return std::string(value->get_string());
}

Result<std::string> BytesField(const boost::json::object& object, boost::json::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return Fail(ErrorCode::kDamaged, "'" + std::string(name) + "' is missing");
  auto bytes = BytesFromJson(*value);
  if (!bytes) return Fail(ErrorCode::kDamaged, "'" + std::string(name) + "': " + bytes.error().Message());
  return bytes;
}

}  // namespace

bool ValidSalvageId(std::string_view id) {
  return id.size() == kUlidLength && std::all_of(id.begin(), id.end(), [](char c) {
           return kUlidDigits.find(c) != std::string_view::npos;
         });
}

boost::json::value BytesToJson(std::string_view bytes) {
  if (IsText(bytes)) return boost::json::string(bytes);
  return {{"base64", ToBase64(bytes)}};
}

Result<std::string> BytesFromJson(const boost::json::value& json) {
  if (json.is_string()) return std::string(json.get_string());
  const auto* object = json.if_object();
  const auto* base64 = object == nullptr ? nullptr : object->if_contains("base64");
  if (base64 == nullptr || !base64->is_string()) {
    return Fail(ErrorCode::kInvalid, "expected text, or an object with base64");
  }
  return FromBase64(base64->get_string());
}

std::string FrameHeader(std::size_t bytes) {
  WALSTITCH_CHECK(bytes <= 0xffffffffU);
  std::string header;
  for (unsigned i = 0; i < 4; ++i) header.push_back(static_cast<char>((bytes >> (8 * i)) & 0xffU));
  return header;
}

std::size_t FrameLength(std::string_view header) {
  WALSTITCH_CHECK(header.size() == 4);
  return wal::DecodeFixed32(header.data());
}

void AppendRecordLines(const wal::BatchView& batch, SequenceRange range, bool slot_encoded,
                       std::uint64_t raw_at, std::string* out, RecordCounts* counts) {
  const Result<void> decoded =
      wal::ForEachEntry(batch.bytes, slot_encoded, [&](const wal::KvrocksRecord& record) {
        const wal::BatchRecord& raw = record.raw;
        // What consumes no sequence belongs to the record behind it; at a batch's end, to the one before.
        const bool mark = !raw.ConsumesSequence();
        if (raw.sequence < range.from || raw.sequence > range.to) return true;
        if (!mark && raw.sequence == range.to) return true;
        if (!mark) ++counts->records;
        if (raw.operation == wal::Operation::kDeleteRange) ++counts->range_deletes;
        out->append(Line(batch, raw_at).Of(record, slot_encoded));
        return true;
      });
  if (decoded) return;
  boost::json::object line;
  line["sequence"] = batch.first.Value();
  line["batch"] = batch.first.Value();
  line["operation"] = "undecoded";
  line["error"] = decoded.error().Message();
  line["raw_at"] = raw_at;
  line["value_bytes"] = batch.bytes.size();
  if (batch.bytes.size() <= kMaxRecordValue) line["value"] = {{"base64", ToBase64(batch.bytes)}};
  out->append(Dump(line) + "\n");
}

std::string ValueLine(const SalvagedValue& value) {
  boost::json::object line;
  line["namespace"] = BytesToJson(value.key.name_space);
  line["key"] = BytesToJson(value.key.key);
  line["type"] = value.key.type;
  line["kept"] = ToString(value.key.kept);
  if (!value.key.why.empty()) line["why"] = value.key.why;
  if (value.key.expire_ms) line["expire_ms"] = *value.key.expire_ms;
  if (value.key.kept == KeptAs::kValue) {
    if (value.key.type == "string") {
      WALSTITCH_CHECK(value.elements.size() == 1);
      line["value"] = BytesToJson(value.elements.front());
    } else {
      boost::json::array elements;
      elements.reserve(value.elements.size());
      for (const std::string& element : value.elements) elements.push_back(BytesToJson(element));
      line["value"] = std::move(elements);
    }
  }
  return Dump(line) + "\n";
}

Result<SalvagedValue> ParseValueLine(std::string_view text) {
  auto json = ParseJson(text);
  if (!json) return Fail(ErrorCode::kDamaged, json.error().Message());
  const auto* line = json->if_object();
  if (line == nullptr) return Fail(ErrorCode::kDamaged, "the line is no object");
  SalvagedValue value;
  for (auto [name, field] :
       {std::pair("namespace", &value.key.name_space), std::pair("key", &value.key.key)}) {
    auto bytes = BytesField(*line, name);
    if (!bytes) return Fail(bytes.error());
    *field = std::move(*bytes);
  }
  auto type = TextField(*line, "type");
  if (!type) return Fail(type.error());
  value.key.type = *type;
  auto word = TextField(*line, "kept");
  if (!word) return Fail(word.error());
  const auto kept = FromString<KeptAs>(*word);
  if (!kept) return Fail(ErrorCode::kDamaged, "'kept' is none of " + NameList<KeptAs>());
  value.key.kept = *kept;
  if (line->contains("why")) {
    auto why = TextField(*line, "why");
    if (!why) return Fail(why.error());
    value.key.why = *why;
  }
  if (const auto* expire = line->if_contains("expire_ms")) {
    if (!expire->is_int64()) return Fail(ErrorCode::kDamaged, "'expire_ms' is no number");
    value.key.expire_ms = expire->get_int64();
  }
  if (value.key.kept != KeptAs::kValue) return value;
  const auto* elements = line->if_contains("value");
  if (elements != nullptr && value.key.type != "string" && elements->is_array()) {
    for (const auto& element : elements->get_array()) {
      auto bytes = BytesFromJson(element);
      if (!bytes) return Fail(ErrorCode::kDamaged, "'value': " + bytes.error().Message());
      value.elements.push_back(std::move(*bytes));
    }
    return value;
  }
  if (value.key.type != "string") return Fail(ErrorCode::kDamaged, "'value' is missing or no array");
  auto bytes = BytesField(*line, "value");
  if (!bytes) return Fail(bytes.error());
  value.elements.push_back(std::move(*bytes));
  return value;
}

std::string ManifestText(const SalvageManifest& manifest) {
  boost::json::object object = ToJson(manifest).as_object();
  object["sha256"] = Sha256Hex(Dump(object));
  return DumpPretty(object) + "\n";
}

Result<SalvageManifest> ParseManifest(std::string_view text) {
  auto json = ParseJson(text);
  if (!json) return Fail(ErrorCode::kDamaged, json.error().Message());
  auto* object = json->if_object();
  if (object == nullptr) return Fail(ErrorCode::kDamaged, "it is no object");
  auto sum = TextField(*object, "sha256");
  if (!sum) return Fail(sum.error());
  object->erase("sha256");
  // Erasing may move the last field: the checksum is the last one, so nothing moves.
  if (Sha256Hex(Dump(*object)) != *sum) {
    return Fail(ErrorCode::kDamaged, "it is not as it was written: its checksum differs");
  }
  auto manifest = SalvageManifestFromJson(*json);
  if (!manifest) return Fail(ErrorCode::kDamaged, manifest.error().Message());
  if (manifest->format != kSalvageFormat) {
    return Fail(ErrorCode::kInvalid, "it is of format " + std::to_string(manifest->format) +
                                         ", and this version reads " + std::to_string(kSalvageFormat));
  }
  return manifest;
}

}  // namespace walstitch::agent
