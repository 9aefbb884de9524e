#include "agents/wal/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>

namespace walstitch::wal {

std::uint32_t Crc32c(std::string_view bytes, std::uint32_t crc) {
  constexpr std::size_t kMaxLength = std::size_t{1} << 30;  // the library takes an int
  std::uint32_t state = ~crc;
  while (!bytes.empty()) {
    const std::size_t length = std::min(bytes.size(), kMaxLength);
    // It takes a pointer to what it does not write to.
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    state = crc32_iscsi(data, static_cast<int>(length), state);
    bytes.remove_prefix(length);
  }
  return ~state;
}

}  // namespace walstitch::wal
