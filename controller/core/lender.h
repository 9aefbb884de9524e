// Borrowing: a rejoiner whose next record the survivor's WAL no longer holds, and another node of the group
// whose WAL still does. That node's agent serves what is between, and the full sync is spared. Pure: who is
// asked, what is asked, and what the answers are worth.
//
// The lender stands for the survivor. That is sound only where three things are shown, and none of them by a
// number that fits:
//
// 1. The rejoiner's last batch is the lender's, byte for byte, as found by a search for their fork (fork.h).
// 2. From that very batch on, the lender's WAL is the survivor's own history: it is in service, and by record
//    it has been in the survivor's stream since before that batch. No batch behind it carries a marker, but
//    for a filler, which is a master's record like any other: a node that was stitched differs for ever in
//    the WAL of that window.
// 3. What is lent ends with a batch that the survivor's WAL holds, too, and it is the same one there.
//
// What is between was purged from the survivor's WAL, and can be compared with nothing. That it is without a
// gap is seen when the lender looks through it for markers, and again when it is served.
//
// It is for a rejoiner without a tail. A splice whose survivor's WAL does not reach back to the fork is not
// helped: it would replay from two WALs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/core/fork.h"
#include "controller/core/snapshot.h"
#include "policies/model/evidence.h"
#include "policies/model/result.h"

namespace walstitch::core {

// A node that may lend.
struct LenderOffer {
  Report report;
  std::string agent;     // "http://host:port"
  Sequence shares_from;  // from there on its history is the survivor's, by record
  KnownHistory with_rejoiner;
};

struct Lenders {
  std::vector<LenderOffer>
      offers;  // those of the rejoiner's zone first, then by name; `agent` is not filled in
  // There is a node that holds more than the rejoiner, and that may be in service soon.
  bool coming = false;
};

Lenders FindLenders(const GroupSnapshot& snapshot, const std::string& rejoiner);

// The rejoiner cannot enter the survivor's WAL, for that begins later, and nothing says that it has a tail.
// (Where only the record of a promotion says so, the lender's batches have the better word.)
bool NeedsLender(const Evidence& evidence);

// One node that may lend, and what is asked for it, in this order: its extent; the search for the fork of
// rejoiner and lender; their last batches before `Next()`; the batches that hold `JointAt()`, of lender and
// survivor; then the lender's markers, as long as `LookThrough()` says.
class LenderCheck {
 public:
  // `evidence` needs a lender.
  LenderCheck(const Evidence& evidence, const LenderOffer& offer, const WalExtent& lender);

  // Why this node cannot lend, one sentence; empty as long as it may.
  [[nodiscard]] const std::string& WhyNot() const { return why_not_; }

  [[nodiscard]] Sequence Next() const { return next_; }
  [[nodiscard]] Sequence JointAt() const { return joint_at_; }

  // Each of these may set WhyNot. A batch that could not be had is absent.
  void TakeFork(const ForkSearch::Answer& fork);
  void TakeLast(const std::optional<BatchInfo>& rejoiner, const std::optional<BatchInfo>& lender);
  void TakeJoint(const std::optional<BatchInfo>& lender, const std::optional<BatchInfo>& survivor);
  // The range of the lender's WAL that is still to be looked through for markers; nullopt: none.
  [[nodiscard]] std::optional<SequenceRange> LookThrough() const;
  void TakeMarked(const MarkedBatches& marked);

  // Every answer was taken, and WhyNot is empty: the evidence says so from now on.
  void Accept(Evidence* evidence) const;

 private:
  void Refuse(const std::string& why);

  std::string lender_;
  std::string survivor_;
  std::string agent_;
  Sequence shares_from_;
  Sequence next_;
  Sequence joint_at_;
  WalExtent wal_;
  std::string fork_note_;
  std::optional<BatchInfo> joint_;
  Sequence looked_to_;
  std::string why_not_;
};

}  // namespace walstitch::core
