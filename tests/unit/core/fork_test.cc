#include "controller/core/fork.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace walstitch {

static std::ostream& operator<<(std::ostream& out, const Sequence& sequence) {
  return out << sequence.ToString();
}

}  // namespace walstitch

namespace walstitch::core {
namespace {

// A node's WAL, written batch by batch. Batches of the same content at the same place are equal.
class Wal {
 public:
  Wal() = default;
  // The history so far, shared.
  explicit Wal(const Wal& common, std::size_t batches)
      : batches_(common.batches_.begin(), common.batches_.begin() + static_cast<std::ptrdiff_t>(batches)) {}

  Wal& Add(std::uint32_t count, std::uint8_t content, const std::string& marker = "") {
    BatchInfo batch;
    batch.first = Sequence(Last() + 1);
    batch.count = count;
    batch.bytes = 12 + 20ULL * count;
    batch.digest.bytes[0] = content;
    for (int i = 0; i < 8; ++i) {
      batch.digest.bytes[static_cast<std::size_t>(i) + 1] =
          static_cast<std::uint8_t>(batch.first.Value() >> (8 * i));
    }
    batch.marker = marker;
    batches_.push_back(batch);
    return *this;
  }
  Wal& Add(int batches, std::uint32_t count, std::uint8_t content) {
    for (int i = 0; i < batches; ++i) Add(count, content);
    return *this;
  }
  // What the other wrote from this WAL's end on: this node follows it.
  Wal& Follow(const Wal& other) {
    const std::uint64_t next = Last() + 1;
    for (const auto& batch : other.batches_) {
      if (batch.first >= Sequence(next)) batches_.push_back(batch);
    }
    return *this;
  }
  Wal& Purge(std::size_t batches) {
    purged_ = std::min(batches, batches_.size());
    return *this;
  }

  [[nodiscard]] std::uint64_t Last() const {
    return batches_.empty() ? 0 : (batches_.back().End() - 1).Value();
  }
  [[nodiscard]] std::size_t Size() const { return batches_.size(); }
  [[nodiscard]] const BatchInfo& At(std::size_t i) const { return batches_[i]; }
  [[nodiscard]] WalExtent Extent() const {
    WalExtent extent;
    extent.last = Sequence(Last());
    if (purged_ < batches_.size()) extent.oldest = batches_[purged_].first;
    return extent;
  }
  [[nodiscard]] std::vector<BatchInfo> List(SequenceRange range, std::size_t max_batches) const {
    std::vector<BatchInfo> list;
    auto from = std::partition_point(batches_.begin() + static_cast<std::ptrdiff_t>(purged_), batches_.end(),
                                     [&](const BatchInfo& batch) { return batch.End() <= range.from; });
    for (; from != batches_.end() && from->first < range.to && list.size() < max_batches; ++from) {
      list.push_back(*from);
    }
    return list;
  }

 private:
  std::vector<BatchInfo> batches_;
  std::size_t purged_ = 0;
};

struct Found {
  ForkSearch::Answer answer;
  int rounds = 0;
};

Found Search(const Wal& rejoiner, const Wal& survivor, const KnownHistory& known, std::uint64_t window = 4096,
             std::size_t max_batches = std::numeric_limits<std::size_t>::max(), int max_rounds = 1000) {
  ForkSearch search(rejoiner.Extent(), survivor.Extent(), known, window);
  Found found;
  while (auto next = search.Next()) {
    if (++found.rounds > max_rounds) {
      ADD_FAILURE() << "no end after " << max_rounds << " rounds";
      break;
    }
    search.Feed(rejoiner.List(next->range, max_batches), survivor.List(next->range, max_batches));
  }
  found.answer = search.Result();
  return found;
}

KnownHistory PromotedAt(std::uint64_t sequence) {
  KnownHistory known;
  known.promoted_at = Sequence(sequence);
  return known;
}

KnownHistory SharedFrom(std::uint64_t sequence) {
  KnownHistory known;
  known.shared_from = Sequence(sequence);
  return known;
}

KnownHistory SameStream() {
  KnownHistory known;
  known.same_stream = true;
  return known;
}

void ExpectFork(const Found& found, std::uint64_t fork, ForkProof proof) {
  ASSERT_TRUE(found.answer.fork) << found.answer.note;
  EXPECT_EQ(*found.answer.fork, Sequence(fork)) << found.answer.note;
  EXPECT_EQ(found.answer.proof, proof) << found.answer.note;
  EXPECT_FALSE(found.answer.note.empty());
}

void ExpectUnknown(const Found& found) {
  EXPECT_FALSE(found.answer.fork) << *found.answer.fork << ": " << found.answer.note;
  EXPECT_EQ(found.answer.proof, ForkProof::kUnknown);
  EXPECT_FALSE(found.answer.note.empty());
}

TEST(ForkTest, APromotionThatTheBytesConfirmIsProvenInOneRound) {
  Wal common;
  common.Add(1000, 1, 0);
  Wal rejoiner(common, 1000);
  rejoiner.Add(2, 1);
  Wal survivor(common, 1000);
  survivor.Add(5, 2);
  const Found found = Search(rejoiner, survivor, PromotedAt(1000));
  ExpectFork(found, 1000, ForkProof::kEqualBatches);
  EXPECT_EQ(found.rounds, 1);
}

TEST(ForkTest, ARejoinerWithoutATailForksAtItsEnd) {
  Wal survivor;
  survivor.Add(300, 3, 0);
  const Wal rejoiner(survivor, 200);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(600)), 600, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(750)), 600, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, {}), 600, ForkProof::kEqualBatches);
}

TEST(ForkTest, BatchesThatAreEqualBeyondThePromotionAreCommon) {
  Wal common;
  common.Add(100, 2, 0);
  Wal rejoiner(common, 100);
  rejoiner.Add(7, 1, 9).Add(1, 1);
  Wal survivor(common, 100);
  survivor.Add(7, 1, 9).Add(1, 2);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(200)), 207, ForkProof::kEqualBatches);
}

TEST(ForkTest, APromotionRecordedTooHighIsCorrectedByTheBytes) {
  Wal common;
  common.Add(500, 1, 0);
  Wal rejoiner(common, 500);
  rejoiner.Add(40, 1, 1);
  Wal survivor(common, 500);
  survivor.Add(40, 1, 2);
  const Found found = Search(rejoiner, survivor, PromotedAt(530));
  ExpectFork(found, 500, ForkProof::kEqualBatches);
  EXPECT_NE(found.answer.note.find("530"), std::string::npos) << found.answer.note;
}

TEST(ForkTest, APromotionRecordedInsideABatchIsCorrectedByTheBytes) {
  Wal common;
  common.Add(50, 4, 0);
  Wal rejoiner(common, 50);
  rejoiner.Add(4, 1);
  Wal survivor(common, 50);
  survivor.Add(4, 2);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(102)), 200, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(202)), 200, ForkProof::kEqualBatches);
}

TEST(ForkTest, ABatchOfAnotherSizeIsADifference) {
  Wal common;
  common.Add(10, 1, 0);
  Wal rejoiner(common, 10);
  rejoiner.Add(2, 7);
  Wal survivor(common, 10);
  survivor.Add(5, 7);
  ExpectFork(Search(rejoiner, survivor, {}), 10, ForkProof::kEqualBatches);
}

TEST(ForkTest, EqualBatchesBeyondADifferenceAreChance) {
  Wal common;
  common.Add(10, 1, 0);
  Wal rejoiner(common, 10);
  rejoiner.Add(1, 1).Add(50, 1, 0);
  Wal survivor(common, 10);
  survivor.Add(1, 2).Add(50, 1, 0);
  ExpectFork(Search(rejoiner, survivor, {}), 10, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(10)), 10, ForkProof::kEqualBatches);
}

TEST(ForkTest, OneEqualBatchWhereThePurgedWalBeginsIsNoProof) {
  Wal common;
  common.Add(10, 1, 0);
  Wal rejoiner(common, 10);
  rejoiner.Add(1, 1).Add(1, 0).Add(1, 1);
  Wal survivor(common, 10);
  survivor.Add(1, 2).Add(1, 0).Add(1, 2);
  survivor.Purge(11);
  ExpectUnknown(Search(rejoiner, survivor, {}));
}

TEST(ForkTest, ALongRunBehindAPurgedBeginningIsProof) {
  Wal common;
  common.Add(10000, 1, 0);
  Wal rejoiner(common, 10000);
  rejoiner.Add(1, 1);
  Wal survivor(common, 10000);
  survivor.Add(1, 2).Purge(4000);
  ExpectFork(Search(rejoiner, survivor, {}), 10000, ForkProof::kEqualBatches);
}

TEST(ForkTest, WindowsGrowSoThatALongSearchTakesFewRounds) {
  Wal common;
  common.Add(400000, 1, 0);
  Wal rejoiner(common, 400000);
  rejoiner.Add(1, 1);
  Wal survivor(common, 400000);
  survivor.Add(1, 2);
  const Found found = Search(rejoiner, survivor, {});
  ExpectFork(found, 400000, ForkProof::kEqualBatches);
  EXPECT_LE(found.rounds, 6);
}

TEST(ForkTest, ListsThatTheCallerCutShortAreWalkedOn) {
  Wal common;
  common.Add(500, 3, 0);
  Wal rejoiner(common, 500);
  rejoiner.Add(1, 1);
  Wal survivor(common, 500);
  survivor.Add(2, 2);
  const Found found = Search(rejoiner, survivor, {}, 4096, 7);
  ExpectFork(found, 1500, ForkProof::kEqualBatches);
  EXPECT_LE(found.rounds, 500 / 7 + 2);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(1500), 4096, 7), 1500, ForkProof::kEqualBatches);
}

TEST(ForkTest, AnEmptyRejoinerForksAtTheBeginning) {
  Wal survivor;
  survivor.Add(10, 1, 0);
  ExpectFork(Search(Wal(), survivor, {}), 0, ForkProof::kEqualBatches);
  ExpectFork(Search(Wal(), Wal(), {}), 0, ForkProof::kEqualBatches);
  survivor.Purge(1);
  ExpectUnknown(Search(Wal(), survivor, {}));
}

TEST(ForkTest, AnEmptySurvivorTellsNothing) {
  Wal rejoiner;
  rejoiner.Add(10, 1, 0);
  ExpectUnknown(Search(rejoiner, Wal(), SameStream()));
}

TEST(ForkTest, HistoriesThatDifferFromTheFirstBatchForkAtTheBeginning) {
  Wal rejoiner;
  rejoiner.Add(10, 1, 1);
  Wal survivor;
  survivor.Add(10, 1, 2);
  ExpectFork(Search(rejoiner, survivor, {}), 0, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(0)), 0, ForkProof::kEqualBatches);
  survivor.Purge(1);
  ExpectUnknown(Search(rejoiner, survivor, {}));
}

TEST(ForkTest, ThePromotionRecordStandsAloneWhereTheWalDoesNotReach) {
  Wal common;
  common.Add(100, 1, 0);
  Wal rejoiner(common, 100);
  rejoiner.Add(20, 1, 1);
  Wal survivor(common, 100);
  survivor.Add(20, 1, 2).Purge(105);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(100)), 100, ForkProof::kRecordedPromotion);
  ExpectUnknown(Search(rejoiner, survivor, {}));
}

TEST(ForkTest, SameStreamIsProofWhereTheWalDoesNotReach) {
  Wal survivor;
  survivor.Add(100, 1, 0);
  Wal rejoiner(survivor, 60);
  rejoiner.Purge(60);  // a full sync brought it here: its own WAL holds nothing
  ExpectFork(Search(rejoiner, survivor, SameStream()), 60, ForkProof::kSameStream);
  ExpectUnknown(Search(rejoiner, survivor, {}));
}

TEST(ForkTest, SameStreamIsConfirmedByTheBytesWherePossible) {
  Wal survivor;
  survivor.Add(100, 1, 0);
  ExpectFork(Search(Wal(survivor, 60), survivor, SameStream()), 60, ForkProof::kEqualBatches);
}

TEST(ForkTest, BytesThatDifferOutweighTheRecordOfOneStream) {
  Wal survivor;
  survivor.Add(100, 1, 0);
  Wal rejoiner(survivor, 60);
  rejoiner.Add(3, 1, 9);
  const Found found = Search(rejoiner, survivor, SameStream());
  ExpectFork(found, 60, ForkProof::kEqualBatches);
  EXPECT_NE(found.answer.note.find("followed"), std::string::npos) << found.answer.note;
}

TEST(ForkTest, ARejoinerAheadOfItsOwnStreamIsNotTrustedWithoutBytes) {
  Wal rejoiner;
  rejoiner.Add(100, 1, 0);
  Wal survivor(rejoiner, 60);
  ExpectFork(Search(rejoiner, survivor, SameStream()), 60, ForkProof::kEqualBatches);
  rejoiner.Purge(80);
  ExpectUnknown(Search(rejoiner, survivor, SameStream()));
}

// An old stitch: common up to 100, then the padded node's tail and pad stand against what it missed; from
// 110 on they are one stream again, up to 160.
struct Stitched {
  Wal padded;
  Wal other;

  Stitched() {
    other.Add(100, 1, 0);
    padded = Wal(other, 100);
    other.Add(9, 1, 2).Add(50, 1, 0);
    padded.Add(4, 1, 1).Add(5, 3, "01J0").Follow(other);
  }
};

TEST(ForkTest, AnOldStitchIsNoNewDivergence) {
  Stitched old;
  Wal rejoiner = old.other;
  rejoiner.Add(2, 1);
  Wal survivor = old.padded;
  survivor.Add(3, 2);
  // The window before the promotion reaches over the stitch.
  ExpectFork(Search(rejoiner, survivor, PromotedAt(159)), 159, ForkProof::kEqualBatches);
  // The other way round, and with the record of the join.
  ExpectFork(Search(survivor, rejoiner, PromotedAt(159)), 159, ForkProof::kEqualBatches);
  KnownHistory known = SharedFrom(110);
  ExpectFork(Search(rejoiner, survivor, known), 159, ForkProof::kEqualBatches);
  known.promoted_at = Sequence(159);
  const Found found = Search(rejoiner, survivor, known);
  ExpectFork(found, 159, ForkProof::kEqualBatches);
  EXPECT_EQ(found.rounds, 1);
}

TEST(ForkTest, AStitchedNodeInTheSameStreamIsConfirmedBehindItsMarker) {
  Stitched old;
  Wal survivor = old.other;
  survivor.Add(10, 1, 5);
  ExpectFork(Search(old.padded, survivor, SameStream()), 159, ForkProof::kEqualBatches);
}

TEST(ForkTest, NothingWrittenSinceTheStitchRestsOnTheRecordedJoin) {
  Wal other;
  other.Add(100, 1, 0);
  Wal padded(other, 100);
  other.Add(9, 1, 2);
  padded.Add(4, 1, 1).Add(5, 3, "01J0");
  ExpectFork(Search(padded, other, SameStream()), 109, ForkProof::kSameStream);
  ExpectFork(Search(other, padded, PromotedAt(109)), 109, ForkProof::kRecordedPromotion);
  KnownHistory known = SharedFrom(110);
  known.promoted_at = Sequence(109);
  ExpectFork(Search(other, padded, known), 109, ForkProof::kSameStream);
}

TEST(ForkTest, AFreshCopyWithoutAWalIsAPrefixUpToThePromotion) {
  Wal survivor;
  survivor.Add(120, 1, 0);
  KnownHistory known = SharedFrom(0);
  known.promoted_at = Sequence(100);
  WalExtent empty;
  empty.last = Sequence(100);
  auto fork_of = [&](const KnownHistory& history) {
    ForkSearch search(empty, survivor.Extent(), history);
    EXPECT_FALSE(search.Next());
    return search.Result();
  };
  EXPECT_EQ(fork_of(known).proof, ForkProof::kRecordedPromotion);
  known.rejoiner_kept_to_stream = true;
  EXPECT_EQ(fork_of(known).proof, ForkProof::kSameStream);
  EXPECT_EQ(fork_of(known).fork, Sequence(100));
  empty.last = Sequence(101);  // beyond the promotion: it was written to, or followed somebody else
  EXPECT_EQ(fork_of(known).proof, ForkProof::kRecordedPromotion);
}

TEST(ForkTest, AMarkerBehindThePromotionIsNotAboutTheRejoiner) {
  // The survivor was promoted at 100, later padded onto another master at 120, and promoted again. The
  // rejoiner's tail happens to hold equal batches behind that.
  Wal common;
  common.Add(100, 1, 0);
  Wal rejoiner(common, 100);
  rejoiner.Add(20, 1, 1).Add(30, 1, 0);
  Wal survivor(common, 100);
  survivor.Add(10, 1, 2).Add(10, 3, "01J0").Add(30, 1, 0);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(100)), 100, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, {}), 100, ForkProof::kEqualBatches);
}

TEST(ForkTest, NoEqualBatchBehindAStitchIsUnknown) {
  Stitched old;
  Wal rejoiner(old.other, 109);
  rejoiner.Add(50, 1, 7);
  Wal survivor = old.padded;
  ExpectUnknown(Search(rejoiner, survivor, PromotedAt(150)));
}

TEST(ForkTest, APartlySharedHistoryThatNeitherHoldsIsUnknown) {
  Wal survivor;
  survivor.Add(100, 1, 0);
  ExpectUnknown(Search(Wal(survivor, 50), survivor, SharedFrom(90)));
  KnownHistory known = SharedFrom(40);
  known.promoted_at = Sequence(20);
  ExpectUnknown(Search(Wal(survivor, 50), survivor, known));
}

TEST(ForkTest, SequencesBeforeTheSharedStreamAreNotCompared) {
  Wal rejoiner;
  rejoiner.Add(10, 1, 1).Add(50, 1, 0);
  Wal survivor;
  survivor.Add(10, 1, 2).Add(50, 1, 0).Add(5, 1, 3);
  ExpectFork(Search(rejoiner, survivor, SharedFrom(11)), 60, ForkProof::kEqualBatches);
}

// Lists that cannot be right.

using Lists = std::pair<std::vector<BatchInfo>, std::vector<BatchInfo>>;

Found FeedSpoiled(const std::function<void(Lists&)>& spoil) {
  Wal wal;
  wal.Add(100, 2, 0);
  ForkSearch search(wal.Extent(), wal.Extent(), {}, 64);
  Found found;
  while (auto next = search.Next()) {
    if (++found.rounds > 100) {
      ADD_FAILURE() << "no end";
      break;
    }
    Lists lists{wal.List(next->range, 1000), wal.List(next->range, 1000)};
    spoil(lists);
    search.Feed(lists.first, lists.second);
  }
  found.answer = search.Result();
  return found;
}

TEST(ForkTest, EmptyListsEndTheSearch) {
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists.first.clear(); }));
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists = {}; }));
}

TEST(ForkTest, AGapEndsTheSearch) {
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists.second.erase(lists.second.begin() + 3); }));
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists.second.erase(lists.second.begin()); }));
}

TEST(ForkTest, DisorderEndsTheSearch) {
  ExpectUnknown(FeedSpoiled([](Lists& lists) { std::reverse(lists.first.begin(), lists.first.end()); }));
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists.first[0].first = Sequence(~0ULL); }));
  ExpectUnknown(FeedSpoiled([](Lists& lists) { lists.first[0].first = Sequence(0); }));
}

TEST(ForkTest, TheSameListAgainEndsTheSearch) {
  Wal wal;
  wal.Add(1000, 2, 0);
  ForkSearch search(wal.Extent(), wal.Extent(), {}, 64);
  const auto list = wal.List(search.Next()->range, 1000);
  search.Feed(list, list);
  ASSERT_TRUE(search.Next());
  search.Feed(list, list);
  EXPECT_FALSE(search.Next());
  EXPECT_EQ(search.Result().proof, ForkProof::kUnknown);
}

TEST(ForkTest, BatchesOfCountZeroAreNoDifference) {
  const Found found = FeedSpoiled([](Lists& lists) {
    BatchInfo empty;
    empty.first = lists.first[1].first;
    lists.first.insert(lists.first.begin() + 1, empty);
  });
  ExpectFork(found, 200, ForkProof::kEqualBatches);
}

TEST(ForkTest, FeedingAfterTheEndChangesNothing) {
  Wal wal;
  wal.Add(10, 1, 0);
  ForkSearch search({}, wal.Extent(), {});
  ASSERT_FALSE(search.Next());
  search.Feed(wal.List({Sequence(1), Sequence(11)}, 100), {});
  EXPECT_EQ(search.Result().fork, Sequence(0));
}

TEST(ForkTest, ImpossibleExtentsAreUnknown) {
  Wal wal;
  wal.Add(10, 1, 0);
  WalExtent extent = wal.Extent();
  extent.last = Sequence(~0ULL);
  EXPECT_EQ(ForkSearch(extent, extent, {}).Result().proof, ForkProof::kUnknown);
  EXPECT_FALSE(ForkSearch(extent, extent, {}).Next());
  extent = wal.Extent();
  extent.oldest = Sequence(~0ULL);
  EXPECT_FALSE(ForkSearch(extent, wal.Extent(), {}).Next());
  EXPECT_FALSE(ForkSearch(wal.Extent(), wal.Extent(), SharedFrom(~0ULL)).Next());
}

// Properties.

std::uint64_t TrueFork(const Wal& a, const Wal& b) {
  std::size_t i = 0;
  while (i < a.Size() && i < b.Size() && a.At(i).first == b.At(i).first && a.At(i).count == b.At(i).count &&
         a.At(i).digest == b.At(i).digest) {
    ++i;
  }
  return i == 0 ? 0 : (a.At(i - 1).End() - 1).Value();
}

// Two histories with a common beginning; beyond it, batches that are equal by chance are frequent.
struct Histories {
  Wal rejoiner;
  Wal survivor;
  std::uint64_t fork = 0;
};

// Evenly, whatever the size that the check has grown to.
template <typename T>
T Number(T from, T to) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(from, to));
}

Histories RandomHistories() {
  Wal common;
  const int batches = Number(0, 150);
  for (int i = 0; i < batches; ++i) common.Add(static_cast<std::uint32_t>(Number(1, 6)), 0);
  Histories histories{Wal(common, common.Size()), Wal(common, common.Size()), 0};
  for (Wal* side : {&histories.rejoiner, &histories.survivor}) {
    const int own = Number(0, 60);
    for (int i = 0; i < own; ++i) {
      side->Add(static_cast<std::uint32_t>(Number(1, 3)), static_cast<std::uint8_t>(Number(0, 3)));
    }
  }
  histories.fork = TrueFork(histories.rejoiner, histories.survivor);
  return histories;
}

TEST(ForkProperty, AProvenForkIsTheTrueOne) {
  EXPECT_TRUE(rc::check([] {
    Histories histories = RandomHistories();
    const std::size_t window = Number<std::size_t>(1, 400);
    const std::size_t max_batches = *rc::gen::element<std::size_t>(1, 3, 50, 100000);
    const int wrong_by = Number(-20, 20);
    const int kind = Number(0, 3);
    KnownHistory known;
    if (kind > 0) known.promoted_at = Sequence(histories.fork);
    if (kind == 2) {
      const auto promoted = static_cast<std::int64_t>(histories.fork) + wrong_by;
      known.promoted_at = Sequence(static_cast<std::uint64_t>(std::max<std::int64_t>(promoted, 0)));
    } else {
      // A record that misleads is told from a true one by bytes, so it gets all of them.
      histories.rejoiner.Purge(Number<std::size_t>(0, 120));
      histories.survivor.Purge(Number<std::size_t>(0, 120));
    }
    const Found found = Search(histories.rejoiner, histories.survivor, known, window, max_batches);
    RC_TAG(std::string(found.answer.proof == ForkProof::kEqualBatches        ? "equal batches"
                       : found.answer.proof == ForkProof::kRecordedPromotion ? "recorded"
                                                                             : "unknown"));
    if (found.answer.proof == ForkProof::kEqualBatches)
      RC_ASSERT(found.answer.fork == Sequence(histories.fork));
    if (found.answer.proof == ForkProof::kRecordedPromotion && kind == 1) {
      RC_ASSERT(found.answer.fork == Sequence(histories.fork));
    }
    RC_ASSERT(found.answer.proof != ForkProof::kSameStream);
    RC_ASSERT(!found.answer.note.empty());
    // All of both WALs there and a record that is right: always found.
    if (kind == 2 && wrong_by == 0) RC_ASSERT(found.answer.proof == ForkProof::kEqualBatches);
  }));
}

TEST(ForkProperty, UnpurgedHistoriesAreAlwaysProvenInFewRounds) {
  EXPECT_TRUE(rc::check([] {
    const Histories histories = RandomHistories();
    RC_PRE(histories.survivor.Size() > 0);
    const Found found = Search(histories.rejoiner, histories.survivor, {}, 16);
    RC_ASSERT(found.answer.proof == ForkProof::kEqualBatches);
    RC_ASSERT(found.answer.fork == Sequence(histories.fork));
    RC_ASSERT(found.rounds <= 6);
  }));
}

TEST(ForkProperty, AnyListsAndExtentsEndTheSearch) {
  EXPECT_TRUE(rc::check([] {
    const auto sequence = [] {
      return Sequence(
          *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 40), rc::gen::arbitrary<std::uint64_t>()));
    };
    const auto maybe = [&]() -> std::optional<Sequence> {
      if (Number(0, 4) == 0) return std::nullopt;
      return sequence();
    };
    const auto extent = [&] {
      WalExtent made;
      made.oldest = maybe();
      made.last = maybe();
      return made;
    };
    KnownHistory known;
    known.shared_from = maybe();
    known.promoted_at = maybe();
    known.same_stream = *rc::gen::arbitrary<bool>();
    ForkSearch search(extent(), extent(), known, Number<std::uint64_t>(0, 100));
    int rounds = 0;
    while (auto next = search.Next()) {
      RC_ASSERT(++rounds < 100);
      RC_ASSERT(!next->range.Empty());
      const auto list = [&] {
        std::vector<BatchInfo> made;
        Sequence first = next->range.from;
        const int size = Number(0, 12);
        for (int i = 0; i < size; ++i) {
          BatchInfo batch;
          batch.first = Number(0, 30) == 0 ? sequence() : first;
          batch.count = static_cast<std::uint32_t>(Number(0, 4));
          batch.digest.bytes[0] = static_cast<std::uint8_t>(Number(0, 8) == 0);
          if (Number(0, 6) == 0) batch.marker = "01J0";
          first = batch.End();
          made.push_back(batch);
        }
        return made;
      };
      const auto rejoiner = list();
      search.Feed(rejoiner, *rc::gen::arbitrary<bool>() ? rejoiner : list());
    }
    RC_ASSERT(!search.Result().note.empty());
    RC_ASSERT(search.Result().fork.has_value() == (search.Result().proof != ForkProof::kUnknown));
  }));
}

}  // namespace
}  // namespace walstitch::core
