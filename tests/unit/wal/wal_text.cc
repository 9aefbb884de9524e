#include "tests/unit/wal/wal_text.h"

#include <zstd.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

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

void Require(std::size_t zstd_result) {
  if (ZSTD_isError(zstd_result) != 0) throw std::runtime_error(ZSTD_getErrorName(zstd_result));
}

// As a stream whose length is not told, which is how RocksDB does it.
std::string Zstd(std::string_view bytes) {
  if (bytes.empty()) return "";
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  Require(ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_flush));
  const std::size_t left = ZSTD_compressStream2(context.get(), &output, &input, ZSTD_e_end);
  Require(left);
  if (left != 0) throw std::runtime_error("the compressed record is longer than ZSTD's bound");
  out.resize(output.pos);
  return out;
}

std::string Unzstd(std::string_view bytes) {
  if (bytes.empty()) return "";
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  std::string out;
  std::string chunk(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  for (std::size_t left = 1; left != 0;) {
    ZSTD_outBuffer output{chunk.data(), chunk.size(), 0};
    left = ZSTD_decompressStream(context.get(), &output, &input);
    Require(left);
    out.append(chunk.data(), output.pos);
  }
  return out;
}

std::uint64_t Little(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
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

LogText& LogText::Compress() {
  compressed_ = true;
  return AddPhysical(9, Fixed(7, 4));
}

std::uint64_t LogText::NextOffset() const {
  return BlockLeft() < HeaderSize() ? bytes_.size() + BlockLeft() : bytes_.size();
}

LogText& LogText::Add(std::string_view record) {
  std::string compressed;
  if (compressed_) {
    compressed = Zstd(record);
    record = compressed;
  }
  const std::size_t header = HeaderSize();
  const int base = recycled_ ? 4 : 0;
  bool begin = true;
  do {
    if (BlockLeft() < header) FillBlock();
    const std::size_t length = std::min(record.size(), BlockLeft() - header);
    const bool end = length == record.size();
    const int type = begin && end ? 1 : begin ? 2 : end ? 4 : 3;
    AddPhysical(static_cast<std::uint8_t>(base + type), record.substr(0, length));
    record.remove_prefix(length);
    begin = false;
  } while (!record.empty());
  return *this;
}

LogText& LogText::FillBlock() {
  bytes_.append(BlockLeft(), '\0');
  return *this;
}

LogText& LogText::Raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

std::vector<PlacedRecord> RecordsIn(std::string_view file) {
  std::vector<PlacedRecord> records;
  PlacedRecord record;
  bool compressed = false;
  for (std::size_t at = 0;;) {
    const std::size_t block_left = 32768 - at % 32768;
    if (block_left < 7) at += block_left;
    if (at + 7 > file.size()) return records;
    const std::size_t length = Little(file.substr(at + 4, 2));
    const auto type = static_cast<std::uint8_t>(file[at + 6]);
    if (type == 0) {
      if (file.find_first_not_of('\0', at) == std::string_view::npos) return records;
      at += block_left;
      continue;
    }
    const std::size_t header = (type >= 5 && type <= 8) || type == 11 || type == 131 ? 11 : 7;
    const std::size_t end = at + header + length;
    if (end > file.size()) return records;
    const std::string_view payload = file.substr(at + header, length);
    if (type == 9) compressed = Little(payload) == 7;
    if (type <= 8) {
      const int part = (type - 1) % 4;  // full, first, middle, last
      if (part <= 1) record = {at, 0, ""};
      record.bytes += payload;
      if (part == 0 || part == 3) {
        record.end = end;
        if (compressed) record.bytes = Unzstd(record.bytes);
        records.push_back(std::move(record));
      }
    }
    at = end;
  }
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

Result<WalExtent> ListSource::Extent() {
  WalExtent extent;
  for (const std::string& bytes : batches_) {
    Result<BatchHeader> header = ParseBatchHeader(bytes);
    if (!header) return Fail(header.error());
    if (header->count == 0) continue;
    if (!extent.oldest) extent.oldest = header->first;
    extent.last = header->first + header->count - 1;
  }
  return extent;
}

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
