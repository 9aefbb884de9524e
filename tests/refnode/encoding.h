// How Kvrocks lays out keys and values in RocksDB.
//
// A user key has one metadata record in column family 1; collections also have
// one record per element in column family 0 (and, for sorted sets, one per
// score in column family 2). Elements carry the version of the metadata they
// belong to, so deleting a collection is deleting its metadata. All integers
// are big-endian. Only the 64-bit encoding is written; the older 32-bit one is
// read as well.
//
// Pure functions and plain values; nothing here is shared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace walstitch::refnode {

inline constexpr std::string_view kDefaultNamespace = "__namespace";

// The number is the column family's id in every WAL record.
enum class ColumnFamily : uint32_t {
  kSubkey = 0,
  kMetadata = 1,
  kZSetScore = 2,
  kPubSub = 3,
  kPropagate = 4,
  kStream = 5,
  kSearch = 6,
};
inline constexpr int kColumnFamilyCount = 7;

// The number is stored in the metadata and leads the LogData of every command.
enum class ValueType : uint8_t {
  kNone = 0,
  kString = 1,
  kHash = 2,
  kList = 3,
  kSet = 4,
  kZSet = 5,
  kBitmap = 6,
  kSortedInt = 7,
  kStream = 8,
  kBloomFilter = 9,
  kJson = 10,
  kHyperLogLog = 11,
};

// The name TYPE answers with.
std::string_view TypeName(ValueType type);

void PutFixed32(std::string* out, uint32_t value);
void PutFixed64(std::string* out, uint64_t value);
// Each takes its bytes off the front of `input`; false if there are too few.
bool TakeFixed32(std::string_view* input, uint32_t* value);
bool TakeFixed64(std::string_view* input, uint64_t* value);

// Eight bytes whose byte order is the order of the numbers.
std::string EncodeScore(double score);
double DecodeScore(std::string_view bytes);

// The key of a metadata record.
std::string NamespacedKey(std::string_view ns, std::string_view user_key);
// Splits a metadata record's key; false if it is malformed.
bool SplitNamespacedKey(std::string_view key, std::string_view* ns, std::string_view* user_key);

// The key of an element. `namespaced_key` comes from NamespacedKey().
std::string ElementKey(std::string_view namespaced_key, uint64_t version, std::string_view element);
// Splits such a key into the key of its metadata record and the version; false if it is malformed.
bool SplitElementKey(std::string_view element_key, std::string* namespaced_key, uint64_t* version);
// The element's own part of such a key.
std::string_view ElementOf(std::string_view element_key);

// The smallest string greater than every string that starts with `prefix`.
std::string AfterPrefix(std::string prefix);

struct Metadata {
  uint8_t flags = 0;
  uint64_t expire_ms = 0;
  uint64_t version = 0;  // not for strings
  uint64_t size = 0;     // not for strings
  uint64_t head = 0;     // lists only
  uint64_t tail = 0;     // lists only

  // A new, empty value of this type, with a version of its own.
  static Metadata Fresh(ValueType type);

  ValueType Type() const { return static_cast<ValueType>(flags & 0x0f); }
  bool Is64Bit() const { return (flags & 0x80) != 0; }
  // The value follows the expiry at once; there is no version and no size.
  bool IsSingleValue() const;
  bool MayBeEmpty() const;
  bool Expired(uint64_t now_ms) const;
  // Milliseconds left, -1 without expiry, -2 if past.
  int64_t TtlMs(uint64_t now_ms) const;

  std::string Encode() const;
  // `consumed` is where a single value's payload begins; may be null.
  bool Decode(std::string_view bytes, size_t* consumed);
};

uint64_t NowMs();

}  // namespace walstitch::refnode
