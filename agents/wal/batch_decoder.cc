#include "agents/wal/batch_decoder.h"

#include <optional>

#include "agents/wal/log_format.h"

namespace walstitch::wal {
namespace {

// Tags as in RocksDB's db/dbformat.h. A tag's column family variant carries a column family's id, the
// other one stands for the default column family.
struct TagInfo {
  Operation operation;
  bool has_column_family;
  int strings;
};

std::optional<TagInfo> FindTag(std::uint8_t tag) {
  switch (tag) {
    case 0x00:
      return TagInfo{Operation::kDelete, false, 1};
    case 0x04:
      return TagInfo{Operation::kDelete, true, 1};
    case 0x01:
      return TagInfo{Operation::kPut, false, 2};
    case 0x05:
      return TagInfo{Operation::kPut, true, 2};
    case 0x02:
      return TagInfo{Operation::kMerge, false, 2};
    case 0x06:
      return TagInfo{Operation::kMerge, true, 2};
    case 0x07:
      return TagInfo{Operation::kSingleDelete, false, 1};
    case 0x08:
      return TagInfo{Operation::kSingleDelete, true, 1};
    case 0x0f:
      return TagInfo{Operation::kDeleteRange, false, 2};
    case 0x0e:
      return TagInfo{Operation::kDeleteRange, true, 2};
    case 0x11:
      return TagInfo{Operation::kBlobIndex, false, 2};
    case 0x10:
      return TagInfo{Operation::kBlobIndex, true, 2};
    case 0x16:
      return TagInfo{Operation::kPutEntity, false, 2};
    case 0x17:
      return TagInfo{Operation::kPutEntity, true, 2};
    case 0x18:
      return TagInfo{Operation::kTimedPut, false, 2};
    case 0x19:
      return TagInfo{Operation::kTimedPut, true, 2};
    case 0x03:
      return TagInfo{Operation::kLogData, false, 1};
    case 0x09:  // BeginPrepare
    case 0x0d:  // Noop
    case 0x12:  // BeginPersistedPrepare
    case 0x13:  // BeginUnprepare
      return TagInfo{Operation::kTransactionMark, false, 0};
    case 0x0a:  // EndPrepare
    case 0x0b:  // Commit
    case 0x0c:  // Rollback
      return TagInfo{Operation::kTransactionMark, false, 1};
    case 0x15:  // CommitAndTimestamp
      return TagInfo{Operation::kTransactionMark, false, 2};
    default:
      return std::nullopt;
  }
}

bool TakeVarint32(std::string_view* input, std::uint32_t* value) {
  std::uint64_t result = 0;
  for (unsigned i = 0; i < 5 && i < input->size(); ++i) {
    const auto byte = static_cast<std::uint8_t>((*input)[i]);
    result |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * i);
    if ((byte & 0x80U) == 0) {
      if (result > 0xffffffffU) return false;
      *value = static_cast<std::uint32_t>(result);
      input->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

bool TakeString(std::string_view* input, std::string_view* out) {
  std::uint32_t length = 0;
  if (!TakeVarint32(input, &length) || length > input->size()) return false;
  *out = input->substr(0, length);
  input->remove_prefix(length);
  return true;
}

tl::unexpected<Error> BadBatch(const BatchHeader& header, std::size_t offset, const std::string& what) {
  return Fail(ErrorCode::kDamaged, "batch at sequence " + header.first.ToString() + ": byte " +
                                       std::to_string(offset) + ": " + what);
}

}  // namespace

std::string_view ToString(Operation operation) {
  switch (operation) {
    case Operation::kPut:
      return "Put";
    case Operation::kDelete:
      return "Delete";
    case Operation::kSingleDelete:
      return "SingleDelete";
    case Operation::kDeleteRange:
      return "DeleteRange";
    case Operation::kMerge:
      return "Merge";
    case Operation::kBlobIndex:
      return "BlobIndex";
    case Operation::kPutEntity:
      return "PutEntity";
    case Operation::kTimedPut:
      return "TimedPut";
    case Operation::kLogData:
      return "LogData";
    case Operation::kTransactionMark:
      return "TransactionMark";
  }
  return "?";
}

Result<BatchHeader> ParseBatchHeader(std::string_view bytes) {
  if (bytes.size() < kBatchHeaderSize) {
    return Fail(ErrorCode::kDamaged, "a batch of " + std::to_string(bytes.size()) +
                                         " bytes is shorter than its header of 12 bytes");
  }
  BatchHeader header;
  header.first = Sequence(DecodeFixed64(bytes.data()));
  header.count = DecodeFixed32(bytes.data() + 8);
  if (header.first.Value() > kMaxSequence || kMaxSequence - header.first.Value() < header.count) {
    return Fail(ErrorCode::kDamaged, "a batch says it begins at sequence " + header.first.ToString() +
                                         " with a count of " + std::to_string(header.count) +
                                         ": beyond RocksDB's sequences");
  }
  return header;
}

Result<void> DecodeBatch(std::string_view bytes, const BatchRecordVisitor& visit) {
  Result<BatchHeader> header = ParseBatchHeader(bytes);
  if (!header) return Fail(header.error());
  std::string_view input = bytes.substr(kBatchHeaderSize);
  std::uint64_t consumed = 0;
  while (!input.empty()) {
    const std::size_t offset = bytes.size() - input.size();
    const auto tag = static_cast<std::uint8_t>(input.front());
    const std::optional<TagInfo> info = FindTag(tag);
    if (!info) return BadBatch(*header, offset, "unknown tag " + std::to_string(tag));
    input.remove_prefix(1);
    BatchRecord record;
    record.operation = info->operation;
    record.sequence = header->first + consumed;
    std::string_view strings[2];
    bool complete = !info->has_column_family || TakeVarint32(&input, &record.column_family);
    for (int i = 0; complete && i < info->strings; ++i) complete = TakeString(&input, &strings[i]);
    if (!complete) {
      return BadBatch(*header, offset,
                      "a " + std::string(ToString(info->operation)) + " record is cut off or malformed");
    }
    if (info->operation == Operation::kLogData) {
      record.value = strings[0];
    } else {
      record.key = strings[0];
      record.value = strings[1];
    }
    record.bytes = bytes.substr(offset, bytes.size() - input.size() - offset);
    if (record.ConsumesSequence()) {
      ++consumed;
      if (consumed > header->count) {
        return BadBatch(*header, offset, "more records than its count of " + std::to_string(header->count));
      }
    }
    if (!visit(record)) return {};
  }
  if (consumed != header->count) {
    return BadBatch(*header, bytes.size(),
                    "it holds " + std::to_string(consumed) + " records, and its count says " +
                        std::to_string(header->count));
  }
  return {};
}

namespace {

void SetFixed(char* at, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) at[i] = static_cast<char>((value >> (8 * i)) & 0xffU);
}

}  // namespace

void PutFixed(std::string* out, std::uint64_t value, int bytes) {
  out->resize(out->size() + static_cast<std::size_t>(bytes));
  SetFixed(out->data() + out->size() - bytes, value, bytes);
}

void SetBatchFirst(char* batch, Sequence first) { SetFixed(batch, first.Value(), 8); }
void SetBatchCount(char* batch, std::uint32_t count) { SetFixed(batch + 8, count, 4); }

void PutVarint32(std::string* out, std::uint32_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>((value & 0x7fU) | 0x80U));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void PutLengthPrefixed(std::string* out, std::string_view bytes) {
  WALSTITCH_CHECK(bytes.size() <= 0xffffffffU);
  PutVarint32(out, static_cast<std::uint32_t>(bytes.size()));
  out->append(bytes);
}

}  // namespace walstitch::wal
