#include "agents/wal/range_digest.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <rapidcheck.h>

#include <limits>
#include <string>
#include <vector>

#include "agents/wal/marker.h"
#include "policies/model/bytes.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

DigestKey KeyOf(std::string_view hex) {
  DigestKey key;
  const std::string bytes = *FromHex(hex);
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

const DigestKey kKey = KeyOf("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");

std::string Batch(std::uint64_t first, std::uint32_t count, std::size_t value_bytes = 10) {
  BatchText text(first);
  for (std::uint32_t i = 0; i < count; ++i) text.Put(1, "key", std::string(value_bytes, 'v'));
  return text.Bytes();
}

std::array<std::uint8_t, 16> Poly1305Of(const DigestKey& key, const std::string& text) {
  std::array<std::uint8_t, 16> tag{};
  std::size_t length = 0;
  EXPECT_NE(EVP_Q_mac(nullptr, "POLY1305", nullptr, nullptr, nullptr, key.bytes.data(), key.bytes.size(),
                      reinterpret_cast<const unsigned char*>(text.data()), text.size(), tag.data(),
                      tag.size(), &length),
            nullptr);
  return tag;
}

RangeDigests DigestsOf(WalSource& source, std::uint64_t from, std::uint64_t to, std::uint32_t parts,
                       std::uint64_t max_bytes = kUnlimited) {
  auto digests = DigestRange(source, {Sequence(from), Sequence(to)}, parts, kKey, max_bytes);
  EXPECT_TRUE(digests) << digests.error().Message();
  return digests.value_or(RangeDigests{});
}

TEST(RangeDigestTest, TheDigestIsThePoly1305OfRfc8439) {
  // Its key, and a batch of count 1 that is its message but for the header: the tag of OpenSSL's one call.
  const std::string message = Fixed(1, 8) + Fixed(1, 4) + "Cryptographic Forum Research Group";
  ListSource source({message});
  EXPECT_EQ(DigestsOf(source, 1, 2, 1).parts.at(0).digest, Poly1305Of(kKey, message));
  // The call itself gives the tag of the standard.
  const auto tag = Poly1305Of(kKey, "Cryptographic Forum Research Group");
  EXPECT_EQ(ToHex(std::string(tag.begin(), tag.end())), "a8061dc1305136c6c22b8baf0c0127a9");
}

TEST(RangeDigestTest, APartHoldsTheBatchesThatBeginInIt) {
  ListSource source({Batch(1, 4), Batch(5, 4), Batch(9, 1)});
  const RangeDigests digests = DigestsOf(source, 1, 10, 3);  // [1, 4), [4, 7), [7, 10)
  ASSERT_EQ(digests.parts.size(), 3U);
  EXPECT_EQ(digests.parts[0], (PartDigest{1, Sequence(1), Sequence(5), Poly1305Of(kKey, Batch(1, 4))}));
  EXPECT_EQ(digests.parts[1], (PartDigest{1, Sequence(5), Sequence(9), Poly1305Of(kKey, Batch(5, 4))}));
  EXPECT_EQ(digests.parts[2], (PartDigest{1, Sequence(9), Sequence(10), Poly1305Of(kKey, Batch(9, 1))}));
}

TEST(RangeDigestTest, BatchesOfAPartAreDigestedAsOneText) {
  ListSource source({Batch(1, 1), Batch(2, 1), Batch(3, 2)});
  EXPECT_EQ(
      DigestsOf(source, 1, 5, 1).parts.at(0),
      (PartDigest{3, Sequence(1), Sequence(5), Poly1305Of(kKey, Batch(1, 1) + Batch(2, 1) + Batch(3, 2))}));
}

TEST(RangeDigestTest, ABatchThatBeginsBeforeTheRangeIsInNoPart) {
  ListSource source({Batch(1, 4), Batch(5, 1)});
  const RangeDigests digests = DigestsOf(source, 3, 6, 3);
  ASSERT_EQ(digests.parts.size(), 3U);
  EXPECT_EQ(digests.parts[0], PartDigest{});
  EXPECT_EQ(digests.parts[1], PartDigest{});
  EXPECT_EQ(digests.parts[2].batches, 1U);
}

TEST(RangeDigestTest, BatchesOfCountZeroAreInNoPart) {
  ListSource with({Batch(1, 1), BatchText(2).Log("1").Bytes(), Batch(2, 1)});
  ListSource without({Batch(1, 1), Batch(2, 1)});
  EXPECT_EQ(DigestsOf(with, 1, 3, 2), DigestsOf(without, 1, 3, 2));
}

TEST(RangeDigestTest, PartsBeyondTheEndAreEmpty) {
  ListSource source({Batch(1, 1)});
  const RangeDigests digests = DigestsOf(source, 1, 101, 100);
  ASSERT_EQ(digests.parts.size(), 100U);
  EXPECT_EQ(digests.parts[99], PartDigest{});
  EXPECT_EQ(DigestsOf(source, 1, 1, 3).parts, std::vector<PartDigest>(3));
}

TEST(RangeDigestTest, AfterEnoughBytesNoFurtherPartIsBegun) {
  ListSource source({Batch(1, 1), Batch(2, 1), Batch(3, 4), Batch(7, 1), Batch(8, 1)});
  const RangeDigests all = DigestsOf(source, 1, 9, 4);  // [1, 3), [3, 5), [5, 7), [7, 9)
  ASSERT_EQ(all.parts.size(), 4U);
  const RangeDigests one = DigestsOf(source, 1, 9, 4, 1);
  ASSERT_EQ(one.parts.size(), 1U);
  EXPECT_EQ(one.parts[0], all.parts[0]);
  // The part that a batch spans is known to be empty.
  const RangeDigests three = DigestsOf(source, 1, 9, 4, Batch(1, 1).size() * 2 + 1);
  ASSERT_EQ(three.parts.size(), 3U);
  EXPECT_EQ(three.parts[2], PartDigest{});
}

TEST(RangeDigestTest, AnotherKeyGivesAnotherDigest) {
  ListSource source({Batch(1, 1)});
  DigestKey other = kKey;
  other.bytes[0] ^= 1;
  auto digests = DigestRange(source, {Sequence(1), Sequence(2)}, 1, other, kUnlimited);
  ASSERT_TRUE(digests);
  EXPECT_NE(digests->parts, DigestsOf(source, 1, 2, 1).parts);
}

TEST(RangeDigestTest, AnyPartsOfAnyBatchesAreThatOfTheirBytes) {
  EXPECT_TRUE(rc::check([] {
    std::vector<std::string> batches;
    std::uint64_t next = 1;
    for (int i = *rc::gen::inRange(0, 60); i > 0; --i) {
      const auto count = *rc::gen::inRange<std::uint32_t>(1, 4);
      batches.push_back(Batch(next, count, *rc::gen::element<std::size_t>(0, 100, 5000, 40000, 70000)));
      next += count;
    }
    ListSource source(batches);
    const auto from = *rc::gen::inRange<std::uint64_t>(1, next + 1);
    const SequenceRange range{Sequence(from), Sequence(*rc::gen::inRange<std::uint64_t>(from, next + 5))};
    const auto parts = *rc::gen::inRange<std::uint32_t>(1, 20);
    auto digests = DigestRange(source, range, parts, kKey, kUnlimited);
    RC_ASSERT(digests.has_value());
    RC_ASSERT(digests->parts.size() == parts);
    for (std::uint32_t i = 0; i < parts; ++i) {
      const SequenceRange within = PartOf(range, parts, i);
      PartDigest expected;
      std::string text;
      RC_ASSERT(source
                    .ForEachBatch(within,
                                  [&](const BatchView& batch) {
                                    if (batch.first < within.from) return true;
                                    if (expected.batches++ == 0) expected.first = batch.first;
                                    expected.end = batch.End();
                                    text += batch.bytes;
                                    return true;
                                  })
                    .has_value());
      if (expected.batches > 0) expected.digest = Poly1305Of(kKey, text);
      RC_ASSERT(digests->parts[i] == expected);
    }
  }));
}

class BrokenSource : public WalSource {
 public:
  Result<WalExtent> Extent() override { return Fail(ErrorCode::kIo, "the disk is gone"); }
  Result<void> ForEachBatch(SequenceRange, const BatchVisitor&) override {
    return Fail(ErrorCode::kDamaged, "000012.log, offset 7: checksum mismatch");
  }
};

TEST(RangeDigestTest, ASourcesErrorIsTheAnswer) {
  BrokenSource source;
  const SequenceRange range{Sequence(1), Sequence(2)};
  EXPECT_EQ(DigestRange(source, range, 1, kKey, 1).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(ListMarked(source, range, 1, 1).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(BatchBytes(source, range, 1).error().Code(), ErrorCode::kDamaged);
  EXPECT_EQ(MaxBytesFor(source).error().Code(), ErrorCode::kIo);
}

TEST(RangeDigestTest, AServerReadsLessForOneAnswerThanFiles) {
  class Named : public ListSource {
   public:
    explicit Named(std::string name) : ListSource({}), name_(std::move(name)) {}
    Result<WalExtent> Extent() override {
      WalExtent extent;
      extent.source = name_;
      return extent;
    }

   private:
    std::string name_;
  };
  Named files("files");
  Named polled("pollupdates");
  EXPECT_EQ(MaxBytesFor(files), kMaxReadBytes);
  EXPECT_EQ(MaxBytesFor(polled), kMaxPolledBytes);
}

class ListMarkedTest : public testing::Test {
 protected:
  // [1, 3), marked [3, 5), [5, 6), marked [6, 9), [9, 10)
  ListMarkedTest()
      : source_({Batch(1, 2), MakePadBatches(Sequence(3), Sequence(5), "D1", "").front(), Batch(5, 1),
                 MakePadBatches(Sequence(6), Sequence(9), "D2", "").front(), Batch(9, 1)}) {}

  MarkedBatches List(std::uint64_t from, std::uint64_t to, std::size_t max = 100,
                     std::uint64_t max_bytes = kUnlimited) {
    auto marked = ListMarked(source_, {Sequence(from), Sequence(to)}, max, max_bytes);
    EXPECT_TRUE(marked) << marked.error().Message();
    return marked.value_or(MarkedBatches{});
  }

  ListSource source_;
};

TEST_F(ListMarkedTest, OnlyMarkedBatchesAreListed) {
  const MarkedBatches marked = List(1, 10);
  ASSERT_EQ(marked.batches.size(), 2U);
  EXPECT_EQ(marked.batches[0].first, Sequence(3));
  EXPECT_EQ(marked.batches[0].marker, "D1");
  EXPECT_EQ(marked.batches[1].marker, "D2");
  EXPECT_EQ(marked.looked_to, Sequence(10));
}

TEST_F(ListMarkedTest, TheMaximumsSayUpToWhereWasLooked) {
  EXPECT_EQ(List(1, 10, 1).batches.size(), 1U);
  EXPECT_EQ(List(1, 10, 1).looked_to, Sequence(5));
  EXPECT_EQ(List(1, 10, 100, 1).looked_to, Sequence(3));
}

TEST_F(ListMarkedTest, ItLooksNoFurtherThanTheRangeOrTheWal) {
  EXPECT_EQ(List(4, 7).batches.size(), 2U);
  EXPECT_EQ(List(4, 7).looked_to, Sequence(7));
  EXPECT_EQ(List(4, 100).looked_to, Sequence(10));
  EXPECT_EQ(List(10, 100).looked_to, Sequence(10));
}

TEST_F(ListMarkedTest, AMarkersTextInAValueIsNoMarker) {
  source_ = ListSource({BatchText(1).Put(1, "key", "rWalstitch:D1").Bytes()});
  EXPECT_TRUE(List(1, 2).batches.empty());
}

TEST(BatchBytesTest, BatchesStandOneBehindTheOther) {
  ListSource source({Batch(1, 2), BatchText(3).Log("1").Bytes(), Batch(3, 1), Batch(4, 1)});
  EXPECT_EQ(BatchBytes(source, {Sequence(2), Sequence(4)}, 1000), Batch(1, 2) + Batch(3, 1));
}

TEST(BatchBytesTest, TheyAreCutOffAtTheMaximum) {
  ListSource source({Batch(1, 2), Batch(3, 1)});
  const std::string all = Batch(1, 2) + Batch(3, 1);
  for (std::size_t max = 0; max < all.size() + 2; ++max) {
    EXPECT_EQ(BatchBytes(source, {Sequence(1), Sequence(4)}, max), all.substr(0, max));
  }
}

}  // namespace
}  // namespace walstitch::wal
