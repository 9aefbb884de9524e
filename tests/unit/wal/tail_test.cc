#include "agents/wal/tail.h"

#include <gtest/gtest.h>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

std::string Batch(std::uint64_t first, int records) {
  BatchText text(first);
  for (int i = 0; i < records; ++i) text.Put(1, "key", "value");
  return text.Bytes();
}

// Sequences [5, 12); the batch at 8 takes none.
ListSource Wal() {
  return ListSource({Batch(5, 3), BatchText(8).Log("nothing").Bytes(), Batch(8, 2), Batch(10, 2)});
}

TEST(TailTest, EveryBatchFromTheSequenceOnIsGivenWhole) {
  ListSource source = Wal();
  const auto tail = ReadTail(source, Sequence(8), 1 << 20);
  ASSERT_TRUE(tail) << tail.error().Message();
  EXPECT_EQ(tail->batches, (std::vector<RangeBytes>{{Batch(8, 2)}, {Batch(10, 2)}}));
  EXPECT_EQ(tail->next, Sequence(12));
  EXPECT_FALSE(tail->more);
}

TEST(TailTest, AMaximumCutsBetweenBatches) {
  ListSource source = Wal();
  const auto tail = ReadTail(source, Sequence(5), Batch(5, 3).size() + 1);
  ASSERT_TRUE(tail) << tail.error().Message();
  EXPECT_EQ(tail->batches, (std::vector<RangeBytes>{{Batch(5, 3)}}));
  EXPECT_EQ(tail->next, Sequence(8));
  EXPECT_TRUE(tail->more);
}

TEST(TailTest, ABatchLargerThanTheMaximumIsGivenAlone) {
  ListSource source = Wal();
  EXPECT_EQ(ReadTail(source, Sequence(5), 1)->batches.size(), 1U);
}

TEST(TailTest, ReadingBeginsAtABoundaryOnly) {
  ListSource source = Wal();
  EXPECT_EQ(ReadTail(source, Sequence(6), 100).error().Code(), ErrorCode::kConflict);
}

TEST(TailTest, BehindTheLastThereIsNothing) {
  ListSource source = Wal();
  const auto tail = ReadTail(source, Sequence(12), 100);
  ASSERT_TRUE(tail) << tail.error().Message();
  EXPECT_TRUE(tail->batches.empty());
  EXPECT_EQ(tail->next, Sequence(12));
}

TEST(TailTest, WhatIsPurgedIsNotFound) {
  ListSource source = Wal();
  EXPECT_EQ(ReadTail(source, Sequence(2), 100).error().Code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace walstitch::wal
