// WalDirectory against brute force, on forged directories (forged_wal.h): every sequence is found where it
// was put; bytes that rot, are lost, or are not written yet never lead to another place.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "agents/wal/log_format.h"
#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/forged_wal.h"
#include "tests/unit/wal/property.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_model.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

// Runs `property` with a directory and a random source of its own for each seed; it gives what is wrong.
template <typename Property>
void ForAllSeeds(std::uint64_t runs, const Property& property) {
  for (std::uint64_t seed = PropertySeed(); runs > 0; --runs, ++seed) {
    TestDirectory directory;
    Random random(seed);
    std::vector<ForgedLog> logs;
    const std::string wrong = property(&random, directory.Path(), &logs);
    if (wrong.empty()) continue;
    directory.Keep();
    FAIL() << wrong << "\nseed " << seed << ": " << Again(seed) << "\nkept: " << directory.Path().string()
           << "\n"
           << Describe(logs);
  }
}

// --- good logs ---

void EverySequenceIsFound(std::uint64_t runs) {
  ForAllSeeds(runs, [&](Random* random, const fs::path& directory, std::vector<ForgedLog>* logs) {
    *logs = Forge(random, {});
    WriteLogs(*logs, directory);
    const WalModel model(HistoryOf(*logs, directory));
    std::vector<std::uint64_t> questions = model.Questions(random, 40);
    if (model.Next() - model.Oldest() < 400) {
      for (std::uint64_t s = model.Oldest(); s < model.Next(); ++s) questions.push_back(s);
    }
    // One that remembers, in whatever order it is asked; and fresh ones, which know nothing yet.
    WalDirectory used(directory.string());
    std::string wrong;
    for (const std::uint64_t sequence : questions) {
      if (wrong = model.CheckPlace(used, sequence); !wrong.empty()) return "used: " + wrong;
      if (!random->OneIn(4)) continue;
      WalDirectory fresh(directory.string());
      if (wrong = model.CheckPlace(fresh, sequence); !wrong.empty()) return "fresh: " + wrong;
    }
    return wrong;
  });
}

TEST(LocatePropertyTest, EverySequenceOfAForgedWalIsFoundAtItsOffset) {
  EverySequenceIsFound(PropertyRuns(200));
}

TEST(LocatePropertyTest, EveryOtherAnswerOnAForgedWalIsRight) {
  ForAllSeeds(PropertyRuns(200), [](Random* random, const fs::path& directory, std::vector<ForgedLog>* logs) {
    *logs = Forge(random, {});
    WriteLogs(*logs, directory);
    const WalModel model(HistoryOf(*logs, directory));
    WalDirectory wal(directory.string());
    std::string wrong = model.CheckExtent(wal);
    for (const std::uint64_t sequence : model.Questions(random, 30)) {
      if (wrong.empty()) wrong = model.CheckBatchHolding(wal, sequence);
      if (wrong.empty()) wrong = model.CheckBoundary(wal, sequence);
    }
    for (int i = 0; i < 20 && wrong.empty(); ++i) {
      const std::uint64_t from = random->Between(model.Oldest() - 1, model.Next() + 1);
      wrong = model.CheckRange(wal, from, from + random->Skewed(1000));
    }
    return wrong;
  });
}

TEST(LocatePropertyTest, ASequenceBeyondRocksDbsIsNotFound) {
  TestDirectory directory;
  Random random(1);
  WriteLogs(Forge(&random, {}), directory.Path());
  WalDirectory wal(directory.Path().string());
  for (const std::uint64_t beyond : {kMaxSequence + 1, ~std::uint64_t{0} - 1, ~std::uint64_t{0}}) {
    Result<std::optional<BatchPlace>> place = wal.Locate(Sequence(beyond));
    ASSERT_FALSE(place) << beyond;
    EXPECT_EQ(place.error().Code(), ErrorCode::kNotFound) << beyond;
  }
}

// --- logs that grow ---

// Makes the file what `bytes` say, without making a new one of it.
void Overwrite(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::app).flush();  // it is there
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out) << bytes;
  fs::resize_file(path, bytes.size());
}

// The log as it stood when `size` bytes of it were written, and more allocated in advance.
ForgedLog Beginning(const ForgedLog& log, std::size_t size, std::size_t allocated) {
  ForgedLog part = log;
  part.bytes.resize(size);
  part.bytes.append(allocated, '\0');
  // Of a record that ends with zeroes, nothing may be missing.
  const auto same = std::mismatch(part.bytes.begin(), part.bytes.end(), log.bytes.begin(), log.bytes.end());
  const auto written = static_cast<std::uint64_t>(same.first - part.bytes.begin());
  std::erase_if(part.records, [&](const ForgedRecord& record) { return record.end > written; });
  return part;
}

void AGrowingWal(std::uint64_t runs) {
  ForAllSeeds(runs, [&](Random* random, const fs::path& directory, std::vector<ForgedLog>* logs) {
    const std::vector<ForgedLog> all =
        Forge(random, {.holes = false, .given_up = false, .torn_ends = false, .mimicry = false});
    WriteLogs({}, directory);
    WalDirectory wal(directory.string());
    for (const ForgedLog& log : all) {
      logs->push_back({});
      for (std::size_t size = 0;;) {
        logs->back() = Beginning(log, size, random->OneIn(3) ? random->Skewed(50000) : 0);
        logs->back().archived = false;
        Overwrite(directory / logs->back().Path(), logs->back().bytes);
        const WalModel model(HistoryOf(*logs, directory));
        if (!model.Batches().empty()) {
          if (std::string wrong = model.CheckExtent(wal); !wrong.empty()) return wrong;
          for (int i = 0; i < 4; ++i) {
            const std::uint64_t sequence = random->OneIn(2) ? model.Next() - random->Below(3)
                                                            : random->Between(model.Oldest(), model.Next());
            if (std::string wrong = model.CheckPlace(wal, sequence); !wrong.empty()) return wrong;
          }
        }
        if (size == log.bytes.size()) break;
        // What counted once is not taken back.
        if (!logs->back().records.empty())
          size = std::max<std::size_t>(size, logs->back().records.back().end);
        size = std::min<std::size_t>(log.bytes.size(), size + 1 + random->Skewed(log.bytes.size() / 4));
      }
      // It is done: what was allocated in advance is cut off, and it may move, or an older one be purged.
      logs->back() = Beginning(log, log.bytes.size(), 0);
      logs->back().archived = false;
      Overwrite(directory / logs->back().Path(), logs->back().bytes);
      ForgedLog& any = (*logs)[random->Below(logs->size())];
      if (random->OneIn(2) && !any.archived) {
        const fs::path before = directory / any.Path();
        any.archived = true;
        fs::rename(before, directory / any.Path());
      }
      if (logs->size() > 2 && random->OneIn(3)) {
        fs::remove(directory / logs->front().Path());
        logs->erase(logs->begin());
      }
    }
    return std::string();
  });
}

TEST(LocatePropertyTest, AGrowingWalIsLocatedAsItStands) { AGrowingWal(PropertyRuns(60)); }

// --- logs that rot ---

// Bytes [from, to) of a log are not what was written.
struct Scar {
  std::size_t log = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

// The sequences that may be missing without a word of damage: what was torn off cannot be told from what was
// never written. Empty: none.
SequenceRange MayBeTornOff(const std::vector<ForgedLog>& logs, const Scar& scar, const WalModel& model) {
  const ForgedLog& log = logs[scar.log];
  const auto hurt = std::find_if(log.records.begin(), log.records.end(),
                                 [&](const ForgedRecord& record) { return record.end > scar.from; });
  if (hurt == log.records.end()) return {};
  const bool newest = std::all_of(logs.begin() + static_cast<std::ptrdiff_t>(scar.log) + 1, logs.end(),
                                  [](const ForgedLog& later) { return later.records.empty(); });
  // From the end of the batch before on: there may have been a hole.
  Sequence from = hurt->header.first;
  for (const ModelBatch& batch : model.Batches()) {
    if (batch.End() <= hurt->header.first.Value()) from = Sequence(batch.End());
  }
  const SequenceRange rest{from, newest ? Sequence(model.Next())
                                        : log.records.back().header.first + log.records.back().header.count};
  // The oldest or the newest log whose beginning nobody can read may be as if it were not there.
  if (hurt == log.records.begin() && (scar.log == 0 || newest)) return rest;
  // Behind the scar nothing good stands, or, in a recycled log, what may be from its earlier use. The next
  // log shows what is missing.
  const bool torn = hurt + 1 == log.records.end() || scar.to >= log.records.back().end || log.recycled;
  return newest && torn ? rest : SequenceRange{};
}

// What a scar may lead to, besides the right answer and damage.
enum class Scarred {
  kFlipped,  // nothing
  kLost,     // not found: zeroes to the end of a block are a way to begin with the next one
};

std::string CheckScarred(const Result<std::optional<BatchPlace>>& got, std::uint64_t sequence,
                         const WalModel& model, SequenceRange torn, Scarred scarred) {
  const std::string question = "place of " + std::to_string(sequence) + ": ";
  if (!got && got.error().Code() == ErrorCode::kDamaged) return "";
  const ModelBatch* batch = model.Holding(sequence);
  const bool may_be_gone = sequence >= torn.from.Value() && sequence <= torn.to.Value() && !torn.Empty();
  if (!got) {
    const bool right = scarred == Scarred::kLost || (batch == nullptr && sequence != model.Next());
    if (got.error().Code() == ErrorCode::kNotFound && (right || may_be_gone)) return "";
    return question + got.error().Message();
  }
  if (!*got) {
    const bool right = sequence == model.Next() ||
                       (may_be_gone && sequence == torn.from.Value() && torn.to == Sequence(model.Next()));
    return right ? "" : question + "next";
  }
  if (batch == nullptr) return question + "sequence " + (**got).header.first.ToString();
  return ComparePlace(**got, *batch);
}

// The last sequence: right, or damage, or the last one before what may be torn off.
std::string CheckScarredExtent(const Result<WalExtent>& got, const WalModel& model, SequenceRange torn) {
  if (!got) return got.error().Code() == ErrorCode::kDamaged ? "" : "extent: " + got.error().Message();
  if (got->last == Sequence(model.Next() - 1)) return "";
  const bool rest = torn.to == Sequence(model.Next());
  if (!torn.Empty() && rest && (!got->last || *got->last + 1 == torn.from)) return "";
  return "extent: last " + (got->last ? got->last->ToString() : "none");
}

// `hurt` changes bytes of the log that it is given, in place, and says where.
template <typename Hurt>
void AScarredWal(std::uint64_t runs, int scars, Scarred scarred, const Hurt& hurt) {
  ForAllSeeds(runs, [&](Random* random, const fs::path& directory, std::vector<ForgedLog>* logs) {
    // A log that a recovery gave up comes back to life if the beginning of its successor rots: a case for
    // people.
    *logs = Forge(random, {.given_up = false});
    WriteLogs(*logs, directory);
    const WalModel model(HistoryOf(*logs, directory));
    for (int i = 0; i < scars; ++i) {
      Scar scar;
      scar.log = random->Below(logs->size());
      const ForgedLog& log = (*logs)[scar.log];
      if (log.bytes.empty()) continue;
      std::string bytes = log.bytes;
      hurt(random, log, &bytes, &scar);
      Overwrite(directory / log.Path(), bytes);
      const SequenceRange torn = MayBeTornOff(*logs, scar, model);
      std::vector<std::uint64_t> questions = {model.Next(), model.Next() - 1};
      // What stands around the scar, and anything.
      const auto near = std::find_if(log.records.begin(), log.records.end(),
                                     [&](const ForgedRecord& record) { return record.end > scar.from; });
      if (near != log.records.end()) {
        questions.push_back(near->header.first.Value());
        questions.push_back((near->header.first + near->header.count).Value());
        if (near != log.records.begin()) questions.push_back((near - 1)->header.first.Value());
      }
      for (int more = 0; more < 3; ++more) {
        questions.push_back(random->Between(model.Oldest(), model.Next() + 1));
      }
      std::optional<WalDirectory> wal(directory.string());
      std::string wrong = CheckScarredExtent(wal->Extent(), model, torn);
      for (const std::uint64_t sequence : questions) {
        if (!wrong.empty()) break;
        if (random->OneIn(2)) wal.emplace(directory.string());
        wrong = CheckScarred(wal->Locate(Sequence(sequence)), sequence, model, torn, scarred);
      }
      if (!wrong.empty()) {
        return wrong + "\nbytes [" + std::to_string(scar.from) + ", " + std::to_string(scar.to) + ") of " +
               log.Path().string();
      }
      Overwrite(directory / log.Path(), log.bytes);
    }
    return std::string();
  });
}

// One bit, or a few bytes: at any place, or in a header, where it matters most.
void Flip(Random* random, const ForgedLog& log, std::string* bytes, Scar* scar) {
  switch (random->Below(3)) {
    case 0:
      scar->from = random->Below(bytes->size());
      break;
    case 1:
      scar->from = random->Below(bytes->size()) / kBlockSize * kBlockSize + random->Below(12);
      break;
    default:
      if (!log.records.empty()) {
        scar->from = log.records[random->Below(log.records.size())].offset + random->Below(24);
      }
      break;
  }
  scar->from = std::min<std::uint64_t>(scar->from, bytes->size() - 1);
  scar->to =
      std::min<std::uint64_t>(bytes->size(), scar->from + 1 + (random->OneIn(3) ? random->Below(4) : 0));
  for (std::uint64_t at = scar->from; at < scar->to; ++at) {
    (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1U << random->Below(8)));
  }
}

// Sectors that never reached the disk.
void Lose(Random* random, const ForgedLog&, std::string* bytes, Scar* scar) {
  scar->from = random->Below(bytes->size()) / 512 * 512;
  scar->to = std::min<std::uint64_t>(bytes->size(), scar->from + 512 * (1 + random->Skewed(200)));
  std::fill(bytes->begin() + static_cast<std::ptrdiff_t>(scar->from),
            bytes->begin() + static_cast<std::ptrdiff_t>(scar->to), '\0');
}

TEST(LocatePropertyTest, AFlippedBitNeverLeadsToAnotherBatch) {
  AScarredWal(PropertyRuns(100), 25, Scarred::kFlipped, Flip);
}

TEST(LocatePropertyTest, ALostWriteNeverLeadsToAnotherBatch) {
  AScarredWal(PropertyRuns(60), 15, Scarred::kLost, Lose);
}

}  // namespace
}  // namespace walstitch::wal
