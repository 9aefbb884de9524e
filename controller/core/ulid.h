// ULIDs: 48 bits of unix time in milliseconds and 80 random bits, 26 characters of Crockford's base 32;
// they sort by time as text. Pure: time and randomness are arguments. Source: github.com/ulid/spec.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace walstitch::core {

std::string MakeUlid(std::int64_t time_ms, const std::array<std::uint8_t, 10>& random);

}  // namespace walstitch::core
