#include "controller/core/fork.h"

#include <algorithm>
#include <utility>

#include "policies/model/result.h"

namespace walstitch::core {
namespace {

// How far before the recorded promotion the batches are compared.
constexpr std::uint64_t kPromotionWindow = 64;
// Without any record, and where the WALs no longer reach a point that is known to be common, the
// beginning of what is left may lie beyond a difference that was purged. A single equal batch there can
// be chance; a run of this many is not.
constexpr std::uint64_t kMinUnrecordedRun = 16;

// Narrowing: so many parts at most, of no fewer sequences each than kMinPart on average.
constexpr std::uint64_t kMaxParts = 128;
constexpr std::uint64_t kMinPart = 32;
// A range of so many sequences, or a part of so many batches, is listed rather than digested.
constexpr std::uint64_t kListed = 256;
// A list begins this many sequences before the position, so that it says again what digests said.
constexpr std::uint64_t kOverlap = 16;
// Of the last equal batches, these are compared byte by byte: at least one, then up to so many of so many
// bytes together.
constexpr std::size_t kLastBatchesCompared = 8;
constexpr std::uint64_t kLastBytesCompared = 8192;

// More than any WAL takes; a search that is led on for ever ends here.
constexpr int kMaxRounds = 10000;

bool Same(const BatchInfo& a, const BatchInfo& b) {
  return a.first == b.first && a.count == b.count && a.bytes == b.bytes && a.digest == b.digest;
}

std::size_t CountEqual(const Batches& a, const Batches& b) {
  std::size_t equal = 0;
  while (equal < a.size() && equal < b.size() && Same(*a[equal], *b[equal])) ++equal;
  return equal;
}

// A batch begins at the sequence, the beginning of the range that was digested.
bool BeginsAt(const RangeDigests& digests, Sequence sequence) {
  return digests.parts.front().batches > 0 && digests.parts.front().first == sequence;
}

}  // namespace

ForkSearch::ForkSearch(WalExtent rejoiner, WalExtent survivor, KnownHistory known)
    : rejoiner_(std::move(rejoiner)), survivor_(std::move(survivor)), known_(known) {
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

std::optional<ForkSearch::Question> ForkSearch::Next() const {
  switch (phase_) {
    case Phase::kAtPromotion: {
      const Sequence from(hint_->Value() >= kPromotionWindow ? hint_->Value() - (kPromotionWindow - 1) : 1);
      return Question{Ask::kBatches, {std::max(from, *start_), *hint_ + 2}};
    }
    case Phase::kForward: {
      if (list_to_) return Question{Ask::kBatches, {BeforePosition(), *list_to_}};
      const std::uint64_t size = Limit() - position_;
      if (size <= kListed) return Question{Ask::kBatches, {BeforePosition(), Limit()}};
      const std::uint64_t parts = std::min(size / kMinPart, kMaxParts);
      return Question{Ask::kDigests, {position_, Limit()}, static_cast<std::uint32_t>(parts)};
    }
    case Phase::kMarkers:
      return Question{Ask::kMarked, {scan_, *hint_ + 1}};
    case Phase::kLastBatches:
      return Question{Ask::kBatches, {BeforePosition(), position_}};
    case Phase::kLastBytes:
      return Question{Ask::kBytes, {last_equal_.front().first, next_rejoiner_ ? position_ + 1 : position_}};
    case Phase::kDone:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ForkSearch::Question> ForkSearch::Take(Ask ask) {
  std::optional<Question> question = Next();
  if (!question) return std::nullopt;
  WALSTITCH_CHECK(question->ask == ask);
  if (rounds_ == kMaxRounds) {
    FinishUnknown("the search was given up after " + std::to_string(kMaxRounds) + " rounds");
    return std::nullopt;
  }
  ++rounds_;
  return question;
}

const ForkSearch::Answer& ForkSearch::Result() const { return answer_; }

// Everything from the position on that can be common, or that must hold the difference.
Sequence ForkSearch::Limit() const { return differs_before_.value_or(end_ + 1); }

Sequence ForkSearch::BeforePosition() const {
  return position_ - run_start_ > kOverlap ? position_ - kOverlap : run_start_;
}

void ForkSearch::FeedBatches(const std::vector<BatchInfo>& rejoiner, const std::vector<BatchInfo>& survivor) {
  const auto question = Take(Ask::kBatches);
  if (!question) return;
  Batches rejoiner_batches;
  Batches survivor_batches;
  // In every phase the range begins at a sequence that both sides are known to hold.
  std::string wrong = TakeBatches("rejoiner", rejoiner, question->range.from, &rejoiner_batches);
  if (wrong.empty()) wrong = TakeBatches("survivor", survivor, question->range.from, &survivor_batches);
  if (!wrong.empty()) return FinishUnknown(std::move(wrong));
  if (phase_ == Phase::kAtPromotion) return FeedAtPromotion(rejoiner_batches, survivor_batches);
  FeedForward(rejoiner_batches, survivor_batches);
}

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
  GoForward(std::max(rejoiner.front()->first, *start_));
  position_ = rejoiner[equal - 1]->End();
  equal_batches_ = equal;
  from_common_ = true;  // record and bytes agree
  Remember(rejoiner, survivor, equal);
  if (equal < rejoiner.size() && equal < survivor.size()) return Differ();
  GoOn();
}

void ForkSearch::FeedForward(const Batches& rejoiner, const Batches& survivor) {
  const std::size_t equal = CountEqual(rejoiner, survivor);
  std::size_t known = 0;  // of the equal ones: those before the position
  if (equal_batches_ > 0) {
    while (known < equal && rejoiner[known]->End() <= position_) ++known;
    if (known == 0 || rejoiner[known - 1]->End() != position_) {
      return FinishUnknown("the batches up to " + position_.ToString() +
                           " were equal when they were compared first, and are not now");
    }
  } else if (restarted_ && (rejoiner.front()->first != position_ || survivor.front()->first != position_)) {
    return Differ();
  }
  list_to_.reset();
  Remember(rejoiner, survivor, equal);
  if (phase_ == Phase::kLastBatches) return ConcludeEqual();
  if (equal > known) {
    position_ = rejoiner[equal - 1]->End();
    equal_batches_ += equal - known;
  }
  if (equal < rejoiner.size() && equal < survivor.size()) return Differ();
  if (equal == known) {
    return FinishUnknown("the " + std::string(equal == rejoiner.size() ? "rejoiner" : "survivor") +
                         "'s list of batches holds nothing at " + position_.ToString());
  }
  GoOn();
}

void ForkSearch::FeedDigests(const RangeDigests& rejoiner, const RangeDigests& survivor) {
  const auto question = Take(Ask::kDigests);
  if (!question) return;
  std::string wrong = CheckDigests("rejoiner", rejoiner, question->range, question->parts);
  if (wrong.empty()) wrong = CheckDigests("survivor", survivor, question->range, question->parts);
  if (!wrong.empty()) return FinishUnknown(std::move(wrong));
  if (!BeginsAt(rejoiner, position_) || !BeginsAt(survivor, position_)) {
    if (equal_batches_ > 0) {
      return FinishUnknown("a batch ended before " + position_.ToString() +
                           " when it was read first, and none begins there now");
    }
    // The run begins inside a batch, perhaps the same on both sides: the batches themselves tell.
    list_to_ = std::min(position_ + kListed, Limit());
    return;
  }
  last_equal_.clear();
  next_rejoiner_.reset();
  next_survivor_.reset();
  for (std::uint32_t i = 0; i < std::min(rejoiner.parts.size(), survivor.parts.size()); ++i) {
    const PartDigest& part = rejoiner.parts[i];
    const PartDigest& other = survivor.parts[i];
    if (part != other) {
      differs_before_ = PartOf(question->range, question->parts, i).to;
      if (std::max(part.batches, other.batches) <= kListed) list_to_ = differs_before_;
      return;
    }
    if (part.batches == 0) continue;  // a batch that began earlier spans it
    position_ = part.end;
    equal_batches_ += part.batches;
  }
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
// worst, and safe. Nor does a filler count: every node of the group has it, and none joined anything there.
// Nor an undo: what follows it may have broken off.
void ForkSearch::Differ() {
  if (restarted_ || !hint_ || position_ > *hint_) return Conclude();
  phase_ = Phase::kMarkers;
  scan_ = position_;
}

void ForkSearch::FeedMarked(const MarkedBatches& rejoiner, const MarkedBatches& survivor) {
  const auto question = Take(Ask::kMarked);
  if (!question) return;
  std::string wrong = CheckMarked("rejoiner", rejoiner, question->range);
  if (wrong.empty()) wrong = CheckMarked("survivor", survivor, question->range);
  if (!wrong.empty()) return FinishUnknown(std::move(wrong));
  for (const MarkedBatches* side : {&rejoiner, &survivor}) {
    for (const BatchInfo& batch : side->batches) {
      if (batch.IsFiller() || batch.IsUndo() || batch.first < position_ || batch.End() > *hint_ + 1) continue;
      if (!restart_ || batch.End() > *restart_) restart_ = batch.End();
    }
  }
  scan_ = std::min(rejoiner.looked_to, survivor.looked_to);
  if (scan_ <= *hint_) return;
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
  run_start_ = from;
  position_ = from;
  equal_batches_ = 0;
  differs_before_.reset();
  list_to_.reset();
  last_equal_.clear();
  next_rejoiner_.reset();
  next_survivor_.reset();
}

void ForkSearch::GoOn() {
  if (differs_before_ && position_ >= *differs_before_) {
    return FinishUnknown("the digests differed before " + differs_before_->ToString() +
                         ", and the batches up to there are all equal");
  }
  if (position_ > end_) Conclude();
}

// Keeps of two lists what the last look is for: the end of the run, and what stands behind it.
void ForkSearch::Remember(const Batches& rejoiner, const Batches& survivor, std::size_t equal) {
  last_equal_.clear();
  next_rejoiner_.reset();
  next_survivor_.reset();
  std::uint64_t bytes = 0;
  std::size_t from = equal;
  while (from > 0 && equal - from < kLastBatchesCompared) {
    bytes += std::min(rejoiner[from - 1]->bytes, kLastBytesCompared + 1);
    if (from < equal && bytes > kLastBytesCompared) break;
    --from;
  }
  for (std::size_t i = from; i < equal; ++i) last_equal_.push_back(*rejoiner[i]);
  if (equal < rejoiner.size() && equal < survivor.size()) {
    next_rejoiner_ = *rejoiner[equal];
    next_survivor_ = *survivor[equal];
  }
}

void ForkSearch::Conclude() {
  const Sequence zero(0);
  if (equal_batches_ > 0) {
    if (!from_common_ && equal_batches_ < kMinUnrecordedRun) {
      return FinishUnknown("from " + start_->ToString() +
                           " on, where the WALs begin, the batches are equal up to " +
                           (position_ - 1).ToString() + " only, and no record tells what was before: " +
                           std::to_string(equal_batches_) + " equal, too few to tell from chance");
    }
    return ConcludeEqual();
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
  FinishUnknown("no batch from " + position_.ToString() + " on is equal, and the WALs reach no further back");
}

// A fork that is too high would hide divergence, so nothing rests on digests alone: what ends at the fork is
// listed, and then read.
void ForkSearch::ConcludeEqual() { phase_ = last_equal_.empty() ? Phase::kLastBatches : Phase::kLastBytes; }

void ForkSearch::FeedBytes(std::string_view rejoiner, std::string_view survivor) {
  if (!Take(Ask::kBytes)) return;
  std::uint64_t equal_bytes = 0;
  for (const auto& batch : last_equal_) equal_bytes += std::min<std::uint64_t>(batch.bytes, kMaxBytes);
  std::vector<BatchInfo> rejoiner_batches = last_equal_;
  std::vector<BatchInfo> survivor_batches = last_equal_;
  if (next_rejoiner_) {
    rejoiner_batches.push_back(*next_rejoiner_);
    survivor_batches.push_back(*next_survivor_);
  }
  std::string wrong = CheckBytes("rejoiner", rejoiner, rejoiner_batches, kMaxBytes);
  if (wrong.empty()) wrong = CheckBytes("survivor", survivor, survivor_batches, kMaxBytes);
  if (!wrong.empty()) return FinishUnknown(std::move(wrong));
  if (rejoiner.substr(0, equal_bytes) != survivor.substr(0, equal_bytes)) {
    return FinishUnknown("the digests of the batches up to " + (position_ - 1).ToString() +
                         " are equal, and their bytes are not");
  }
  if (next_rejoiner_ && rejoiner == survivor && rejoiner.size() < kMaxBytes) {
    return FinishUnknown("the digests of the batches at " + position_.ToString() +
                         " differ, and their bytes are equal");
  }
  const std::string what_follows = position_ > rejoiner_last_ ? "the rejoiner has no next"
                                   : position_ > end_
                                       ? "the survivor has no next"
                                       : "the next ones, at " + position_.ToString() + ", differ";
  Finish({position_ - 1, ForkProof::kEqualBatches,
          "both WALs hold the same batch ending at " + (position_ - 1).ToString() + ", and " + what_follows});
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
