#include "agents/wal/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define WALSTITCH_CRC32C_SSE42 1
#include <nmmintrin.h>
#endif

namespace walstitch::wal {
namespace {

// Eight tables, so that eight bytes are taken at a time ("slicing by eight").
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78U;  // Castagnoli, reflected
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t t = 1; t < tables.size(); ++t) {
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xffU];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

#ifdef WALSTITCH_CRC32C_SSE42
// Three streams hide the instruction's latency of three cycles, but need a combination by multiplying
// polynomials; one stream gives some 8 GB/s, which is more than any disk here. So: one stream.
__attribute__((target("sse4.2"))) std::uint32_t ExtendSse42(const char* data, std::size_t size,
                                                            std::uint32_t state) {
  std::uint64_t wide = state;
  while (size >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
    data += 8;
    size -= 8;
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  while (size-- > 0) narrow = _mm_crc32_u8(narrow, static_cast<std::uint8_t>(*data++));
  return narrow;
}
#endif

}  // namespace

std::uint32_t Crc32cPortable(std::string_view bytes, std::uint32_t crc) {
  std::uint32_t state = ~crc;
  const char* data = bytes.data();
  std::size_t size = bytes.size();
  const auto byte = [](char c) { return static_cast<std::uint32_t>(static_cast<std::uint8_t>(c)); };
  while (size >= 8) {
    const std::uint32_t low =
        state ^ (byte(data[0]) | byte(data[1]) << 8 | byte(data[2]) << 16 | byte(data[3]) << 24);
    state = kTables[7][low & 0xffU] ^ kTables[6][(low >> 8) & 0xffU] ^ kTables[5][(low >> 16) & 0xffU] ^
            kTables[4][low >> 24] ^ kTables[3][byte(data[4])] ^ kTables[2][byte(data[5])] ^
            kTables[1][byte(data[6])] ^ kTables[0][byte(data[7])];
    data += 8;
    size -= 8;
  }
  while (size-- > 0) state = (state >> 8) ^ kTables[0][(state ^ byte(*data++)) & 0xffU];
  return ~state;
}

std::uint32_t Crc32c(std::string_view bytes, std::uint32_t crc) {
#ifdef WALSTITCH_CRC32C_SSE42
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~ExtendSse42(bytes.data(), bytes.size(), ~crc);
#endif
  return Crc32cPortable(bytes, crc);
}

}  // namespace walstitch::wal
