#include "agents/wal/wal_directory.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/records.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFar = std::uint64_t{1} << 60;

std::string PutBatch(const std::string& key, const std::string& value = "v") {
  return BatchText(0).Log("1").Put(1, MetadataKey("__namespace", key), MetadataValue(1, value)).Bytes();
}

// A batch of one Put whose bytes are exactly `size` long.
std::string BatchOfSize(std::size_t size) {
  for (std::size_t value = size - 40;; ++value) {
    std::string batch = BatchText(0).Put(1, "k", std::string(value, 'v')).Bytes();
    if (batch.size() >= size) return batch;
  }
}

Result<std::vector<std::string>> Read(WalSource& source, std::uint64_t from, std::uint64_t to = kFar) {
  std::vector<std::string> batches;
  Result<void> read = source.ForEachBatch({Sequence(from), Sequence(to)}, [&](const BatchView& batch) {
    batches.emplace_back(batch.bytes);
    return true;
  });
  if (!read) return Fail(read.error());
  return batches;
}

std::uint32_t CountOf(const std::string& batch) { return ParseBatchHeader(batch)->count; }
std::uint64_t FirstOf(const std::string& batch) { return ParseBatchHeader(batch)->first.Value(); }

// Batches of count 0 at the beginning and at the end are not given by the database, so they are left out
// on both sides.
std::vector<std::string> WithoutEmptyEnds(std::vector<std::string> batches) {
  while (!batches.empty() && CountOf(batches.back()) == 0) batches.pop_back();
  const auto begin =
      std::find_if(batches.begin(), batches.end(), [](const auto& b) { return CountOf(b) > 0; });
  batches.erase(batches.begin(), begin);
  return batches;
}

void ExpectSameAsDatabase(WalSource& wal, const TestDatabase& database) {
  auto read = Read(wal, 1);
  ASSERT_TRUE(read) << read.error().Message();
  const auto expected = WithoutEmptyEnds(database.UpdatesSince(1));
  const auto got = WithoutEmptyEnds(*read);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_TRUE(got[i] == expected[i]) << "batch " << i;
  auto extent = wal.Extent();
  ASSERT_TRUE(extent) << extent.error().Message();
  EXPECT_EQ(extent->oldest, Sequence(1));
  EXPECT_EQ(extent->last, Sequence(database.Latest()));
}

std::vector<fs::path> Logs(const fs::path& directory) {
  std::vector<fs::path> logs;
  for (const fs::path& part : {directory / "db", directory / "db" / "archive"}) {
    if (!fs::exists(part)) continue;
    for (const auto& entry : fs::directory_iterator(part)) {
      if (entry.path().extension() == ".log") logs.push_back(entry.path());
    }
  }
  std::sort(logs.begin(), logs.end(),
            [](const fs::path& a, const fs::path& b) { return a.filename() < b.filename(); });
  return logs;
}

void WriteFile(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void FlipByte(const fs::path& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ 0x55);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
}

// A data directory of forged logs, one batch of one record per sequence.
class ForgedTest : public ::testing::Test {
 protected:
  static std::string Batches(std::uint64_t first, std::uint64_t end) {
    LogText text;
    for (std::uint64_t sequence = first; sequence < end; ++sequence) text.Add(Batch(sequence));
    return text.Bytes();
  }
  static std::string Batch(std::uint64_t sequence) {
    return BatchText(sequence).Put(1, MetadataKey("ns", "key"), "value").Bytes();
  }
  void Live(const std::string& name, const std::string& bytes) {
    WriteFile(directory_.Path() / "db" / name, bytes);
  }
  void Archived(const std::string& name, const std::string& bytes) {
    WriteFile(directory_.Path() / "db" / "archive" / name, bytes);
  }
  std::size_t CountFrom(std::uint64_t from, std::uint64_t to = kFar) {
    auto read = Read(wal_, from, to);
    EXPECT_TRUE(read) << read.error().Message();
    return read ? read->size() : 0;
  }
  Error ErrorFrom(std::uint64_t from, std::uint64_t to = kFar) {
    auto read = Read(wal_, from, to);
    EXPECT_FALSE(read);
    return read ? Error(ErrorCode::kInvalid, "no error") : read.error();
  }

  TestDirectory directory_;
  WalDirectory wal_{directory_.Path().string()};
};

// --- on WALs that RocksDB wrote ---

class RealTest : public ::testing::TestWithParam<bool> {
 protected:
  TestDatabase::Options Options() const { return {.compress_wal = GetParam()}; }
  TestDirectory directory_;
  WalDirectory wal_{directory_.Path().string()};
};
INSTANTIATE_TEST_SUITE_P(Wal, RealTest, ::testing::Values(false, true),
                         [](const auto& parameter) { return parameter.param ? "Compressed" : "Plain"; });

TEST_P(RealTest, EverySizeAroundABlockIsRead) {
  TestDatabase database(directory_.Path(), Options());
  for (std::size_t size = 32740; size <= 32790; ++size) {
    database.Write(BatchOfSize(size));
    database.Write(PutBatch("small"));
  }
  ExpectSameAsDatabase(wal_, database);
}

TEST_P(RealTest, EveryPositionInABlockIsRead) {
  TestDatabase database(directory_.Path(), Options());
  // A pair fills a block but for one byte (two fragments of 32730 and a record of 16, three headers of 7),
  // so that each pair begins one byte further to the front.
  for (int i = 0; i < 60; ++i) {
    database.Write(BatchOfSize(32730));
    database.Write(BatchText(0).Delete(3, "k").Bytes());
  }
  ExpectSameAsDatabase(wal_, database);
}

TEST_P(RealTest, BigBatchesAreRead) {
  TestDatabase database(directory_.Path(), Options());
  for (const std::size_t size : {65536U, 100000U, 262144U, 300000U, 1048576U, 3000000U}) {
    std::string value(size, '\0');
    std::uint32_t state = static_cast<std::uint32_t>(size);
    for (char& c : value) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    database.Write(BatchText(0).Put(1, "k", value).Bytes());
    database.Write(BatchText(0).Put(1, "k", std::string(size, 'z')).Bytes());
  }
  ExpectSameAsDatabase(wal_, database);
}

TEST_P(RealTest, BatchesOfCountZeroTakeNoSequence) {
  TestDatabase database(directory_.Path(), Options());
  database.Write(BatchText(0).Log("5").Bytes());
  database.Write(PutBatch("a"));
  database.Write(BatchText(0).Log("5").Bytes());
  database.Write(BatchText(0).Log("2").Bytes());
  database.Write(PutBatch("b"));
  database.Write(BatchText(0).Log("2").Bytes());
  ExpectSameAsDatabase(wal_, database);
  auto all = Read(wal_, 1);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 6U);
  EXPECT_EQ(Read(wal_, 2, 3)->size(), 3U);  // two empty ones before it
  EXPECT_EQ(Read(wal_, 3)->size(), 1U);     // the empty one at the end
  auto listed = ListBatches(wal_, {Sequence(1), Sequence(kFar)}, 100);
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->size(), 2U);
  EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(2)), Sequence(2));
  EXPECT_EQ((*wal_.BatchHolding(Sequence(2)))->count, 1U);
}

TEST_P(RealTest, ConcurrentWritersShareBatches) {
  TestDatabase database(directory_.Path(), Options());
  std::vector<std::thread> writers;
  for (int w = 0; w < 6; ++w) {
    writers.emplace_back([&database, w] {
      for (int i = 0; i < 400; ++i) {
        database.Write(PutBatch("w" + std::to_string(w), std::string(static_cast<std::size_t>(i), 'x')));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  ExpectSameAsDatabase(wal_, database);
}

TEST_P(RealTest, RotatedAndArchivedLogsAreOneHistory) {
  TestDatabase database(directory_.Path(), Options());
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 30; ++i) database.Write(PutBatch("k" + std::to_string(i)));
    database.Flush();
  }
  database.Write(PutBatch("last"));
  ASSERT_TRUE(fs::exists(directory_.Path() / "db" / "archive"));
  ASSERT_GE(Logs(directory_.Path()).size(), 6U);
  ExpectSameAsDatabase(wal_, database);
  for (const std::uint64_t from : {1U, 30U, 31U, 100U, 180U, 181U}) {
    auto read = Read(wal_, from);
    ASSERT_TRUE(read);
    EXPECT_EQ(WithoutEmptyEnds(*read), WithoutEmptyEnds(database.UpdatesSince(from))) << from;
  }
}

TEST_P(RealTest, ADatabaseThatWasReopenedIsOneHistory) {
  for (int run = 0; run < 3; ++run) {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 20; ++i) database.Write(PutBatch("r" + std::to_string(run)));
    ExpectSameAsDatabase(wal_, database);
  }
}

TEST_P(RealTest, ADatabaseThatIsDeadIsRead) {
  std::vector<std::string> expected;
  {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 100; ++i) database.Write(PutBatch("k", std::string(1000, 'x')));
    expected = database.UpdatesSince(1);
  }
  auto read = Read(wal_, 1);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(*read, expected);
}

// Every cut of the newest log: what is before the cut is read, and nothing is called damage.
TEST_P(RealTest, ATornTailIsNotDamage) {
  {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 20; ++i) database.Write(PutBatch("key" + std::to_string(i), std::string(50, 'x')));
  }
  const fs::path log = Logs(directory_.Path()).back();
  const std::uint64_t size = fs::file_size(log);
  std::uint64_t last = 20;
  for (std::uint64_t length = size - 1; length > size / 2; --length) {
    fs::resize_file(log, length);
    auto read = Read(wal_, 1);
    ASSERT_TRUE(read) << length << ": " << read.error().Message();
    ASSERT_LE(read->size(), last);
    last = read->size();
    auto extent = wal_.Extent();
    ASSERT_TRUE(extent);
    ASSERT_EQ(extent->last, Sequence(last));
  }
  EXPECT_LT(last, 12U);
}

TEST_P(RealTest, TheLogAfterARecoveryGoesOnBehindTheTornTail) {
  {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 20; ++i) database.Write(PutBatch("key", std::string(50, 'x')));
  }
  const fs::path log = Logs(directory_.Path()).back();
  fs::resize_file(log, fs::file_size(log) - 5);
  TestDatabase database(directory_.Path(), Options());
  ASSERT_EQ(database.Latest(), 19U);
  database.Write(PutBatch("after"));
  // RocksDB begins a log after a recovery with a batch of count 0.
  auto listed = ListBatches(wal_, {Sequence(1), Sequence(kFar)}, 1000);
  ASSERT_TRUE(listed) << listed.error().Message();
  ASSERT_EQ(listed->size(), 20U);
  auto read = Read(wal_, 1);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_NE(read->back().find("after"), std::string::npos);
  EXPECT_EQ(wal_.Extent()->last, Sequence(20));
}

// RocksDB's point-in-time recovery stops at the damage; what stood behind it is history that never was.
TEST_P(RealTest, WhatARecoveryGaveUpIsNotPartOfTheHistory) {
  {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 40; ++i) database.Write(PutBatch("lost" + std::to_string(i), std::string(50, 'x')));
  }
  const fs::path log = Logs(directory_.Path()).back();
  FlipByte(log, fs::file_size(log) / 2);
  EXPECT_EQ(Read(wal_, 1).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(wal_.Extent().error().Code(), ErrorCode::kDamaged);

  TestDatabase database(directory_.Path(), Options());
  const std::uint64_t kept = database.Latest();
  ASSERT_LT(kept, 40U);
  database.Write(PutBatch("after"));
  auto listed = ListBatches(wal_, {Sequence(1), Sequence(kFar)}, 1000);
  ASSERT_TRUE(listed) << listed.error().Message();
  EXPECT_EQ(listed->size(), kept + 1);
  auto read = Read(wal_, 1);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_NE(read->back().find("after"), std::string::npos);
  EXPECT_EQ(wal_.Extent()->last, Sequence(kept + 1));
}

TEST_P(RealTest, DamageInTheMiddleIsSaidWithFileAndOffset) {
  {
    TestDatabase database(directory_.Path(), Options());
    for (int i = 0; i < 1000; ++i) database.Write(PutBatch("key" + std::to_string(i), std::string(50, 'x')));
  }
  const fs::path log = Logs(directory_.Path()).back();
  FlipByte(log, 40000);
  auto read = Read(wal_, 1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().Code(), ErrorCode::kDamaged);
  EXPECT_NE(read.error().Message().find(log.string() + ": offset "), std::string::npos)
      << read.error().Message();
  // What stands before it can be had.
  auto before = Read(wal_, 1, 50);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->size(), 49U);
}

TEST_P(RealTest, OnlyTheFilesThatTheRangeNeedsAreRead) {
  TestDatabase database(directory_.Path(), Options());
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 50; ++i) database.Write(PutBatch("k", std::string(200, 'x')));
    database.Flush();
  }
  database.Write(PutBatch("last"));
  const auto logs = Logs(directory_.Path());
  FlipByte(logs.front(), fs::file_size(logs.front()) / 2);
  EXPECT_EQ(Read(wal_, 1).error().Code(), ErrorCode::kDamaged);
  auto read = Read(wal_, 60);
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(read->size(), database.Latest() - 59);
}

// Bytes that do not compress: the log is as long as they are.
std::string Noise(std::size_t size, std::uint32_t state) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

TEST_P(RealTest, AReadThatBeginsInsideALogAnswersAsOneFromItsBeginning) {
  TestDatabase database(directory_.Path(), Options());
  for (int round = 0; round < 3; ++round) {
    // Several megabytes more each time, in records of many sizes, some of them of more than one sequence.
    for (std::uint32_t i = 0; i < 120; ++i) {
      BatchText batch(0);
      for (std::uint32_t j = 0; j <= i % 3; ++j) batch.Put(1, "k", Noise((i * 7919) % 60000, i + j));
      database.Write(batch.Bytes());
    }
    ExpectSameAsDatabase(wal_, database);
    const std::vector<std::string> all = Read(wal_, 1).value();
    for (std::uint64_t from = 1; from <= database.Latest(); from += 37) {
      std::vector<std::string> expected;
      Sequence boundary = Sequence(database.Latest() + 1);
      for (const std::string& bytes : all) {
        const BatchHeader header = ParseBatchHeader(bytes).value();
        if (header.first + header.count > Sequence(from) && header.first < Sequence(from + 5)) {
          expected.push_back(bytes);
        }
        if (header.first >= Sequence(from)) boundary = std::min(boundary, header.first);
      }
      auto got = Read(wal_, from, from + 5);
      ASSERT_TRUE(got && *got == expected) << from;
      ASSERT_EQ(wal_.BoundaryAtOrAfter(Sequence(from)).value(), boundary);
    }
    const std::uint64_t next = database.Latest() + 1;
    EXPECT_GT(CountOf(Read(wal_, next - 1)->back()), 0U);
    EXPECT_EQ(Read(wal_, next)->size(), 0U);
    EXPECT_EQ(Read(wal_, next + 1).error().Code(), ErrorCode::kNotFound);
  }
}

TEST_P(RealTest, WhatAnAnswerDoesNotNeedIsNotRead) {
  TestDatabase database(directory_.Path(), Options());
  for (std::uint32_t i = 0; i < 200; ++i) {
    database.Write(BatchText(0).Put(1, "k", Noise(50000, i)).Bytes());
  }
  // Whoever reads it would stumble here.
  FlipByte(Logs(directory_.Path()).back(), 3000000);
  EXPECT_EQ(wal_.Extent()->last, Sequence(200));
  EXPECT_LT(wal_.Cost().bytes, 500000U);
  EXPECT_EQ(Read(wal_, 190)->size(), 11U);
  ASSERT_TRUE(wal_.Locate(Sequence(100)).value());
  EXPECT_LT(wal_.Cost().bytes, 300000U);
  EXPECT_EQ(wal_.Cost().fallback, "");
  database.Write(PutBatch("after"));
  EXPECT_EQ(wal_.Extent()->last, Sequence(201));
}

TEST_P(RealTest, ALiveLogIsReadWhileItIsWritten) {
  constexpr std::uint64_t kBatches = 6000;
  TestDatabase database(directory_.Path(), Options());
  database.Write(PutBatch("first"));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i < kBatches; ++i) {
      database.Write(PutBatch("k" + std::to_string(i), std::string(i * 37 % 3000, 'x')));
      if (i % 1500 == 0) database.Flush();
    }
    done = true;
  });
  std::uint64_t next = 1;
  std::string problem;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (problem.empty() && next <= kBatches) {
    const bool was_done = done;
    Result<void> read = wal_.ForEachBatch({Sequence(next), Sequence(kFar)}, [&](const BatchView& batch) {
      if (batch.first.Value() != next || !DecodeBatch(batch.bytes, [](const BatchRecord&) { return true; })) {
        problem = "wrong batch at " + std::to_string(next);
        return false;
      }
      next = batch.End().Value();
      return true;
    });
    if (!read) problem = read.error().Message();
    if (Result<WalExtent> extent = wal_.Extent(); !extent) {
      problem = extent.error().Message();
    } else if (*extent->last + 1 < Sequence(next)) {
      problem = "the last went back";
    }
    if (was_done && problem.empty() && next <= kBatches) problem = "not all is there at the end";
    if (std::chrono::steady_clock::now() > deadline) problem = "too slow";
  }
  writer.join();
  EXPECT_EQ(problem, "");
  EXPECT_EQ(next, kBatches + 1);
}

TEST_P(RealTest, BoundariesAndHoldersInsideBatches) {
  TestDatabase database(directory_.Path(), Options());
  BatchText five(0);
  for (int i = 0; i < 5; ++i) five.Put(1, MetadataKey("ns", std::to_string(i)), MetadataValue(1));
  database.Write(PutBatch("one"));    // 1
  database.Write(five.Bytes());       // 2..6
  database.Write(PutBatch("seven"));  // 7
  EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(1)), Sequence(1));
  EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(2)), Sequence(2));
  for (std::uint64_t inside = 3; inside <= 7; ++inside) {
    EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(inside)), Sequence(7)) << inside;
  }
  EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(8)), Sequence(8));
  EXPECT_EQ(wal_.BoundaryAtOrAfter(Sequence(9)).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ((*wal_.BatchHolding(Sequence(4)))->first, Sequence(2));
  EXPECT_EQ((*wal_.BatchHolding(Sequence(6)))->count, 5U);
  EXPECT_EQ(*wal_.BatchHolding(Sequence(8)), std::nullopt);
  EXPECT_EQ(wal_.BatchHolding(Sequence(9)).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(wal_.BatchHolding(Sequence(0)).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(wal_.BatchHolding(Sequence(~std::uint64_t{0})).error().Code(), ErrorCode::kNotFound);
  auto part = ListBatches(wal_, {Sequence(3), Sequence(4)}, 10);
  ASSERT_TRUE(part);
  ASSERT_EQ(part->size(), 1U);
  EXPECT_EQ(part->front().first, Sequence(2));
  EXPECT_EQ(ListBatches(wal_, {Sequence(1), Sequence(8)}, 2)->size(), 2U);
}

// One database for all cases of a property: opening one costs more than all the rest.
class RandomTest : public ::testing::TestWithParam<bool> {
 protected:
  TestDirectory directory_;
  TestDatabase database_{directory_.Path(), {.compress_wal = GetParam()}};
  WalDirectory wal_{directory_.Path().string()};
};
INSTANTIATE_TEST_SUITE_P(Wal, RandomTest, ::testing::Values(false, true),
                         [](const auto& parameter) { return parameter.param ? "Compressed" : "Plain"; });

// Whatever is written in whatever pieces: file reader and database give the same batches.
TEST_P(RandomTest, RandomBatchesAreReadAsTheDatabaseReadsThem) {
  int cases = 0;
  const bool held = rc::check([&](const std::vector<std::vector<std::uint16_t>>& batches) {
    // Before the writes: with a compressed WAL, RocksDB 7.8's GetUpdatesSince finds nothing in an archived
    // log while the newest one has no batch yet.
    if (++cases % 10 == 0) database_.Flush();
    const std::uint64_t from = database_.Latest() + 1;
    database_.Write(PutBatch("first"));
    for (const auto& sizes : batches) {
      BatchText text(0);
      text.Log("2");
      for (const std::uint16_t any : sizes) {
        const std::size_t size = any % 100 == 0 ? any : any % 3000;  // few that cross blocks
        const std::string key = MetadataKey("ns", std::to_string(size));
        if (size % 3 == 0) {
          text.Delete(any % 7, key);
        } else {
          text.Put(any % 7, key, std::string(size, static_cast<char>(any)));
        }
      }
      database_.Write(text.Bytes());
    }
    auto read = Read(wal_, from);
    RC_ASSERT(read.has_value());
    RC_ASSERT(WithoutEmptyEnds(*read) == WithoutEmptyEnds(database_.UpdatesSince(from)));
    RC_ASSERT(wal_.Extent()->last == Sequence(database_.Latest()));
  });
  EXPECT_TRUE(held);
}

TEST(WalDirectoryRealTest, WritesWithoutWalAreAHole) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  WalDirectory wal(directory.Path().string());
  database.Write(PutBatch("one"));
  database.WriteWithoutWal(PutBatch("two"));
  database.Write(PutBatch("three"));
  auto read = Read(wal, 1);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().Code(), ErrorCode::kNotFound);
  EXPECT_NE(read.error().Message().find("[2, 3)"), std::string::npos) << read.error().Message();
  EXPECT_EQ(Read(wal, 1, 2)->size(), 1U);
  EXPECT_EQ(Read(wal, 3)->size(), 1U);
  EXPECT_EQ(Read(wal, 2).error().Code(), ErrorCode::kNotFound);
  auto extent = wal.Extent();
  ASSERT_TRUE(extent) << extent.error().Message();
  EXPECT_EQ(extent->last, Sequence(3));
}

// --- on forged logs ---

TEST_F(ForgedTest, ADirectoryWithoutADatabaseIsUnavailable) {
  EXPECT_EQ(wal_.Extent().error().Code(), ErrorCode::kUnavailable);
  EXPECT_EQ(wal_.CheckReadable().error().Code(), ErrorCode::kUnavailable);
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kUnavailable);
}

TEST_F(ForgedTest, AnEmptyWalHasNeitherOldestNorLast) {
  Live("000004.log", "");
  ASSERT_TRUE(wal_.CheckReadable());
  auto extent = wal_.Extent();
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->oldest, std::nullopt);
  EXPECT_EQ(extent->last, std::nullopt);
  EXPECT_EQ(extent->files, 1U);
  EXPECT_EQ(extent->source, "files");
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kNotFound);
}

TEST_F(ForgedTest, AWalOfOnlyEmptyBatchesHasALastBeforeItsOldest) {
  Live("000004.log", LogText().Add(BatchText(8).Log("2").Bytes()).Bytes());
  auto extent = wal_.Extent();
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->oldest, Sequence(8));
  EXPECT_EQ(extent->last, Sequence(7));
  EXPECT_EQ(*wal_.BoundaryAtOrAfter(Sequence(8)), Sequence(8));
}

TEST_F(ForgedTest, ExtentCountsFilesAndBytes) {
  Archived("000004.log", Batches(1, 10));
  Live("000009.log", Batches(10, 20));
  Live("000012.log", "");
  Live("LOG", "no wal");
  Live("000013.sst", "no wal");
  Live("x.log", "no wal");
  auto extent = wal_.Extent();
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->files, 3U);
  EXPECT_EQ(extent->bytes, Batches(1, 10).size() + Batches(10, 20).size());
  EXPECT_EQ(extent->oldest, Sequence(1));
  EXPECT_EQ(extent->last, Sequence(19));
}

TEST_F(ForgedTest, AnEmptyRangeVisitsNothingAnywhere) {
  Live("000004.log", Batches(5, 10));
  EXPECT_EQ(CountFrom(1, 1), 0U);
  EXPECT_EQ(CountFrom(50, 50), 0U);
}

TEST_F(ForgedTest, ARangeMayReachPastTheEndButNotBeginThere) {
  Live("000004.log", Batches(5, 10));
  EXPECT_EQ(CountFrom(9), 1U);
  EXPECT_EQ(CountFrom(10), 0U);  // next: nothing is there yet
  EXPECT_EQ(ErrorFrom(11).Code(), ErrorCode::kNotFound);
  const Error purged = ErrorFrom(4);
  EXPECT_EQ(purged.Code(), ErrorCode::kNotFound);
  EXPECT_NE(purged.Message().find("its oldest is 5"), std::string::npos) << purged.Message();
}

TEST_F(ForgedTest, AVisitorStops) {
  Live("000004.log", Batches(1, 10));
  int visited = 0;
  EXPECT_TRUE(wal_.ForEachBatch({Sequence(1), Sequence(9)}, [&](const BatchView&) { return ++visited < 3; }));
  EXPECT_EQ(visited, 3);
}

TEST_F(ForgedTest, ALogInBothPlacesCountsOnce) {
  Archived("000004.log", Batches(1, 10));
  Live("000004.log", Batches(1, 10));
  EXPECT_EQ(CountFrom(1), 9U);
  EXPECT_EQ(wal_.Extent()->files, 1U);
}

TEST_F(ForgedTest, LogsAreOrderedByNumberNotByName) {
  Archived("999999.log", Batches(1, 5));
  Live("1000002.log", Batches(5, 9));
  EXPECT_EQ(CountFrom(1), 8U);
}

TEST_F(ForgedTest, ATornTailInAnOlderLogIsNormalIfTheNextOneGoesOn) {
  Archived("000004.log", Batches(1, 10) + Batches(10, 11).substr(0, 20));
  Live("000009.log", Batches(10, 20));
  EXPECT_EQ(CountFrom(1), 19U);
  EXPECT_EQ(wal_.Extent()->last, Sequence(19));
}

TEST_F(ForgedTest, SequencesMissingBehindATornTailAreDamage) {
  Archived("000004.log", Batches(1, 10) + Batches(10, 11).substr(0, 20));
  Live("000009.log", Batches(12, 20));
  const Error error = ErrorFrom(1);
  EXPECT_EQ(error.Code(), ErrorCode::kDamaged);
  EXPECT_NE(error.Message().find("[10, 12)"), std::string::npos) << error.Message();
  EXPECT_EQ(CountFrom(1, 10), 9U);
  EXPECT_EQ(CountFrom(12), 8U);
  EXPECT_EQ(ErrorFrom(11).Code(), ErrorCode::kDamaged);
}

TEST_F(ForgedTest, AMissingLogIsAHole) {
  Archived("000004.log", Batches(1, 10));
  Live("000009.log", Batches(15, 20));
  const Error error = ErrorFrom(1);
  EXPECT_EQ(error.Code(), ErrorCode::kNotFound);
  EXPECT_NE(error.Message().find("[10, 15)"), std::string::npos) << error.Message();
  EXPECT_EQ(CountFrom(15), 5U);
  EXPECT_EQ(ErrorFrom(12).Code(), ErrorCode::kNotFound);
}

TEST_F(ForgedTest, DamageInAnOlderLogMattersOnlyIfItHidesSequences) {
  std::string damaged = Batches(1, 10);
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  Archived("000004.log", damaged);
  Live("000009.log", Batches(10, 20));
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kDamaged);
  EXPECT_EQ(CountFrom(10), 10U);
  EXPECT_EQ(wal_.Extent()->last, Sequence(19));
}

TEST_F(ForgedTest, ALogThatANewerOneRepeatsWasGivenUp) {
  Archived("000004.log", Batches(1, 10));
  Archived("000006.log", Batches(10, 15));
  Live("000009.log", Batches(10, 20));
  EXPECT_EQ(CountFrom(1), 19U);
}

TEST_F(ForgedTest, TheEndOfALogThatTheNextOneRepeatsWasGivenUp) {
  Archived("000004.log", Batches(1, 14));
  Live("000009.log", Batches(10, 20));
  EXPECT_EQ(CountFrom(1), 19U);
}

TEST_F(ForgedTest, ABatchThatReachesIntoTheNextLogIsDamage) {
  Archived("000004.log",
           LogText().Add(Batch(1)).Add(BatchText(2).Put(1, "a", "").Put(1, "b", "").Bytes()).Bytes());
  Live("000009.log", Batches(3, 9));
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kDamaged);
}

TEST_F(ForgedTest, SequencesThatGoBackInsideALogAreDamage) {
  Live("000004.log", LogText().Add(Batch(5)).Add(Batch(6)).Add(Batch(5)).Bytes());
  const Error error = ErrorFrom(5);
  EXPECT_EQ(error.Code(), ErrorCode::kDamaged);
  EXPECT_NE(error.Message().find("000004.log: offset "), std::string::npos);
}

TEST_F(ForgedTest, ARecordThatIsNoBatchIsDamage) {
  Live("000004.log", LogText().Add(Batch(5)).Add("short").Bytes());
  const Error error = ErrorFrom(5);
  EXPECT_EQ(error.Code(), ErrorCode::kDamaged);
  EXPECT_NE(error.Message().find("000004.log: offset "), std::string::npos) << error.Message();
}

TEST_F(ForgedTest, ALogThatBeginsWithDamageIsSaid) {
  Archived("000004.log", Batches(1, 10));
  std::string damaged = Batches(10, 20);
  damaged[9] = static_cast<char>(damaged[9] ^ 1);
  Live("000009.log", damaged);
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kDamaged);
  EXPECT_EQ(CountFrom(1, 10), 9U);
  EXPECT_EQ(wal_.Extent().error().Code(), ErrorCode::kDamaged);
}

TEST_F(ForgedTest, ALogThatIsOnlyATornTailIsAsIfItWereNotThere) {
  Archived("000004.log", Batches(1, 10));
  Live("000009.log", Batches(10, 11).substr(0, 9));
  EXPECT_EQ(CountFrom(1), 9U);
  EXPECT_EQ(wal_.Extent()->last, Sequence(9));
}

// --- damage in forged logs ---

// Many blocks, and a bad byte in the middle of them: what was damaged is told to whoever reads over it, and
// is in nobody's way who does not.
TEST_F(ForgedTest, ARangeOverDamageIsToldWhereAndARangeBesideItIsRead) {
  LogText text;
  std::vector<std::uint64_t> offsets = {0};
  for (std::uint64_t sequence = 1; sequence <= 300; ++sequence) {
    offsets.push_back(text.NextOffset());
    text.Add(BatchText(sequence).Put(1, "key", std::string(1000, 'v')).Bytes());
  }
  std::string bytes = text.Bytes();
  bytes[offsets[150] + 500] = 'X';
  Live("000004.log", bytes);
  const std::string path = (directory_.Path() / "db" / "000004.log").string();
  for (const std::uint64_t from : {1U, 100U, 149U, 150U}) {
    std::uint64_t reached = from;
    Result<void> read = wal_.ForEachBatch({Sequence(from), Sequence(300)}, [&](const BatchView& batch) {
      reached = batch.End().Value();
      return true;
    });
    ASSERT_FALSE(read) << from;
    EXPECT_EQ(read.error().Code(), ErrorCode::kDamaged);
    EXPECT_NE(read.error().Message().find(path + ": offset " + std::to_string(offsets[150]) + ": "),
              std::string::npos)
        << read.error().Message();
    EXPECT_EQ(reached, 150U) << "all that is before it is visited";
  }
  EXPECT_EQ(CountFrom(1, 150), 149U);
  EXPECT_EQ(CountFrom(250), 51U);
  EXPECT_EQ(wal_.Locate(Sequence(150)).error().Code(), ErrorCode::kDamaged);
  ASSERT_TRUE(wal_.Locate(Sequence(250)));
  EXPECT_EQ((*wal_.Locate(Sequence(250)))->header.first, Sequence(250));
}

// Each kind of damage, behind good batches and before others.
TEST_F(ForgedTest, EveryKindOfDamageInTheMiddleOfALogIsSaid) {
  const auto wrong_checksum = [] {
    std::string bytes = LogText().Add(Batch(3)).Bytes();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    return bytes;
  };
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"a wrong checksum", wrong_checksum()},
      {"zeroes", std::string(64, '\0')},
      {"a beginning without an end", LogText().AddPhysical(2, Batch(3)).Bytes()},
      {"an end without a beginning", LogText().AddPhysical(4, Batch(3)).Bytes()},
      {"a middle without a beginning", LogText().AddPhysical(3, Batch(3)).Bytes()},
      {"a type that nobody knows", LogText().AddPhysical(100, Batch(3)).Bytes()},
      {"a compression that comes late", LogText().AddPhysical(9, Fixed(7, 4)).Bytes()},
      {"a record that is no batch", LogText().Add("short").Bytes()},
      {"a sequence beyond all", LogText().Add(std::string(12, '\xff')).Bytes()},
      {"a sequence that was there before", LogText().Add(Batch(1)).Bytes()},
  };
  for (const auto& [kind, bytes] : kinds) {
    SCOPED_TRACE(kind);
    const std::uint64_t offset = Batches(1, 3).size();
    Live("000004.log", Batches(1, 3) + bytes + Batches(4, 9));
    WalDirectory fresh(directory_.Path().string());
    Result<std::vector<std::string>> read = Read(fresh, 1);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().Code(), ErrorCode::kDamaged);
    EXPECT_NE(read.error().Message().find("000004.log: offset " + std::to_string(offset)), std::string::npos)
        << read.error().Message();
    EXPECT_EQ(Read(fresh, 1, 3)->size(), 2U);
  }
}

TEST_F(ForgedTest, RecordsOfALaterVersionThatMayBeIgnoredAreNoDamage) {
  LogText text;
  text.AddPhysical(130, "about the log before").Add(Batch(1)).AddPhysical(200, "later").Add(Batch(2));
  Live("000004.log", text.AddPhysical(10, "sizes").Bytes());
  EXPECT_EQ(CountFrom(1), 2U);
  EXPECT_EQ(wal_.Extent()->last, Sequence(2));
}

// A batch's bytes are given as they stand; who decodes them is told.
TEST_F(ForgedTest, ABatchThatDoesNotDecodeIsDamageToWhoDecodesIt) {
  std::string wrong_count = BatchText(2).Put(1, MetadataKey("ns", "k"), "v").Bytes();
  wrong_count[8] = 2;
  const std::string unknown_tag = BatchText(2).Raw("\x7f", 2).Bytes();
  for (const std::string& bytes : {wrong_count, unknown_tag}) {
    Live("000004.log", LogText().Add(Batch(1)).Add(bytes).Add(Batch(4)).Bytes());
    WalDirectory fresh(directory_.Path().string());
    EXPECT_EQ(Read(fresh, 1)->size(), 3U);
    const SequenceRange all{Sequence(1), Sequence(5)};
    EXPECT_EQ(ListRecords(fresh, all, {}).error().Code(), ErrorCode::kDamaged);
    EXPECT_EQ(ListTouched(fresh, all, {}).error().Code(), ErrorCode::kDamaged);
    EXPECT_EQ(ListRecords(fresh, {Sequence(4), Sequence(5)}, {})->records.size(), 1U);
  }
}

// 1. The beginning of a log between two others rots. 2. It is left out of the history. 3. Its sequences look
// as if they had never been written, or were purged.
TEST_F(ForgedTest, ALogBetweenOthersThatBeginsWithDamageIsSaid) {
  Archived("000004.log", Batches(1, 10));
  std::string damaged = Batches(10, 20);
  damaged[9] = static_cast<char>(damaged[9] ^ 1);
  Archived("000006.log", damaged);
  Live("000009.log", Batches(20, 30));
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kDamaged);
  EXPECT_EQ(ErrorFrom(15).Code(), ErrorCode::kDamaged);
  EXPECT_EQ(wal_.Locate(Sequence(15)).error().Code(), ErrorCode::kDamaged);
  EXPECT_NE(ErrorFrom(15).Message().find("000006.log: offset 0: "), std::string::npos)
      << ErrorFrom(15).Message();
  EXPECT_EQ(CountFrom(1, 10), 9U);
  EXPECT_EQ(CountFrom(20), 10U);
}

TEST_F(ForgedTest, ALogBetweenOthersWhoseOnlyRecordIsTornIsDamage) {
  Archived("000004.log", Batches(1, 10));
  std::string damaged = Batches(10, 11);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  Archived("000006.log", damaged);
  Live("000009.log", Batches(11, 30));
  EXPECT_EQ(ErrorFrom(1).Code(), ErrorCode::kDamaged);
  EXPECT_EQ(wal_.Locate(Sequence(10)).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(CountFrom(1, 10), 9U);
  EXPECT_EQ(CountFrom(11), 19U);
}

TEST_F(ForgedTest, ALogMovesToTheArchiveBetweenCalls) {
  Live("000004.log", Batches(1, 10));
  Live("000009.log", Batches(10, 20));
  EXPECT_EQ(CountFrom(1), 19U);
  fs::create_directories(directory_.Path() / "db" / "archive");
  fs::rename(directory_.Path() / "db" / "000004.log", directory_.Path() / "db" / "archive" / "000004.log");
  EXPECT_EQ(CountFrom(1), 19U);
}

// Purged in the middle of a call: the visitor deletes the next file.
TEST_F(ForgedTest, ALogThatVanishesWhileTheRangeIsReadIsNotFound) {
  Live("000004.log", Batches(1, 10));
  Live("000009.log", Batches(10, 20));
  Result<void> read = wal_.ForEachBatch({Sequence(1), Sequence(kFar)}, [&](const BatchView&) {
    fs::remove(directory_.Path() / "db" / "000009.log");
    return true;
  });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().Code(), ErrorCode::kNotFound);
}

TEST_F(ForgedTest, ALogThatIsArchivedWhileTheRangeIsReadIsReadOn) {
  Live("000004.log", Batches(1, 10));
  Live("000009.log", Batches(10, 20));
  fs::create_directories(directory_.Path() / "db" / "archive");
  int visited = 0;
  Result<void> read = wal_.ForEachBatch({Sequence(1), Sequence(kFar)}, [&](const BatchView&) {
    if (++visited == 1) {
      for (const char* name : {"000004.log", "000009.log"}) {
        fs::rename(directory_.Path() / "db" / name, directory_.Path() / "db" / "archive" / name);
      }
    }
    return true;
  });
  ASSERT_TRUE(read) << read.error().Message();
  EXPECT_EQ(visited, 19);
}

// As after a full sync: db/ is another directory, its logs have the old numbers, perhaps the old inodes.
TEST_F(ForgedTest, AReplacedDatabaseIsSeenAsWhatItIs) {
  Live("000004.log", Batches(1, 10));
  EXPECT_EQ(CountFrom(1), 9U);
  Live("000004.log", Batches(500, 510));  // same number, same inode
  EXPECT_EQ(wal_.Extent()->oldest, Sequence(500));
  EXPECT_EQ(CountFrom(500), 10U);
  // Longer than a block, and read up to its end before.
  Live("000004.log", Batches(600, 60600));
  EXPECT_EQ(wal_.Extent()->last, Sequence(60599));
  Live("000004.log", Batches(700, 50700));
  EXPECT_EQ(wal_.Extent()->last, Sequence(50699));
  EXPECT_EQ(CountFrom(50000), 700U);
  fs::remove_all(directory_.Path() / "db");
  EXPECT_EQ(wal_.Extent().error().Code(), ErrorCode::kUnavailable);
  Live("000004.log", Batches(900, 910));
  EXPECT_EQ(wal_.Extent()->oldest, Sequence(900));
}

// Logs come, move and go as fast as they can while ranges are read. No answer may be wrong: a range that is
// there for good must be given whole.
TEST_F(ForgedTest, ReadingSurvivesRotationArchivingAndPurging) {
  const fs::path db = directory_.Path() / "db";
  fs::create_directories(db / "archive");
  const auto name = [](std::uint64_t n) { return std::to_string(100000 + n) + ".log"; };
  std::atomic<std::uint64_t> newest = 2;  // file n holds [10n, 10n + 10)
  for (std::uint64_t n = 0; n <= newest; ++n) Live(name(n), Batches(10 * n, 10 * n + 10));
  std::atomic<std::uint64_t> needed = 0;  // the oldest file that the reader wants
  std::atomic<bool> stop = false;
  std::thread churn([&] {
    for (std::uint64_t n = 3; n < 400 && !stop; ++n) {
      // Complete from the start: what is half written is another test's business.
      const fs::path ready = directory_.Path() / "ready";
      WriteFile(ready, Batches(10 * n, 10 * n + 10));
      fs::rename(ready, db / name(n));
      newest = n;
      fs::rename(db / name(n - 1), db / "archive" / name(n - 1));
      if (n > 20 && n - 20 < needed) fs::remove(db / "archive" / name(n - 20));
    }
    stop = true;
  });
  std::string problem;
  while (!stop && problem.empty()) {
    needed = newest.load() - 1;
    const std::uint64_t from = 10 * needed;
    auto read = Read(wal_, from, from + 20);
    if (!read) {
      problem = read.error().Message();
    } else if (read->size() != 20 || FirstOf(read->front()) != from) {
      problem = std::to_string(read->size()) + " batches from " + std::to_string(from);
    }
    auto extent = wal_.Extent();
    if (!extent) problem = extent.error().Message();
  }
  stop = true;
  churn.join();
  EXPECT_EQ(problem, "");
}

}  // namespace
}  // namespace walstitch::wal
