// What stands in the values that Kvrocks writes. Its integers are big-endian.
//
//   metadata value := flags u8 | expire | string: the value; JSON: format u8, the value;
//                                         every other type: version u64 | size | what is the type's own
//   flags          := bit 7: the 64-bit encoding; low nibble: the type (kvrocks_keys.h)
//   expire         := unix time, u64 in ms (64-bit encoding) or u32 in s; 0: never
//   size           := elements, u64 (64-bit encoding) or u32
//   score          := u64, the bits of a double so turned that their order is that of the numbers: a sorted
//                     set's element in CF 0; and in CF 2, in front of the member
//   index          := u64, a list's element; a stream's entry is two of them, ms and number
//
// Pure, thread-safe; views point into what was passed in. What does not parse is nullopt, never a guess.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace walstitch::wal {

struct MetadataFields {
  std::uint8_t type = 0;
  std::uint64_t expire_ms = 0;           // unix time; 0: never
  std::optional<std::uint64_t> version;  // of the types with subkeys
  std::optional<std::uint64_t> size;     // the same
  std::string_view rest;                 // string: its value; JSON: format and value; else the type's own
};

// nullopt also for types that this version does not know: nobody can say what follows.
std::optional<MetadataFields> ParseMetadata(std::string_view value);

// Takes 8 bytes off the front; nullopt if there are fewer.
std::optional<std::uint64_t> TakeIndex(std::string_view* input);
std::optional<double> TakeScore(std::string_view* input);

}  // namespace walstitch::wal
