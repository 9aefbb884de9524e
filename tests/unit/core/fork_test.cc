#include "controller/core/fork.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/unit/core/fork_wal.h"

namespace walstitch {

static std::ostream& operator<<(std::ostream& out, const Sequence& sequence) {
  return out << sequence.ToString();
}

}  // namespace walstitch

namespace walstitch::core {
namespace {

using Ask = ForkSearch::Ask;

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

TEST(ForkTest, APromotionThatTheBytesConfirmIsProvenInTwoRounds) {
  Wal common;
  common.Add(1000, 1, 0);
  Wal rejoiner(common, 1000);
  rejoiner.Add(2, 1);
  Wal survivor(common, 1000);
  survivor.Add(5, 2);
  const Found found = Search(rejoiner, survivor, PromotedAt(1000));
  ExpectFork(found, 1000, ForkProof::kEqualBatches);
  EXPECT_EQ(found.asked, (std::vector{Ask::kBatches, Ask::kBytes}));
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

TEST(ForkTest, TenMillionSequencesTakeFiveRoundsAndKilobytes) {
  Wal survivor;
  survivor.Add(2'000'000, 5, 0);
  Wal rejoiner(survivor, 1'234'567);
  rejoiner.Add(1, 5, 1).Follow(survivor);
  const Found found = Search(rejoiner, survivor, {});
  ExpectFork(found, 1'234'567 * 5, ForkProof::kEqualBatches);
  EXPECT_LE(found.rounds, 5);
  EXPECT_LT(found.bytes, 150U << 10);
}

TEST(ForkTest, EqualHistoriesAreDigestedOnce) {
  Wal wal;
  wal.Add(400000, 1, 0);
  const Found found = Search(wal, wal, {});
  ExpectFork(found, 400000, ForkProof::kEqualBatches);
  EXPECT_EQ(found.asked, (std::vector{Ask::kDigests, Ask::kBatches, Ask::kBytes}));
}

TEST(ForkTest, AnswersThatEndEarlyAreWalkedOn) {
  Wal common;
  common.Add(5000, 3, 0);
  Wal rejoiner(common, 5000);
  rejoiner.Add(1, 1);
  Wal survivor(common, 5000);
  survivor.Add(2, 2);
  SearchOptions options;
  options.max_batches = 7;
  options.max_digested = 300;
  const Found found = Search(rejoiner, survivor, {}, options);
  ExpectFork(found, 15000, ForkProof::kEqualBatches);
  EXPECT_LE(found.rounds, 2 * 5000 / 150);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(15000), options), 15000, ForkProof::kEqualBatches);
}

TEST(ForkTest, ABatchThatSpansManyPartsIsOneBatch) {
  Wal common;
  common.Add(10, 2, 0).Add(60000, 4).Add(10, 2, 0);
  Wal rejoiner(common, common.Size());
  rejoiner.Add(50000, 1).Add(3, 1);
  Wal survivor(common, common.Size());
  survivor.Add(50000, 2).Add(3, 1);
  ExpectFork(Search(rejoiner, survivor, {}), 60040, ForkProof::kEqualBatches);
  ExpectFork(Search(rejoiner, survivor, PromotedAt(60040)), 60040, ForkProof::kEqualBatches);
  // One spans where another has many.
  Wal many(common, common.Size());
  many.Add(50003, 1, 1);
  ExpectFork(Search(rejoiner, many, {}), 60040, ForkProof::kEqualBatches);
  ExpectFork(Search(many, rejoiner, {}), 60040, ForkProof::kEqualBatches);
}

TEST(ForkTest, ARunThatBeginsInsideABatchBeginsWithThatBatch) {
  Wal common;
  common.Add(100, 1, 0).Add(1000, 0).Add(5000, 1, 0);
  Wal rejoiner(common, common.Size());
  rejoiner.Add(1, 1);
  Wal survivor(common, common.Size());
  survivor.Add(1, 2);
  ExpectFork(Search(rejoiner, survivor, SharedFrom(600)), 6100, ForkProof::kEqualBatches);
  Wal other;
  other.Add(100, 1, 0).Add(1000, 3).Add(5000, 1, 0);
  ExpectUnknown(Search(rejoiner, other, SharedFrom(600)));
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
  EXPECT_EQ(found.rounds, 2);
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

TEST(ForkTest, MarkersAreAskedForUntilTheHint) {
  Wal common;
  common.Add(100, 1, 0);
  Wal padded(common, 100);
  padded.Add(5, 1, 1);
  for (int i = 0; i < 40; ++i) padded.Add(5, 3, "01J0");
  Wal other(common, 100);
  other.Add(205, 1, 2).Add(30, 1, 0);
  padded.Follow(other);
  SearchOptions options;
  options.max_marked = 7;
  const Found found = Search(padded, other, SameStream(), options);
  ExpectFork(found, 335, ForkProof::kEqualBatches);
  EXPECT_EQ(std::count(found.asked.begin(), found.asked.end(), Ask::kMarked), 6);
}

// Answers that cannot be right.

using Question = ForkSearch::Question;

// Two histories that take every kind of question: a stitch at 10001, and a difference at 20001.
Found SearchSpoiled(Ask ask, const std::function<void(const Question&, Answers*)>& spoil) {
  Wal survivor;
  survivor.Add(10000, 1, 0);
  Wal rejoiner(survivor, 10000);
  rejoiner.Add(4, 1, 1).Add(5, 3, "01J0");
  survivor.Add(9, 1, 2).Add(9991, 1, 0);
  rejoiner.Follow(survivor);
  survivor.Add(3, 4, 1);
  rejoiner.Add(2, 4, 2);
  SearchOptions options;
  options.spoil = [&](const Question& question, Answers* answers) {
    if (question.ask == ask) spoil(question, answers);
  };
  options.max_rounds = 100;
  return Search(rejoiner, survivor, PromotedAt(20004), options);
}

TEST(ForkTest, RightAnswersOfEveryKindFindTheFork) {
  const Found found = SearchSpoiled(Ask::kBatches, [](const Question&, Answers*) {});
  ExpectFork(found, 20000, ForkProof::kEqualBatches);
  for (const Ask ask : {Ask::kBatches, Ask::kDigests, Ask::kMarked, Ask::kBytes}) {
    EXPECT_TRUE(std::count(found.asked.begin(), found.asked.end(), ask));
  }
}

TEST(ForkTest, NoAnswerEndsTheSearch) {
  for (const Ask ask : {Ask::kBatches, Ask::kDigests, Ask::kMarked, Ask::kBytes}) {
    ExpectUnknown(SearchSpoiled(ask, [](const Question&, Answers* answers) {
      answers->batches[0].clear();
      answers->digests[0] = {};
      answers->marked[0] = {};
      answers->bytes[0].clear();
    }));
    ExpectUnknown(SearchSpoiled(ask, [](const Question&, Answers* answers) { *answers = {}; }));
  }
}

void ExpectListSpoils(const std::function<void(std::vector<BatchInfo>*)>& spoil) {
  for (int side = 0; side < 2; ++side) {
    ExpectUnknown(SearchSpoiled(Ask::kBatches,
                                [&](const Question&, Answers* answers) { spoil(&answers->batches[side]); }));
  }
}

TEST(ForkTest, AGapInAListEndsTheSearch) {
  ExpectListSpoils([](auto* list) { list->erase(list->begin() + 3); });
  ExpectListSpoils([](auto* list) { list->erase(list->begin()); });
}

TEST(ForkTest, DisorderInAListEndsTheSearch) {
  ExpectListSpoils([](auto* list) { std::reverse(list->begin(), list->end()); });
  ExpectListSpoils([](auto* list) { list->front().first = Sequence(~0ULL); });
  ExpectListSpoils([](auto* list) { list->front().first = Sequence(0); });
}

TEST(ForkTest, AListOfAnotherPlaceEndsTheSearch) {
  std::optional<std::vector<BatchInfo>> before;
  ExpectListSpoils([&](auto* list) {
    if (before) *list = *before;
    before = *list;
  });
}

TEST(ForkTest, BatchesOfCountZeroAreNoDifference) {
  const Found found = SearchSpoiled(Ask::kBatches, [](const Question&, Answers* answers) {
    BatchInfo empty;
    empty.first = answers->batches[0][1].first;
    answers->batches[0].insert(answers->batches[0].begin() + 1, empty);
  });
  ExpectFork(found, 20000, ForkProof::kEqualBatches);
}

void ExpectDigestsSpoil(const std::function<void(const Question&, RangeDigests*)>& spoil) {
  for (int side = 0; side < 2; ++side) {
    ExpectUnknown(SearchSpoiled(Ask::kDigests, [&](const Question& question, Answers* answers) {
      spoil(question, &answers->digests[side]);
    }));
  }
}

TEST(ForkTest, MorePartsThanAskedForEndTheSearch) {
  ExpectDigestsSpoil(
      [](const Question&, RangeDigests* digests) { digests->parts.push_back(digests->parts.back()); });
}

TEST(ForkTest, PartsThatCannotBeEndTheSearch) {
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts[1] = digests->parts[0]; });
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts[1] = {}; });
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts[1].batches = 0; });
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts[1].batches = ~0ULL; });
  ExpectDigestsSpoil(
      [](const Question&, RangeDigests* digests) { digests->parts[1].first = digests->parts[1].first + 1; });
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts.back().end = Sequence(); });
  ExpectDigestsSpoil(
      [](const Question&, RangeDigests* digests) { digests->parts.back().end = Sequence(~0ULL); });
  ExpectDigestsSpoil([](const Question& question, RangeDigests* digests) {
    digests->parts.back().first = question.range.to;
    digests->parts.back().end = question.range.to + 1;
  });
}

TEST(ForkTest, DigestsThatDifferOverEqualBatchesAreAContradiction) {
  ExpectDigestsSpoil([](const Question&, RangeDigests* digests) { digests->parts[0].digest[3] ^= 1; });
}

TEST(ForkTest, ADigestThatHidesADifferenceIsCaughtByTheBytes) {
  // The rejoiner says of its every part, and then of its every batch, what the survivor says.
  Wal survivor;
  survivor.Add(5000, 1, 0);
  Wal rejoiner;
  rejoiner.Add(3000, 1, 0).Add(2000, 1, 1);
  SearchOptions options;
  options.spoil = [](const Question&, Answers* answers) { answers->digests[0] = answers->digests[1]; };
  Found found = Search(rejoiner, survivor, {}, options);
  ExpectUnknown(found);
  EXPECT_NE(found.answer.note.find("equal when they were compared first"), std::string::npos)
      << found.answer.note;
  options.spoil = [](const Question&, Answers* answers) {
    answers->digests[0] = answers->digests[1];
    answers->batches[0] = answers->batches[1];
  };
  found = Search(rejoiner, survivor, {}, options);
  ExpectUnknown(found);
  EXPECT_EQ(found.asked.back(), Ask::kBytes);
}

TEST(ForkTest, BytesThatAreNotThoseOfTheListEndTheSearch) {
  for (int side = 0; side < 2; ++side) {
    const auto spoil = [&](const std::function<void(std::string*)>& change) {
      ExpectUnknown(SearchSpoiled(Ask::kBytes,
                                  [&](const Question&, Answers* answers) { change(&answers->bytes[side]); }));
    };
    spoil([](std::string* bytes) { bytes->front() ^= 1; });
    spoil([](std::string* bytes) { bytes->back() ^= 1; });
    spoil([](std::string* bytes) { bytes->pop_back(); });
    spoil([](std::string* bytes) { bytes->push_back('x'); });
    spoil([](std::string* bytes) { bytes->resize(1 << 20, 'x'); });
  }
}

TEST(ForkTest, BatchesTooBigToReadAreComparedAsFarAsTheyAreRead) {
  Wal common;
  common.Add(100, 1, 0).Add(5000, 0);
  Wal rejoiner(common, common.Size());
  rejoiner.Add(9000, 1);
  Wal survivor(common, common.Size());
  survivor.Add(9000, 2);
  ExpectFork(Search(rejoiner, survivor, {}), 5100, ForkProof::kEqualBatches);
  SearchOptions options;
  options.spoil = [](const Question&, Answers* answers) {
    if (!answers->bytes[1].empty()) answers->bytes[1][50000] ^= 1;
  };
  ExpectUnknown(Search(rejoiner, survivor, {}, options));
}

TEST(ForkTest, MarkedBatchesThatCannotBeEndTheSearch) {
  for (int side = 0; side < 2; ++side) {
    const auto spoil = [&](const std::function<void(const Question&, MarkedBatches*)>& change) {
      ExpectUnknown(SearchSpoiled(Ask::kMarked, [&](const Question& question, Answers* answers) {
        auto& marked = answers->marked[side];
        if (marked.batches.empty()) marked.batches = answers->marked[1 - side].batches;
        change(question, &marked);
      }));
    };
    spoil([](const Question& question, MarkedBatches* marked) { marked->looked_to = question.range.from; });
    spoil([](const Question& question, MarkedBatches* marked) { marked->looked_to = question.range.to + 1; });
    spoil([](const Question&, MarkedBatches* marked) { marked->batches.front().marker.clear(); });
    spoil([](const Question&, MarkedBatches* marked) { marked->batches.front().count = 0; });
    spoil([](const Question&, MarkedBatches* marked) { marked->batches.front().first = Sequence(~0ULL); });
    spoil([](const Question& question, MarkedBatches* marked) {
      marked->batches.front().first = question.range.to;
    });
    spoil([](const Question&, MarkedBatches* marked) { marked->batches.front().first = Sequence(1); });
    spoil([](const Question&, MarkedBatches* marked) { marked->batches.push_back(marked->batches.front()); });
  }
}

TEST(ForkTest, ASearchThatIsLedOnForEverIsGivenUp) {
  // Both sides answer a batch at a time, of a WAL without end.
  WalExtent extent;
  extent.oldest = Sequence(1);
  extent.last = Sequence(1ULL << 55);
  ForkSearch search(extent, extent, {});
  while (auto next = search.Next()) {
    ASSERT_EQ(next->ask, Ask::kDigests);
    const PartDigest part{1, next->range.from, next->range.from + 1, {}};
    search.FeedDigests({{part}}, {{part}});
  }
  EXPECT_FALSE(search.Result().fork);
  EXPECT_NE(search.Result().note.find("given up"), std::string::npos) << search.Result().note;
  EXPECT_EQ(search.Rounds(), 10000);
}

TEST(ForkTest, FeedingAfterTheEndChangesNothing) {
  Wal wal;
  wal.Add(10, 1, 0);
  ForkSearch search({}, wal.Extent(), {});
  ASSERT_FALSE(search.Next());
  search.FeedBatches(wal.List({Sequence(1), Sequence(11)}, 100), {});
  search.FeedDigests({}, {});
  search.FeedMarked({}, {});
  search.FeedBytes("a", "b");
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

}  // namespace
}  // namespace walstitch::core
