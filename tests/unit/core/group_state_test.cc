#include "controller/core/group_state.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::core {
namespace {

// n1 is the first master; n2 joined it at 1, n3 at 501.
GroupState ThreeNodes() {
  GroupState state;
  state.group = "shop";
  state.management = Management::kManaged;
  ApplyPromotion(state, "n1", 1, Sequence(0));
  ApplyJoin(state, "n2", Sequence(1));
  ApplyJoin(state, "n3", Sequence(501));
  return state;
}

TEST(GroupStateTest, NothingIsKnownOfANodeThatNeverJoined) {
  const KnownHistory known = KnownBetween(ThreeNodes(), "n4", "n1");
  EXPECT_FALSE(known.shared_from);
  EXPECT_FALSE(known.promoted_at);
  EXPECT_FALSE(known.same_stream);
}

TEST(GroupStateTest, AReplicaOfTheMasterIsInItsStreamSinceItJoined) {
  const KnownHistory known = KnownBetween(ThreeNodes(), "n3", "n1");
  EXPECT_EQ(known.shared_from, Sequence(501));
  EXPECT_TRUE(known.same_stream);
  EXPECT_FALSE(known.promoted_at);
}

TEST(GroupStateTest, AnOldMasterForkedAtThePromotionAtTheLatest) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n3", 2, Sequence(1000));
  const KnownHistory known = KnownBetween(state, "n1", "n3");
  EXPECT_EQ(known.promoted_at, Sequence(1000));
  EXPECT_EQ(known.shared_from, Sequence(501));
  EXPECT_FALSE(known.same_stream);
  EXPECT_TRUE(known.rejoiner_kept_to_stream);
}

TEST(GroupStateTest, ANodeThatWasPromotedOnABranchDidNotKeepToTheStream) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n2", 2, Sequence(1000));
  ApplyPromotion(state, "n3", 3, Sequence(990));  // n3 never joined n2
  const KnownHistory known = KnownBetween(state, "n2", "n3");
  EXPECT_EQ(known.promoted_at, Sequence(990));
  EXPECT_FALSE(known.rejoiner_kept_to_stream);
}

TEST(GroupStateTest, ANodeThatMissedTwoPromotionsForkedAtTheLowerOne) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n3", 2, Sequence(1000));
  ApplyJoin(state, "n2", Sequence(901));
  ApplyPromotion(state, "n2", 3, Sequence(1200));
  EXPECT_EQ(KnownBetween(state, "n1", "n2").promoted_at, Sequence(1000));
  EXPECT_EQ(KnownBetween(state, "n1", "n2").shared_from, Sequence(901));
  EXPECT_EQ(KnownBetween(state, "n3", "n2").promoted_at, Sequence(1200));
}

TEST(GroupStateTest, APaddedNodeIsComparedOnlyBehindItsStitch) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n2", 2, Sequence(1000));
  ApplyJoin(state, "n1", Sequence(1050));  // padded to 1050
  ApplyPromotion(state, "n1", 3, Sequence(1100));
  const KnownHistory known = KnownBetween(state, "n2", "n1");
  EXPECT_EQ(known.shared_from, Sequence(1050));
  EXPECT_EQ(known.promoted_at, Sequence(1100));
}

TEST(GroupStateTest, ARejoinThatWasNotFinishedSharesNothingBehindWhereItBegan) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n1", 2, Sequence(990));
  ApplyBegun(state, "n2", Sequence(995));
  // Broken off at 1015, it is promoted all the same.
  ApplyPromotion(state, "n2", 3, Sequence(1015));
  EXPECT_EQ(KnownBetween(state, "n3", "n2").promoted_at, Sequence(995));
}

TEST(GroupStateTest, ANodeWhoseRejoinWasNotFinishedIsTakenForNoMember) {
  GroupState state = ThreeNodes();
  ApplyBegun(state, "n2", Sequence(995));
  EXPECT_FALSE(KnownBetween(state, "n2", "n1").same_stream);
  ApplyPromotion(state, "n3", 2, Sequence(1000));
  EXPECT_FALSE(KnownBetween(state, "n2", "n3").rejoiner_kept_to_stream);
}

TEST(GroupStateTest, WhatANodeHeldBeforeItsFirstSpliceToAMasterIsItsOwn) {
  GroupState state = ThreeNodes();
  ApplyPromotion(state, "n3", 2, Sequence(1000));
  EXPECT_FALSE(KnownBetween(state, "n1", "n3").own_last);
  ApplyBegun(state, "n1", Sequence(1005));
  ApplyBegun(state, "n1", Sequence(1020));
  EXPECT_EQ(KnownBetween(state, "n1", "n3").own_last, Sequence(1005));
  // To another master, the pieces of the last one are its own as well.
  ApplyPromotion(state, "n2", 3, Sequence(1000));
  EXPECT_FALSE(KnownBetween(state, "n1", "n2").own_last);
  ApplyBegun(state, "n1", Sequence(1030));
  EXPECT_EQ(KnownBetween(state, "n1", "n2").own_last, Sequence(1030));
  EXPECT_EQ(state.nodes["n1"].begun->intact_to, Sequence(1005));
  ApplyJoin(state, "n1", Sequence(1040));
  EXPECT_FALSE(KnownBetween(state, "n1", "n2").own_last);
}

TEST(GroupStateTest, AMasterIsNoSuspectAnyMore) {
  GroupState state = ThreeNodes();
  state.suspects["n2"] = {2, Sequence(1000), 0};
  ApplyPromotion(state, "n2", 2, Sequence(1000));
  EXPECT_TRUE(state.suspects.empty());
}

TEST(GroupStateTest, AForgottenPromotionLeavesNothingKnown) {
  GroupState state = ThreeNodes();
  for (std::uint64_t epoch = 2; epoch < 2 + 2 * kRememberedPromotions; ++epoch) {
    ApplyPromotion(state, epoch % 2 == 0 ? "n2" : "n1", epoch, Sequence(epoch * 100));
    ApplyJoin(state, epoch % 2 == 0 ? "n1" : "n2", Sequence(epoch * 100 + 1));
  }
  EXPECT_EQ(state.promotions.size(), kRememberedPromotions);
  const KnownHistory known = KnownBetween(state, "n3", state.master);
  EXPECT_FALSE(known.shared_from);
  EXPECT_FALSE(known.promoted_at);
}

TEST(GroupStateTest, IsTheSameAfterJson) {
  GroupState state = ThreeNodes();
  ApplyBegun(state, "n2", Sequence(995));
  ApplyPromotion(state, "n2", 2, Sequence(1000));
  state.suspects["n3"] = {3, Sequence(1100), 1700000000000};
  auto back = GroupStateFromJson(ToJson(state));
  ASSERT_TRUE(back) << back.error().Message();
  EXPECT_EQ(*back, state);
}

TEST(GroupStateTest, DamagedJsonIsAnErrorThatSaysSo) {
  auto damaged = GroupStateFromJson({{"group", "shop"}, {"management", "asleep"}});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().Message(), "group state: unknown management 'asleep'");
  EXPECT_FALSE(GroupStateFromJson({{"group", 1}}));
}

}  // namespace
}  // namespace walstitch::core
