#include "agents/wal/wal_directory.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "agents/wal/batch_decoder.h"

namespace walstitch::wal {
namespace {

// How often a call starts again because files vanished under it.
constexpr int kMaxAttempts = 5;

// Between two marks of a file. Reading that much takes well under a millisecond.
constexpr std::uint64_t kBytesPerMark = 1 << 20;

// "000012.log" -> 12. RocksDB pads to six digits and goes on with more.
std::optional<std::uint64_t> ParseLogName(std::string_view name) {
  constexpr std::string_view kSuffix = ".log";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  if (name.empty() || name.size() > 19) return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : name) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return number;
}

std::string LogName(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return digits + ".log";
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// Appends the numbers of the logs in a directory. kNotFound if there is no such directory.
Result<void> AppendLogs(const std::string& path, std::vector<std::uint64_t>* numbers) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory) {
    const int error = errno;
    return Fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                path + ": cannot be listed: " + std::strerror(error));
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) return Fail(ErrorCode::kIo, path + ": cannot be listed: " + std::strerror(errno));
      return {};
    }
    if (const auto number = ParseLogName(entry->d_name)) numbers->push_back(*number);
  }
}

}  // namespace

WalDirectory::WalDirectory(std::string data_directory) : database_directory_(std::move(data_directory)) {
  database_directory_ += "/db";
}

WalDirectory::~WalDirectory() = default;

Result<std::vector<std::uint64_t>> WalDirectory::ListNumbers() const {
  std::vector<std::uint64_t> numbers;
  // db/ first: a log that moves meanwhile is then seen twice, not never.
  if (Result<void> listed = AppendLogs(database_directory_, &numbers); !listed) {
    if (listed.error().Code() != ErrorCode::kNotFound) return Fail(listed.error());
    return Fail(ErrorCode::kUnavailable,
                listed.error().Message() + " (a full sync may be replacing it; or it is not Kvrocks' dir)");
  }
  if (Result<void> listed = AppendLogs(database_directory_ + "/archive", &numbers);
      !listed && listed.error().Code() != ErrorCode::kNotFound) {
    return Fail(listed.error());
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

// kNotFound: purged.
Result<std::unique_ptr<PosixLogFile>> WalDirectory::OpenLog(std::uint64_t number) const {
  const std::string name = LogName(number);
  Result<std::unique_ptr<PosixLogFile>> live = PosixLogFile::Open(database_directory_ + "/" + name);
  if (live || live.error().Code() != ErrorCode::kNotFound) return live;
  return PosixLogFile::Open(database_directory_ + "/archive/" + name);
}

// The same, without opening it.
Result<LogStat> WalDirectory::StatLog(std::uint64_t number) const {
  const std::string name = LogName(number);
  Result<LogStat> live = PosixLogFile::StatOf(database_directory_ + "/" + name);
  if (live || live.error().Code() != ErrorCode::kNotFound) return live;
  return PosixLogFile::StatOf(database_directory_ + "/archive/" + name);
}

// Adds one file to the snapshot, with its first sequence. There may be hundreds, nearly all of them as they
// were: these are not opened.
Result<void> WalDirectory::LookAt(std::uint64_t number, Snapshot* snapshot) {
  const auto known = known_.find(number);
  if (known != known_.end()) {
    const Result<LogStat> stat = StatLog(number);
    if (stat && *stat == known->second.stat) {
      ++snapshot->count;
      snapshot->bytes += stat->size;
      File entry;
      entry.number = number;
      entry.first = known->second.first;
      snapshot->files.push_back(std::move(entry));
      return {};
    }
  }
  Result<std::unique_ptr<PosixLogFile>> file = OpenLog(number);
  if (!file) return Fail(file.error());
  Known seen;
  seen.stat = (*file)->StatWhenOpened();
  Result<std::size_t> beginning = (*file)->ReadAt(0, seen.beginning.data(), seen.beginning.size());
  if (!beginning) return Fail(beginning.error());
  ++snapshot->count;
  snapshot->bytes += (*file)->SizeWhenOpened();
  File entry;
  entry.number = number;
  if (known != known_.end() && known->second.stat.inode == seen.stat.inode &&
      known->second.beginning == seen.beginning) {
    known->second.stat = seen.stat;
    entry.first = known->second.first;
    snapshot->files.push_back(std::move(entry));
    return {};
  }
  if ((*file)->SizeWhenOpened() == 0) return {};  // a log that is not written to yet
  LogReader reader(std::move(*file), LogReaderOptions{.log_number = number});
  Result<bool> record = reader.Next();
  if (!record) {
    if (record.error().Code() != ErrorCode::kDamaged) return Fail(record.error());
    entry.damage = record.error();
  } else if (!*record) {
    return {};  // nothing but a torn tail
  } else if (Result<BatchHeader> header = ParseBatchHeader(reader.Record()); header) {
    entry.first = header->first;
    seen.first = header->first;
    known_[number] = std::move(seen);
  } else {
    entry.damage = header.error().Within(reader.Name() + ": offset " + std::to_string(reader.RecordOffset()));
  }
  snapshot->files.push_back(std::move(entry));
  return {};
}

Result<WalDirectory::Snapshot> WalDirectory::Look() {
  Result<std::vector<std::uint64_t>> numbers = ListNumbers();
  if (!numbers) return Fail(numbers.error());
  Snapshot snapshot;
  for (const std::uint64_t number : *numbers) {
    // Purged since it was listed: it is no part of the WAL any more.
    if (Result<void> looked = LookAt(number, &snapshot);
        !looked && looked.error().Code() != ErrorCode::kNotFound) {
      return Fail(looked.error());
    }
  }
  // Forget the files that are gone.
  std::erase_if(known_, [&](const auto& known) {
    return !std::binary_search(numbers->begin(), numbers->end(), known.first);
  });
  // From the newest back: a file counts up to where the next one begins. One that begins no earlier than a
  // newer one was given up whole.
  std::optional<Sequence> limit;
  for (auto file = snapshot.files.rbegin(); file != snapshot.files.rend(); ++file) {
    file->limit = limit;
    if (!file->first) continue;
    if (limit && *file->first >= *limit) {
      file->first.reset();
      file->damage.reset();
      continue;
    }
    limit = file->first;
  }
  std::erase_if(snapshot.files, [](const File& file) { return !file.first && !file.damage; });
  return snapshot;
}

Result<void> WalDirectory::CheckReadable() {
  Result<std::vector<std::uint64_t>> numbers = ListNumbers();
  if (!numbers) return Fail(numbers.error());
  if (numbers->empty()) return {};
  Result<std::unique_ptr<PosixLogFile>> newest = OpenLog(numbers->back());
  if (!newest && newest.error().Code() != ErrorCode::kNotFound) return Fail(newest.error());
  return {};
}

// Moves the reader to the last mark at or before `from`, if there is one. Its first record is read on the
// way: it tells how the file is compressed.
Result<void> WalDirectory::SkipToMark(const std::vector<Mark>& marks, Sequence from, std::uint64_t size,
                                      LogReader* reader, Scan* scan) {
  const Mark* mark = nullptr;
  for (const Mark& candidate : marks) {
    if (candidate.first <= from && candidate.offset < size) mark = &candidate;
  }
  if (mark == nullptr) return {};
  Result<bool> first = reader->Next();
  if (!first) return Fail(first.error());
  if (!*first) return Fail(ErrorCode::kDamaged, reader->Name() + ": became shorter while it was read");
  reader->SkipTo(mark->offset);
  scan->expected = mark->first;
  return {};
}

// Reads a file from its start, or from a mark. `expected` is what its first record must begin with, if that
// is known: then the range began in an earlier file. Result's Error: the file cannot be read (kNotFound:
// purged), or sequences are missing or out of order inside it; what damage is worth, the caller knows better.
Result<WalDirectory::Scan> WalDirectory::ScanFile(const File& file, SequenceRange range,
                                                  std::optional<Sequence> expected,
                                                  const BatchVisitor& visit) {
  Scan scan;
  scan.expected = expected;
  if (file.damage) {
    scan.damage = file.damage;
    return scan;
  }
  Result<std::unique_ptr<PosixLogFile>> opened = OpenLog(file.number);
  if (!opened) return Fail(opened.error());
  const std::uint64_t size = (*opened)->SizeWhenOpened();
  // Another file by now, if a full sync came in between: then nothing is known of it.
  const auto known = known_.find(file.number);
  std::vector<Mark>* marks =
      known != known_.end() && known->second.stat.inode == (*opened)->StatWhenOpened().inode
          ? &known->second.marks
          : nullptr;
  LogReader reader(std::move(*opened), LogReaderOptions{.log_number = file.number});
  if (marks != nullptr && !expected) {
    Result<void> skipped = SkipToMark(*marks, range.from, size, &reader, &scan);
    if (!skipped) {
      if (skipped.error().Code() != ErrorCode::kDamaged) return Fail(skipped.error());
      scan.damage = skipped.error();
      return scan;
    }
  }
  const auto here = [&] { return reader.Name() + ": offset " + std::to_string(reader.RecordOffset()); };
  for (;;) {
    Result<bool> next = reader.Next();
    if (!next) {
      if (next.error().Code() != ErrorCode::kDamaged) return Fail(next.error());
      scan.damage = next.error();
      return scan;
    }
    if (!*next) {
      scan.tail_note = reader.TailNote();
      return scan;
    }
    Result<BatchHeader> header = ParseBatchHeader(reader.Record());
    if (!header) {
      scan.damage = header.error().Within(here());
      return scan;
    }
    const BatchView batch{header->first, header->count, reader.Record()};
    if (file.limit && batch.End() > *file.limit) {
      if (batch.first >= *file.limit) return scan;  // given up: the next file has these sequences
      return Fail(ErrorCode::kDamaged,
                  here() + ": the batch " + SequenceRange{batch.first, batch.End()}.ToString() +
                      " reaches into the next log, which begins at " + file.limit->ToString());
    }
    if (scan.expected && batch.first != *scan.expected) {
      if (batch.first < *scan.expected) {
        return Fail(ErrorCode::kDamaged, here() + ": the batch at sequence " + batch.first.ToString() +
                                             " follows sequence " + (*scan.expected - 1).ToString());
      }
      // A hole: what the database took without a WAL (a loaded SST file, disabled WAL). It matters only
      // where the range needs it.
      if (batch.first > range.from && *scan.expected < range.to) {
        return Fail(ErrorCode::kNotFound, here() + ": the sequences " +
                                              SequenceRange{*scan.expected, batch.first}.ToString() +
                                              " are in no batch of the WAL");
      }
    }
    scan.expected = batch.End();
    if (marks != nullptr &&
        reader.RecordOffset() >= (marks->empty() ? 0 : marks->back().offset) + kBytesPerMark) {
      marks->push_back({reader.RecordOffset(), batch.first});
    }
    const bool inside = batch.count == 0 ? batch.first >= range.from && batch.first < range.to
                                         : batch.End() > range.from && batch.first < range.to;
    if (batch.first >= range.to || (inside && !visit(batch)) || *scan.expected >= range.to) {
      scan.stopped = true;
      return scan;
    }
  }
}

// `reached`: one past the last sequence read, if anything was.
Result<void> WalDirectory::Visit(const Snapshot& snapshot, SequenceRange range, const BatchVisitor& visit,
                                 std::optional<Sequence>* reached) {
  const std::vector<File>& files = snapshot.files;
  const auto oldest = std::find_if(files.begin(), files.end(), [](const File& file) { return file.first; });
  if (oldest == files.end()) {
    if (!files.empty()) return Fail(*files.front().damage);
    return Fail(ErrorCode::kNotFound, database_directory_ + ": the WAL is empty: sequence " +
                                          range.from.ToString() + " is not in it");
  }
  if (range.from < *oldest->first) {
    if (files.front().damage) return Fail(*files.front().damage);  // it may be there, but cannot be read
    return Fail(ErrorCode::kNotFound, database_directory_ + ": sequence " + range.from.ToString() +
                                          " is no longer in the WAL: its oldest is " +
                                          oldest->first->ToString());
  }
  auto file = oldest;
  for (auto next = oldest; next != files.end(); ++next) {
    if (next->first && *next->first <= range.from) file = next;
  }
  std::optional<Sequence> expected;
  for (; file != files.end(); ++file) {
    Result<Scan> scan = ScanFile(*file, range, expected, visit);
    if (!scan) return Fail(scan.error());
    expected = scan->expected;
    *reached = expected;
    if (scan->stopped) return {};
    // The next file goes on where this one ends: whatever stands behind that point was given up.
    if (file->limit && expected == file->limit) continue;
    if (scan->damage) return Fail(*scan->damage);
    if (file->limit) {
      const SequenceRange hole{expected.value_or(*file->first), *file->limit};
      if (*file->limit <= range.from || hole.from >= range.to) continue;
      std::string what = "the sequences " + hole.ToString() + " are in no log: " + LogName(file->number);
      if (scan->tail_note.empty()) {
        return Fail(ErrorCode::kNotFound, database_directory_ + ": " + what + " ends before them");
      }
      return Fail(ErrorCode::kDamaged, database_directory_ + ": " + what + " has a " + scan->tail_note);
    }
  }
  if (expected && range.from > *expected) {
    return Fail(ErrorCode::kNotFound, database_directory_ + ": sequence " + range.from.ToString() +
                                          " is beyond the WAL's last, " + (*expected - 1).ToString());
  }
  return {};
}

Result<void> WalDirectory::ForEachBatch(SequenceRange range, const BatchVisitor& visit) {
  if (range.Empty()) return {};
  bool visited = false;
  const BatchVisitor noting = [&](const BatchView& batch) {
    visited = true;
    return visit(batch);
  };
  for (int attempt = 1;; ++attempt) {
    Result<Snapshot> snapshot = Look();
    if (!snapshot) return Fail(snapshot.error());
    std::optional<Sequence> reached;
    Result<void> read = Visit(*snapshot, range, noting, &reached);
    if (read || read.error().Code() != ErrorCode::kNotFound || visited || attempt >= kMaxAttempts)
      return read;
    // Not found may be for good, or because a file that was listed is gone now: then the next look differs.
    Result<std::vector<std::uint64_t>> numbers = ListNumbers();
    if (!numbers) return Fail(numbers.error());
    const bool all_there = std::all_of(snapshot->files.begin(), snapshot->files.end(), [&](const File& file) {
      return std::binary_search(numbers->begin(), numbers->end(), file.number);
    });
    if (all_there) return read;
  }
}

Result<WalExtent> WalDirectory::Extent() {
  for (int attempt = 1;; ++attempt) {
    Result<Snapshot> snapshot = Look();
    if (!snapshot) return Fail(snapshot.error());
    WalExtent extent;
    extent.source = "files";
    extent.files = snapshot->count;
    extent.bytes = snapshot->bytes;
    const std::vector<File>& files = snapshot->files;
    if (files.empty()) return extent;
    const auto oldest = std::find_if(files.begin(), files.end(), [](const File& file) { return file.first; });
    const auto newest =
        std::find_if(files.rbegin(), files.rend(), [](const File& file) { return file.first; });
    if (oldest == files.end()) return Fail(*files.front().damage);
    if (files.back().damage) return Fail(*files.back().damage);
    // Nothing is visited, and holes before the end do not matter here.
    const Sequence far(std::numeric_limits<std::uint64_t>::max());
    Result<Scan> scan =
        ScanFile(*newest, SequenceRange{far - 1, far}, std::nullopt, [](const BatchView&) { return true; });
    if (!scan) {
      if (scan.error().Code() == ErrorCode::kNotFound && attempt < kMaxAttempts)
        continue;  // purged meanwhile
      return Fail(scan.error());
    }
    if (scan->damage) return Fail(*scan->damage);
    extent.oldest = oldest->first;
    if (scan->expected && scan->expected->Value() > 0) extent.last = *scan->expected - 1;
    return extent;
  }
}

Result<std::optional<BatchPlace>> WalDirectory::Locate(Sequence sequence) {
  std::optional<BatchPlace> place;
  Result<void> read = ForEachBatch(SequenceRange{sequence, sequence + 1}, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    place = BatchPlace{};
    place->header = {batch.first, batch.count};
    place->bytes = batch.bytes.size();
    return false;
  });
  if (!read) return Fail(read.error());
  return place;
}

Result<std::vector<LogInfo>> WalDirectory::Logs() {
  Result<Snapshot> snapshot = Look();
  if (!snapshot) return Fail(snapshot.error());
  std::vector<LogInfo> logs;
  for (const File& file : snapshot->files) {
    LogInfo log;
    log.number = file.number;
    log.first = file.first;
    log.end = file.limit;
    log.damage = file.damage;
    logs.push_back(std::move(log));
  }
  return logs;
}

}  // namespace walstitch::wal
