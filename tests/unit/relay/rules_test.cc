// The small rules of the relay: sequences, heartbeats, the full-sync dialogue.
#include <gtest/gtest.h>

#include "agents/relay/full_sync.h"
#include "agents/relay/heartbeat_rule.h"
#include "agents/relay/sequencer.h"

namespace walstitch::relay {
namespace {

using std::chrono::milliseconds;

TEST(Sequencer, BatchesFollowOneAnother) {
  Sequencer sequencer(Sequence(10));
  EXPECT_TRUE(sequencer.Accept(Sequence(10), 5).has_value());
  EXPECT_TRUE(sequencer.Accept(Sequence(15), 0).has_value());
  EXPECT_TRUE(sequencer.Accept(Sequence(15), 1).has_value());
  EXPECT_EQ(sequencer.Next(), Sequence(16));
}

TEST(Sequencer, GapAndRepetitionAreRefusedAndChangeNothing) {
  Sequencer sequencer(Sequence(10));
  EXPECT_FALSE(sequencer.Accept(Sequence(11), 1).has_value());
  EXPECT_FALSE(sequencer.Accept(Sequence(9), 1).has_value());
  EXPECT_FALSE(sequencer.Accept(Sequence(9), 0).has_value());
  EXPECT_EQ(sequencer.Next(), Sequence(10));
}

TEST(Sequencer, NothingGoesPastTheGreatestSequence) {
  Sequencer sequencer(kMaxSequence);
  EXPECT_FALSE(sequencer.Accept(kMaxSequence, 1).has_value());
  EXPECT_TRUE(sequencer.Accept(kMaxSequence, 0).has_value());
}

TEST(CheckResume, ANodeMayLoseWhatThisUpstreamGaveIt) {
  EXPECT_TRUE(CheckResume(Sequence(10), Sequence(20), Sequence(20)).has_value());
  EXPECT_TRUE(CheckResume(Sequence(10), Sequence(20), Sequence(10)).has_value());
}

TEST(CheckResume, ANodeThatIsFurtherOrLostEarlierHistoryMayNotGoOn) {
  EXPECT_FALSE(CheckResume(Sequence(10), Sequence(20), Sequence(21)).has_value());
  EXPECT_FALSE(CheckResume(Sequence(10), Sequence(20), Sequence(9)).has_value());
}

TEST(HeartbeatRule, AnIdleNodeGetsOneEachInterval) {
  HeartbeatRule rule(milliseconds(2000), milliseconds(0));
  EXPECT_EQ(rule.Due(), milliseconds(2000));
  rule.HeartbeatSent(milliseconds(2000));
  EXPECT_EQ(rule.Due(), milliseconds(4000));
}

TEST(HeartbeatRule, AFrameLongAfterAHeartbeatPutsTheNextOneOff) {
  HeartbeatRule rule(milliseconds(2000), milliseconds(0));
  rule.HeartbeatSent(milliseconds(2000));
  rule.FrameSent(milliseconds(2500));
  EXPECT_EQ(rule.Due(), milliseconds(4500));
}

TEST(HeartbeatRule, AFrameDirectlyBehindAHeartbeatIsPushedOnSoonAndThreeTimes) {
  HeartbeatRule rule(milliseconds(2000), milliseconds(0));
  rule.HeartbeatSent(milliseconds(2000));
  rule.FrameSent(milliseconds(2005));
  EXPECT_EQ(rule.Due(), milliseconds(2015));
  rule.HeartbeatSent(milliseconds(2015));
  EXPECT_EQ(rule.Due(), milliseconds(2105));
  rule.HeartbeatSent(milliseconds(2105));
  EXPECT_EQ(rule.Due(), milliseconds(2505));
  rule.HeartbeatSent(milliseconds(2505));
  EXPECT_EQ(rule.Due(), milliseconds(4505));
}

TEST(HeartbeatRule, AStreamThatGoesOnIsItsOwnPush) {
  HeartbeatRule rule(milliseconds(2000), milliseconds(0));
  rule.HeartbeatSent(milliseconds(2000));
  rule.FrameSent(milliseconds(2005));
  rule.FrameSent(milliseconds(2012));
  EXPECT_EQ(rule.Due(), milliseconds(2022));
}

using Answer = FullSyncDialogue::Answer;

TEST(FullSyncDialogue, ANodeThatComesBackChangedIsFollowed) {
  FullSyncDialogue dialogue;
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  EXPECT_FALSE(dialogue.Begun());
  dialogue.OnFetchMeta();
  EXPECT_TRUE(dialogue.Begun());
  EXPECT_EQ(dialogue.OnPsync(Sequence(90), false), Answer::kFollow);
}

TEST(FullSyncDialogue, ANodeThatComesBackAtTheSameSequenceIsFollowedOnlyIfItDidNotDie) {
  FullSyncDialogue dialogue;
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  dialogue.OnFetchMeta();
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  dialogue.OnFetchMeta();
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), true), Answer::kFollow);
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kFollow) << "the same, over a new connection";
}

TEST(FullSyncDialogue, WithoutAFetchThePsyncIsRefusedWhateverItsSequence) {
  FullSyncDialogue dialogue;
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  EXPECT_EQ(dialogue.OnPsync(Sequence(11), true), Answer::kRefuse);
}

TEST(FullSyncDialogue, ANodeThatWasInItsFullSyncAlreadyNeedsTheOtherEvidence) {
  FullSyncDialogue dialogue;
  dialogue.OnFetchMeta();
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  dialogue.OnFetchMeta();
  EXPECT_EQ(dialogue.OnPsync(Sequence(12), false), Answer::kFollow);
}

TEST(FullSyncDialogue, AfterFourRefusalsItGivesUp) {
  FullSyncDialogue dialogue;
  EXPECT_EQ(dialogue.OnPsync(Sequence(10), false), Answer::kRefuse);
  for (std::size_t i = 0; i < FullSyncDialogue::kMaxRetries; ++i) {
    dialogue.OnFetchMeta();
    EXPECT_EQ(dialogue.OnPsync(Sequence(90 + i), true), Answer::kFollow);
    dialogue.OnUpstreamRefused();
    EXPECT_EQ(dialogue.OnPsync(Sequence(90 + i), false), Answer::kRefuse);
  }
  dialogue.OnFetchMeta();
  EXPECT_EQ(dialogue.OnPsync(Sequence(95), true), Answer::kFollow);
  dialogue.OnUpstreamRefused();
  EXPECT_EQ(dialogue.OnPsync(Sequence(95), false), Answer::kGiveUp);
}

}  // namespace
}  // namespace walstitch::relay
