// Raw bytes for people and for JSON: keys in Kvrocks are binary, JSON and terminals are UTF-8.
//
// The printable form keeps ASCII 0x20..0x7e as it is, except the backslash, which becomes `\\`, and
// writes every other byte as `\xHH` (lower-case hex). It is reversible, byte for byte.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace walstitch {

std::string ToPrintable(std::string_view bytes);
Result<std::string> FromPrintable(std::string_view text);

std::string ToHex(std::string_view bytes);           // lower-case
Result<std::string> FromHex(std::string_view text);  // either case

std::string ToBase64(std::string_view bytes);           // RFC 4648, padded
Result<std::string> FromBase64(std::string_view text);  // that and nothing else: no white space, all padding

std::array<std::uint8_t, 32> Sha256(std::string_view bytes);

// SHA-256 of the bytes as 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

// The same of bytes that come piece by piece. Movable; not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  void Add(std::string_view bytes);
  // Of all that was added; nothing may be added afterwards.
  [[nodiscard]] std::string FinishHex();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// "64Mi", "1 KiB" and the like, for people: 0 -> "0 B", 1536 -> "1.5 KiB".
std::string HumanBytes(std::uint64_t bytes);

}  // namespace walstitch
