#include "controller/core/tail_given_up.h"

#include <gtest/gtest.h>

#include "controller/core/decide.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

// n1 ends at 110, its WAL begins at 1; the fork is 100.
Evidence Forked() {
  Evidence evidence;
  evidence.rejoiner = {"n1", Sequence(110), Sequence(1), "files", "2.12.0", false, false};
  evidence.survivor = {"n2", Sequence(200), Sequence(1), "files", "2.12.0", false, false};
  evidence.fork = Sequence(100);
  evidence.proof = ForkProof::kEqualBatches;
  return evidence;
}

Evidence Unforked() {
  Evidence evidence = Forked();
  evidence.fork.reset();
  evidence.proof = ForkProof::kUnknown;
  return evidence;
}

std::string CodeOf(const TailGivenUp& tail) { return tail.remark ? tail.remark->code : ""; }

TEST(TailGivenUpTest, WhatFollowsTheForkIsGivenUp) {
  for (const Verdict verdict : {Verdict::kSpliced, Verdict::kPadded, Verdict::kFull}) {
    const TailGivenUp tail = FindTailGivenUp(verdict, Forked());
    EXPECT_EQ(tail.range, (SequenceRange{Sequence(101), Sequence(111)}));
    EXPECT_EQ(tail.fork, Sequence(100));
    EXPECT_FALSE(tail.remark);
  }
}

TEST(TailGivenUpTest, NothingIsGivenUpWithoutATail) {
  Evidence evidence = Forked();
  evidence.fork = Sequence(110);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).range);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).remark);
  for (const Verdict verdict : {Verdict::kAligned, Verdict::kHold}) {
    EXPECT_FALSE(FindTailGivenUp(verdict, Forked()).range);
    EXPECT_FALSE(FindTailGivenUp(verdict, Forked()).remark);
  }
}

TEST(TailGivenUpTest, ANewServerHasNoTail) {
  Evidence evidence = Unforked();
  evidence.rejoiner.last = Sequence(0);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).range);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).remark);
}

TEST(TailGivenUpTest, WithoutAForkTheRecordedPromotionCounts) {
  Evidence evidence = Unforked();
  evidence.promoted_at = Sequence(105);
  const TailGivenUp tail = FindTailGivenUp(Verdict::kFull, evidence);
  EXPECT_EQ(tail.range, (SequenceRange{Sequence(106), Sequence(111)}));
  EXPECT_EQ(tail.fork, Sequence(105));
  EXPECT_EQ(CodeOf(tail), reason::kTailSalvagedInPart);
}

TEST(TailGivenUpTest, WithoutForkAndRecordThereIsNoTailToName) {
  const TailGivenUp tail = FindTailGivenUp(Verdict::kFull, Unforked());
  EXPECT_FALSE(tail.range);
  EXPECT_EQ(CodeOf(tail), reason::kTailNotSalvaged);
  Evidence evidence = Unforked();
  evidence.promoted_at = Sequence(110);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).range);
  EXPECT_EQ(CodeOf(FindTailGivenUp(Verdict::kFull, evidence)), reason::kTailNotSalvaged);
}

TEST(TailGivenUpTest, WhatTheWalNoLongerHoldsIsNamedAndHoldsNobodyUp) {
  Evidence evidence = Forked();
  evidence.rejoiner.oldest = Sequence(108);
  TailGivenUp tail = FindTailGivenUp(Verdict::kFull, evidence);
  EXPECT_EQ(tail.range, (SequenceRange{Sequence(108), Sequence(111)}));
  EXPECT_EQ(tail.fork, Sequence(100));
  EXPECT_EQ(CodeOf(tail), reason::kTailSalvagedInPart);
  EXPECT_NE(tail.remark->sentence.find("[101, 108)"), std::string::npos) << tail.remark->sentence;

  evidence.rejoiner.oldest = Sequence(111);
  EXPECT_FALSE(FindTailGivenUp(Verdict::kFull, evidence).range);
  EXPECT_EQ(CodeOf(FindTailGivenUp(Verdict::kFull, evidence)), reason::kTailNotSalvaged);
  evidence.rejoiner.oldest.reset();  // it is empty
  EXPECT_EQ(CodeOf(FindTailGivenUp(Verdict::kFull, evidence)), reason::kTailNotSalvaged);
}

TEST(TailGivenUpTest, ANumberThatIsNoSequenceIsNotAddedTo) {
  Evidence evidence = Forked();
  evidence.rejoiner.last = Sequence(UINT64_MAX);
  EXPECT_EQ(CodeOf(FindTailGivenUp(Verdict::kFull, evidence)), reason::kTailNotSalvaged);
  evidence.rejoiner.last.reset();
  EXPECT_EQ(CodeOf(FindTailGivenUp(Verdict::kFull, evidence)), reason::kTailNotSalvaged);
}

TEST(TailGivenUpTest, TheDecisionSaysWhatCannotBeKept) {
  const VerdictDecision decision = Decide(Unforked(), TolerancePolicy{});
  EXPECT_EQ(decision.verdict, Verdict::kFull);
  EXPECT_EQ(decision.reasons.back().code, reason::kTailNotSalvaged);
}

}  // namespace
}  // namespace walstitch::core
