#include "controller/core/ulid.h"

namespace walstitch::core {

std::string MakeUlid(std::int64_t time_ms, const std::array<std::uint8_t, 10>& random) {
  static constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string text(26, '0');
  auto time = static_cast<std::uint64_t>(time_ms);
  for (int place = 9; place >= 0; --place, time >>= 5)
    text[static_cast<std::size_t>(place)] = kAlphabet[time & 31];
  std::uint64_t bits = 0;
  int held = 0;
  std::size_t place = 10;
  for (const std::uint8_t byte : random) {
    bits = (bits << 8) | byte;
    held += 8;
    while (held >= 5) {
      held -= 5;
      text[place++] = kAlphabet[(bits >> held) & 31];
    }
  }
  return text;
}

}  // namespace walstitch::core
