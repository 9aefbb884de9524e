// Undo: the records that take a tail back, found in the rejoiner's own WAL before the fork.
//
// The tail wrote some raw keys (column family and key). For each of them this looks, backwards from the fork,
// for what it held there. If that is known of every raw key of a user key, then all of them are put back; if
// it is unknown of one, then none is (a hash whose metadata is back and one of whose fields is not has a size
// that lies), and the user key is *left*: the two nodes may differ on it. What is left may still be settled
// by what the survivor did (Settle).
//
// What a raw key held at the fork is known
//   1. by its last record at or before the fork: Put is undone by a Put of that value; Delete, SingleDelete
//      and a covering DeleteRange by a Delete. Anything else (Merge, ...) cannot be undone;
//   2. as nothing, if the WAL was read from sequence 1 on;
//   3. as nothing, for a subkey of a version that was made within the WAL: the metadata's record before the
//      first of that version is a Delete or of another version, and the batch that brings the version writes
//      a subkey of it in between. That last condition tells a command that makes a key (subkeys, then
//      metadata) from COPY and RENAME (metadata first), which bring a version that may be old;
//   4. as nothing that counts, for a subkey that its metadata at the fork puts out of sight: there is none,
//   it
//      has no subkeys or another version, the index is outside of the list, the entry is beyond the stream's
//      last id. What is out of sight is undone by a Delete: compaction would drop it, too;
//   5. for a sorted set's score record (CF 2), by its member's (CF 0), which holds the score.
// That a hash's size equals the number of fields found is no proof that there are no others: sizes lie (older
// servers count `HDEL h f f` twice).
//
// The guard. 1. The tail deletes a hash. 2. Compaction on the rejoiner finds subkeys without their metadata
// and drops them for good. 3. The undo brings the metadata back: a hash whose size lies. The same if the tail
// gives it a new version, an expiry, or no element (which is how Kvrocks expires it). So a key that was
// there at the fork, of a type with subkeys (or of one that nobody knows), is left if the tail
//   deleted it, changed its version or type, or emptied it, or if it had an expiry, at the fork or in the
//   tail.
// A tail that did not write a key's metadata has no part in what compaction does to it: no guard is needed.
//
// A DeleteRange in the tail leaves everything that it covers, and nobody knows what that is: there is no plan
// then (UndoRefusal).
//
// Pubsub records (Walstitch's no-ops are such) and the replication id need no undo: nothing reads them. Other
// records of no user key are left, under the name that ListTouched gives them.
//
// All of it relies on the WAL holding what was done: data that came by SST LOAD is in none.
//
// Pure but for the source that is read; thread-safe. Bytes from outside: every error is a Result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/wal_source.h"
#include "policies/model/batch.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"
#include "policies/model/undo.h"

namespace walstitch::wal {

// Of a value that an undo may put back.
inline constexpr std::size_t kMaxUndoValueBytes = std::size_t{16} << 20;

struct UndoOptions {
  std::uint64_t max_scan_bytes = std::uint64_t{4} << 30;  // of batches before the fork that may be read
  std::size_t max_keys = 200000;                          // raw keys that the tail may have written
  // Of raw keys and of values at the fork, together. A plan and the making of it take up to three times as
  // much memory; besides, 500 bytes for each raw key, 100 MiB for what is read, and what the source takes.
  std::uint64_t max_held_bytes = std::uint64_t{256} << 20;
  // Of WAL, about, in the first look back from the fork; every further one is twice as long, up to 32 MiB.
  std::uint64_t first_window_bytes = std::uint64_t{1} << 20;
  bool slot_encoded = false;  // cluster-enabled
};

// Why a user key is left, or a raw key unknown.
enum class UndoDoubt {
  kNotFound,       // no record of it in the part of the WAL that was read
  kNotInvertible,  // its last record before the fork is a Merge, or of another kind that tells no value
  kTooLarge,       // its value is longer than kMaxUndoValueBytes, or does not fit into max_held_bytes
  kDeleted,        // the guard, from here on: the tail deletes a key of a type with subkeys
  kNewVersion,     // ... gives it another version or type
  kExpiry,         // ... has an expiry, at the fork or in the tail
  kEmptied,        // ... leaves it without an element
  kUnknownType,    // ... is of a type that nobody knows, or has metadata that does not parse
  kNoUserKey,      // records of no user key
};
// "not_found", "not_invertible", "too_large", "deleted", "new_version", "expiry", "emptied", "unknown_type",
// "no_user_key": stable.
std::string_view ToString(UndoDoubt doubt);
// A sentence, for people.
std::string_view Explain(UndoDoubt doubt);

struct UndoRecord {
  RawKey key;
  std::optional<std::string> value;  // none: a Delete
  bool operator==(const UndoRecord&) const = default;
};

struct UndoUnknown {
  RawKey key;
  UndoDoubt doubt = UndoDoubt::kNotFound;
  // Settled if the survivor wrote the same raw key after the fork: the replay overwrites it. Not so for
  // metadata: what stood at the fork, and so the guard, stays unknown.
  bool settled_by_write = false;
  bool operator==(const UndoUnknown&) const = default;
};

// What could not be taken back. A user key is settled as a whole if the survivor lacks it or has renewed it.
struct UndoLeft {
  std::string internal;            // as TouchedKey: empty for a user key
  UserKeyName name;                // empty for one of no user key
  std::vector<std::string> types;  // sorted, Kvrocks' type names; empty: not known from these records
  UndoDoubt doubt = UndoDoubt::kNotFound;
  std::uint64_t records = 0;         // of the tail
  RawKey metadata;                   // its metadata's raw key, whether the tail wrote it or not
  std::vector<RawKey> written;       // every raw key that the tail wrote, in order
  std::vector<UndoUnknown> unknown;  // of these, in order; empty if the guard (or no user key) is the reason
  std::vector<UndoRecord> withheld;  // the others' undo
  bool operator==(const UndoLeft&) const = default;
};

// Why there is no plan at all: everything that the tail wrote is left, and no key is named.
enum class UndoRefusal {
  kNone,
  kRangeDelete,   // the tail holds a DeleteRange of user keys
  kTooManyKeys,   // the tail wrote more raw keys than max_keys
  kTooManyBytes,  // their names alone are longer than max_held_bytes
};
// "none", "range_delete", "too_many_keys", "too_many_bytes": stable.
std::string_view ToString(UndoRefusal refusal);
std::string_view Explain(UndoRefusal refusal);

// Why the reading of the WAL before the fork ended.
enum class UndoScanEnd {
  kSettled,    // nothing was left to look for
  kComplete,   // at sequence 1: there is no more
  kPurged,     // at the oldest sequence of the WAL
  kLimit,      // at max_scan_bytes
  kUnreadable  // at what is damaged, missing, or too much to hold (note says which)
};
// "settled", "complete", "purged", "limit", "unreadable": stable.
std::string_view ToString(UndoScanEnd end);

struct UndoScan {
  Sequence from;            // everything from here to the fork was read
  std::uint64_t bytes = 0;  // of batches that were read, some perhaps twice
  UndoScanEnd end = UndoScanEnd::kSettled;
  std::string note;  // kUnreadable: the error
};

struct UndoPlan {
  SequenceRange tail;
  UndoRefusal refusal = UndoRefusal::kNone;
  // At most one for each raw key. Metadata comes first, so that compaction never finds a subkey that was put
  // back before its metadata; otherwise in order of the keys.
  std::vector<UndoRecord> records;
  std::vector<UserKeyName> undone;  // sorted
  std::vector<UndoLeft> left;       // sorted by internal name and user key
  std::uint64_t tail_records = 0;
  std::uint64_t tail_bytes = 0;     // of their keys and values
  std::uint64_t range_deletes = 0;  // of user keys, in the tail
  std::uint64_t needless = 0;       // records that need no undo: pubsub, replication id
  UndoScan scan;

  // After the undo and the replay nothing differs.
  [[nodiscard]] bool Whole() const { return refusal == UndoRefusal::kNone && left.empty(); }
};

// The plan for the tail (fork, last]; fork <= last. Errors: kInvalid if fork > last; kNotFound if the WAL
// does not hold the tail; kDamaged for bytes of the tail that cannot be right. What is missing or damaged
// before the fork only ends the reading. Any other error of the source is one here, too.
Result<UndoPlan> PlanUndo(WalSource& wal, Sequence fork, Sequence last, const UndoOptions& options);

// PlanUndo, or what a test puts in its place.
using UndoPlanner = Result<UndoPlan> (*)(WalSource&, Sequence, Sequence, const UndoOptions&);

// What the survivor wrote in a range of its WAL.
struct SurvivorWrites {
  std::set<RawKey> wrote;  // of those asked for: Put, Delete, ..., or covered by a DeleteRange
  // Metadata keys, of those asked for, that were deleted, or given a value of a type without subkeys:
  // whatever is in sight of such a key afterwards was written afterwards.
  std::set<RawKey> renewed;
};

// Errors as WalSource::ForEachBatch, and kDamaged for a batch that does not decode.
Result<SurvivorWrites> FindWrites(WalSource& survivor, SequenceRange range, const std::vector<RawKey>& asked);

// What to ask the survivor for, in order: the unknown raw keys that a write settles, and the metadata of
// every user key that is left.
std::vector<RawKey> KeysToAsk(const UndoPlan& plan);

// What the survivor says of a plan's left keys, asked at one moment. The replay must reach the last sequence
// that it had then.
struct SurvivorAnswer {
  SurvivorWrites writes;        // from fork + 1 to that moment
  std::set<UserKeyName> lacks;  // user keys that it does not have (as EXISTS says: expired is lacking)
};

// The plan with what the answer settles. A user key that the survivor lacks or has renewed is undone by
// Deletes of whatever the tail wrote, whatever stood at the fork and whatever the guard says: what the
// survivor has of it is in the replay. An unknown raw key that it wrote needs no undo.
UndoPlan Settle(UndoPlan plan, const SurvivorAnswer& answer);

// The first 16 bytes of SHA-256 over what the plan does and leaves: tail, refusal, records, undone, left. How
// much was read for it, and why the reading ended, are not in it.
BatchDigest DigestOf(const UndoPlan& plan);

inline constexpr std::size_t kMaxUndoBatchRecords = 4096;
inline constexpr std::size_t kMaxUndoBatchBytes = std::size_t{4} << 20;

// The batches (RocksDB WriteBatch bytes) that carry the records, numbered from `first`, each marked with the
// decision's id. None is longer than max_bytes but for one that holds a single record. Both limits > 0.
std::vector<std::string> MakeUndoBatches(const std::vector<UndoRecord>& records, Sequence first,
                                         std::string_view decision,
                                         std::size_t max_records = kMaxUndoBatchRecords,
                                         std::size_t max_bytes = kMaxUndoBatchBytes);

namespace internal {

// For the test that shows what the guard is for. Nothing else may call it.
Result<UndoPlan> PlanUndoWithoutGuard(WalSource& wal, Sequence fork, Sequence last,
                                      const UndoOptions& options);

}  // namespace internal

}  // namespace walstitch::wal
