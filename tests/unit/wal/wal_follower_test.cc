#include "agents/wal/wal_follower.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <fstream>
#include <thread>

#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kPatience = seconds(20);

std::string PutBatch(const std::string& value) { return BatchText(0).Put(1, "key", value).Bytes(); }

std::string ForgedBatches(std::uint64_t first, std::uint64_t end, const std::string& value = "value") {
  LogText text;
  for (std::uint64_t sequence = first; sequence < end; ++sequence) {
    text.Add(BatchText(sequence).Put(1, "key", value).Bytes());
  }
  return text.Bytes();
}

class WalFollowerTest : public ::testing::Test {
 protected:
  std::string Directory() const { return directory_.Path().string(); }
  fs::path Db() const { return directory_.Path() / "db"; }
  void WriteLog(const fs::path& path, const std::string& bytes, std::ios::openmode mode = std::ios::trunc) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | mode) << bytes;
  }
  // What one look visits.
  Result<std::vector<std::uint64_t>> Look(WalFollower& follower) {
    std::vector<std::uint64_t> sequences;
    Result<Sequence> next = follower.Poll([&](const BatchView& batch) {
      sequences.push_back(batch.first.Value());
      return true;
    });
    if (!next) return Fail(next.error());
    return sequences;
  }
  using Sequences = std::vector<std::uint64_t>;

  TestDirectory directory_;
};

TEST_F(WalFollowerTest, EveryBatchOfALiveDatabaseIsVisitedOnceThroughRotationAndArchiving) {
  TestDatabase database(directory_.Path());
  constexpr std::uint64_t kBatches = 4000;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= kBatches; ++i) {
      database.Write(PutBatch(std::string(i % 5 * 1000, 'v')));
      if (i % 500 == 0) database.Flush();
    }
  });
  WalFollower follower(Directory(), Sequence(1));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::vector<std::string> visited;
  std::string problem;
  while (visited.size() < kBatches && problem.empty() && std::chrono::steady_clock::now() < deadline) {
    Result<Sequence> next = follower.Poll([&](const BatchView& batch) {
      visited.emplace_back(batch.bytes);
      return true;
    });
    if (!next) problem = next.error().Message();
    if (visited.size() < kBatches) follower.Wait(seconds(1));
  }
  writer.join();
  EXPECT_EQ(problem, "");
  EXPECT_EQ(follower.NotWatching(), "");
  EXPECT_TRUE(visited == database.UpdatesSince(1));
}

TEST_F(WalFollowerTest, AWaitEndsWhenSomethingIsWritten) {
  TestDatabase database(directory_.Path());
  database.Write(PutBatch("a"));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_EQ(Look(follower).value(), (Sequences{1}));
  std::thread writer([&] { database.Write(PutBatch("b")); });
  follower.Wait(kPatience);
  writer.join();
  EXPECT_EQ(Look(follower).value(), (Sequences{2}));
}

TEST_F(WalFollowerTest, WhileNothingIsWrittenItsDescriptorIsQuiet) {
  TestDatabase database(directory_.Path());
  database.Write(PutBatch("a"));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_TRUE(Look(follower));
  ASSERT_TRUE(Look(follower));
  pollfd descriptor{follower.Descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&descriptor, 1, 0), 0);
  database.Write(PutBatch("b"));
  EXPECT_EQ(::poll(&descriptor, 1, static_cast<int>(kPatience.count())), 1);
}

TEST_F(WalFollowerTest, AVisitorThatStopsGoesOnBehindItsBatch) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 6));
  WalFollower follower(Directory(), Sequence(2));
  EXPECT_EQ(follower.Poll([](const BatchView& batch) { return batch.first < Sequence(3); }), Sequence(4));
  EXPECT_EQ(Look(follower).value(), (Sequences{4, 5}));
}

TEST_F(WalFollowerTest, ARecordThatIsBeingWrittenIsVisitedWhenItIsWhole) {
  const std::string all = ForgedBatches(1, 3, std::string(40000, 'v'));
  const std::string one = ForgedBatches(1, 2, std::string(40000, 'v'));
  WriteLog(Db() / "000004.log", all.substr(0, one.size() + 20000));
  WalFollower follower(Directory(), Sequence(1));
  EXPECT_EQ(Look(follower).value(), (Sequences{1}));
  EXPECT_EQ(Look(follower).value(), (Sequences{}));
  WriteLog(Db() / "000004.log", all.substr(one.size() + 20000), std::ios::app);
  EXPECT_EQ(Look(follower).value(), (Sequences{2}));
}

TEST_F(WalFollowerTest, PurgingWhatWasVisitedIsNoError) {
  WriteLog(Db() / "archive" / "000004.log", ForgedBatches(1, 5));
  WriteLog(Db() / "000009.log", "");
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_EQ(Look(follower).value().size(), 4U);
  fs::remove(Db() / "archive" / "000004.log");
  EXPECT_EQ(Look(follower).value(), (Sequences{}));
  WriteLog(Db() / "000009.log", ForgedBatches(5, 8));
  EXPECT_EQ(Look(follower).value(), (Sequences{5, 6, 7}));
}

TEST_F(WalFollowerTest, PurgingWhatWasNotVisitedIsSaid) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_TRUE(Look(follower));
  fs::remove(Db() / "000004.log");
  WriteLog(Db() / "000012.log", ForgedBatches(9, 12));
  EXPECT_EQ(Look(follower).error().Code(), ErrorCode::kNotFound);
}

TEST_F(WalFollowerTest, SequencesBeyondTheEndAreNotFound) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WalFollower at_end(Directory(), Sequence(5));
  EXPECT_EQ(Look(at_end).value(), (Sequences{}));
  WalFollower beyond(Directory(), Sequence(6));
  EXPECT_EQ(Look(beyond).error().Code(), ErrorCode::kNotFound);
}

TEST_F(WalFollowerTest, ADatabaseThatWasReplacedIsNotTakenForTheSameHistory) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_TRUE(Look(follower));
  // Prepared beside it and moved to its place, with the same batches and more.
  WriteLog(directory_.Path() / "fresh" / "000004.log", ForgedBatches(1, 9));
  fs::remove_all(Db());
  EXPECT_EQ(Look(follower).error().Code(), ErrorCode::kUnavailable);
  fs::rename(directory_.Path() / "fresh", Db());
  EXPECT_EQ(Look(follower).error().Code(), ErrorCode::kConflict);
}

TEST_F(WalFollowerTest, AWaitEndsWhenTheDatabaseComesBack) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WriteLog(directory_.Path() / "fresh" / "000004.log", ForgedBatches(1, 9));
  fs::remove_all(Db());
  WalFollower follower(Directory(), Sequence(1));
  EXPECT_EQ(Look(follower).error().Code(), ErrorCode::kUnavailable);
  fs::rename(directory_.Path() / "fresh", Db());
  follower.Wait(kPatience);
  EXPECT_EQ(Look(follower).value().size(), 8U);
}

TEST_F(WalFollowerTest, WhatARecoveryGaveUpAfterItWasVisitedIsSaid) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_EQ(Look(follower).value().size(), 4U);
  WriteLog(Db() / "000009.log", ForgedBatches(4, 5, "another"));
  const Error other = Look(follower).error();
  EXPECT_EQ(other.Code(), ErrorCode::kConflict) << other.Message();
}

TEST_F(WalFollowerTest, AWalThatEndsBeforeWhatWasVisitedIsSaid) {
  WriteLog(Db() / "000004.log", ForgedBatches(1, 5));
  WalFollower follower(Directory(), Sequence(1));
  ASSERT_EQ(Look(follower).value().size(), 4U);
  WriteLog(Db() / "000004.log", ForgedBatches(1, 3));
  const Error shorter = Look(follower).error();
  EXPECT_EQ(shorter.Code(), ErrorCode::kConflict) << shorter.Message();
}

}  // namespace
}  // namespace walstitch::wal
