#include "controller/shell/decision_event.h"

#include <gtest/gtest.h>

namespace walstitch::shell {
namespace {

DecisionRecord Record(DecisionKind kind, Outcome outcome = Outcome::kDone) {
  DecisionRecord record;
  record.decision.id = "01AAAA";
  record.decision.kind = kind;
  record.decision.node = "shop-1";
  record.decision.survivor = "shop-0";
  record.outcome.emplace();
  record.outcome->outcome = outcome;
  record.outcome->sentence = "shop-1 is the master of epoch 2";
  return record;
}

TEST(DecisionEventTest, PromotionIsAnEventOfTheNewMaster) {
  const auto event = EventOf(Record(DecisionKind::kFailover));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->pod, "shop-1");
  EXPECT_EQ(event->reason, "Promoted");
  EXPECT_FALSE(event->warning);
  EXPECT_EQ(event->message, "shop-1 is the master of epoch 2 (walstitch decisions show 01AAAA)");
}

TEST(DecisionEventTest, WhatFailedIsAWarning) {
  const auto event = EventOf(Record(DecisionKind::kSwitchover, Outcome::kFailed));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->reason, "SwitchoverFailed");
  EXPECT_TRUE(event->warning);
}

TEST(DecisionEventTest, RejoinIsNamedByItsVerdict) {
  DecisionRecord record = Record(DecisionKind::kRejoin);
  record.decision.verdict.emplace();
  for (const auto& [verdict, reason] :
       {std::pair(Verdict::kAligned, "RejoinedAligned"), std::pair(Verdict::kSpliced, "RejoinedSpliced"),
        std::pair(Verdict::kPadded, "RejoinedPadded"), std::pair(Verdict::kFull, "FullSync"),
        std::pair(Verdict::kHold, "Held")}) {
    record.decision.verdict->verdict = verdict;
    EXPECT_EQ(EventOf(record)->reason, reason);
    EXPECT_EQ(EventOf(record)->warning, verdict == Verdict::kHold);
  }
}

TEST(DecisionEventTest, RefusalSaysWhatWasRefused) {
  DecisionRecord record = Record(DecisionKind::kRefusal);
  record.decision.node.clear();
  record.decision.reasons = {{"refused", "no node can be promoted"}};
  const auto event = EventOf(record);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->pod, "shop-0");
  EXPECT_TRUE(event->warning);
  EXPECT_EQ(event->message.substr(0, 23), "no node can be promoted");
}

TEST(DecisionEventTest, OpenDecisionsAndThoseOfNoPodAreNoEvents) {
  DecisionRecord open = Record(DecisionKind::kFailover);
  open.outcome.reset();
  EXPECT_FALSE(EventOf(open));
  EXPECT_FALSE(EventOf(Record(DecisionKind::kPause)));
  DecisionRecord nobody = Record(DecisionKind::kFailover);
  nobody.decision.node.clear();
  nobody.decision.survivor.clear();
  EXPECT_FALSE(EventOf(nobody));
}

TEST(DecisionEventTest, MessageIsNoLongerThanKubernetesTakes) {
  DecisionRecord record = Record(DecisionKind::kFailover);
  record.outcome->sentence = std::string(2000, 'x') + "\u00e9";
  EXPECT_EQ(EventOf(record)->message.size(), 1024U);
  record.outcome->sentence.clear();
  for (int i = 0; i < 1000; ++i) record.outcome->sentence += "\u00e9";
  EXPECT_LE(EventOf(record)->message.size(), 1024U);
}

}  // namespace
}  // namespace walstitch::shell
