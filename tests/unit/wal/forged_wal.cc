#include "tests/unit/wal/forged_wal.h"

#include <algorithm>
#include <fstream>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 32768;

// A batch of sequences that nobody wrote: whoever takes it for one is a thousand million sequences away.
std::string FalseBatch(Random* random) {
  return BatchText(random->Between(1'000'000'000'000, 2'000'000'000'000)).Put(0, "false", "batch").Bytes();
}

class LogForger {
 public:
  LogForger(std::uint64_t number, Random* random, const ForgeOptions& options)
      : random_(random), options_(options), text_(random->OneIn(4), static_cast<std::uint32_t>(number)) {
    log_.number = number;
    log_.recycled = text_.HeaderSize() == 11;
    log_.compressed = random->OneIn(3);
    if (log_.compressed) text_.Compress();
  }

  void AddOthers();
  // may_skip: sequences may be missing before it.
  void AddBatch(std::uint64_t* next, bool may_skip);
  ForgedLog Finish();
  // An end of the file that is no record. `next`: the sequence of the batch that is cut off.
  void TearOff(std::uint64_t next);
  [[nodiscard]] bool Begun() const { return !log_.records.empty(); }
  [[nodiscard]] bool CleanEnd() const { return clean_end_; }

 private:
  void LeaveInBlock(std::size_t left, std::uint64_t* next);
  void Add(const std::string& batch);
  std::string Data(std::size_t size, std::size_t before);
  std::string Mimic();

  Random* random_;
  ForgeOptions options_;
  LogText text_;
  ForgedLog log_;
  bool clean_end_ = true;
};

void LogForger::Add(const std::string& batch) {
  ForgedRecord record;
  record.offset = text_.NextOffset();
  text_.Add(batch);
  record.end = text_.Size();
  record.header = ParseBatchHeader(batch).value();
  record.bytes = std::make_shared<const std::string>(batch);
  log_.records.push_back(std::move(record));
}

// Records that are no batches.
void LogForger::AddOthers() {
  const auto type = [&](std::uint8_t plain) {
    return static_cast<std::uint8_t>(log_.recycled ? plain + 1 : plain);
  };
  const std::string payload = random_->Noise(random_->Skewed(60));
  if (text_.BlockLeft() < text_.HeaderSize() + payload.size()) return;
  text_.AddPhysical(type(random_->OneIn(2) ? 10 : random_->OneIn(2) ? 130 : 200), payload);
}

// Fills the block but for so many bytes, with a batch or with a record of a later version.
void LogForger::LeaveInBlock(std::size_t left, std::uint64_t* next) {
  const std::size_t header = text_.HeaderSize();
  if (text_.BlockLeft() < header + left + 64) return;
  const std::size_t payload = text_.BlockLeft() - header - left;
  if (log_.compressed || random_->OneIn(3)) {
    text_.AddPhysical(log_.recycled ? 131 : 130, random_->Noise(payload));
    return;
  }
  // The varint before the value has a length of its own: one key fits.
  for (std::size_t key = 1; key < 4; ++key) {
    for (std::size_t value = payload - 24; value < payload; ++value) {
      const std::string batch =
          BatchText(*next).Put(1, std::string(key, 'k'), std::string(value, 'v')).Bytes();
      if (batch.size() != payload) continue;
      Add(batch);
      ++*next;
      return;
    }
  }
}

// What somebody might take for a record, or for a batch.
std::string LogForger::Mimic() {
  switch (random_->Below(6)) {
    case 0:
      return LogText().Add(FalseBatch(random_)).Bytes();
    case 1:
      return LogText(true, static_cast<std::uint32_t>(log_.number)).Add(FalseBatch(random_)).Bytes();
    case 2:
      return LogText().AddPhysical(2, FalseBatch(random_)).Bytes();
    case 3:
      return FalseBatch(random_);
    case 4:  // a record of this very log, as a backup of it may hold
      if (!log_.records.empty() && log_.records.front().bytes->size() < 10000) {
        return LogText().Add(*log_.records.front().bytes).Bytes();
      }
      return Fixed(random_->Below(1 << 30), 4) + Fixed(20, 2) + "\x01" + FalseBatch(random_);
    default:
      return std::string(64, '\0');
  }
}

// User data; `before`: how many bytes of the record stand before it.
std::string LogForger::Data(std::size_t size, std::size_t before) {
  if (random_->OneIn(3)) return std::string(size, static_cast<char>(random_->Below(256)));
  std::string data = random_->Noise(size);
  if (!options_.mimicry || random_->OneIn(2)) return data;
  const auto place = [&](std::size_t at) {
    const std::string mimic = Mimic();
    if (at < size) data.replace(at, std::min(mimic.size(), size - at), mimic.substr(0, size - at));
  };
  for (std::uint64_t i = random_->Below(8); i > 0 && size > 0; --i) place(random_->Below(size));
  // Where its fragments begin, right behind their headers: nearest to where records begin.
  const std::size_t header = text_.HeaderSize();
  std::size_t fragment = kBlock - text_.NextOffset() % kBlock - header;
  for (; fragment < before + size; fragment += kBlock - header) {
    if (fragment >= before && !random_->OneIn(4)) place(fragment - before);
  }
  return data;
}

void LogForger::AddBatch(std::uint64_t* next, bool may_skip) {
  if (random_->OneIn(6)) AddOthers();
  if (random_->OneIn(30)) text_.FillBlock();
  if (random_->OneIn(8)) LeaveInBlock(random_->Below(40), next);
  if (random_->OneIn(8)) {
    Add(BatchText(*next).Log(random_->OneIn(2) ? "2" : random_->Noise(random_->Skewed(3000))).Bytes());
    return;
  }
  if (may_skip && random_->OneIn(60)) *next += random_->Between(1, 9);
  BatchText batch(*next);
  if (random_->OneIn(2)) batch.Log("5");
  const std::uint64_t count = random_->OneIn(60) ? random_->Between(300, 3000) : 1 + random_->Skewed(6);
  for (std::uint64_t i = 1; i < count; ++i) batch.Delete(1, "key" + std::to_string(i));
  const std::size_t size = random_->Skewed(random_->OneIn(40)  ? 20 * kBlock
                                           : random_->OneIn(6) ? 4 * kBlock
                                                               : 800);
  const std::size_t before = batch.Bytes().size() + 8;  // about: the varints
  Add(batch.Put(0, "k", Data(size, before)).Bytes());
  *next += count;
}

void LogForger::TearOff(std::uint64_t next) {
  clean_end_ = false;
  if (log_.recycled && random_->OneIn(2)) {
    // As if the file had been used before: by an earlier log, for earlier sequences.
    LogText earlier(true, static_cast<std::uint32_t>(log_.number - 1));
    const std::uint64_t length = text_.Size() + random_->Skewed(4 * kBlock);
    for (std::uint64_t i = 0; earlier.Size() < length; ++i) {
      earlier.Add(BatchText(1 + i).Put(1, "k", random_->Noise(random_->Skewed(kBlock))).Bytes());
    }
    text_.Raw(earlier.Bytes().substr(text_.Size()));
    return;
  }
  if (random_->OneIn(2)) {
    LogText whole = text_;
    whole.Add(BatchText(next).Put(1, "k", random_->Noise(random_->Skewed(3 * kBlock))).Bytes());
    const std::uint64_t length = random_->Between(text_.Size(), whole.Size() - 1);
    // Zeroes behind it must not happen to be the rest.
    const bool rest_is_zeroes = whole.Bytes().find_first_not_of('\0', length) == std::string::npos;
    text_.Raw(whole.Bytes().substr(text_.Size(), length - text_.Size()));
    if (rest_is_zeroes) return;
  }
  if (random_->OneIn(2)) text_.Raw(std::string(random_->Skewed(5 * kBlock), '\0'));
}

ForgedLog LogForger::Finish() {
  log_.bytes = text_.Bytes();
  return std::move(log_);
}

std::vector<ForgedLog> ForgeOnce(Random* random, const ForgeOptions& options) {
  std::vector<ForgedLog> logs;
  std::uint64_t next = 1 + random->Skewed(std::uint64_t{1} << 40);
  std::uint64_t number = 1;
  bool hole_before = false;  // may the next log's first batch have one
  for (std::uint64_t files = 1 + random->Skewed(5); files > 0; --files) {
    number += 1 + random->Skewed(10);
    LogForger forger(number, random, options);
    if (random->OneIn(4)) forger.AddOthers();
    const std::uint64_t batches = random->OneIn(12) ? random->Below(2) : random->Between(1, 60);
    for (std::uint64_t i = 0; i < batches; ++i) {
      forger.AddBatch(&next, options.holes && (forger.Begun() || hole_before));
    }
    if (options.torn_ends && random->OneIn(3)) forger.TearOff(next);
    // Behind a torn end missing sequences would be damage, and not a hole.
    hole_before = forger.CleanEnd() && (forger.Begun() || hole_before);
    ForgedLog log = forger.Finish();
    log.archived = files > 1 && random->OneIn(2);
    if (options.given_up && !log.records.empty() && random->OneIn(6)) {
      next = log.records[random->Below(log.records.size())].header.first.Value();
      hole_before = false;
    }
    logs.push_back(std::move(log));
  }
  if (random->OneIn(5)) {  // the next log, not yet written to
    ForgedLog log;
    log.number = number + 1;
    if (options.torn_ends && random->OneIn(2)) log.bytes.assign(random->Skewed(70000), '\0');
    logs.push_back(std::move(log));
  }
  return logs;
}

// Whether the history begins and ends with batches of a count greater than 0, or with empty ones right beside
// them: an empty one behind a hole is an end that nothing was promised about.
bool EndsAreBatches(const std::vector<ForgedLog>& logs, const std::vector<ModelBatch>& history) {
  if (history.empty()) return false;
  Sequence limit(~std::uint64_t{0});
  Sequence oldest = limit;
  Sequence next;
  for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
    if (log->records.empty() || log->records.front().header.first >= limit) continue;
    for (const ForgedRecord& record : log->records) {
      if (record.header.first < limit) next = std::max(next, record.header.first + record.header.count);
    }
    limit = oldest = log->records.front().header.first;
  }
  return oldest == Sequence(history.front().first) && next == Sequence(history.back().End());
}

}  // namespace

fs::path ForgedLog::Path() const {
  std::string name = std::to_string(number);
  name.insert(0, 6 - std::min<std::size_t>(6, name.size()), '0');
  return fs::path("db") / (archived ? "archive" : "") / (name + ".log");
}

std::vector<ForgedLog> Forge(Random* random, const ForgeOptions& options) {
  for (;;) {
    std::vector<ForgedLog> logs = ForgeOnce(random, options);
    if (EndsAreBatches(logs, HistoryOf(logs, ""))) return logs;
  }
}

void WriteLogs(const std::vector<ForgedLog>& logs, const fs::path& directory) {
  fs::create_directories(directory / "db" / "archive");
  for (const ForgedLog& log : logs) {
    std::ofstream(directory / log.Path(), std::ios::binary | std::ios::trunc) << log.bytes;
  }
}

std::vector<ModelBatch> HistoryOf(const std::vector<ForgedLog>& logs, const fs::path& directory) {
  std::vector<ModelBatch> history;  // backwards
  std::uint64_t limit = ~std::uint64_t{0};
  for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
    if (log->records.empty() || log->records.front().header.first.Value() >= limit) continue;
    for (auto record = log->records.rbegin(); record != log->records.rend(); ++record) {
      if (record->header.count == 0 || record->header.first.Value() >= limit) continue;
      history.push_back({record->header.first.Value(), record->header.count, record->bytes, log->number,
                         (directory / log->Path()).string(), record->offset});
    }
    limit = log->records.front().header.first.Value();
  }
  std::reverse(history.begin(), history.end());
  return history;
}

std::string Describe(const std::vector<ForgedLog>& logs) {
  std::string text;
  for (const ForgedLog& log : logs) {
    text += log.Path().string() + ": " + std::to_string(log.bytes.size()) + " bytes" +
            (log.recycled ? ", recycled" : "") + (log.compressed ? ", compressed" : "") + "\n";
    for (const ForgedRecord& record : log.records) {
      text += "  [" + std::to_string(record.offset) + ", " + std::to_string(record.end) + "): sequence " +
              record.header.first.ToString() + ", count " + std::to_string(record.header.count) + "\n";
    }
  }
  return text;
}

}  // namespace walstitch::wal
