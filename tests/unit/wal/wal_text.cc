#include "tests/unit/wal/wal_text.h"

#include <algorithm>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/crc32c.h"

namespace walstitch::wal {
namespace {

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>((value & 127) | 128));
  out.push_back(static_cast<char>(value));
  return out;
}

std::string Prefixed(std::string_view bytes) { return Varint(bytes.size()) + std::string(bytes); }

std::string BigEndian(std::uint64_t value, int bytes) {
  std::string out = Fixed(value, bytes);
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

std::string Fixed(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 255));
  return out;
}

BatchText& BatchText::Put(std::uint32_t family, std::string_view key, std::string_view value) {
  return Raw((family == 0 ? "\x01" : "\x05" + Varint(family)) + Prefixed(key) + Prefixed(value), 1);
}
BatchText& BatchText::Delete(std::uint32_t family, std::string_view key) {
  return Raw((family == 0 ? std::string(1, '\0') : "\x04" + Varint(family)) + Prefixed(key), 1);
}
BatchText& BatchText::DeleteRange(std::uint32_t family, std::string_view begin, std::string_view end) {
  return Raw((family == 0 ? "\x0f" : "\x0e" + Varint(family)) + Prefixed(begin) + Prefixed(end), 1);
}
BatchText& BatchText::Log(std::string_view bytes) { return Raw("\x03" + Prefixed(bytes)); }
BatchText& BatchText::Raw(std::string_view bytes, std::uint32_t consumed) {
  records_ += bytes;
  count_ += consumed;
  return *this;
}
std::string BatchText::Bytes() const { return Fixed(first_, 8) + Fixed(count_, 4) + records_; }

LogText& LogText::AddPhysical(std::uint8_t type, std::string_view payload) {
  std::string covered(1, static_cast<char>(type));
  if (recycled_ && type != 9) covered += Fixed(log_number_, 4);
  covered += payload;
  const std::uint32_t crc = Crc32c(covered);
  bytes_ += Fixed(((crc >> 15) | (crc << 17)) + 0xa282ead8U, 4);
  bytes_ += Fixed(payload.size(), 2);
  bytes_ += covered;
  return *this;
}

LogText& LogText::Add(std::string_view record) {
  const std::size_t header = recycled_ ? 11 : 7;
  const int base = recycled_ ? 4 : 0;
  bool begin = true;
  do {
    std::size_t left = 32768 - bytes_.size() % 32768;
    if (left < header) {
      bytes_.append(left, '\0');
      left = 32768;
    }
    const std::size_t length = std::min(record.size(), left - header);
    const bool end = length == record.size();
    const int type = begin && end ? 1 : begin ? 2 : end ? 4 : 3;
    AddPhysical(static_cast<std::uint8_t>(base + type), record.substr(0, length));
    record.remove_prefix(length);
    begin = false;
  } while (!record.empty());
  return *this;
}

LogText& LogText::Raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

std::string MetadataKey(std::string_view name_space, std::string_view key) {
  return std::string(1, static_cast<char>(name_space.size())) + std::string(name_space) + std::string(key);
}

std::string SubkeyKey(std::string_view name_space, std::string_view key, std::uint64_t version,
                      std::string_view rest) {
  return std::string(1, static_cast<char>(name_space.size())) + std::string(name_space) +
         BigEndian(key.size(), 4) + std::string(key) + BigEndian(version, 8) + std::string(rest);
}

std::string MetadataValue(int type, std::string_view rest) {
  return std::string(1, static_cast<char>(0x80 | type)) + std::string(8, '\0') + std::string(rest);
}

Result<WalExtent> ListSource::Extent() { return WalExtent{}; }

Result<void> ListSource::ForEachBatch(SequenceRange range, const BatchVisitor& visit) {
  for (const std::string& bytes : batches_) {
    Result<BatchHeader> header = ParseBatchHeader(bytes);
    if (!header) return Fail(header.error());
    const BatchView view{header->first, header->count, bytes};
    if (view.first >= range.to) break;
    if (view.End() <= range.from && !(view.count == 0 && view.first >= range.from)) continue;
    if (!visit(view)) break;
  }
  return {};
}

}  // namespace walstitch::wal
