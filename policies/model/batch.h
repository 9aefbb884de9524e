// A batch: one WAL record of RocksDB, (first sequence, count, bytes). A count of 0 is normal.
// What two nodes' WALs are compared by.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/sequence.h"

namespace walstitch {

// The first 16 bytes of SHA-256 over the batch's bytes as they stand in the WAL (header and records).
struct BatchDigest {
  std::array<std::uint8_t, 16> bytes{};
  bool operator==(const BatchDigest&) const = default;
};

// A pad says that its own node joined a stream there. A filler says nothing of the node that holds it: it
// is a master's record like any other, and every replica has it too.
inline constexpr std::string_view kFillerPrefix = "filler:";
// Records that take a tail back: only a part of what puts a node into a stream.
inline constexpr std::string_view kUndoPrefix = "undo:";

struct BatchInfo {
  Sequence first;
  std::uint32_t count = 0;
  std::uint64_t bytes = 0;  // length of the batch's bytes, header included
  BatchDigest digest;
  // Walstitch's own marker, if the batch carries one: the id of the decision that wrote it, and before that
  // "filler:" where it was written on a master to advance it, "undo:" where it takes a tail back.
  std::string marker;

  [[nodiscard]] Sequence End() const { return first + count; }  // one past the last record
  [[nodiscard]] bool IsFiller() const { return marker.starts_with(kFillerPrefix); }
  [[nodiscard]] bool IsUndo() const { return marker.starts_with(kUndoPrefix); }
  bool operator==(const BatchInfo&) const = default;
};

// The key of a comparison by digests: 32 random bytes, drawn anew for every question, after the data was
// written. So nobody can write two histories that it takes for one.
struct DigestKey {
  std::array<std::uint8_t, 32> bytes{};
  bool operator==(const DigestKey&) const = default;
};

// The batches (count > 0) whose first sequence lies in one part of a range, in one digest: Poly1305 with the
// question's key over their bytes as they stand in the WAL, one behind the other. It is a universal hash: two
// different texts of up to 4 GiB meet with a probability of less than 2^-75, whatever they are. A part
// without a batch is all zeroes.
struct PartDigest {
  std::uint64_t batches = 0;
  Sequence first;  // of the first batch; 0 if there is none
  Sequence end;    // one past the last batch's last record; 0 if there is none
  std::array<std::uint8_t, 16> digest{};
  bool operator==(const PartDigest&) const = default;
};

struct RangeDigests {
  // Part i of the range that was asked for is PartOf(range, parts, i). Fewer than were asked for: whoever
  // answered had read enough for one answer; ask again for the rest.
  std::vector<PartDigest> parts;
  bool operator==(const RangeDigests&) const = default;
};

// The batches of a range that carry a marker of ours, in order.
struct MarkedBatches {
  std::vector<BatchInfo> batches;
  // Every batch that begins before it was looked at: the range's end (or the WAL's), or less if whoever
  // answered had read, or found, enough for one answer; ask again from here on.
  Sequence looked_to;
  bool operator==(const MarkedBatches&) const = default;
};

// The bytes of a range's batches (count > 0), one behind the other, perhaps cut off.
struct RangeBytes {
  std::string bytes;
  bool operator==(const RangeBytes&) const = default;
};

// Whole batches (count > 0) that follow each other, as they stand in a WAL.
struct TailBatches {
  std::vector<RangeBytes> batches;
  Sequence next;      // one past the last of them; where to ask for more
  bool more = false;  // the WAL holds more
  bool operator==(const TailBatches&) const = default;
};

// The i-th of `parts` parts of the range, as equal as can be; all of them together are the range. i < parts.
SequenceRange PartOf(SequenceRange range, std::uint32_t parts, std::uint32_t i);

// What a WAL holds. An empty WAL (no batch at all) has neither oldest nor last.
struct WalExtent {
  std::optional<Sequence> oldest;  // first sequence of the oldest batch that can be read
  std::optional<Sequence> last;    // last sequence; for a WAL with count-0 batches only: oldest - 1
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::string source;  // "files" or "pollupdates"
};

// What one user key suffered in a range of records. Records of no user keyspace (pubsub, propagate,
// search) come as one TouchedKey per internal keyspace, with `internal` set and an empty key.
struct TouchedKey {
  std::string internal;            // empty for a user key, else "pubsub", "propagate", "search", "unknown"
  std::string name_space;          // raw bytes, e.g. "__namespace"
  std::string key;                 // raw bytes
  std::vector<std::string> types;  // sorted, Kvrocks' type names; empty: not known from these records
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool operator==(const TouchedKey&) const = default;
};

// The keys that a range of records touches, sorted by (internal, name_space, key).
struct Touched {
  SequenceRange range;
  std::uint64_t records = 0;  // records in the range, of whatever kind
  std::uint64_t bytes = 0;
  std::uint64_t range_deletes = 0;  // DeleteRange records: what they cover is not listed key by key
  bool truncated = false;           // true: more keys were touched than the caller's cap; keys is incomplete
  std::vector<TouchedKey> keys;
};

}  // namespace walstitch
