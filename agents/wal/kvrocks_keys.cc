#include "agents/wal/kvrocks_keys.h"

#include <array>
#include <cstddef>

namespace walstitch::wal {
namespace {

constexpr std::array<std::string_view, 15> kTypeNames = {
    "none",   "string",    "hash",      "list",        "set",       "zset",       "bitmap",   "sortedint",
    "stream", "MBbloom--", "ReJSON-RL", "hyperloglog", "TDIS-TYPE", "timeseries", "MBbloomCF"};

std::uint64_t TakeBigEndian(std::string_view* input, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = (value << 8) | static_cast<std::uint8_t>((*input)[i]);
  input->remove_prefix(size);
  return value;
}

// Takes the namespace and, in cluster mode, the slot.
bool TakeNamespace(std::string_view* input, bool slot_encoded, std::string_view* name_space) {
  if (input->empty()) return false;
  const auto length = static_cast<std::size_t>(TakeBigEndian(input, 1));
  if (length == 0 || length > input->size()) return false;
  *name_space = input->substr(0, length);
  input->remove_prefix(length);
  if (slot_encoded) {
    if (input->size() < 2) return false;
    input->remove_prefix(2);
  }
  return true;
}

}  // namespace

std::string_view ColumnFamilyName(std::uint32_t column_family) {
  constexpr std::array<std::string_view, 7> kNames = {"default",   "metadata", "zset_score", "pubsub",
                                                      "propagate", "stream",   "search"};
  return column_family < kNames.size() ? kNames[column_family] : "unknown";
}

std::string_view InternalKeyspace(std::uint32_t column_family) {
  switch (column_family) {
    case kDefaultFamily:
    case kMetadataFamily:
    case kZsetScoreFamily:
    case kStreamFamily:
      return "";
    case kPubsubFamily:
      return "pubsub";
    case kPropagateFamily:
      return "propagate";
    case kSearchFamily:
      return "search";
    default:
      return "unknown";
  }
}

std::optional<UserKey> ParseMetadataKey(std::string_view raw, bool slot_encoded) {
  UserKey result;
  if (!TakeNamespace(&raw, slot_encoded, &result.name_space)) return std::nullopt;
  result.key = raw;
  return result;
}

std::optional<Subkey> ParseSubkey(std::string_view raw, bool slot_encoded) {
  Subkey result;
  if (!TakeNamespace(&raw, slot_encoded, &result.user_key.name_space) || raw.size() < 4) return std::nullopt;
  const std::uint64_t length = TakeBigEndian(&raw, 4);
  if (length > raw.size() || raw.size() - length < 8) return std::nullopt;
  result.user_key.key = raw.substr(0, length);
  raw.remove_prefix(length);
  result.version = TakeBigEndian(&raw, 8);
  result.rest = raw;
  return result;
}

std::optional<std::string_view> TypeName(std::uint8_t type) {
  if (type == 0 || type >= kTypeNames.size()) return std::nullopt;
  return kTypeNames[type];
}

std::optional<std::string_view> MetadataType(std::string_view value) {
  if (value.empty()) return std::nullopt;
  return TypeName(static_cast<std::uint8_t>(value.front()) & 0x0fU);
}

std::optional<std::string_view> LogDataType(std::string_view log_data) {
  const std::string_view number = log_data.substr(0, log_data.find(' '));
  if (number.empty() || number.size() > 2) return std::nullopt;
  unsigned type = 0;
  for (const char digit : number) {
    if (digit < '0' || digit > '9') return std::nullopt;
    type = type * 10 + static_cast<unsigned>(digit - '0');
  }
  return TypeName(static_cast<std::uint8_t>(type));
}

}  // namespace walstitch::wal
