#include "agents/wal/pollupdates_source.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

const SequenceRange kAll{Sequence(1), Sequence(std::uint64_t{1} << 40)};

std::string PutBatch(std::uint64_t first, int count) {
  BatchText text(first);
  for (int i = 0; i < count; ++i) text.Put(1, MetadataKey("ns", std::to_string(i)), MetadataValue(1));
  return text.Bytes();
}

PollUpdatesSource SourceOf(const TestDatabase& database) {
  return PollUpdatesSource([&](Sequence after, std::uint32_t max) { return database.Poll(after, max); });
}

// Always the same answer.
PollUpdatesSource Scripted(PolledUpdates answer) {
  return PollUpdatesSource([answer](Sequence, std::uint32_t) -> Result<PolledUpdates> { return answer; });
}

Result<std::vector<std::uint64_t>> Firsts(WalSource& source, SequenceRange range) {
  std::vector<std::uint64_t> firsts;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    firsts.push_back(batch.first.Value());
    return true;
  });
  if (!read) return Fail(read.error());
  return firsts;
}

TEST(PollUpdatesSourceTest, GivesTheSameAnswersAsTheFiles) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  for (int i = 0; i < 300; ++i) {
    database.Write(PutBatch(0, 1 + i % 5));
    if (i % 90 == 89) database.Flush();
  }
  PollUpdatesSource polled = SourceOf(database);
  WalDirectory files(directory.Path().string());
  EXPECT_EQ(polled.Extent()->oldest, files.Extent()->oldest);
  EXPECT_EQ(polled.Extent()->last, files.Extent()->last);
  EXPECT_EQ(polled.Extent()->source, "pollupdates");
  for (const SequenceRange range :
       {kAll, SequenceRange{Sequence(3), Sequence(7)}, SequenceRange{Sequence(500), Sequence(502)}}) {
    auto from_server = ListBatches(polled, range, 100000);
    auto from_files = ListBatches(files, range, 100000);
    ASSERT_TRUE(from_server) << from_server.error().Message();
    ASSERT_TRUE(from_files);
    EXPECT_EQ(*from_server, *from_files);
  }
  for (std::uint64_t sequence = 1; sequence <= database.Latest() + 1; sequence += 7) {
    EXPECT_EQ(*polled.BoundaryAtOrAfter(Sequence(sequence)), *files.BoundaryAtOrAfter(Sequence(sequence)));
    EXPECT_EQ(*polled.BatchHolding(Sequence(sequence)), *files.BatchHolding(Sequence(sequence)));
  }
  const Sequence next(database.Latest() + 1);
  EXPECT_EQ(*polled.BatchHolding(next), std::nullopt);
  EXPECT_EQ(*polled.BoundaryAtOrAfter(next), next);
  EXPECT_EQ(polled.BatchHolding(next + 1).error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(polled.BatchHolding(Sequence(0)).error().Code(), ErrorCode::kNotFound);
}

TEST(PollUpdatesSourceTest, AnEmptyServerHasNoExtent) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  PollUpdatesSource source = SourceOf(database);
  auto extent = source.Extent();
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->oldest, std::nullopt);
  EXPECT_EQ(extent->last, std::nullopt);
}

TEST(PollUpdatesSourceTest, CountZeroBatchesDoNotStopIt) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  for (int i = 0; i < 60; ++i) {
    database.Write(BatchText(0).Log("2").Bytes());
    database.Write(PutBatch(0, 1));
    for (int j = 0; j < 40; ++j) database.Write(BatchText(0).Log("2").Bytes());
  }
  PollUpdatesSource source = SourceOf(database);
  auto listed = ListBatches(source, kAll, 1000);
  ASSERT_TRUE(listed) << listed.error().Message();
  EXPECT_EQ(listed->size(), 60U);
  EXPECT_EQ(source.Extent()->oldest, Sequence(1));
  EXPECT_EQ(source.Extent()->last, Sequence(60));
}

TEST(PollUpdatesSourceTest, APurgedStartIsNotFoundAndNotSilentlyALaterBatch) {
  PollUpdatesSource source = Scripted({Sequence(20), {PutBatch(10, 5)}, Sequence(14)});
  auto firsts = Firsts(source, {Sequence(5), Sequence(12)});
  ASSERT_FALSE(firsts);
  EXPECT_EQ(firsts.error().Code(), ErrorCode::kNotFound);
  EXPECT_NE(firsts.error().Message().find("[5, 10)"), std::string::npos) << firsts.error().Message();
}

TEST(PollUpdatesSourceTest, AHoleBetweenBatchesIsNotFound) {
  PollUpdatesSource source = Scripted({Sequence(20), {PutBatch(10, 5), PutBatch(16, 5)}, Sequence(20)});
  auto firsts = Firsts(source, {Sequence(10), Sequence(21)});
  ASSERT_FALSE(firsts);
  EXPECT_EQ(firsts.error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(*Firsts(source, {Sequence(10), Sequence(15)}), std::vector<std::uint64_t>{10});
}

TEST(PollUpdatesSourceTest, AServerThatRepeatsItselfIsDamageAndNotALoop) {
  PollUpdatesSource source = Scripted({Sequence(20), {PutBatch(10, 5)}, Sequence(14)});
  EXPECT_EQ(Firsts(source, {Sequence(10), Sequence(21)}).error().Code(), ErrorCode::kDamaged);
  PollUpdatesSource twice = Scripted({Sequence(20), {PutBatch(10, 5), PutBatch(10, 5)}, Sequence(14)});
  EXPECT_EQ(Firsts(twice, {Sequence(10), Sequence(21)}).error().Code(), ErrorCode::kDamaged);
}

TEST(PollUpdatesSourceTest, AServerThatHasItAndDoesNotGiveItIsNotFound) {
  PollUpdatesSource source = Scripted({Sequence(20), {}, Sequence(9)});
  EXPECT_EQ(Firsts(source, {Sequence(10), Sequence(21)}).error().Code(), ErrorCode::kNotFound);
}

TEST(PollUpdatesSourceTest, ABatchThatIsNoneIsDamage) {
  PollUpdatesSource source = Scripted({Sequence(20), {"short"}, Sequence(9)});
  EXPECT_EQ(Firsts(source, {Sequence(10), Sequence(21)}).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(source.Extent().error().Code(), ErrorCode::kDamaged);
}

TEST(PollUpdatesSourceTest, AServerThatCannotBeReachedStaysThatError) {
  PollUpdatesSource source([](Sequence, std::uint32_t) -> Result<PolledUpdates> {
    return Fail(ErrorCode::kUnavailable, "connection refused");
  });
  EXPECT_EQ(source.Extent().error().Code(), ErrorCode::kUnavailable);
  EXPECT_EQ(Firsts(source, kAll).error().Code(), ErrorCode::kUnavailable);
}

TEST(PollUpdatesSourceTest, AWalThatIsGoneIsNotFound) {
  PollUpdatesSource source([](Sequence, std::uint32_t) -> Result<PolledUpdates> {
    return Fail(ErrorCode::kInvalid, "ERR iterator is not valid");
  });
  EXPECT_EQ(source.Extent()->oldest, std::nullopt);
  EXPECT_EQ(Firsts(source, kAll).error().Code(), ErrorCode::kNotFound);
}

TEST(PollUpdatesSourceTest, BigBatchesAreAskedForInFewNumbers) {
  TestDirectory directory;
  TestDatabase database(directory.Path());
  for (int i = 0; i < 40; ++i) database.Write(BatchText(0).Put(1, "k", std::string(1000000, 'x')).Bytes());
  std::uint32_t fewest = 1000;
  PollUpdatesSource source([&](Sequence after, std::uint32_t max) {
    fewest = std::min(fewest, max);
    return database.Poll(after, max);
  });
  EXPECT_EQ(Firsts(source, kAll)->size(), 40U);
  EXPECT_LE(fewest, 4U);
}

RC_GTEST_PROP(PollUpdatesSourceProperty, WhateverTheServerSaysItEndsAndNeverGivesAHole,
              (const std::vector<std::pair<std::uint8_t, std::uint8_t>>& batches, std::uint8_t latest)) {
  PolledUpdates answer;
  answer.latest = Sequence(latest);
  for (const auto& [first, count] : batches) answer.batches.push_back(PutBatch(first, count % 4));
  PollUpdatesSource source = Scripted(answer);
  Sequence expected(5);
  (void)source.ForEachBatch({Sequence(5), Sequence(200)}, [&](const BatchView& batch) {
    RC_ASSERT(batch.first <= expected);
    RC_ASSERT(batch.End() >= expected);
    expected = batch.End();
    return true;
  });
}

}  // namespace
}  // namespace walstitch::wal
