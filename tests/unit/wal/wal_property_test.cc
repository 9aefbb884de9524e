// Every answer of WalDirectory against RocksDB's own reading of the same WALs, on thousands of them.
//
// What RocksDB says is taken as it is: GetUpdatesSince gives the batches, WriteBatch::Handler their records.
// Only where a batch stands in its file RocksDB does not say; that comes from the plain reader of wal_text.h.
//
// One database writes many WALs, since opening one costs more than all the rest. Each is asked about while it
// is the newest one; afterwards logs are linked into fresh directories, as nodes have them whose oldest logs
// are purged, and whose newest one was torn by a crash or is filled up with zeroes.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/log_format.h"
#include "agents/wal/records.h"
#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/property.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_model.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kRunsPerDatabase = 100;
constexpr std::uint64_t kRunsPerHugeBatch = 250;
constexpr std::size_t kHugeBatch = 64U << 20;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ModelBatch ToModel(std::string bytes) {
  const Result<BatchHeader> header = ParseBatchHeader(bytes);
  ModelBatch batch;
  batch.first = header.value().first.Value();
  batch.count = header.value().count;
  batch.bytes = std::make_shared<const std::string>(std::move(bytes));
  return batch;
}

// --- what is written ---

std::string Value(Random* random, std::size_t size) {
  if (random->OneIn(2)) return random->Noise(size);
  return std::string(size, static_cast<char>(random->Below(256)));  // which compresses, or is all zeroes
}

std::string UserKey(Random* random) {
  const std::string key = "key:" + std::to_string(random->Skewed(100000));
  return random->OneIn(20) ? random->Noise(random->Skewed(300)) : key;
}

void AddRecord(BatchText* batch, Random* random, std::size_t value_bytes) {
  const auto family = static_cast<std::uint32_t>(random->Below(8));
  const std::string name_space = random->OneIn(8) ? "other" : "__namespace";
  std::string key;
  switch (family) {
    case kMetadataFamily:
      key = MetadataKey(name_space, UserKey(random));
      break;
    case kDefaultFamily:
    case kZsetScoreFamily:
    case kStreamFamily:
      key = SubkeyKey(name_space, UserKey(random), random->Below(1U << 20), UserKey(random));
      break;
    default:
      key = UserKey(random);
      break;
  }
  switch (random->Below(12)) {
    case 0:
    case 1:
      batch->Delete(family, key);
      return;
    case 2:
      if (random->OneIn(10)) {  // one is slow for every later read of the database
        batch->DeleteRange(family, key, key + "~");
        return;
      }
      [[fallthrough]];
    default:
      batch->Put(family, key,
                 family == kMetadataFamily
                     ? MetadataValue(static_cast<int>(random->Below(16)), Value(random, value_bytes))
                     : Value(random, value_bytes));
      return;
  }
}

// Of 1 to about 4 MiB, mostly small, of 0 to 10,000 records, mostly few.
std::string AnyBatch(Random* random) {
  BatchText batch(0);
  if (random->OneIn(12)) return batch.Log("2").Bytes();
  std::uint64_t records = random->OneIn(150) ? random->Between(1000, 10000) : 1 + random->Skewed(30);
  std::uint64_t bytes = random->Skewed(random->OneIn(300) ? 4U << 20 : random->OneIn(12) ? 100000 : 1500);
  while (records-- > 0) {
    if (random->OneIn(3)) batch.Log(std::to_string(random->Below(12)));
    const std::uint64_t share =
        records == 0 ? bytes : std::min(bytes, random->Below(2 * bytes / records + 1));
    AddRecord(&batch, random, share);
    bytes -= share;
  }
  if (random->OneIn(5)) batch.Log("r 0123456789ABCDEF");
  return batch.Bytes();
}

void WriteSome(TestDatabase* database, Random* random) {
  std::vector<std::vector<std::string>> batches(random->OneIn(10) ? random->Between(2, 4) : 1);
  for (auto& of_one_writer : batches) {
    for (std::uint64_t i = 1 + random->Skewed(60); i > 0; --i) of_one_writer.push_back(AnyBatch(random));
  }
  batches[0].push_back(BatchText(0).Put(1, "k", "v").Bytes());  // so that the WAL is not empty
  const auto write = [database](const std::vector<std::string>& of_one_writer) {
    for (const std::string& batch : of_one_writer) database->Write(batch);
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < batches.size(); ++i) others.emplace_back(write, std::cref(batches[i]));
  write(batches[0]);
  for (std::thread& other : others) other.join();
}

// --- what is asked ---

// As records.h tells them, worked out from RocksDB's own records.
struct Record {
  std::uint64_t sequence = 0;
  std::uint32_t column_family = 0;
  std::string operation;
  std::string key;
  std::uint64_t value_bytes = 0;
  bool operator==(const Record&) const = default;
};

std::string CheckRecords(WalDirectory& wal, const WalModel& model, std::uint64_t from, std::uint64_t to) {
  std::vector<Record> expected;
  for (const ModelBatch* batch = model.Holding(from); batch != nullptr && batch->first < to;
       batch = model.Holding(batch->End())) {
    std::uint64_t sequence = batch->first;
    for (const DatabaseRecord& record : TestDatabase::RecordsOf(*batch->bytes)) {
      if (record.operation == "LogData") continue;
      if (sequence >= from && sequence < to) {
        expected.push_back(
            {sequence, record.column_family, record.operation, record.key, record.value.size()});
      }
      ++sequence;
    }
    if (sequence != batch->End()) return "RocksDB counts the records of a batch otherwise";
  }
  Result<RecordList> got =
      ListRecords(wal, {Sequence(from), Sequence(to)}, {.max_records = expected.size() + 1});
  if (!got) return "records: " + got.error().Message();
  const std::vector<RecordInfo>& records = got->records;
  if (records.size() != expected.size()) return "records: " + std::to_string(records.size()) + " of them";
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const RecordInfo& info = records[i];
    const Record record{info.sequence.Value(), info.column_family, info.operation, info.key,
                        info.value_bytes};
    if (record != expected[i]) return "the record of sequence " + std::to_string(expected[i].sequence);
  }
  return "";
}

struct Answers {
  bool places = false;  // where a batch stands, and nothing else
};

std::string FirstWrong(WalDirectory& wal, const WalModel& model, Random* random, std::size_t questions,
                       Answers answers) {
  const auto questions_asked = model.Questions(random, questions);
  if (answers.places) {
    for (const std::uint64_t sequence : questions_asked) {
      if (std::string wrong = model.CheckPlace(wal, sequence); !wrong.empty()) return wrong;
    }
    return "";
  }
  if (std::string wrong = model.CheckExtent(wal); !wrong.empty()) return wrong;
  for (const std::uint64_t sequence : questions_asked) {
    std::string wrong;
    switch (random->Below(3)) {
      case 0:
        wrong = model.CheckBatchHolding(wal, sequence);
        break;
      case 1:
        wrong = model.CheckBoundary(wal, sequence);
        break;
      default:
        wrong = model.CheckLocate(wal, sequence);
        break;
    }
    if (!wrong.empty()) return wrong;
  }
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t from = random->Between(model.Oldest(), model.Next());
    const std::uint64_t to = from + random->Skewed(3000);
    if (std::string wrong = model.CheckRange(wal, from, to); !wrong.empty()) return wrong;
  }
  const std::uint64_t from = random->Between(model.Oldest(), model.Next() - 1);
  const std::uint64_t to = std::min(model.Next(), from + random->Skewed(200));
  return CheckRecords(wal, model, from, to);
}

// --- directories ---

struct Log {
  struct Entry {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
    BatchHeader header;
  };
  std::uint64_t number = 0;
  fs::path path;
  std::uint64_t size = 0;
  std::vector<Entry> entries;
};

Log ReadLog(std::uint64_t number, const fs::path& path) {
  const std::string bytes = ReadFile(path);
  Log log{number, path, bytes.size(), {}};
  for (const PlacedRecord& record : RecordsIn(bytes)) {
    log.entries.push_back({record.offset, record.end, ParseBatchHeader(record.bytes).value()});
  }
  return log;
}

std::vector<std::string> LogNamesIn(const fs::path& db) {
  std::set<std::string> names;
  for (const fs::path& part : {db, db / "archive"}) {
    if (!fs::exists(part)) continue;
    for (const auto& entry : fs::directory_iterator(part)) {
      if (entry.path().extension() == ".log") names.insert(entry.path().filename());
    }
  }
  return {names.begin(), names.end()};  // of six digits all: in order
}

// RocksDB moves a log to the archive when it likes: a link of our own stays where it is.
void LinkLog(const fs::path& db, const std::string& name, const fs::path& link) {
  std::error_code error;
  for (int attempt = 0; attempt < 100; ++attempt) {
    for (const fs::path& part : {db, db / "archive"}) {
      fs::create_hard_link(part / name, link, error);
      if (!error) return;
    }
  }
  throw fs::filesystem_error("cannot link a log", db / name, link, error);
}

// A node's data directory of these logs. Gives the sequence behind the last that it holds.
std::uint64_t MakeDirectory(const fs::path& directory, std::deque<Log>::const_iterator begin,
                            std::deque<Log>::const_iterator end, Random* random,
                            std::map<std::uint64_t, ModelBatch>* places) {
  const fs::path db = directory / "db";
  fs::create_directories(db / "archive");
  const auto live_from =
      begin + static_cast<std::ptrdiff_t>(random->Below(static_cast<std::uint64_t>(end - begin)));
  std::uint64_t next = 0;
  for (auto log = begin; log != end; ++log) {
    const fs::path path = (log < live_from ? db / "archive" : db) / log->path.filename();
    std::uint64_t size = log->size;
    const bool newest = log + 1 == end;
    if (newest && random->OneIn(2)) {
      std::string bytes = ReadFile(log->path);
      if (random->OneIn(2)) {
        size = random->Between(log->entries.front().end, bytes.size());
        bytes.resize(size);
      } else {
        bytes.append(random->Skewed(200000), '\0');
      }
      std::ofstream(path, std::ios::binary) << bytes;
    } else {
      fs::create_hard_link(log->path, path);
    }
    for (const Log::Entry& entry : log->entries) {
      if (entry.end > size) break;
      next = (entry.header.first + entry.header.count).Value();
      if (entry.header.count == 0) continue;
      ModelBatch& place = (*places)[entry.header.first.Value()];
      place.log_number = log->number;
      place.file = path.string();
      place.offset = entry.offset;
    }
  }
  return next;
}

// What the database held from the first of the logs on, and below `next`; nothing if that is no batch.
std::vector<ModelBatch> Part(const std::deque<ModelBatch>& history, std::uint64_t next,
                             const std::map<std::uint64_t, ModelBatch>& places) {
  std::vector<ModelBatch> part;
  for (const ModelBatch& batch : history) {
    const auto place = places.find(batch.first);
    if (place == places.end() || batch.End() > next) continue;
    part.push_back(batch);
    part.back().log_number = place->second.log_number;
    part.back().file = place->second.file;
    part.back().offset = place->second.offset;
  }
  return part;
}

class WalPropertyTest : public ::testing::TestWithParam<bool> {
 protected:
  void Run(Answers answers, std::uint64_t runs);
  std::string RunOnce(std::uint64_t seed, Answers answers);

 private:
  void OpenAnother();
  std::string TakeOver(std::uint64_t from);
  std::string AskOfADirectory(Random* random, Answers answers);

  std::unique_ptr<TestDirectory> directory_;
  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<WalDirectory> wal_;
  std::deque<ModelBatch> history_;
  std::deque<Log> logs_;  // the last ones that are closed
  std::uint64_t bytes_ = 0;
  std::unique_ptr<TestDirectory> derived_;
};
INSTANTIATE_TEST_SUITE_P(Wal, WalPropertyTest, ::testing::Values(false, true),
                         [](const auto& parameter) { return parameter.param ? "Compressed" : "Plain"; });

void WalPropertyTest::OpenAnother() {
  database_.reset();
  directory_ = std::make_unique<TestDirectory>();
  database_ =
      std::make_unique<TestDatabase>(directory_->Path(), TestDatabase::Options{.compress_wal = GetParam()});
  wal_ = std::make_unique<WalDirectory>(directory_->Path().string());
  history_.clear();
  logs_.clear();
  bytes_ = 0;
}

// Adds what was written since to the history: as RocksDB gives it, and compared with what the directory
// gives, batches of count 0 between others included.
std::string WalPropertyTest::TakeOver(std::uint64_t from) {
  const std::vector<std::string> updates = database_->UpdatesSince(from);
  auto expected = updates.begin();
  while (expected != updates.end() && ToModel(*expected).count == 0) ++expected;
  std::string wrong;
  bool begun = false;
  Result<void> read =
      wal_->ForEachBatch({Sequence(from), Sequence(kMaxSequence)}, [&](const BatchView& batch) {
        begun = begun || batch.count > 0;
        if (!begun) return true;  // RocksDB does not give these
        if (expected == updates.end() && batch.count == 0) return true;
        if (expected == updates.end() || batch.bytes != *expected) {
          wrong = "the batch at sequence " + batch.first.ToString() + " is not RocksDB's";
          return false;
        }
        ++expected;
        return true;
      });
  if (!read) return "since " + std::to_string(from) + ": " + read.error().Message();
  if (!wrong.empty()) return wrong;
  if (expected != updates.end()) return "the end comes before " + std::to_string(ToModel(*expected).first);
  for (const std::string& bytes : updates) {
    bytes_ += bytes.size();
    if (ModelBatch batch = ToModel(bytes); batch.count > 0) history_.push_back(std::move(batch));
  }
  return "";
}

std::string WalPropertyTest::AskOfADirectory(Random* random, Answers answers) {
  const auto end =
      logs_.end() - static_cast<std::ptrdiff_t>(random->Below(std::min<std::size_t>(2, logs_.size())));
  const auto begin =
      end - static_cast<std::ptrdiff_t>(random->Between(
                1, std::min<std::uint64_t>(6, static_cast<std::uint64_t>(end - logs_.begin()))));
  derived_ = std::make_unique<TestDirectory>();
  std::map<std::uint64_t, ModelBatch> places;
  const std::uint64_t next = MakeDirectory(derived_->Path(), begin, end, random, &places);
  std::vector<ModelBatch> part = Part(history_, next, places);
  if (part.empty()) return "";  // only batches of count 0 are left
  const WalModel model(std::move(part));
  if (model.Batches().size() != places.size()) return "RocksDB gives other batches than stand in its files";
  WalDirectory wal(derived_->Path().string());
  return FirstWrong(wal, model, random, 16, answers);
}

std::string WalPropertyTest::RunOnce(std::uint64_t seed, Answers answers) {
  Random random(seed);
  if (!database_ || random.OneIn(kRunsPerDatabase) || bytes_ > (192U << 20)) OpenAnother();
  const std::uint64_t from = database_->Latest() + 1;
  WriteSome(database_.get(), &random);
  if (random.OneIn(kRunsPerHugeBatch)) {
    database_->Write(BatchText(0).Put(1, "k", Value(&random, kHugeBatch - 32)).Bytes());
    database_->Write(BatchText(0).Put(1, "k", "v").Bytes());
  }
  if (std::string wrong = TakeOver(from); !wrong.empty()) return wrong;
  if (!answers.places) {
    const WalModel model(std::vector<ModelBatch>(history_.begin(), history_.end()));
    if (std::string wrong = FirstWrong(*wal_, model, &random, 14, answers); !wrong.empty()) {
      return "live: " + wrong;
    }
  }
  if (random.OneIn(4)) return "";  // the next run's batches go into the same log
  database_->Flush();
  for (const std::string& name : LogNamesIn(directory_->Path() / "db")) {
    const std::uint64_t number = std::stoull(name);
    if (!logs_.empty() && number <= logs_.back().number) continue;
    const fs::path link = directory_->Path() / name;
    LinkLog(directory_->Path() / "db", name, link);
    Log log = ReadLog(number, link);
    if (log.entries.empty()) {  // the one that comes next
      fs::remove(link);
    } else {
      logs_.push_back(std::move(log));
    }
  }
  while (logs_.size() > 8) logs_.pop_front();
  if (logs_.empty()) return "";
  for (int i = 0; i < 2; ++i) {
    if (std::string wrong = AskOfADirectory(&random, answers); !wrong.empty()) return wrong;
  }
  return "";
}

void WalPropertyTest::Run(Answers answers, std::uint64_t runs) {
  for (std::uint64_t seed = PropertySeed(); runs > 0; --runs, ++seed) {
    const std::string wrong = RunOnce(seed, answers);
    if (wrong.empty()) continue;
    std::string kept = directory_->Path().string();
    directory_->Keep();
    if (derived_) {
      derived_->Keep();
      kept += " and " + derived_->Path().string();
    }
    FAIL() << wrong << "\nseed " << seed << ": " << Again(seed) << "\nkept: " << kept;
  }
}

TEST_P(WalPropertyTest, EveryAnswerIsAsRocksDbHasIt) { Run({}, PropertyRuns(250)); }

TEST_P(WalPropertyTest, BatchesStandWhereTheyAreSaidToStand) { Run({.places = true}, PropertyRuns(80)); }

}  // namespace
}  // namespace walstitch::wal
