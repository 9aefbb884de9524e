#include "policies/model/hmac.h"

#include <cstddef>
#include <cstdint>

#include "policies/model/bytes.h"

namespace walstitch {

std::string HmacSha256Hex(std::string_view key, std::string_view bytes) {
  constexpr std::size_t kBlock = 64;
  std::string block(key.size() > kBlock ? std::string() : std::string(key));
  if (key.size() > kBlock) {
    for (const std::uint8_t byte : Sha256(key)) block.push_back(static_cast<char>(byte));
  }
  block.resize(kBlock, '\0');
  std::string inner = block;
  std::string outer = block;
  for (char& byte : inner) byte = static_cast<char>(byte ^ 0x36);
  for (char& byte : outer) byte = static_cast<char>(byte ^ 0x5c);
  inner += bytes;
  for (const std::uint8_t byte : Sha256(inner)) outer.push_back(static_cast<char>(byte));
  return Sha256Hex(outer);
}

}  // namespace walstitch
