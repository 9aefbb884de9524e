#include "controller/core/fork.h"

#include <algorithm>
#include <utility>

namespace walstitch::core {
namespace {

// RocksDB keeps a sequence in 56 bits: anything above is no sequence, and sums stay far from overflow.
constexpr std::uint64_t kMaxSequence = (1ULL << 56) - 1;
// How far before the recorded promotion the batches are compared.
constexpr std::uint64_t kPromotionWindow = 64;
constexpr std::uint64_t kMinWindow = 16;
constexpr std::uint64_t kMaxWindow = 1ULL << 20;
// Without any record, and where the WALs no longer reach a point that is known to be common, the
// beginning of what is left may lie beyond a difference that was purged. A single equal batch there can
// be chance; a run of this many is not.
constexpr std::uint64_t kMinUnrecordedRun = 16;

bool Same(const BatchInfo& a, const BatchInfo& b) {
  return a.first == b.first && a.count == b.count && a.digest == b.digest;
}

// Batches of count 0 take no sequence and are left out. Returns what is wrong with the list, or "".
std::string TakeBatches(std::string_view side, const std::vector<BatchInfo>& list, Sequence from,
                        std::vector<const BatchInfo*>* batches) {
  const std::string whose = "the " + std::string(side) + "'s list of batches ";
  for (const auto& batch : list) {
    if (batch.count == 0) continue;
    if (batch.first.Value() == 0 || batch.first.Value() > kMaxSequence) {
      return whose + "holds the impossible sequence " + batch.first.ToString();
    }
    if (!batches->empty() && batches->back()->End() != batch.first) {
      return whose + "goes from " + batches->back()->End().ToString() + " to " + batch.first.ToString();
    }
    batches->push_back(&batch);
  }
  if (batches->empty()) return whose + "holds nothing at " + from.ToString();
  if (batches->front()->first > from) {
    return whose + "begins at " + batches->front()->first.ToString() + ", and " + from.ToString() +
           " was asked for: its WAL was purged meanwhile";
  }
  if (batches->front()->End() <= from) {
    return whose + "begins with a batch that ends before " + from.ToString();
  }
  return "";
}

std::size_t CountEqual(const std::vector<const BatchInfo*>& a, const std::vector<const BatchInfo*>& b) {
  std::size_t equal = 0;
  while (equal < a.size() && equal < b.size() && Same(*a[equal], *b[equal])) ++equal;
  return equal;
}

}  // namespace

ForkSearch::ForkSearch(WalExtent rejoiner, WalExtent survivor, KnownHistory known,
                       std::uint64_t window_records)
    : rejoiner_(std::move(rejoiner)),
      survivor_(std::move(survivor)),
      known_(known),
      window_records_(std::clamp(window_records, kMinWindow, kMaxWindow)) {
  Begin();
}

void ForkSearch::Begin() {
  const Sequence zero(0);
  rejoiner_last_ = rejoiner_.last.value_or(zero);
  const Sequence survivor_last = survivor_.last.value_or(zero);

  if (rejoiner_last_ == zero) {
    if (survivor_.oldest == Sequence(1) || survivor_.last == zero) {
      Finish({zero, ForkProof::kEqualBatches,
              "the rejoiner is empty, and the survivor's WAL reaches back to the beginning"});
    } else {
      FinishUnknown("the rejoiner is empty, and the survivor's WAL no longer reaches the beginning" +
                    (survivor_.oldest ? ": its oldest sequence is " + survivor_.oldest->ToString()
                                      : std::string(": it holds nothing")));
    }
    return;
  }
  if (survivor_last == zero) return FinishUnknown("the survivor holds nothing to compare with");
  if (rejoiner_last_.Value() > kMaxSequence || survivor_last.Value() > kMaxSequence) {
    return FinishUnknown("a last sequence of " + std::max(rejoiner_last_, survivor_last).ToString() +
                         " is impossible");
  }

  end_ = std::min(rejoiner_last_, survivor_last);
  if (known_.shared_from && *known_.shared_from > end_ + 1) {
    return FinishUnknown("both are recorded to share a stream from " + known_.shared_from->ToString() +
                         " on, but the one that is behind ends at " + end_.ToString());
  }
  if (known_.same_stream) {
    hint_ = end_;
  } else if (known_.promoted_at) {
    hint_ = std::min(*known_.promoted_at, end_);
  }

  if (!rejoiner_.oldest || !survivor_.oldest) {
    return ConcludeWithoutBytes(!rejoiner_.oldest ? "the rejoiner's WAL is empty"
                                                  : "the survivor's WAL is empty");
  }
  start_ = std::max({*rejoiner_.oldest, *survivor_.oldest, known_.shared_from.value_or(zero), Sequence(1)});
  // From a point that is known to be common, one equal batch is as good as a thousand.
  from_common_ = known_.shared_from == start_ || *start_ == Sequence(1);

  if (*start_ > end_) {
    return ConcludeWithoutBytes("no sequence stands in both WALs (the oldest that could is " +
                                start_->ToString() + ", and one side ends at " + end_.ToString() + ")");
  }
  if (!hint_) return GoForward(*start_);
  if (*hint_ >= *start_) {
    phase_ = Phase::kAtPromotion;
    return;
  }
  // Nothing at or before the recorded fork can be read. The beginning of history needs no reading.
  if (*hint_ == zero && *start_ == Sequence(1)) return GoForward(*start_);
  ConcludeWithoutBytes("the WALs, compared from " + start_->ToString() + " on, do not reach " +
                       hint_->ToString());
}

std::optional<ForkSearch::Window> ForkSearch::Next() const {
  switch (phase_) {
    case Phase::kAtPromotion: {
      const Sequence from(hint_->Value() >= kPromotionWindow ? hint_->Value() - (kPromotionWindow - 1) : 1);
      return Window{{std::max(from, *start_), *hint_ + 2}};
    }
    case Phase::kForward:
      return Window{{position_, std::min(position_ + window_, end_ + 1)}};
    case Phase::kMarkers:
      return Window{{scan_, std::min(scan_ + window_, *hint_ + 1)}};
    case Phase::kDone:
      return std::nullopt;
  }
  return std::nullopt;
}

void ForkSearch::Feed(const std::vector<BatchInfo>& rejoiner, const std::vector<BatchInfo>& survivor) {
  const auto window = Next();
  if (!window) return;
  Batches rejoiner_batches;
  Batches survivor_batches;
  // In every phase the window begins at a sequence that both sides are known to hold.
  std::string wrong = TakeBatches("rejoiner", rejoiner, window->range.from, &rejoiner_batches);
  if (wrong.empty()) wrong = TakeBatches("survivor", survivor, window->range.from, &survivor_batches);
  if (!wrong.empty()) return FinishUnknown(std::move(wrong));

  switch (phase_) {
    case Phase::kAtPromotion:
      return FeedAtPromotion(rejoiner_batches, survivor_batches);
    case Phase::kForward:
      return FeedForward(rejoiner_batches, survivor_batches);
    case Phase::kMarkers:
      return FeedMarkers(rejoiner_batches, survivor_batches);
    case Phase::kDone:
      return;
  }
}

const ForkSearch::Answer& ForkSearch::Result() const { return answer_; }

void ForkSearch::FeedAtPromotion(const Batches& rejoiner, const Batches& survivor) {
  const std::size_t equal = CountEqual(rejoiner, survivor);
  bool ends_at_hint = false;
  for (std::size_t i = 0; i < equal; ++i) ends_at_hint |= rejoiner[i]->End() == *hint_ + 1;
  if (!ends_at_hint) {
    // The record misleads, or a stitch lies within the window: only the whole run can tell.
    remark_ = known_.same_stream
                  ? "the records say that the rejoiner followed this survivor, but the batches up to " +
                        hint_->ToString() + " are not all equal"
                  : "a promotion is recorded at " + hint_->ToString() +
                        ", but the batches up to there are not all equal";
    return GoForward(*start_);
  }
  GoForward(rejoiner[equal - 1]->End());
  equal_batches_ = equal;
  from_common_ = true;  // record and bytes agree
  if (equal < rejoiner.size() && equal < survivor.size()) return Differ();
  GoOn();
}

void ForkSearch::FeedForward(const Batches& rejoiner, const Batches& survivor) {
  const bool on_boundary = rejoiner.front()->first == position_ && survivor.front()->first == position_;
  if (!on_boundary && equal_batches_ > 0) {
    return FinishUnknown("a batch ended before " + position_.ToString() +
                         " when it was read first, and spans it when read again");
  }
  if (!on_boundary && restarted_) return Differ();
  const std::size_t equal = CountEqual(rejoiner, survivor);
  if (equal > 0) {
    position_ = rejoiner[equal - 1]->End();
    equal_batches_ += equal;
  }
  if (equal < rejoiner.size() && equal < survivor.size()) return Differ();
  window_ = std::min(window_ * 4, kMaxWindow);
  GoOn();
}

// A stitched node differs from its group for ever in the WAL of that window, and agrees after it:
//   1. B, an old master with a tail, was padded to the boundary `target` of A and then followed A.
//   2. B's WAL holds its tail and the marked no-op batches where A's holds what B missed. From `target`
//      on both hold the same.
//   3. A fails over to B, or B dies and comes back: compared from far enough back, the two part at the
//      old stitch. That divergence was decided, and recorded, at its time.
// So where there is a difference, marked batches beyond it are looked for, and the comparison starts
// again behind the last of them: from there both were in one stream.
//
// A marker says that its *own* node joined *a* stream, not that the other node was in it. What says so is
// the record that put both into one stream up to the hint; so only markers at or before the hint count.
// Without a record no marker counts: the fork stays before the first difference, which is too low at
// worst, and safe.
void ForkSearch::Differ() {
  if (restarted_ || !hint_ || position_ > *hint_) return Conclude();
  phase_ = Phase::kMarkers;
  scan_ = position_;
  window_ = window_records_;
}

void ForkSearch::FeedMarkers(const Batches& rejoiner, const Batches& survivor) {
  for (const Batches* side : {&rejoiner, &survivor}) {
    for (const BatchInfo* batch : *side) {
      if (batch->marker.empty() || batch->first < position_ || batch->End() > *hint_ + 1) continue;
      if (!restart_ || batch->End() > *restart_) restart_ = batch->End();
    }
  }
  scan_ = std::min(rejoiner.back()->End(), survivor.back()->End());
  if (scan_ <= *hint_) {
    window_ = std::min(window_ * 4, kMaxWindow);
    return;
  }
  if (!restart_) return Conclude();
  remark_ = "the batches differ at " + position_.ToString() + ", before a recorded stitch that ends at " +
            (*restart_ - 1).ToString();
  restarted_ = true;
  from_common_ = true;
  GoForward(*restart_);
  GoOn();
}

void ForkSearch::GoForward(Sequence from) {
  phase_ = Phase::kForward;
  position_ = from;
  equal_batches_ = 0;
  window_ = window_records_;
}

void ForkSearch::GoOn() {
  if (position_ > end_) Conclude();
}

void ForkSearch::Conclude() {
  const Sequence zero(0);
  const std::string next = position_.ToString();
  const std::string what_follows = position_ > rejoiner_last_ ? "the rejoiner has no next"
                                   : position_ > end_         ? "the survivor has no next"
                                                              : "the next ones, at " + next + ", differ";
  if (equal_batches_ > 0) {
    if (!from_common_ && equal_batches_ < kMinUnrecordedRun) {
      return FinishUnknown("from " + start_->ToString() +
                           " on, where the WALs begin, the batches are equal up to " +
                           (position_ - 1).ToString() + " only, and no record tells what was before: " +
                           std::to_string(equal_batches_) + " equal, too few to tell from chance");
    }
    return Finish(
        {position_ - 1, ForkProof::kEqualBatches,
         "both WALs hold the same batch ending at " + (position_ - 1).ToString() + ", and " + what_follows});
  }
  if (restarted_) {
    if (known_.same_stream && position_ == rejoiner_last_ + 1) {
      return Finish({rejoiner_last_, ForkProof::kSameStream,
                     "the rejoiner was stitched up to its end and followed this very survivor"});
    }
    if (!known_.same_stream && position_ == *hint_ + 1) {
      return Finish(
          {*hint_, ForkProof::kRecordedPromotion,
           "nothing was written between the stitch and the recorded promotion at " + hint_->ToString()});
    }
    return FinishUnknown("no batch behind the stitch is equal");
  }
  if (position_ == Sequence(1) && rejoiner_.oldest <= Sequence(1) && survivor_.oldest <= Sequence(1)) {
    return Finish({zero, ForkProof::kEqualBatches,
                   "both WALs reach back to the beginning, and differ from the first batch on"});
  }
  FinishUnknown("no batch from " + next + " on is equal, and the WALs reach no further back");
}

// Only the records can answer.
void ForkSearch::ConcludeWithoutBytes(std::string_view why) {
  if (known_.same_stream) {
    if (rejoiner_last_ == end_) {
      return Finish(
          {rejoiner_last_, ForkProof::kSameStream,
           "the rejoiner followed this very survivor and was never promoted since; " + std::string(why)});
    }
    return FinishUnknown("the rejoiner is recorded to have followed this survivor, yet is ahead of it (" +
                         rejoiner_last_.ToString() + " against " + end_.ToString() + "); " +
                         std::string(why));
  }
  // Joined exactly there: a join is recorded only after the other side's server accepted it at that very
  // sequence, so no batch is needed to know that the histories are one up to it.
  if (hint_ && known_.shared_from == *hint_ + 1) {
    return Finish({*hint_, ForkProof::kSameStream,
                   "one joined the other's stream at " + known_.shared_from->ToString() +
                       ", and nothing was written between that and the promotion at " +
                       known_.promoted_at->ToString() + "; " + std::string(why)});
  }
  // 1. A node was copied afresh, so it has no WAL. 2. Before anything more is written, another is promoted.
  // 3. Its copy holds nothing beyond that promotion, and is no worse for having no batch to show.
  if (known_.promoted_at && known_.shared_from && known_.rejoiner_kept_to_stream &&
      rejoiner_last_ <= *known_.promoted_at && *known_.shared_from <= rejoiner_last_ + 1) {
    return Finish(
        {rejoiner_last_, ForkProof::kSameStream,
         "the rejoiner joined the stream that the survivor's continues, and ends before the promotion at " +
             known_.promoted_at->ToString() + "; " + std::string(why)});
  }
  if (hint_ && (!known_.shared_from || *known_.shared_from <= *hint_ + 1)) {
    return Finish({*hint_, ForkProof::kRecordedPromotion,
                   "only the record of the promotion at " + known_.promoted_at->ToString() + " says so; " +
                       std::string(why)});
  }
  if (hint_) {
    return FinishUnknown("the records contradict each other: parted at " + hint_->ToString() +
                         ", in one stream from " + known_.shared_from->ToString() + " on; " +
                         std::string(why));
  }
  FinishUnknown(std::string(why));
}

void ForkSearch::FinishUnknown(std::string note) {
  Finish({std::nullopt, ForkProof::kUnknown, std::move(note)});
}

void ForkSearch::Finish(Answer answer) {
  phase_ = Phase::kDone;
  answer_ = std::move(answer);
  if (!remark_.empty()) answer_.note += "; " + remark_;
}

}  // namespace walstitch::core
