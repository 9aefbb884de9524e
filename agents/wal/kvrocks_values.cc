#include "agents/wal/kvrocks_values.h"

#include <bit>
#include <cstddef>

#include "agents/wal/kvrocks_keys.h"

namespace walstitch::wal {
namespace {

constexpr std::uint8_t kString = 1;
constexpr std::uint8_t kJson = 10;
// The highest type whose layout is known.
constexpr std::uint8_t kLastKnown = 12;

std::optional<std::uint64_t> Take(std::string_view* input, std::size_t size) {
  if (input->size() < size) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = (value << 8) | static_cast<std::uint8_t>((*input)[i]);
  input->remove_prefix(size);
  return value;
}

}  // namespace

std::optional<MetadataFields> ParseMetadata(std::string_view value) {
  const auto flags = Take(&value, 1);
  if (!flags) return std::nullopt;
  MetadataFields fields;
  fields.type = static_cast<std::uint8_t>(*flags & 0x0fU);
  if (fields.type == 0 || fields.type > kLastKnown) return std::nullopt;
  const bool wide = (*flags & 0x80U) != 0;
  const auto expire = Take(&value, wide ? 8 : 4);
  if (!expire) return std::nullopt;
  fields.expire_ms = wide ? *expire : *expire * 1000;
  if (fields.type != kString && fields.type != kJson) {
    fields.version = Take(&value, 8);
    fields.size = Take(&value, wide ? 8 : 4);
    if (!fields.version || !fields.size) return std::nullopt;
  }
  fields.rest = value;
  return fields;
}

std::optional<std::uint64_t> TakeIndex(std::string_view* input) { return Take(input, 8); }

std::optional<double> TakeScore(std::string_view* input) {
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const auto turned = Take(input, 8);
  if (!turned) return std::nullopt;
  return std::bit_cast<double>((*turned & kSign) != 0 ? *turned & ~kSign : ~*turned);
}

}  // namespace walstitch::wal
