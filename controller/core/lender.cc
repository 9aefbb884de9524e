#include "controller/core/lender.h"

#include <algorithm>

#include "controller/core/finding.h"

namespace walstitch::core {
namespace {

bool MayLend(const GroupSnapshot& snapshot, const NodeView& view) {
  if (!InService(snapshot, view) || view.full_sync_open || view.rejoining) return false;
  const Report& report = *view.report;
  if (report.loading || !report.last) return false;
  // What a rejoin that was not finished left is nobody's history.
  const auto membership = snapshot.state.nodes.find(view.node);
  return membership != snapshot.state.nodes.end() && !membership->second.begun;
}

// Its own rejoin is under way, or is to be decided.
bool MayComeIntoService(const NodeView& view, Sequence rejoiner_last) {
  const Report* report = view.Fresh();
  return report != nullptr && report->process == ProcessState::kUp && report->role == Role::kReplica &&
         !view.full_sync_open && report->relay.state != RelayState::kFullSync && report->last &&
         *report->last > rejoiner_last;
}

bool Same(const BatchInfo& a, const BatchInfo& b) {
  return a.first == b.first && a.count == b.count && a.bytes == b.bytes && a.digest == b.digest;
}

// As if all its batches were of one size.
std::uint64_t EstimateBytes(const WalExtent& wal, SequenceRange range) {
  const double records = static_cast<double>(*wal.last - *wal.oldest) + 1;
  return static_cast<std::uint64_t>(static_cast<double>(wal.bytes) *
                                    std::min(1.0, static_cast<double>(range.Size()) / records));
}

}  // namespace

Lenders FindLenders(const GroupSnapshot& snapshot, const std::string& rejoiner) {
  Lenders lenders;
  const NodeView* rejoiners = snapshot.Find(rejoiner);
  const Report* report = rejoiners == nullptr ? nullptr : rejoiners->Fresh();
  if (report == nullptr || !report->last) return lenders;
  for (const bool same_zone : {true, false}) {
    for (const auto& [name, view] : snapshot.nodes) {
      if (name == rejoiner || name == snapshot.state.master) continue;
      if ((view.zone == rejoiners->zone) != same_zone) continue;
      if (!MayLend(snapshot, view)) {
        lenders.coming = lenders.coming || MayComeIntoService(view, *report->last);
        continue;
      }
      const KnownHistory known = KnownBetween(snapshot.state, name, snapshot.state.master);
      if (!known.same_stream || !known.shared_from) continue;
      lenders.offers.push_back(
          {*view.report, "", *known.shared_from, KnownBetween(snapshot.state, rejoiner, name)});
    }
  }
  return lenders;
}

bool NeedsLender(const Evidence& evidence) {
  const auto& last = evidence.rejoiner.last;
  if (!last || !evidence.survivor.last || evidence.target || last->Value() > kMaxSequence) return false;
  if (*last == Sequence(0) || *last >= *evidence.survivor.last) return false;
  if (!evidence.survivor.oldest || *evidence.survivor.oldest <= *last + 1) return false;
  return !evidence.fork || *evidence.fork == *last || evidence.proof == ForkProof::kRecordedPromotion;
}

LenderCheck::LenderCheck(const Evidence& evidence, const LenderOffer& offer, const WalExtent& lender)
    : lender_(offer.report.node),
      survivor_(evidence.survivor.node),
      agent_(offer.agent),
      shares_from_(offer.shares_from),
      next_(*evidence.rejoiner.last + 1),
      wal_(lender),
      looked_to_(next_) {
  WALSTITCH_CHECK(NeedsLender(evidence));
  // 1. What is lent ends at the oldest batch of the survivor's WAL. 2. While it is lent, that one is purged.
  // 3. The node stands before the WAL's beginning again. So it ends in the middle of that WAL.
  const Sequence from = *evidence.survivor.oldest;
  const Sequence to = std::min(*evidence.survivor.last, wal_.last.value_or(Sequence(0)));
  if (!wal_.oldest || !wal_.last) {
    Refuse("its WAL is empty");
  } else if (*wal_.oldest >= next_) {
    Refuse("its WAL begins at " + wal_.oldest->ToString());
  } else if (shares_from_ >= next_) {
    Refuse("it joined the stream of " + survivor_ + " at " + shares_from_.ToString());
  } else if (to < from) {
    Refuse("it ends before the WAL of " + survivor_ + " begins");
  } else {
    joint_at_ = from + (to - from) / 2;
  }
}

void LenderCheck::Refuse(const std::string& why) {
  if (why_not_.empty()) why_not_ = lender_ + ": " + why;
}

void LenderCheck::TakeFork(const ForkSearch::Answer& fork) {
  if (fork.fork != next_ - 1 || fork.proof != ForkProof::kEqualBatches) {
    return Refuse("that the rejoiner's history is its own up to there is not proven by equal batches: " +
                  fork.note);
  }
  fork_note_ = fork.note;
}

// 1. An old master with a tail is resumed by a pad of 0: it joins the survivor's stream right behind its
// tail.
// 2. A replica of its earlier days has the same tail. 3. Both hold the same batch at the end of it, and the
// survivor holds another one there. So the batch itself must lie in the common stream.
void LenderCheck::TakeLast(const std::optional<BatchInfo>& rejoiner, const std::optional<BatchInfo>& lender) {
  if (!rejoiner || !lender || rejoiner->End() != next_ || !Same(*rejoiner, *lender)) {
    return Refuse("its batch that ends at " + (next_ - 1).ToString() + " is not the rejoiner's");
  }
  if (rejoiner->first < shares_from_) {
    return Refuse("it joined the stream of " + survivor_ + " at " + shares_from_.ToString() +
                  ", within the batch at " + rejoiner->first.ToString());
  }
}

void LenderCheck::TakeJoint(const std::optional<BatchInfo>& lender,
                            const std::optional<BatchInfo>& survivor) {
  if (!lender || !survivor || !Same(*lender, *survivor) || lender->End() <= joint_at_) {
    return Refuse("it and " + survivor_ + " do not hold the same batch at " + joint_at_.ToString());
  }
  joint_ = *lender;
}

std::optional<SequenceRange> LenderCheck::LookThrough() const {
  if (!joint_ || looked_to_ >= joint_->End() || !why_not_.empty()) return std::nullopt;
  return SequenceRange{looked_to_, joint_->End()};
}

void LenderCheck::TakeMarked(const MarkedBatches& marked) {
  for (const BatchInfo& batch : marked.batches) {
    if (batch.IsFiller()) continue;
    return Refuse("it was stitched at " + batch.first.ToString() + ", so its WAL differs there");
  }
  if (marked.looked_to <= looked_to_) return Refuse("its WAL cannot be looked through for markers");
  looked_to_ = marked.looked_to;
}

void LenderCheck::Accept(Evidence* evidence) const {
  WALSTITCH_CHECK(why_not_.empty() && joint_ && looked_to_ >= joint_->End());
  const SequenceRange range{next_, joint_->End()};
  evidence->fork = next_ - 1;
  evidence->proof = ForkProof::kEqualBatches;
  evidence->fork_note = fork_note_ + "; by the WAL of " + lender_ + ", which stands for that of " + survivor_;
  evidence->tail = Touched{};
  evidence->tail->range = {next_, next_};
  evidence->borrow = BorrowEvidence{lender_, agent_, range, EstimateBytes(wal_, range), *joint_};
}

}  // namespace walstitch::core
