// The WAL of a Kvrocks data directory, read from its files: `db/*.log` and `db/archive/*.log`. Reads only;
// takes no lock; does not care whether a server runs on it.
//
// The directory lives. At each call it is looked at anew, since
//   * a log moves from db/ to db/archive/ (a file not found in the one is looked for in the other),
//   * the oldest archived logs are purged (a call that loses a file it needs starts again, or says
//     kNotFound if it had begun to visit),
//   * a full sync replaces db/ by a fresh one; between the two there is none (kUnavailable).
// What cannot have changed is remembered: the listing while neither folder's times changed, and a log's first
// sequence while it is the same file (see Known).
//
// Which bytes are the history? The files in order of their numbers, each up to the first sequence of the
// next one. RocksDB, when it recovers, may give up what stands at a log's end (a torn tail, a record that
// it could not apply) and begins a new log with the sequence that it goes on with. So whatever an older
// log holds from there on, damage included, is history that never was; and only if sequences are really
// missing between two logs is that an error.
//
// A log's tail may hold a record that the server has not published, or never applied: it is written before
// it is applied.
//
// A log is chosen by the first sequences of all, the place in it by BlockSearch; from there LogReader reads,
// with checksums. So a call costs what it reads for its answer, and some microseconds. Damage is reported
// where the reading meets it; what a call has no need to read, it says nothing about (verify.h reads
// everything).
//
// Not thread-safe. Owns its cache; files are open during a call only, one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/log_reader.h"
#include "agents/wal/wal_source.h"

namespace walstitch::wal {

// One log of the directory, as it is now.
struct LogInfo {
  std::uint64_t number = 0;
  std::string path;
  bool archived = false;
  std::uint64_t bytes = 0;
  std::int64_t modified_ms = 0;   // of its contents, Unix time: the clock of RocksDB's purge by age
  bool compressed = false;        // the records are
  std::optional<Sequence> first;  // of its first batch; none: no good record in it, or it was given up whole
  std::optional<Sequence> end;    // one past the last sequence in it that counts
  std::string tail_note;          // why it ends as it does, if not behind a record
  std::optional<Error> damage;    // what stands in the way of first or end
};

// Where a batch stands.
struct BatchPlace {
  std::uint64_t log_number = 0;
  std::string file;          // path
  std::uint64_t offset = 0;  // of the record in the file
  BatchHeader header;
  std::uint64_t bytes = 0;  // of the batch, header included, not compressed
};

// What a call cost, for people and benchmarks.
struct ReadCost {
  std::uint64_t files = 0;  // opened
  std::uint64_t reads = 0;  // calls of the operating system
  std::uint64_t bytes = 0;  // read
  std::string fallback;     // why a file was read from its beginning instead of searched; empty: it was not
};

class WalDirectory : public WalSource {
 public:
  // `data_directory` is Kvrocks' `dir`, the one that contains `db/`. Looks at nothing yet: the directory
  // may come later.
  explicit WalDirectory(std::string data_directory);
  ~WalDirectory() override;

  // Whether db/ can be listed, and its newest log opened, right now.
  Result<void> CheckReadable();

  // `files` and `bytes` count all logs, `source` is "files".
  Result<WalExtent> Extent() override;
  Result<void> ForEachBatch(SequenceRange range, const BatchVisitor& visit) override;

  // The place of the batch (count > 0) that holds the sequence; nullopt if it is last + 1; kNotFound if it is
  // purged or beyond, kDamaged if what stands there cannot be right.
  Result<std::optional<BatchPlace>> Locate(Sequence sequence);

  // All logs by number, also those that take no part in the history.
  Result<std::vector<LogInfo>> Logs();

  // The path of the newest log, which is the one that grows; empty if there is none.
  Result<std::string> NewestLog();

  // Of the last call.
  [[nodiscard]] const ReadCost& Cost() const { return cost_; }

  [[nodiscard]] const std::string& DatabaseDirectory() const { return database_directory_; }

 private:
  // A log that takes part in the history.
  struct File {
    std::uint64_t number = 0;
    std::optional<Sequence> first;  // none: damaged
    std::optional<Error> damage;    // the first record is damaged
    std::optional<Sequence> limit;  // what the next file begins with; none for the last one
  };
  // How a log ends: what a reading of its last blocks came to.
  struct Tail {
    std::optional<Sequence> end;  // one past the last good record; none: no good record
    std::string note;             // as LogReader's
    std::optional<Error> damage;
  };
  // A file whose inode, size and time of change are as they were is taken for what it was. Otherwise its
  // beginning is read again, which holds checksum and first sequence (or compressed bytes): a new file of the
  // same number that got the old one's inode, as after a full sync, is not taken for the old one.
  struct Known {
    LogStat stat;
    std::array<char, 64> beginning{};
    std::optional<Sequence> first;  // none: damaged, or nothing good in it yet
    std::optional<Error> damage;
    std::string torn;          // instead of first or damage: nothing but a torn tail
    std::optional<Tail> tail;  // as long as stat is
  };
  // The times of db/ and db/archive/: they change when a log is made, moved or removed.
  struct FolderState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;  // 0: not there
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const FolderState&) const = default;
  };
  using FolderStates = std::array<FolderState, 2>;
  // What a scan of one file came to.
  struct Scan {
    std::optional<Sequence> expected;  // one past the last record
    std::optional<Error> damage;       // why it ended early
    std::string tail_note;             // as LogReader's
    bool stopped = false;              // the visitor said so, or the range is done
  };
  // With the log's number and the reader that stands at the batch.
  using PlacedVisitor = std::function<bool(const BatchView&, std::uint64_t, const LogReader&)>;
  class MeteredLogFile;

  Result<FolderStates> StatFolders() const;
  Result<std::vector<std::uint64_t>> ListNumbers() const;
  Result<std::unique_ptr<PosixLogFile>> OpenLog(std::uint64_t number);
  Result<LogStat> StatLog(std::uint64_t number) const;
  Result<void> Look();
  Result<void> LookAt(std::uint64_t number);
  Result<void> LearnFirst(std::uint64_t number, std::unique_ptr<LogFile> file, Known* known);
  void ArrangeFiles();
  Result<LogReader> OpenAt(const File& file, Sequence from, std::optional<std::uint64_t>* block);
  Result<Scan> ScanFile(const File& file, SequenceRange range, std::optional<Sequence> expected,
                        const PlacedVisitor& visit);
  [[nodiscard]] Error WhyMissing(const File& file, SequenceRange hole, const std::string& tail_note) const;
  Result<void> Visit(SequenceRange range, const PlacedVisitor& visit);
  Result<void> VisitWithRetries(SequenceRange range, const PlacedVisitor& visit);
  Result<Tail> TailOf(std::uint64_t number);

  std::string database_directory_;
  ReadCost cost_;
  std::optional<FolderStates> listed_;    // of the listing that known_ is; none: list again
  std::map<std::uint64_t, Known> known_;  // every log, by number
  std::vector<File> files_;               // the history, by number
};

}  // namespace walstitch::wal
