#include "controller/cli/find_fork.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace walstitch::cli {
namespace {

// Batches of one record each, from sequence 1 on, in one buffer.
class MemoryWal : public wal::WalSource {
 public:
  MemoryWal& Add(std::size_t batches, std::string_view value) {
    for (std::size_t i = 0; i < batches; ++i) {
      starts_.push_back(bytes_.size());
      const std::uint64_t first = starts_.size();
      for (int k = 0; k < 8; ++k) bytes_.push_back(static_cast<char>(first >> (8 * k)));
      bytes_ += std::string("\x01\0\0\0", 4);
      bytes_ += value;
    }
    return *this;
  }

  Result<WalExtent> Extent() override {
    WalExtent extent;
    extent.oldest = Sequence(1);
    extent.last = Sequence(starts_.size());
    extent.source = "files";
    return extent;
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    if (error_) return Fail(*error_);
    for (std::uint64_t first = range.from.Value(); first < range.to.Value() && first <= starts_.size();
         ++first) {
      const std::size_t end = first < starts_.size() ? starts_[first] : bytes_.size();
      const std::string_view batch(bytes_.data() + starts_[first - 1], end - starts_[first - 1]);
      if (!visit({Sequence(first), 1, batch})) break;
    }
    return {};
  }

  std::optional<Error> error_;

 private:
  std::string bytes_;
  std::vector<std::size_t> starts_;
};

Result<FoundFork> Find(MemoryWal& rejoiner, MemoryWal& survivor, const core::KnownHistory& known = {}) {
  return FindFork({"/a", rejoiner, *rejoiner.Extent()}, {"/b", survivor, *survivor.Extent()}, known);
}

TEST(FindForkTest, OneBatchOfManyIsFoundInFiveRoundsAndKilobytes) {
  const std::string value(100, 'v');
  MemoryWal rejoiner;
  MemoryWal survivor;
  rejoiner.Add(123456, value).Add(1, std::string(99, 'v') + "w").Add(176543, value);
  survivor.Add(300000, value);
  auto found = Find(rejoiner, survivor);
  ASSERT_TRUE(found) << found.error().Message();
  EXPECT_EQ(found->answer.fork, Sequence(123456)) << found->answer.note;
  EXPECT_EQ(found->answer.proof, ForkProof::kEqualBatches);
  EXPECT_LE(found->rounds, 5);
  EXPECT_LT(found->answer_bytes, 128U << 10);
  EXPECT_GT(found->answer_bytes, 1000U);
}

TEST(FindForkTest, ARecordedPromotionTakesTwoRounds) {
  MemoryWal rejoiner;
  MemoryWal survivor;
  rejoiner.Add(1000, "common").Add(5, "tail");
  survivor.Add(1000, "common").Add(9, "missed");
  core::KnownHistory known;
  known.promoted_at = Sequence(1000);
  auto found = Find(rejoiner, survivor, known);
  ASSERT_TRUE(found) << found.error().Message();
  EXPECT_EQ(found->answer.fork, Sequence(1000));
  EXPECT_EQ(found->rounds, 2);
}

TEST(FindForkTest, EqualHistoriesForkAtTheirEnd) {
  MemoryWal wal;
  wal.Add(5000, "common");
  auto found = Find(wal, wal);
  ASSERT_TRUE(found) << found.error().Message();
  EXPECT_EQ(found->answer.fork, Sequence(5000));
}

TEST(FindForkTest, AnErrorNamesTheSide) {
  MemoryWal rejoiner;
  MemoryWal survivor;
  rejoiner.Add(1000, "common");
  survivor.Add(1000, "common");
  survivor.error_ = Error(ErrorCode::kDamaged, "checksum mismatch");
  EXPECT_EQ(Find(rejoiner, survivor).error().Message(), "/b: checksum mismatch");
  survivor.error_ = Error(ErrorCode::kDamaged, "/b/db/000012.log, offset 7: checksum mismatch");
  EXPECT_EQ(Find(rejoiner, survivor).error().Message(), "/b/db/000012.log, offset 7: checksum mismatch");
  EXPECT_EQ(Find(rejoiner, survivor).error().Code(), ErrorCode::kDamaged);
}

}  // namespace
}  // namespace walstitch::cli
