#include "agents/wal/block_search.h"

#include <gtest/gtest.h>

#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

// A batch of one record, `size` bytes and a little.
std::string Batch(std::uint64_t sequence, std::size_t size) {
  return BatchText(sequence).Put(1, "key", std::string(size, 'v')).Bytes();
}

struct Search {
  explicit Search(const std::string& bytes) : file("log", bytes), search(&file, bytes.size()) {}
  std::uint64_t For(std::uint64_t sequence) {
    const auto block = search.BlockFor(Sequence(sequence));
    EXPECT_TRUE(block && *block);
    return block && *block ? **block : ~0ULL;
  }
  StringLogFile file;
  BlockSearch search;
};

TEST(BlockSearchTest, TheBlockIsTheLastOneThatBeginsAtOrBeforeTheSequence) {
  LogText text;
  std::vector<std::uint64_t> offsets;  // of the record of each sequence
  for (std::uint64_t sequence = 0; sequence < 2000; ++sequence) {
    offsets.push_back(text.Size());
    text.Add(Batch(sequence, 100 + sequence % 700));
  }
  Search search(text.Bytes());
  for (std::uint64_t sequence = 0; sequence < offsets.size(); ++sequence) {
    const std::uint64_t end = offsets[sequence];
    const std::uint64_t block = search.For(sequence);
    ASSERT_LE(block, end) << sequence;
    ASSERT_LT(end - block, kBlockSize + kHeaderSize) << sequence;
  }
}

TEST(BlockSearchTest, BlocksWithoutABeginningAreSteppedOver) {
  LogText text;
  text.Add(Batch(1, 50)).Add(Batch(2, 40 * kBlockSize)).Add(Batch(3, 50)).Add(Batch(4, 40 * kBlockSize));
  const std::uint64_t third = 40 * kBlockSize;  // about there, in the block in which the long one ends
  text.Add(Batch(5, 50));
  Search search(text.Bytes());
  EXPECT_EQ(search.For(1), 0U);
  EXPECT_EQ(search.For(2), 0U);
  EXPECT_EQ(search.For(3), third);
  EXPECT_EQ(search.For(4), third);
  EXPECT_EQ(search.For(5), 80 * kBlockSize);
  EXPECT_EQ(search.search.BlockBefore(80 * kBlockSize), third);
  EXPECT_EQ(search.search.BlockBefore(third), 0U);
}

TEST(BlockSearchTest, ABatchHeaderThatIsSplitOverFragmentsIsPutTogether) {
  // The second batch begins so near the block's end that its first fragment holds only `room` bytes.
  for (std::size_t room = 0; room <= 12; ++room) {
    const std::size_t first = Batch(1, 30000).size() - 30000;
    LogText text;
    text.Add(Batch(1, kBlockSize - 2 * kHeaderSize - room - first));
    text.Add(Batch(2, 20000)).Add(Batch(3, 100));
    Search search(text.Bytes());
    EXPECT_EQ(search.For(2), 0U) << room;
    EXPECT_EQ(search.For(3), kBlockSize) << room;
  }
}

TEST(BlockSearchTest, ZeroesAtTheEndAreNotWritten) {
  LogText text;
  for (std::uint64_t sequence = 1; sequence < 100; ++sequence) text.Add(Batch(sequence, 1000));
  const std::uint64_t written = text.Size();
  text.Raw(std::string(50 * kBlockSize, '\0'));
  Search search(text.Bytes());
  EXPECT_EQ(search.search.LastWrittenBlock(), written - written % kBlockSize);
  EXPECT_EQ(search.For(99), 3 * kBlockSize);
}

TEST(BlockSearchTest, DamageInABlockDoesNotMisleadTheSearchBehindIt) {
  LogText text;
  for (std::uint64_t sequence = 1; sequence < 1000; ++sequence) text.Add(Batch(sequence, 1000));
  std::string bytes = text.Bytes();
  const std::size_t middle = bytes.size() / kBlockSize / 2 * kBlockSize;
  bytes.replace(middle, 300, std::string(300, '\xff'));
  Search search(bytes);
  EXPECT_GT(search.For(900), middle);
}

TEST(BlockSearchTest, ARecycledLogIsNotSearched) {
  LogText text(/*recycled=*/true, 7);
  for (std::uint64_t sequence = 1; sequence < 100; ++sequence) text.Add(Batch(sequence, 1000));
  StringLogFile file("log", text.Bytes());
  BlockSearch search(&file, text.Size());
  EXPECT_EQ(search.BlockFor(Sequence(50)).value(), std::nullopt);
}

TEST(BlockSearchTest, TheFirstSequenceNeedsOnlyTheFirstFragmentToBeGood) {
  LogText text;
  text.Add(Batch(77, 3 * kBlockSize)).Add(Batch(78, 10));
  std::string bytes = text.Bytes();
  bytes[2 * kBlockSize + 100] = static_cast<char>(bytes[2 * kBlockSize + 100] ^ 1);
  EXPECT_EQ(Search(bytes).search.FirstSequence().value(), Sequence(77));
  bytes[100] = static_cast<char>(bytes[100] ^ 1);
  EXPECT_EQ(Search(bytes).search.FirstSequence().value(), std::nullopt);
}

TEST(BlockSearchTest, AFirstRecordThatIsNotFinishedIsNotTold) {
  LogText text;
  text.Add(Batch(77, 3 * kBlockSize));
  EXPECT_EQ(Search(text.Bytes()).search.FirstSequence().value(), std::nullopt);
  EXPECT_EQ(Search(text.Bytes().substr(0, 2 * kBlockSize)).search.FirstSequence().value(), std::nullopt);
}

}  // namespace
}  // namespace walstitch::wal
