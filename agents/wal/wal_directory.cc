#include "agents/wal/wal_directory.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "agents/wal/block_search.h"

namespace walstitch::wal {
namespace {

// How often a call starts again because files vanished under it.
constexpr int kMaxAttempts = 5;

// A folder's time of change is as coarse as the kernel's clock tick (at most 10 ms): a listing that was made
// that soon after a change may have missed a second one that left the same time.
constexpr std::int64_t kCoarsestClock_ns = 20'000'000;

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

std::string Here(const LogReader& reader) {
  return reader.Name() + ": offset " + std::to_string(reader.RecordOffset());
}

std::string GoesBack(const LogReader& reader, Sequence first, Sequence expected) {
  return Here(reader) + ": the batch at sequence " + first.ToString() + " follows sequence " +
         (expected - 1).ToString();
}

std::int64_t ToNanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

// Counts what is read.
class WalDirectory::MeteredLogFile : public LogFile {
 public:
  MeteredLogFile(std::unique_ptr<PosixLogFile> file, ReadCost* cost) : file_(std::move(file)), cost_(cost) {}

  [[nodiscard]] const std::string& Name() const override { return file_->Name(); }
  Result<std::size_t> ReadAt(std::uint64_t offset, char* out, std::size_t size) override {
    Result<std::size_t> got = file_->ReadAt(offset, out, size);
    ++cost_->reads;
    if (got) cost_->bytes += *got;
    return got;
  }

 private:
  std::unique_ptr<PosixLogFile> file_;
  ReadCost* cost_;
};

WalDirectory::WalDirectory(std::string data_directory) : database_directory_(std::move(data_directory)) {
  database_directory_ += "/db";
}

WalDirectory::~WalDirectory() = default;

Result<WalDirectory::FolderStates> WalDirectory::StatFolders() const {
  FolderStates states;
  const std::array<std::string, 2> paths{database_directory_, database_directory_ + "/archive"};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    struct stat info {};
    if (::stat(paths[i].c_str(), &info) != 0) {
      const int error = errno;
      if (error == ENOENT) continue;
      return Fail(ErrorCode::kIo, paths[i] + ": cannot be examined: " + std::strerror(error));
    }
    states[i] = {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
                 ToNanoseconds(info.st_mtim), ToNanoseconds(info.st_ctim)};
  }
  return states;
}

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
Result<std::unique_ptr<PosixLogFile>> WalDirectory::OpenLog(std::uint64_t number) {
  ++cost_.files;
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

// Learns a file's first sequence. `file` stands for what known->stat was taken from.
Result<void> WalDirectory::LearnFirst(std::uint64_t number, std::unique_ptr<LogFile> file, Known* known) {
  known->first.reset();
  known->damage.reset();
  if (known->stat.size == 0) return {};  // not written to yet
  Result<std::optional<Sequence>> first = BlockSearch(file.get(), known->stat.size).FirstSequence();
  if (!first) return Fail(first.error());
  if (*first) {
    known->first = *first;
    return {};
  }
  LogReader reader(std::move(file), LogReaderOptions{.log_number = number});
  Result<bool> record = reader.Next();
  if (!record) {
    if (record.error().Code() != ErrorCode::kDamaged) return Fail(record.error());
    known->damage = record.error();
  } else if (*record) {
    if (Result<BatchHeader> header = ParseBatchHeader(reader.Record())) {
      known->first = header->first;
    } else {
      known->damage = header.error().Within(Here(reader));
    }
  }
  if (!known->first && !known->damage) known->torn = reader.TailNote();
  return {};
}

// Brings what is known of a file up to date. There may be hundreds of files, nearly all of them as they were:
// these are not opened. kNotFound: it is gone.
Result<void> WalDirectory::LookAt(std::uint64_t number) {
  const auto known = known_.find(number);
  if (known != known_.end() && known->second.stat.inode != 0) {
    const Result<LogStat> stat = StatLog(number);
    if (stat && *stat == known->second.stat) return {};
  }
  Result<std::unique_ptr<PosixLogFile>> opened = OpenLog(number);
  if (!opened) return Fail(opened.error());
  Known seen;
  seen.stat = (*opened)->StatWhenOpened();
  auto file = std::make_unique<MeteredLogFile>(std::move(*opened), &cost_);
  Result<std::size_t> beginning = file->ReadAt(0, seen.beginning.data(), seen.beginning.size());
  if (!beginning) return Fail(beginning.error());
  if (known != known_.end() && known->second.first && known->second.stat.inode == seen.stat.inode &&
      known->second.beginning == seen.beginning) {
    seen.first = known->second.first;
  } else if (Result<void> learned = LearnFirst(number, std::move(file), &seen); !learned) {
    return learned;
  }
  known_[number] = std::move(seen);
  return {};
}

// From the newest back: a file counts up to where the next one begins. One that begins no earlier than a
// newer one was given up whole.
void WalDirectory::ArrangeFiles() {
  files_.clear();
  std::optional<Sequence> limit;
  for (auto known = known_.rbegin(); known != known_.rend(); ++known) {
    const std::optional<Sequence>& first = known->second.first;
    if (!first && !known->second.damage) continue;
    if (first && limit && *first >= *limit) continue;
    File file;
    file.number = known->first;
    file.first = first;
    file.damage = known->second.damage;
    file.limit = limit;
    files_.push_back(std::move(file));
    if (first) limit = first;
  }
  std::reverse(files_.begin(), files_.end());
}

Result<void> WalDirectory::Look() {
  cost_ = {};
  Result<FolderStates> folders = StatFolders();
  if (!folders) return Fail(folders.error());
  const bool listed = listed_ && *listed_ == *folders;
  if (!listed) {
    listed_.reset();
    const std::int64_t now =
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
    Result<std::vector<std::uint64_t>> numbers = ListNumbers();
    if (!numbers) return Fail(numbers.error());
    // Forget the files that are gone; remember those that are new.
    std::erase_if(known_, [&](const auto& known) {
      return !std::binary_search(numbers->begin(), numbers->end(), known.first);
    });
    for (const std::uint64_t number : *numbers) known_.try_emplace(number);
    const bool settled = std::all_of(folders->begin(), folders->end(), [&](const FolderState& folder) {
      return std::max(folder.modified_ns, folder.changed_ns) + kCoarsestClock_ns < now;
    });
    if (settled) listed_ = *folders;
  }
  bool changed = !listed;
  for (auto known = known_.begin(); known != known_.end();) {
    const std::uint64_t number = known->first;
    const bool newest = std::next(known) == known_.end();
    // Of the others nothing can have changed but what is not finished yet.
    if (listed && !newest && known->second.first) {
      ++known;
      continue;
    }
    const std::optional<Sequence> first = known->second.first;
    ++known;
    if (Result<void> looked = LookAt(number); !looked) {
      listed_.reset();
      if (looked.error().Code() != ErrorCode::kNotFound) return looked;
      known_.erase(number);  // purged since it was listed: it is no part of the WAL any more
      changed = true;
      continue;
    }
    changed = changed || known_.at(number).first != first || known_.at(number).damage;
  }
  if (changed) ArrangeFiles();
  return {};
}

Result<void> WalDirectory::CheckReadable() {
  Result<std::vector<std::uint64_t>> numbers = ListNumbers();
  if (!numbers) return Fail(numbers.error());
  if (numbers->empty()) return {};
  Result<std::unique_ptr<PosixLogFile>> newest = OpenLog(numbers->back());
  if (!newest && newest.error().Code() != ErrorCode::kNotFound) return Fail(newest.error());
  return {};
}

// Opens a file where its batch of the sequence may begin, at *block. As the first call for a file: *block is
// not set. Then, because nothing was found there that is early enough: one step before *block.
Result<LogReader> WalDirectory::OpenAt(const File& file, Sequence from, std::optional<std::uint64_t>* block) {
  Result<std::unique_ptr<PosixLogFile>> opened = OpenLog(file.number);
  if (!opened) return Fail(opened.error());
  const std::uint64_t size = (*opened)->SizeWhenOpened();
  auto metered = std::make_unique<MeteredLogFile>(std::move(*opened), &cost_);
  if (*block) {
    Result<std::uint64_t> before = BlockSearch(metered.get(), size).BlockBefore(**block);
    if (!before) return Fail(before.error());
    *block = *before;
  } else if (from > *file.first) {
    Result<std::optional<std::uint64_t>> found = BlockSearch(metered.get(), size).BlockFor(from);
    if (!found) return Fail(found.error());
    if (!*found) cost_.fallback = metered->Name() + ": is a recycled log, and was read from its beginning";
    *block = found->value_or(0);
  } else {
    *block = 0;
  }
  LogReader reader(std::move(metered), LogReaderOptions{.log_number = file.number});
  if (Result<void> started = reader.StartAt(**block); !started) return Fail(started.error());
  return reader;
}

// Reads a file. `expected` is what its first record must begin with, if that is known: then the range began
// in an earlier file, and this one is read from its start. Result's Error: the file cannot be read
// (kNotFound: purged), or sequences are missing or out of order inside it; what damage is worth, the caller
// knows better.
Result<WalDirectory::Scan> WalDirectory::ScanFile(const File& file, SequenceRange range,
                                                  std::optional<Sequence> expected,
                                                  const PlacedVisitor& visit) {
  Scan scan;
  scan.expected = expected;
  if (file.damage) {
    scan.damage = file.damage;
    return scan;
  }
  std::optional<std::uint64_t> block;
  Result<LogReader> opened = OpenAt(file, expected ? *file.first : range.from, &block);
  if (!opened) {
    if (opened.error().Code() != ErrorCode::kDamaged) return Fail(opened.error());
    scan.damage = opened.error();
    return scan;
  }
  LogReader reader = std::move(*opened);
  bool proven = *block == 0;  // that the batch sought does not begin before the block
  for (;;) {
    Result<bool> next = reader.Next();
    if (!next) {
      if (next.error().Code() != ErrorCode::kDamaged) return Fail(next.error());
      scan.damage = next.error();
      return scan;
    }
    const auto step_back = [&]() -> Result<void> {
      Result<LogReader> earlier = OpenAt(file, range.from, &block);
      if (!earlier) return Fail(earlier.error());
      reader = std::move(*earlier);
      proven = *block == 0;
      return {};
    };
    if (!*next) {
      if (!proven) {
        // A record that begins here and is not finished.
        if (Result<void> stepped = step_back(); !stepped) return Fail(stepped.error());
        continue;
      }
      scan.tail_note = reader.TailNote();
      return scan;
    }
    Result<BatchHeader> header = ParseBatchHeader(reader.Record());
    if (!header) {
      scan.damage = header.error().Within(Here(reader));
      return scan;
    }
    const BatchView batch{header->first, header->count, reader.Record()};
    if (!proven && batch.first > range.from) {
      cost_.fallback =
          Here(reader) + ": what stands here is later than was expected; an earlier block was read";
      if (Result<void> stepped = step_back(); !stepped) return Fail(stepped.error());
      continue;
    }
    proven = true;
    if (file.limit && batch.End() > *file.limit) {
      if (batch.first >= *file.limit) return scan;  // given up: the next file has these sequences
      return Fail(ErrorCode::kDamaged,
                  Here(reader) + ": the batch " + SequenceRange{batch.first, batch.End()}.ToString() +
                      " reaches into the next log, which begins at " + file.limit->ToString());
    }
    if (scan.expected && batch.first != *scan.expected) {
      if (batch.first < *scan.expected) {
        return Fail(ErrorCode::kDamaged, GoesBack(reader, batch.first, *scan.expected));
      }
      // A hole: what the database took without a WAL (a loaded SST file, disabled WAL). It matters only
      // where the range needs it.
      if (batch.first > range.from && *scan.expected < range.to) {
        return Fail(ErrorCode::kNotFound, Here(reader) + ": the sequences " +
                                              SequenceRange{*scan.expected, batch.first}.ToString() +
                                              " are in no batch of the WAL");
      }
    }
    scan.expected = batch.End();
    const bool inside = batch.count == 0 ? batch.first >= range.from && batch.first < range.to
                                         : batch.End() > range.from && batch.first < range.to;
    if (batch.first >= range.to || (inside && !visit(batch, file.number, reader)) ||
        *scan.expected >= range.to) {
      scan.stopped = true;
      return scan;
    }
  }
}

// The sequences of the hole stand behind the file's end and before the next one that has a first sequence.
Error WalDirectory::WhyMissing(const File& file, SequenceRange hole, const std::string& tail_note) const {
  const std::string what =
      database_directory_ + ": the sequences " + hole.ToString() + " are in no log: " + LogName(file.number);
  if (!tail_note.empty()) return {ErrorCode::kDamaged, what + " has a " + tail_note};
  // A log in between of which nothing could be read must have held them.
  for (auto known = known_.upper_bound(file.number); known != known_.end() && !known->second.first; ++known) {
    if (known->second.damage) return *known->second.damage;
    if (!known->second.torn.empty()) {
      return {ErrorCode::kDamaged,
              what + " ends before them, and " + LogName(known->first) + " has a " + known->second.torn};
    }
  }
  return {ErrorCode::kNotFound, what + " ends before them"};
}

Result<void> WalDirectory::Visit(SequenceRange range, const PlacedVisitor& visit) {
  const std::vector<File>& files = files_;
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
    if (scan->stopped) return {};
    // The next file goes on where this one ends: whatever stands behind that point was given up.
    if (file->limit && expected == file->limit) continue;
    if (scan->damage) return Fail(*scan->damage);
    if (file->limit) {
      const SequenceRange hole{expected.value_or(*file->first), *file->limit};
      if (*file->limit <= range.from || hole.from >= range.to) continue;
      return Fail(WhyMissing(*file, hole, scan->tail_note));
    }
  }
  const Sequence next = expected.value_or(*oldest->first);
  if (range.from > next) {
    return Fail(ErrorCode::kNotFound, database_directory_ + ": sequence " + range.from.ToString() +
                                          " is beyond the WAL's last, " + (next - 1).ToString());
  }
  return {};
}

Result<void> WalDirectory::VisitWithRetries(SequenceRange range, const PlacedVisitor& visit) {
  if (range.Empty()) return {};
  bool visited = false;
  const PlacedVisitor noting = [&](const BatchView& batch, std::uint64_t number, const LogReader& reader) {
    visited = true;
    return visit(batch, number, reader);
  };
  for (int attempt = 1;; ++attempt) {
    if (Result<void> looked = Look(); !looked) return looked;
    Result<void> read = Visit(range, noting);
    if (read || read.error().Code() != ErrorCode::kNotFound || visited || attempt >= kMaxAttempts)
      return read;
    // Not found may be for good, or because a file that was listed is gone now: then the next look differs.
    Result<std::vector<std::uint64_t>> numbers = ListNumbers();
    if (!numbers) return Fail(numbers.error());
    const bool all_there = std::all_of(files_.begin(), files_.end(), [&](const File& file) {
      return std::binary_search(numbers->begin(), numbers->end(), file.number);
    });
    if (all_there) return read;
    listed_.reset();
  }
}

Result<void> WalDirectory::ForEachBatch(SequenceRange range, const BatchVisitor& visit) {
  return VisitWithRetries(
      range, [&](const BatchView& batch, std::uint64_t, const LogReader&) { return visit(batch); });
}

Result<std::optional<BatchPlace>> WalDirectory::Locate(Sequence sequence) {
  if (auto possible = CheckPossible(sequence); !possible) return Fail(possible.error());
  std::optional<BatchPlace> place;
  Result<void> read = VisitWithRetries(
      SequenceRange{sequence, sequence + 1},
      [&](const BatchView& batch, std::uint64_t number, const LogReader& reader) {
        if (batch.count == 0) return true;
        place = BatchPlace{
            number, reader.Name(), reader.RecordOffset(), {batch.first, batch.count}, batch.bytes.size()};
        return false;
      });
  if (!read) return Fail(read.error());
  return place;
}

// Reads from the last block in which a record begins to the end, and from earlier ones while what begins
// there is not finished. kNotFound: the file is gone.
Result<WalDirectory::Tail> WalDirectory::TailOf(std::uint64_t number) {
  Known& known = known_.at(number);
  if (known.tail) return *known.tail;
  Result<std::unique_ptr<PosixLogFile>> opened = OpenLog(number);
  if (!opened) return Fail(opened.error());
  const LogStat stat = (*opened)->StatWhenOpened();
  std::unique_ptr<LogFile> file = std::make_unique<MeteredLogFile>(std::move(*opened), &cost_);
  BlockSearch search(file.get(), stat.size);  // goes on with the file that it was given, whoever holds it
  Result<std::uint64_t> block = search.LastWrittenBlock();
  Tail tail;
  for (;;) {
    if (!block) return Fail(block.error());
    LogReader reader(std::move(file), LogReaderOptions{.log_number = number});
    Result<bool> next = true;
    if (Result<void> started = reader.StartAt(*block); !started) next = Fail(started.error());
    while (next && *next) {
      next = reader.Next();
      if (!next || !*next) break;
      Result<BatchHeader> header = ParseBatchHeader(reader.Record());
      if (!header) {
        next = Fail(header.error().Within(Here(reader)));
      } else if (tail.end && header->first < *tail.end) {
        next = Fail(ErrorCode::kDamaged, GoesBack(reader, header->first, *tail.end));
      } else {
        tail.end = header->first + header->count;
      }
    }
    if (!next) {
      if (next.error().Code() != ErrorCode::kDamaged) return Fail(next.error());
      tail.damage = next.error();
      break;
    }
    tail.note = reader.TailNote();
    if (tail.end || *block == 0) break;
    file = std::move(reader).TakeFile();
    block = search.BlockBefore(*block);
  }
  if (known.stat == stat) known.tail = tail;
  return tail;
}

Result<WalExtent> WalDirectory::Extent() {
  for (int attempt = 1;; ++attempt) {
    if (Result<void> looked = Look(); !looked) return Fail(looked.error());
    WalExtent extent;
    extent.source = "files";
    extent.files = known_.size();
    for (const auto& [number, known] : known_) extent.bytes += known.stat.size;
    if (files_.empty()) return extent;
    const auto oldest =
        std::find_if(files_.begin(), files_.end(), [](const File& file) { return file.first; });
    if (oldest == files_.end()) return Fail(*files_.front().damage);
    if (files_.back().damage) return Fail(*files_.back().damage);
    extent.oldest = oldest->first;
    bool gone = false;
    // The newest log may hold a record that was begun only: then the one before it has the last.
    for (auto file = files_.rbegin(); file != files_.rend() && !gone; ++file) {
      if (!file->first) continue;
      Result<Tail> tail = TailOf(file->number);
      if (!tail) {
        if (tail.error().Code() != ErrorCode::kNotFound || attempt >= kMaxAttempts) return Fail(tail.error());
        gone = true;  // purged meanwhile
        listed_.reset();
        break;
      }
      if (tail->damage) return Fail(*tail->damage);
      if (!tail->end) continue;
      const Sequence end = file->limit ? std::min(*tail->end, *file->limit) : *tail->end;
      if (end.Value() > 0) extent.last = end - 1;
      break;
    }
    if (!gone) return extent;
  }
}

Result<std::string> WalDirectory::NewestLog() {
  if (Result<void> looked = Look(); !looked) return Fail(looked.error());
  if (known_.empty()) return std::string();
  return database_directory_ + "/" + LogName(known_.rbegin()->first);
}

Result<std::vector<LogInfo>> WalDirectory::Logs() {
  if (Result<void> looked = Look(); !looked) return Fail(looked.error());
  std::vector<LogInfo> logs;
  for (const auto& [number, known] : known_) {
    LogInfo log;
    log.number = number;
    log.path = database_directory_ + "/" + LogName(number);
    if (!PosixLogFile::StatOf(log.path)) {
      log.path = database_directory_ + "/archive/" + LogName(number);
      log.archived = true;
    }
    log.bytes = known.stat.size;
    log.modified_ms = known.stat.changed_ns / 1'000'000;
    const PhysicalHeader header = ParsePhysicalHeader(known.beginning.data());
    log.compressed = header.type == kSetCompressionType &&
                     DecodeFixed32(known.beginning.data() + kHeaderSize) == kZstdCompression;
    log.damage = known.damage;
    Result<Tail> tail = TailOf(number);
    if (!tail) {
      if (tail.error().Code() == ErrorCode::kNotFound) continue;  // purged meanwhile
      return Fail(tail.error());
    }
    if (!log.damage) log.damage = tail->damage;
    log.tail_note = tail->note;
    const auto file = std::find_if(files_.begin(), files_.end(), [number = number](const File& candidate) {
      return candidate.number == number;
    });
    if (file != files_.end()) {
      log.first = file->first;
      log.end = tail->end;
      if (log.end && file->limit) log.end = std::min(*log.end, *file->limit);
    } else if (known.first) {
      log.tail_note = "given up whole: a newer log has its sequences";
    }
    logs.push_back(std::move(log));
  }
  return logs;
}

}  // namespace walstitch::wal
