// The layout of a WAL file, shared by the reader and its tests. FORMAT.md tells it in prose.
//
// Sources: RocksDB's db/log_format.h, db/log_writer.cc, db/log_reader.cc, util/crc32c.h (versions 6 to 11)
// and include/rocksdb/compression_type.h. All integers in a WAL are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace walstitch::wal {

// A file is a row of blocks of this size; only the last one may be shorter. A physical record never
// crosses a block's end.
inline constexpr std::size_t kBlockSize = 32768;

// Masked CRC32C (4), length of the payload (2), type (1). The checksum covers type, log number, payload.
inline constexpr std::size_t kHeaderSize = 7;
// The same and the low 32 bits of the log's number (4). Fewer than kHeaderSize bytes (with recycled logs:
// than this) at a block's end are filled with zeroes.
inline constexpr std::size_t kRecyclableHeaderSize = 11;

enum RecordType : std::uint8_t {
  kZeroType = 0,  // space allocated in advance, or bytes that never reached the disk
  kFullType = 1,
  kFirstType = 2,
  kMiddleType = 3,
  kLastType = 4,
  kRecyclableFullType = 5,
  kRecyclableFirstType = 6,
  kRecyclableMiddleType = 7,
  kRecyclableLastType = 8,
  kSetCompressionType = 9,             // since 7.0: first record of a file, payload a u32 compression type
  kUserDefinedTimestampSizeType = 10,  // since 8.3
  kRecyclableUserDefinedTimestampSizeType = 11,
  kPredecessorWalInfoType = 130,  // since 9.11
  kRecyclablePredecessorWalInfoType = 131,
};

// From 10 on the lowest bit tells that the header is the recyclable one.
constexpr bool HasRecyclableHeader(std::uint8_t type) {
  if (type >= kRecyclableFullType && type <= kRecyclableLastType) return true;
  return type > kUserDefinedTimestampSizeType && (type & 1U) != 0;
}

// A reader that does not know a type with this bit may leave the record out (since 9.11).
inline constexpr std::uint8_t kIgnorableTypeBit = 0x80;

// Values of SetCompressionType's payload. RocksDB writes WALs with ZSTD only.
inline constexpr std::uint32_t kNoCompression = 0;
inline constexpr std::uint32_t kZstdCompression = 7;

// A batch begins with its first sequence (8 bytes) and its count (4 bytes).
inline constexpr std::size_t kBatchHeaderSize = 12;

// RocksDB keeps sequences in 56 bits (db/dbformat.h): more cannot be right.
inline constexpr std::uint64_t kMaxSequence = (std::uint64_t{1} << 56) - 1;

inline std::uint32_t DecodeFixed32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

inline std::uint64_t DecodeFixed64(const char* bytes) {
  return (static_cast<std::uint64_t>(DecodeFixed32(bytes + 4)) << 32) | DecodeFixed32(bytes);
}

// The first kHeaderSize bytes of a physical record.
struct PhysicalHeader {
  std::uint32_t checksum = 0;  // masked
  std::size_t length = 0;      // of the payload
  std::uint8_t type = kZeroType;

  [[nodiscard]] std::size_t HeaderSize() const {
    return HasRecyclableHeader(type) ? kRecyclableHeaderSize : kHeaderSize;
  }
  // Nothing was written here: at a block's end, or in space that was allocated in advance.
  [[nodiscard]] bool IsZero() const { return type == kZeroType && length == 0; }
};

inline PhysicalHeader ParsePhysicalHeader(const char* bytes) {
  PhysicalHeader header;
  header.checksum = DecodeFixed32(bytes);
  header.length = static_cast<std::uint8_t>(bytes[4]) |
                  static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[5])) << 8;
  header.type = static_cast<std::uint8_t>(bytes[6]);
  return header;
}

// How far it is from an offset to the end of its block.
constexpr std::size_t BlockLeft(std::uint64_t offset) {
  return kBlockSize - static_cast<std::size_t>(offset % kBlockSize);
}

}  // namespace walstitch::wal
