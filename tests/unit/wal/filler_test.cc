#include "agents/wal/filler.h"

#include <gtest/gtest.h>

#include <string>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/marker.h"
#include "policies/model/batch.h"

namespace walstitch::wal {
namespace {

std::string FillerOf(const std::string& decision, std::uint64_t count) {
  return MakePadBatches(Sequence(5), Sequence(5 + count), FillerMarker(decision), "").front();
}

TEST(FillerTest, AFillersMarkerIsNoPads) {
  EXPECT_EQ(FillerMarker("D"), "filler:D");
  BatchInfo info;
  info.marker = FillerMarker("D");
  EXPECT_TRUE(info.IsFiller());
  info.marker = "D";
  EXPECT_FALSE(info.IsFiller());
}

TEST(FillerTest, OnlyTheDecisionsOwnRecordsAreCounted) {
  EXPECT_EQ(CountFiller(FillerOf("D", 7), FillerMarker("D")), 7U);
  EXPECT_EQ(CountFiller(FillerOf("E", 7), FillerMarker("D")), 0U);
  EXPECT_EQ(CountFiller(MakePadBatches(Sequence(5), Sequence(9), "D", "").front(), FillerMarker("D")), 0U);
  EXPECT_EQ(CountFiller("no batch, and no marker in it", FillerMarker("D")), 0U);
  EXPECT_FALSE(CountFiller(FillerOf("D", 7).substr(0, 40), FillerMarker("D")));
}

TEST(FillerTest, ABatchThatIsAllFillerIsLeftEmpty) {
  const auto without = LeaveOutFiller(FillerOf("D", 3), FillerMarker("D"));
  ASSERT_TRUE(without);
  EXPECT_EQ(without->left_out, 3U);
  EXPECT_EQ(without->count, 0U);
  EXPECT_EQ(without->batch.size(), 12U);
  EXPECT_EQ(ParseBatchHeader(without->batch)->first, Sequence(5));
}

TEST(FillerTest, ABatchWithoutItStaysAsItIs) {
  const std::string batch = FillerOf("E", 3);
  const auto without = LeaveOutFiller(batch, FillerMarker("D"));
  ASSERT_TRUE(without);
  EXPECT_EQ(without->batch, batch);
  EXPECT_EQ(without->left_out, 0U);
}

}  // namespace
}  // namespace walstitch::wal
