// The fork search over random pairs of histories, against comparing them batch by batch.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/fork.h"
#include "tests/unit/core/fork_wal.h"

namespace walstitch::core {
namespace {

constexpr SequenceRange kEverything{Sequence(0), Sequence(1ULL << 56)};
constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();

std::uint64_t TrueFork(const Wal& rejoiner, const Wal& survivor) {
  std::size_t i = 0;
  const auto a = rejoiner.List(kEverything, kAny);
  const auto b = survivor.List(kEverything, kAny);
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  return i == 0 ? 0 : (a[i - 1].End() - 1).Value();
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

// Small batches for the most part, some of count 0, and now and then one that spans many parts.
void Write(Wal* wal, int batches, int contents) {
  for (int i = 0; i < batches; ++i) {
    const int kind = Number(0, 100);
    const int count = kind == 0 ? Number(1000, 5000) : kind < 10 ? 0 : Number(1, 6);
    wal->Add(static_cast<std::uint32_t>(count), static_cast<std::uint8_t>(Number(0, contents)));
  }
}

Histories RandomHistories() {
  Wal common;
  Write(&common, Number(0, 300), 1);
  Histories histories{Wal(common, common.Size()), Wal(common, common.Size()), 0};
  Write(&histories.rejoiner, Number(0, 60), 3);
  Write(&histories.survivor, Number(0, 60), 3);
  histories.fork = TrueFork(histories.rejoiner, histories.survivor);
  return histories;
}

SearchOptions RandomLimits() {
  SearchOptions options;
  options.max_batches = *rc::gen::element<std::size_t>(20, 50, ForkSearch::kMaxBatches);
  options.max_digested = *rc::gen::element<std::size_t>(1, 40, 1000000);
  options.max_marked = *rc::gen::element<std::size_t>(1, 3, ForkSearch::kMaxMarked);
  return options;
}

TEST(ForkProperty, AProvenForkIsTheTrueOne) {
  EXPECT_TRUE(rc::check([] {
    Histories histories = RandomHistories();
    const int wrong_by = Number(-20, 20);
    const int kind = Number(0, 3);
    KnownHistory known;
    if (kind > 0) known.promoted_at = Sequence(histories.fork);
    if (kind == 2) {
      const auto promoted = static_cast<std::int64_t>(histories.fork) + wrong_by;
      known.promoted_at = Sequence(static_cast<std::uint64_t>(std::max<std::int64_t>(promoted, 0)));
    } else {
      // A record that misleads is told from a true one by bytes, so it gets all of them.
      histories.rejoiner.Purge(Number<std::size_t>(0, 240));
      histories.survivor.Purge(Number<std::size_t>(0, 240));
    }
    const Found found = Search(histories.rejoiner, histories.survivor, known, RandomLimits());
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
    RC_PRE(histories.survivor.Last() > 0);
    const Found found = Search(histories.rejoiner, histories.survivor, {});
    RC_ASSERT(found.answer.proof == ForkProof::kEqualBatches);
    RC_ASSERT(found.answer.fork == Sequence(histories.fork));
    RC_ASSERT(found.rounds <= 6);
  }));
}

// The same answer by reading everything: what ForkSearch finds by asking little. Nothing if the records alone
// must answer, which needs no questions.
struct Expected {
  std::optional<Sequence> fork;
  ForkProof proof = ForkProof::kUnknown;
};

class ByHand {
 public:
  ByHand(const Wal& rejoiner, const Wal& survivor)
      : a_(rejoiner.List(kEverything, kAny)), b_(survivor.List(kEverything, kAny)) {}

  std::optional<Expected> Fork(const Wal& rejoiner, const Wal& survivor, const KnownHistory& known) {
    if (a_.empty() || b_.empty()) return std::nullopt;
    const Sequence rejoiner_last(rejoiner.Last());
    const Sequence end = std::min(rejoiner_last, Sequence(survivor.Last()));
    const Sequence start = std::max({*rejoiner.Extent().oldest, *survivor.Extent().oldest,
                                     known.shared_from.value_or(Sequence(1)), Sequence(1)});
    if (start > end) return std::nullopt;
    std::optional<Sequence> hint;
    if (known.same_stream) {
      hint = end;
    } else if (known.promoted_at) {
      hint = std::min(*known.promoted_at, end);
    }
    if (hint && *hint < start) return std::nullopt;

    bool from_common = known.shared_from == start || start == Sequence(1);
    Run run = RunFrom(start);
    if (hint) {
      const Sequence near(std::max(hint->Value(), start.Value() + 63) - 63);
      const Run at_hint = RunFrom(near);
      if (at_hint.Holds(*hint + 1)) {
        run = at_hint;
        from_common = true;
      }
    }
    if (run.both_go_on && hint && run.end <= *hint) {
      if (const auto stitch = LastMarkerBetween(run.end, *hint + 1)) {
        const Run behind = RunFrom(*stitch);
        if (behind.boundary && behind.equal > 0) return Equal(behind);
        if (known.same_stream && *stitch == rejoiner_last + 1) {
          return Expected{rejoiner_last, ForkProof::kSameStream};
        }
        if (!known.same_stream && *stitch == *hint + 1) return Expected{hint, ForkProof::kRecordedPromotion};
        return Expected{};
      }
    }
    if (run.equal > 0) return from_common || run.equal >= 16 ? Equal(run) : Expected{};
    if (run.end == Sequence(1) && a_.front().first == Sequence(1) && b_.front().first == Sequence(1)) {
      return Expected{Sequence(0), ForkProof::kEqualBatches};
    }
    return Expected{};
  }

 private:
  struct Run {
    Sequence end;
    std::size_t equal = 0;
    std::vector<Sequence> ends;
    bool boundary = false;
    bool both_go_on = false;
    [[nodiscard]] bool Holds(Sequence sequence) const {
      return std::find(ends.begin(), ends.end(), sequence) != ends.end();
    }
  };

  static Expected Equal(const Run& run) { return {run.end - 1, ForkProof::kEqualBatches}; }

  [[nodiscard]] Run RunFrom(Sequence from) const {
    const auto holds = [&](const BatchInfo& batch) { return batch.End() > from; };
    auto a = std::find_if(a_.begin(), a_.end(), holds);
    auto b = std::find_if(b_.begin(), b_.end(), holds);
    Run run;
    run.end = from;
    run.boundary = a != a_.end() && b != b_.end() && a->first == from && b->first == from;
    for (; a != a_.end() && b != b_.end() && *a == *b; ++a, ++b) {
      run.end = a->End();
      run.ends.push_back(run.end);
      ++run.equal;
    }
    run.both_go_on = a != a_.end() && b != b_.end();
    return run;
  }
  [[nodiscard]] std::optional<Sequence> LastMarkerBetween(Sequence from, Sequence to) const {
    std::optional<Sequence> last;
    for (const auto* side : {&a_, &b_}) {
      for (const auto& batch : *side) {
        if (batch.marker.empty() || batch.first < from || batch.End() > to) continue;
        if (!last || batch.End() > *last) last = batch.End();
      }
    }
    return last;
  }

  std::vector<BatchInfo> a_;
  std::vector<BatchInfo> b_;
};

// A common beginning, up to three stitches with a common stretch behind each, and a tail and what it missed.
Histories StitchedHistories() {
  Histories histories;
  Write(&histories.survivor, Number(0, 150), 2);
  histories.rejoiner.Follow(histories.survivor);
  for (int i = Number(0, 4); i > 0; --i) {
    Wal& padded = Number(0, 2) == 0 ? histories.rejoiner : histories.survivor;
    Wal& other = &padded == &histories.rejoiner ? histories.survivor : histories.rejoiner;
    Write(&padded, Number(0, 10), 3);
    Write(&other, Number(0, 20), 3);
    while (other.Last() <= padded.Last()) other.Add(static_cast<std::uint32_t>(Number(1, 5)), 1);
    while (padded.Last() < other.Last()) {
      const auto count = std::min<std::uint64_t>(other.Last() - padded.Last(), Number<std::uint64_t>(1, 500));
      padded.Add(static_cast<std::uint32_t>(count), 3, "01J0");
    }
    Write(&other, Number(0, 100), 2);
    padded.Follow(other);
  }
  histories.fork = histories.survivor.Last();
  Write(&histories.rejoiner, Number(0, 20), 3);
  Write(&histories.survivor, Number(0, 40), 3);
  return histories;
}

TEST(ForkProperty, WhatIsFoundByAskingLittleIsWhatIsFoundByReadingEverything) {
  EXPECT_TRUE(rc::check([] {
    Histories histories = StitchedHistories();
    if (Number(0, 3) == 0) histories.rejoiner.Purge(Number<std::size_t>(0, 250));
    if (Number(0, 3) == 0) histories.survivor.Purge(Number<std::size_t>(0, 250));
    if (Number(0, 2) == 0) std::swap(histories.rejoiner, histories.survivor);
    const auto about = [&](std::uint64_t sequence) {
      const std::uint64_t by = *rc::gen::element<std::uint64_t>(0, 0, 0, 1, 7, 100);
      return Sequence(Number(0, 2) == 0 ? sequence + by : sequence - std::min(sequence, by));
    };
    KnownHistory known;
    if (Number(0, 2) == 0) known.promoted_at = about(histories.fork);
    if (Number(0, 3) == 0) known.shared_from = about(Number<std::uint64_t>(0, histories.fork + 1));
    known.same_stream = Number(0, 4) == 0;
    const auto expected =
        ByHand(histories.rejoiner, histories.survivor).Fork(histories.rejoiner, histories.survivor, known);
    RC_PRE(expected.has_value());
    const Found found = Search(histories.rejoiner, histories.survivor, known, RandomLimits());
    RC_TAG(std::string(ToString(found.answer.proof)));
    RC_LOG() << found.answer.note << "\n";
    RC_ASSERT(found.answer.fork == expected->fork);
    RC_ASSERT(found.answer.proof == expected->proof);
  }));
}

// Whatever two sides answer, the search ends, and says something.
TEST(ForkProperty, AnyAnswersAndExtentsEndTheSearch) {
  EXPECT_TRUE(rc::check([] {
    const auto sequence = [] {
      return Sequence(
          *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(0, 1000), rc::gen::arbitrary<std::uint64_t>()));
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
    const auto list = [&](SequenceRange range) {
      std::vector<BatchInfo> made;
      Sequence first = range.from;
      for (int i = Number(0, 12); i > 0; --i) {
        BatchInfo batch;
        batch.first = Number(0, 30) == 0 ? sequence() : first;
        batch.count = static_cast<std::uint32_t>(Number(0, 4));
        batch.bytes = Number<std::uint64_t>(0, 20);
        batch.digest.bytes[0] = static_cast<std::uint8_t>(Number(0, 8) == 0);
        if (Number(0, 6) == 0) batch.marker = "01J0";
        first = batch.End();
        made.push_back(batch);
      }
      return made;
    };
    const auto digests = [&](SequenceRange range, std::uint32_t parts) {
      RangeDigests made;
      Sequence expected = range.from;
      for (std::uint32_t i = 0; i < parts && Number(0, 50) != 0; ++i) {
        const SequenceRange within = PartOf(range, parts, i);
        PartDigest part;
        if (expected < within.to) {
          part.batches = 1;
          part.first = expected;
          part.end = within.to + Number<std::uint64_t>(0, 3);
          part.digest[0] = static_cast<std::uint8_t>(Number(0, 100) == 0);
          expected = part.end;
        }
        made.parts.push_back(part);
      }
      return made;
    };
    const auto marked = [&](SequenceRange range) {
      return MarkedBatches{list(range), Number(0, 5) == 0 ? sequence() : range.to};
    };
    const auto bytes = [&] { return *rc::gen::arbitrary<std::string>(); };

    ForkSearch search(extent(), extent(), known);
    while (auto next = search.Next()) {
      RC_ASSERT(search.Rounds() < 100);
      RC_ASSERT(!next->range.Empty());
      const bool alike = Number(0, 4) != 0;
      switch (next->ask) {
        case ForkSearch::Ask::kBatches: {
          const auto rejoiner = list(next->range);
          search.FeedBatches(rejoiner, alike ? rejoiner : list(next->range));
          break;
        }
        case ForkSearch::Ask::kDigests: {
          RC_ASSERT(next->parts >= 2U);
          const auto rejoiner = digests(next->range, next->parts);
          search.FeedDigests(rejoiner, alike ? rejoiner : digests(next->range, next->parts));
          break;
        }
        case ForkSearch::Ask::kMarked: {
          const auto rejoiner = marked(next->range);
          search.FeedMarked(rejoiner, alike ? rejoiner : marked(next->range));
          break;
        }
        case ForkSearch::Ask::kBytes: {
          const auto rejoiner = bytes();
          search.FeedBytes(rejoiner, alike ? rejoiner : bytes());
          break;
        }
      }
    }
    RC_ASSERT(!search.Result().note.empty());
    RC_ASSERT(search.Result().fork.has_value() == (search.Result().proof != ForkProof::kUnknown));
  }));
}

}  // namespace
}  // namespace walstitch::core
