#include "controller/core/lender.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/core/fork_wal.h"
#include "tests/unit/core/snapshot_maker.h"

namespace walstitch::core {
namespace {

std::vector<std::string> NamesOf(const Lenders& lenders) {
  std::vector<std::string> names;
  for (const auto& offer : lenders.offers) names.push_back(offer.report.node);
  return names;
}
using Nodes = std::vector<std::string>;

// n4 was away, and is parked at 60; n2 and n3 follow n1.
GroupSnapshot GroupOfFour() {
  GroupSnapshot snapshot = HealthyGroup();
  NodeView view;
  view.node = "n4";
  view.connected = true;
  view.report = ReportOf("n4", 60);
  snapshot.nodes["n4"] = view;
  ApplyJoin(snapshot.state, "n4", Sequence(1));
  return snapshot;
}

TEST(FindLendersTest, WhoIsInServiceMayLend) {
  const Lenders lenders = FindLenders(GroupOfFour(), "n4");
  EXPECT_EQ(NamesOf(lenders), (Nodes{"n2", "n3"}));
  EXPECT_FALSE(lenders.coming);
  EXPECT_EQ(lenders.offers[0].shares_from, Sequence(1));
  EXPECT_TRUE(lenders.offers[0].with_rejoiner.same_stream);
}

TEST(FindLendersTest, TheRejoinersOwnZoneIsAskedFirst) {
  GroupSnapshot snapshot = GroupOfFour();
  snapshot.nodes["n3"].zone = snapshot.nodes["n4"].zone = "west";
  EXPECT_EQ(NamesOf(FindLenders(snapshot, "n4")), (Nodes{"n3", "n2"}));
}

TEST(FindLendersTest, ANodeWithAnUnfinishedRejoinLendsNothing) {
  GroupSnapshot snapshot = GroupOfFour();
  ApplyBegun(snapshot.state, "n2", Sequence(50));
  snapshot.nodes["n3"].rejoining = true;
  EXPECT_EQ(NamesOf(FindLenders(snapshot, "n4")), Nodes{});
}

TEST(FindLendersTest, ANodeThatIsParkedMayComeIntoServiceIfItHoldsMore) {
  GroupSnapshot snapshot = GroupOfFour();
  snapshot.nodes["n2"].report->relay.state = RelayState::kParked;
  snapshot.nodes["n3"].full_sync_open = true;
  Lenders lenders = FindLenders(snapshot, "n4");
  EXPECT_EQ(NamesOf(lenders), Nodes{});
  EXPECT_TRUE(lenders.coming);
  snapshot.nodes["n2"].report->last = Sequence(60);
  EXPECT_FALSE(FindLenders(snapshot, "n4").coming);
}

// n1 has written 100 batches of two records each, and its WAL begins at 121. That of n3 reaches back to the
// beginning. n4 was away, and ends at 80.
class LenderCheckTest : public testing::Test {
 protected:
  LenderCheckTest() {
    lender_.Add(100, 2, 7);
    survivor_ = Wal(lender_, 100);
    survivor_.Purge(60);
    rejoiner_ = Wal(lender_, 40);
    evidence_.rejoiner.node = "n4";
    evidence_.survivor.node = "n1";
    offer_.report.node = "n3";
    offer_.agent = "http://n3:7667";
    offer_.shares_from = Sequence(1);
    offer_.with_rejoiner = SameStream();
  }

  void Prepare() {
    evidence_.rejoiner.last = Sequence(rejoiner_.Last());
    evidence_.survivor.last = Sequence(survivor_.Last());
    evidence_.survivor.oldest = survivor_.Extent().oldest;
  }

  static std::optional<BatchInfo> Holding(const Wal& wal, Sequence sequence) {
    auto list = wal.List({sequence, sequence + 1}, 1);
    if (list.empty()) return std::nullopt;
    return list.front();
  }

  // As a collector asks. Why it cannot lend; empty: the evidence says that it does.
  std::string Ask() {
    Prepare();
    WalExtent wal = lender_.Extent();
    wal.bytes = 4000;
    LenderCheck check(evidence_, offer_, wal);
    if (check.WhyNot().empty()) check.TakeFork(Search(rejoiner_, lender_, offer_.with_rejoiner).answer);
    if (check.WhyNot().empty())
      check.TakeLast(Holding(rejoiner_, check.Next() - 1), Holding(lender_, check.Next() - 1));
    if (check.WhyNot().empty())
      check.TakeJoint(Holding(lender_, check.JointAt()), Holding(survivor_, check.JointAt()));
    while (auto range = check.LookThrough()) check.TakeMarked(lender_.Marked(*range, 1));
    if (check.WhyNot().empty()) check.Accept(&evidence_);
    return check.WhyNot();
  }
  void ExpectRefused(const std::string& words) {
    const std::string why = Ask();
    EXPECT_EQ(why.rfind("n3: ", 0), 0U) << why;
    EXPECT_NE(why.find(words), std::string::npos) << why;
    EXPECT_FALSE(evidence_.borrow);
  }

  Wal lender_;
  Wal survivor_;
  Wal rejoiner_;
  Evidence evidence_;
  LenderOffer offer_;
};

TEST_F(LenderCheckTest, WhatIsBetweenIsLentUpToTheMiddleOfTheSurvivorsWal) {
  EXPECT_EQ(Ask(), "");
  ASSERT_TRUE(evidence_.borrow);
  EXPECT_EQ(evidence_.borrow->lender, "n3");
  EXPECT_EQ(evidence_.borrow->agent, "http://n3:7667");
  EXPECT_EQ(evidence_.borrow->range, (SequenceRange{Sequence(81), Sequence(161)}));
  EXPECT_EQ(evidence_.borrow->joint.End(), Sequence(161));
  EXPECT_EQ(evidence_.borrow->bytes, 1600U) << "two fifths of the records";
  EXPECT_EQ(evidence_.fork, Sequence(80));
  EXPECT_EQ(evidence_.proof, ForkProof::kEqualBatches);
  EXPECT_TRUE(evidence_.tail && evidence_.tail->range.Empty());
}

TEST_F(LenderCheckTest, ALenderThatIsBehindLendsUpToTheMiddleOfWhatBothHold) {
  lender_ = Wal(lender_, 70);
  EXPECT_EQ(Ask(), "");
  EXPECT_EQ(evidence_.borrow->range.to, Sequence(131));
}

TEST_F(LenderCheckTest, AWalThatWasPurgedTooLendsNothing) {
  lender_.Purge(40);
  ExpectRefused("its WAL begins at 81");
}

TEST_F(LenderCheckTest, ALenderThatEndsBeforeTheSurvivorsWalBeginsIsOfNoUse) {
  lender_ = Wal(lender_, 60);
  ExpectRefused("ends before the WAL of n1 begins");
}

TEST_F(LenderCheckTest, ATailOfTheRejoinerIsSeenByTheLender) {
  rejoiner_ = Wal(lender_, 38);
  rejoiner_.Add(2, 2, 9);
  ExpectRefused("not proven by equal batches");
}

// The numbers fit, and the last batch is the same by chance.
TEST_F(LenderCheckTest, AnEqualLastBatchBehindADifferenceProvesNothing) {
  rejoiner_ = Wal(lender_, 38);
  rejoiner_.Add(2, 9).Add(2, 7);
  ExpectRefused("not proven by equal batches");
}

TEST_F(LenderCheckTest, ALenderThatJoinedTheStreamBehindTheRejoinersLastIsRefused) {
  offer_.shares_from = Sequence(81);
  ExpectRefused("it joined the stream of n1 at 81");
}

// An old master was resumed by a pad of 0, right behind its tail, of which its replica has the same.
TEST_F(LenderCheckTest, ALenderThatJoinedWithinTheLastBatchIsRefused) {
  offer_.shares_from = Sequence(80);
  ExpectRefused("joined the stream of n1 at 80, within the batch at 79");
}

TEST_F(LenderCheckTest, AnotherBatchAtTheJointIsRefused) {
  lender_ = Wal(lender_, 79);
  lender_.Add(2, 9).Add(20, 2, 7);
  ExpectRefused("do not hold the same batch at 160");
}

TEST_F(LenderCheckTest, AStitchWithinWhatIsLentIsRefused) {
  lender_ = Wal(lender_, 50);
  lender_.Add(2, 7, "01J0").Add(49, 2, 7);
  ExpectRefused("it was stitched at 101");
}

TEST_F(LenderCheckTest, AFillerIsARecordLikeAnyOther) {
  Prepare();
  WalExtent wal = lender_.Extent();
  LenderCheck check(evidence_, offer_, wal);
  check.TakeFork(Search(rejoiner_, lender_, offer_.with_rejoiner).answer);
  check.TakeLast(Holding(rejoiner_, check.Next() - 1), Holding(lender_, check.Next() - 1));
  check.TakeJoint(Holding(lender_, check.JointAt()), Holding(survivor_, check.JointAt()));
  MarkedBatches marked;
  marked.batches = {{Sequence(91), 2, 40, {}, "filler:01J0"}};
  marked.looked_to = Sequence(161);
  check.TakeMarked(marked);
  EXPECT_EQ(check.WhyNot(), "");
  EXPECT_FALSE(check.LookThrough());
}

TEST_F(LenderCheckTest, AWalThatCannotBeLookedThroughIsRefusedRatherThanAskedForEver) {
  Prepare();
  LenderCheck check(evidence_, offer_, lender_.Extent());
  check.TakeJoint(Holding(lender_, check.JointAt()), Holding(survivor_, check.JointAt()));
  ASSERT_TRUE(check.LookThrough());
  check.TakeMarked({});
  EXPECT_FALSE(check.LookThrough());
  EXPECT_NE(check.WhyNot(), "");
}

TEST_F(LenderCheckTest, ItIsNeededWhereTheSurvivorsWalBeginsLaterAndNoTailIsKnown) {
  Prepare();
  EXPECT_TRUE(NeedsLender(evidence_));
  evidence_.fork = Sequence(80);
  evidence_.proof = ForkProof::kSameStream;
  EXPECT_TRUE(NeedsLender(evidence_));
  evidence_.fork = Sequence(70);
  EXPECT_FALSE(NeedsLender(evidence_)) << "there is a tail";
  evidence_.proof = ForkProof::kRecordedPromotion;
  EXPECT_TRUE(NeedsLender(evidence_)) << "of which only the record says so";
  evidence_.target = Sequence(121);
  EXPECT_FALSE(NeedsLender(evidence_));
}

TEST_F(LenderCheckTest, ANodeThatIsEmptyOrHoldsAllNeedsNone) {
  Prepare();
  evidence_.rejoiner.last = Sequence(200);
  EXPECT_FALSE(NeedsLender(evidence_));
  evidence_.rejoiner.last = Sequence(0);
  EXPECT_FALSE(NeedsLender(evidence_));
}

}  // namespace
}  // namespace walstitch::core
