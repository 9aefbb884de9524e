// How Kvrocks lays its data out in column families, keys and values. Kvrocks' integers are big-endian.
//
//   metadata key (CF 1) := namespace length u8 | namespace | [slot u16] | user key
//   subkey (CF 0, 2, 5) := namespace length u8 | namespace | [slot u16] | user key length u32 | user key |
//                          version u64 | rest (a field, a member, an index, ...)
//   metadata value      := flags u8 (low nibble: type) | ...
// The slot is there if the node runs in cluster mode. No namespace is empty.
//
// Pure, thread-safe; views point into what was passed in. What does not parse is no user key: nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace walstitch::wal {

enum ColumnFamily : std::uint32_t {
  kDefaultFamily = 0,  // subkeys
  kMetadataFamily = 1,
  kZsetScoreFamily = 2,
  kPubsubFamily = 3,
  kPropagateFamily = 4,
  kStreamFamily = 5,
  kSearchFamily = 6,
};

// Kvrocks' name of the column family ("default", "metadata", "zset_score", "pubsub", "propagate", "stream",
// "search"), or "unknown".
std::string_view ColumnFamilyName(std::uint32_t column_family);

// What records of a column family without user keys count under: "pubsub", "propagate", "search", or
// "unknown" for one that Kvrocks may add later. Empty for the families of user keys.
std::string_view InternalKeyspace(std::uint32_t column_family);

struct UserKey {
  std::string_view name_space;
  std::string_view key;
  bool operator==(const UserKey&) const = default;
};

struct Subkey {
  UserKey user_key;
  std::uint64_t version = 0;
  std::string_view rest;
};

std::optional<UserKey> ParseMetadataKey(std::string_view raw, bool slot_encoded);
std::optional<Subkey> ParseSubkey(std::string_view raw, bool slot_encoded);

// The name that Kvrocks' TYPE gives to a type's number ("string", "hash", ..., "MBbloom--", "ReJSON-RL");
// nullopt for 0 (none) and for numbers that nobody knows yet.
std::optional<std::string_view> TypeName(std::uint8_t type);

// The type in a metadata value's flags.
std::optional<std::string_view> MetadataType(std::string_view value);

// The type that a command's LogData ("2", "3 6", "0 8") says its records are of.
std::optional<std::string_view> LogDataType(std::string_view log_data);

// Kvrocks' own bookkeeping for use-rsid-psync, in CF 4.
inline constexpr std::string_view kReplicationIdKey = "replication_id_";

}  // namespace walstitch::wal
