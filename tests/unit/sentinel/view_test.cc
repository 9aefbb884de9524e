// Who is the master that clients may be told of, in every state of a group. Above all: never two, and never
// one that does not take writes.
#include "controller/sentinel/view.h"

#include <gtest/gtest.h>

#include "tests/unit/sentinel/sample.h"

namespace walstitch::sentinel {
namespace {

std::string UsableMaster(const View& view) {
  const NodeSeen* node = view.groups.at("shop").UsableMaster();
  return node == nullptr ? "" : node->name;
}

TEST(ViewTest, MasterAndReplicasInServiceMayBeUsed) {
  const View view = ViewOf({Calm()});
  const GroupSeen& group = view.groups.at("shop");
  EXPECT_EQ(UsableMaster(view), "n1");
  EXPECT_EQ(group.Master()->endpoint, (Endpoint{"10.0.0.1", 7001}));
  EXPECT_TRUE(group.nodes.at("n2").usable);
  EXPECT_EQ(group.ReplicaCount(), 2U);
  EXPECT_EQ(group.epoch, 3U);
}

TEST(ViewTest, ParkedMasterIsNoneAndStaysTheOneThatIsShown) {
  for (const char* place : {"parked", ""}) {
    SampleGroup group = Calm();
    group.nodes[0].place = place;
    const View view = ViewOf({group});
    EXPECT_EQ(UsableMaster(view), "") << place;
    EXPECT_EQ(view.groups.at("shop").master, "n1") << place;
  }
}

TEST(ViewTest, MasterWhoseAgentAloneIsGoneStaysTheMaster) {
  SampleGroup group = Calm();
  group.nodes[0].place = "";
  group.nodes[0].connected = false;
  group.findings = {boost::json::object{{"code", "MasterOutOfSight"}, {"node", "n1"}}};
  EXPECT_EQ(UsableMaster(ViewOf({group})), "n1");
  // The finding of another says nothing, nor does one about a node that was a replica when it was last heard.
  group.findings = {boost::json::object{{"code", "MasterOutOfSight"}, {"node", "n2"}}};
  EXPECT_EQ(UsableMaster(ViewOf({group})), "");
  group.findings = {boost::json::object{{"code", "MasterOutOfSight"}, {"node", "n1"}}};
  group.nodes[0].role = Role::kReplica;
  EXPECT_EQ(UsableMaster(ViewOf({group})), "");
}

TEST(ViewTest, OfTwoInTheMastersRoleOnlyTheOneThatWasDecidedCounts) {
  SampleGroup group = Calm();
  group.nodes[1].role = Role::kMaster;
  group.nodes[1].place = "master";
  // Neither is told: one of them must be wrong, and which is for the next report to say.
  EXPECT_EQ(UsableMaster(ViewOf({group})), "");
  group.nodes[1].place = "parked";
  EXPECT_EQ(UsableMaster(ViewOf({group})), "n1");
}

TEST(ViewTest, OfAGroupThatNobodyManagesTheOnlyMasterCounts) {
  SampleGroup group = Calm();
  group.managed = "new";
  group.master = "";
  EXPECT_EQ(UsableMaster(ViewOf({group})), "n1");
  group.nodes[1].place = "master";
  EXPECT_EQ(UsableMaster(ViewOf({group})), "");
}

TEST(ViewTest, OldMasterIsShownAsDownUntilTheNewOneTakesWrites) {
  const View before = ViewOf({Calm()});
  SampleGroup group = Calm();
  group.master = "n2";  // on record, and not yet promoted
  group.nodes[0].place = "parked";
  group.nodes[1].place = "parked";
  const View between = ViewOf({group}, 1100, &before);
  EXPECT_EQ(UsableMaster(between), "");
  EXPECT_EQ(between.groups.at("shop").master, "n1");
  group.nodes[1].role = Role::kMaster;
  group.nodes[1].place = "master";
  const View after = ViewOf({group}, 1200, &between);
  EXPECT_EQ(UsableMaster(after), "n2");
}

TEST(ViewTest, OldMasterThatStillSaysItIsOneIsNotUsableOnceAnotherIsOnRecord) {
  const View before = ViewOf({Calm()});
  SampleGroup group = Calm();
  group.master = "n2";
  const View after = ViewOf({group}, 1100, &before);  // n1's place is still "master"
  EXPECT_EQ(UsableMaster(after), "");
}

TEST(ViewTest, ServerOfAnAgentThatBeganAnewIsWhereItWas) {
  const View before = ViewOf({Calm()});
  SampleGroup group = Calm();
  group.nodes[1].reported = false;
  group.nodes[1].place = "";
  const View after = ViewOf({group}, 1100, &before);
  EXPECT_EQ(after.groups.at("shop").nodes.at("n2").endpoint.port, 7002);
  EXPECT_FALSE(after.groups.at("shop").nodes.at("n2").usable);
}

TEST(ViewTest, TimesAreKeptWhileNothingChanges) {
  const View first = ViewOf({Calm()}, 1000);
  SampleGroup group = Calm();
  group.nodes[2].place = "parked";
  const View second = ViewOf({group}, 2000, &first);
  EXPECT_EQ(second.groups.at("shop").nodes.at("n2").usable_since, 1000);
  EXPECT_EQ(second.groups.at("shop").nodes.at("n3").usable_since, 2000);
  EXPECT_EQ(second.groups.at("shop").nodes.at("n3").role_since, 1000);
}

TEST(ViewTest, NothingIsKnownOfAGroupWhoseMasterWasNotHeardYetAndThenThatItIsDown) {
  View view = ViewOf({NobodyHeard()}, 1000);
  EXPECT_TRUE(view.unknown.contains("shop"));
  EXPECT_FALSE(view.groups.contains("shop"));
  for (std::int64_t now = 1100; now < 1000 + kFreshMs; now += 100) {
    const View before = view;
    view = ViewOf({NobodyHeard()}, now, &before);
    ASSERT_TRUE(view.unknown.contains("shop")) << now;
  }
  const View before = view;
  view = ViewOf({NobodyHeard()}, 1000 + kFreshMs, &before);
  EXPECT_TRUE(view.unknown.empty());
  EXPECT_EQ(UsableMaster(view), "");
}

TEST(ViewTest, OnlyTheGroupOfWhichNothingIsKnownIsUnknown) {
  SampleGroup cart = NobodyHeard();
  cart.name = "cart";
  const View before = ViewOf({Calm()});
  const View view = ViewOf({Calm(), cart}, 1100, &before);
  EXPECT_EQ(UsableMaster(view), "n1");
  EXPECT_EQ(view.unknown.at("cart").since_ms, 1100);
}

TEST(ViewTest, WhatWasKnownOfAGroupStandsUntilItIsHeardButNotForLong) {
  View view = ViewOf({Calm()}, 1000);
  for (std::int64_t now = 1100; now <= 1000 + kFreshMs; now += 100) {
    const View before = view;
    view = ViewOf({NobodyHeard()}, now, &before);
    ASSERT_EQ(UsableMaster(view), "n1") << now;
    ASSERT_TRUE(view.groups.at("shop").nodes.at("n2").usable) << now;
  }
  for (std::int64_t now = 1100 + kFreshMs; now < 1100 + 2 * kFreshMs; now += 100) {
    const View before = view;
    view = ViewOf({NobodyHeard()}, now, &before);
    ASSERT_TRUE(!view.groups.contains("shop") || UsableMaster(view).empty()) << now;
  }
  EXPECT_EQ(UsableMaster(view), "");
}

TEST(ViewTest, MasterThatWasReplacedMeanwhileDoesNotStand) {
  const View before = ViewOf({Calm()});
  SampleGroup group = NobodyHeard();
  group.master = "n2";
  EXPECT_EQ(UsableMaster(ViewOf({group}, 1100, &before)), "");
}

TEST(ViewTest, ReplicaThatWasNotHeardYetIsWhatItWasButNotForLong) {
  View view = ViewOf({Calm()}, 1000);
  SampleGroup group = Calm();
  group.nodes[1] = NotHeard("n2");
  for (std::int64_t now = 1100; now <= 1000 + kFreshMs; now += 100) {
    const View before = view;
    view = ViewOf({group}, now, &before);
    ASSERT_TRUE(view.groups.at("shop").nodes.at("n2").usable) << now;
  }
  const View before = view;
  view = ViewOf({group}, 1100 + kFreshMs, &before);
  EXPECT_FALSE(view.groups.at("shop").nodes.at("n2").usable);
  EXPECT_EQ(view.groups.at("shop").nodes.at("n2").endpoint.port, 7002);
}

TEST(ViewTest, OldMasterThatWasNotHeardYetIsNoReplica) {
  const View before = ViewOf({Calm()});
  SampleGroup group = Calm();
  group.master = "n2";
  group.nodes[0] = NotHeard("n1");
  group.nodes[1] = {"n2", 7002, Role::kMaster, "master"};
  const View view = ViewOf({group}, 1100, &before);
  EXPECT_EQ(UsableMaster(view), "n2");
  EXPECT_FALSE(view.groups.at("shop").nodes.at("n1").usable);
}

TEST(ViewTest, WhoLooksForItsGroupsSaysNothingOfThem) {
  const auto view = ReadStatus(boost::json::parse(R"({"groups": [], "notes": [], "discovering": true})"), 0);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().Code(), ErrorCode::kUnavailable);
}

TEST(ViewTest, WhatIsNoStatusIsAnError) {
  for (const char* text :
       {"3", "{}", R"({"groups": 3})", R"({"groups": [{}]})", R"({"groups": [{"group": "a"}]})",
        R"({"groups": [{"group": "a", "nodes": [{}]}]})",
        R"({"groups": [{"group": "a", "nodes": [{"node": "n1", "report": 3}]}]})"}) {
    EXPECT_FALSE(ReadStatus(boost::json::parse(text), 0)) << text;
  }
}

}  // namespace
}  // namespace walstitch::sentinel
