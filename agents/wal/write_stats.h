// Who writes how much: records, bytes and batches by namespace, key prefix, type and column family.
//
// Pure. Memory is bounded: each of the four counts at most max_rows names, key prefixes cut off at kMaxName
// bytes. When a new name does not fit, the half with the fewest bytes goes to "others", so the heavy ones
// stay, and from then on a row's numbers are what it had since it came: see WriteTable::folded. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agents/wal/records.h"
#include "agents/wal/wal_source.h"
#include "policies/model/result.h"

namespace walstitch::wal {

struct WriteStatsOptions {
  std::string delimiter = ":";  // not empty
  std::uint32_t depth = 1;      // a prefix goes up to and with the depth-th delimiter; >= 1
  std::size_t max_rows = 20000;
  bool slot_encoded = false;  // cluster-enabled
};

struct WriteCount {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;    // of keys and values, as RocksDB has them
  std::uint64_t batches = 0;  // that hold at least one of the records
};

struct WriteRow {
  std::string name_space;  // of a prefix; raw bytes, empty for one of no namespace
  std::string name;        // raw bytes: see WriteReport
  bool internal = false;   // `name` is a word of ours (records.h: pubsub, propagate, flush, ...)
  WriteCount count;
};

struct WriteTable {
  std::vector<WriteRow> rows;  // most bytes first, then by name
  WriteCount others;           // not in rows; batches: 0, they cannot be told apart
  std::uint64_t names = 0;     // rows, and how many went to others; one that came back counts again
  bool folded = false;         // there were more names than max_rows: rows are lower bounds
};

struct WriteReport {
  WriteCount total;  // batches: all, also those that hold no record
  std::uint64_t batch_bytes = 0;
  WriteTable namespaces;
  WriteTable prefixes;  // "user:" for user:1 and user:2; a key without enough delimiters is a name by itself
  WriteTable types;     // Kvrocks' type names; "untold": a record that does not say (a DEL, say)
  WriteTable families;  // Kvrocks' names of column families, or their number
};

inline constexpr std::size_t kMaxName = 128;

class WriteStats {
 public:
  explicit WriteStats(WriteStatsOptions options);

  // The records of the batch whose sequences are in the range. kDamaged if it does not decode: the records
  // before the fault are counted.
  Result<void> Add(const BatchView& batch, SequenceRange range);

  // With at most `top` rows in each table; the rest is in others.
  [[nodiscard]] WriteReport Report(std::size_t top) const;

 private:
  class Tally {
   public:
    void Add(std::string_view name_space, std::string_view name, bool internal, std::uint64_t bytes,
             std::uint64_t batch, std::size_t max_rows);
    [[nodiscard]] WriteTable Top(std::size_t top) const;

   private:
    struct Row {
      WriteRow row;
      std::uint64_t last_batch = 0;
    };
    void Fold();

    std::unordered_map<std::string, Row> rows_;
    std::string identity_;  // of the row at hand; kept for its memory
    WriteCount others_;
    std::uint64_t folded_names_ = 0;
    bool folded_ = false;
  };

  [[nodiscard]] std::string_view PrefixOf(std::string_view key) const;

  WriteStatsOptions options_;
  WriteCount total_;
  std::uint64_t batch_bytes_ = 0;
  Tally namespaces_;
  Tally prefixes_;
  Tally types_;
  Tally families_;
};

}  // namespace walstitch::wal
