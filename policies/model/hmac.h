// HMAC-SHA256 (RFC 2104): who knows the key can tell that the bytes come from somebody who knows it, too.
#pragma once

#include <string>
#include <string_view>

namespace walstitch {

// As 64 lower-case hex digits.
std::string HmacSha256Hex(std::string_view key, std::string_view bytes);

}  // namespace walstitch
