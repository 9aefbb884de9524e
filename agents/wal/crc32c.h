// CRC32C (Castagnoli), as RocksDB guards its records with; the computing is Intel ISA-L's, which takes what
// the processor has (carry-less multiplication, SSE4.2, or a table). Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace walstitch::wal {

// The checksum of `bytes` behind a prefix whose checksum is `crc` (0: no prefix).
std::uint32_t Crc32c(std::string_view bytes, std::uint32_t crc = 0);

// RocksDB stores checksums masked, because a checksum over bytes that hold checksums is a weak one.
constexpr std::uint32_t MaskCrc(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }
constexpr std::uint32_t UnmaskCrc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8U;
  return (rotated >> 17) | (rotated << 15);
}

}  // namespace walstitch::wal
