// What agents and controller ask each other before a tail is taken back (agents/wal/undo.h has how).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/sequence.h"
#include "policies/model/user_key.h"

namespace walstitch {

// What of a rejoiner's tail can be taken back from its WAL before a splice replays what the survivor wrote.
struct UndoEvidence {
  std::string digest;                 // of the plan, hexadecimal: a splice carries out this one, and no other
  std::uint64_t records = 0;          // that it writes, and by which a splice shifts, too
  std::uint64_t keys = 0;             // user keys that it takes back
  Touched left;                       // of the tail, what it does not take back: this may differ
  std::string note;                   // how far the WAL was read for it, for people
  std::vector<UserKeyName> undone{};  // the keys that it takes back, sorted
};

// To the rejoiner's agent. The node is parked, and stands still.
struct UndoQuestion {
  Sequence fork;
  Sequence last;         // of the node
  std::string survivor;  // the survivor's agent, "http://host:port", which is asked what it wrote since
  std::uint64_t scan_bytes = 0;  // of WAL before the fork, at most
  std::string survivor_node{};   // its name; empty: whoever is there
  bool operator==(const UndoQuestion&) const = default;
};

// A key of RocksDB. Ordered by family, then as RocksDB orders keys.
struct RawKey {
  std::uint32_t column_family = 0;
  std::string key;  // raw bytes
  auto operator<=>(const RawKey&) const = default;
};

// To the survivor's agent, of the other one: which of these it wrote from a sequence on, and which of these
// it does not have.
struct WrittenQuestion {
  Sequence from;
  std::vector<RawKey> raw;
  std::vector<UserKeyName> names;
};

// All lists are of places in the question's, ascending.
struct WrittenAnswer {
  Sequence last;                       // it was looked at up to here
  std::vector<std::uint64_t> wrote;    // of `raw`
  std::vector<std::uint64_t> renewed;  // of `raw`, metadata: deleted, or given a value without subkeys
  std::vector<std::uint64_t> lacks;    // of `names`; what could not be found out is not among them
};

}  // namespace walstitch
