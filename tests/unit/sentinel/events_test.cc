#include "controller/sentinel/events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/sentinel/sample.h"

namespace walstitch::sentinel {
namespace {

using Texts = std::vector<std::string>;

// Views one after another, and what is told at each step: "channel payload".
class EventsTest : public ::testing::Test {
 protected:
  Texts Then(const std::vector<SampleGroup>& groups) {
    const View before = view_;
    view_ = ViewOf(groups, view_.at_ms + 100, &before);
    Texts texts;
    for (const Event& event : EventsBetween(before, view_))
      texts.push_back(event.channel + " " + event.payload);
    return texts;
  }
  View view_ = ViewOf({Calm()});
};

TEST_F(EventsTest, NothingIsToldWhenNothingChanges) {
  EXPECT_EQ(Then({Calm()}), Texts{});
  SampleGroup busy = Calm();
  busy.busy = "rejoin of n3";
  EXPECT_EQ(Then({busy}), Texts{});
}

TEST_F(EventsTest, FailoverIsToldInSentinelsWords) {
  SampleGroup group = Calm();
  group.nodes[0].place = "parked";
  EXPECT_EQ(Then({group}),
            (Texts{"+sdown master shop 10.0.0.1 7001", "+odown master shop 10.0.0.1 7001 #quorum 1/1"}));
  group.busy = "failover";
  group.master = "n2";
  group.nodes[1].place = "parked";
  EXPECT_EQ(Then({group}), (Texts{"+try-failover master shop 10.0.0.1 7001",
                                  "+sdown slave 10.0.0.1:7002 10.0.0.1 7002 @ shop 10.0.0.1 7001"}));
  group.nodes[1].place = "master";
  group.nodes[1].role = Role::kMaster;
  EXPECT_EQ(Then({group}), (Texts{"+failover-end master shop 10.0.0.1 7001",
                                  "+switch-master shop 10.0.0.1 7001 10.0.0.1 7002",
                                  "+slave slave 10.0.0.1:7001 10.0.0.1 7001 @ shop 10.0.0.1 7002",
                                  "+sdown slave 10.0.0.1:7001 10.0.0.1 7001 @ shop 10.0.0.1 7002",
                                  "+slave slave 10.0.0.1:7003 10.0.0.1 7003 @ shop 10.0.0.1 7002"}));
  group.busy = "";
  group.nodes[0].place = "replica";
  group.nodes[0].role = Role::kReplica;
  EXPECT_EQ(Then({group}), (Texts{"-sdown slave 10.0.0.1:7001 10.0.0.1 7001 @ shop 10.0.0.1 7002",
                                  "+role-change slave 10.0.0.1:7001 10.0.0.1 7001 @ shop 10.0.0.1 7002 new "
                                  "reported role is slave"}));
}

TEST_F(EventsTest, SwitchIsToldAtOnceIfNobodySawWhatWasBetween) {
  SampleGroup group = Calm();
  group.master = "n2";
  group.nodes[0] = {"n1", 7001};
  group.nodes[1] = {"n2", 7002, Role::kMaster, "master"};
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7001 10.0.0.1 7002");
}

TEST_F(EventsTest, MasterThatComesBackIsDownNoMore) {
  SampleGroup group = Calm();
  group.nodes[0].place = "parked";
  Then({group});
  EXPECT_EQ(Then({Calm()}), (Texts{"-sdown master shop 10.0.0.1 7001", "-odown master shop 10.0.0.1 7001"}));
}

TEST_F(EventsTest, MasterAtAnotherAddressIsASwitch) {
  SampleGroup group = Calm();
  group.nodes[0].port = 7009;
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7001 10.0.0.1 7009");
}

TEST_F(EventsTest, FirstMasterOfAGroupIsASwitchForWhoWaits) {
  SampleGroup group = Calm();
  group.name = "cart";
  group.master = "";
  group.managed = "new";
  group.nodes = {{"n1", 7001, Role::kReplica, "parked"}};
  EXPECT_EQ(Then({Calm(), group}), Texts{});
  group.managed = "managed";
  group.master = "n1";
  group.nodes = {{"n1", 7001, Role::kMaster, "master"}};
  const Texts told = Then({Calm(), group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master cart 10.0.0.1 7001 10.0.0.1 7001");
}

TEST_F(EventsTest, GroupsComeAndGo) {
  SampleGroup cart = Calm();
  cart.name = "cart";
  EXPECT_EQ(Then({Calm(), cart}),
            (Texts{"+monitor master cart 10.0.0.1 7001 quorum 1", "+failover-end master cart 10.0.0.1 7001",
                   "+switch-master cart 10.0.0.1 7001 10.0.0.1 7001"}));
  EXPECT_EQ(Then({Calm()}), Texts{"-monitor master cart 10.0.0.1 7001"});
  // Back as it was, there is nothing to tell of it.
  EXPECT_EQ(Then({Calm(), cart}), Texts{"+monitor master cart 10.0.0.1 7001 quorum 1"});
}

TEST_F(EventsTest, GroupThatIsBackWithAnotherMasterHasSwitched) {
  SampleGroup cart = Calm();
  cart.name = "cart";
  Then({Calm(), cart});
  Then({Calm()});
  Then({Calm()});
  cart.nodes[0].port = 7009;
  EXPECT_EQ(Then({Calm(), cart}),
            (Texts{"+monitor master cart 10.0.0.1 7009 quorum 1", "+failover-end master cart 10.0.0.1 7001",
                   "+switch-master cart 10.0.0.1 7001 10.0.0.1 7009"}));
}

TEST_F(EventsTest, MasterThatWasParkedAtANewAddressFirstHasSwitched) {
  SampleGroup group = Calm();
  group.nodes[0].place = "";
  group.nodes[0].connected = group.nodes[0].reported = false;
  EXPECT_EQ(Then({group}),
            (Texts{"+sdown master shop 10.0.0.1 7001", "+odown master shop 10.0.0.1 7001 #quorum 1/1"}));
  group.nodes[0] = {"n1", 7009, Role::kReplica, "parked"};
  EXPECT_EQ(view_.groups.at("shop").told, (Endpoint{"10.0.0.1", 7001}));
  Then({group});
  EXPECT_EQ(view_.groups.at("shop").Master()->endpoint.port, 7009);
  group.nodes[0] = {"n1", 7009, Role::kMaster, "master"};
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7001 10.0.0.1 7009");
}

TEST_F(EventsTest, MasterThatWasParkedWhenTheControllerBeganIsASwitchForWhoWaits) {
  SampleGroup group = Calm();
  group.nodes[0] = {"n1", 7009, Role::kReplica, "parked"};
  view_ = ViewOf({group});
  EXPECT_EQ(view_.groups.at("shop").told, std::nullopt);
  group.nodes[0] = {"n1", 7009, Role::kMaster, "master"};
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7009 10.0.0.1 7009");
}

TEST_F(EventsTest, SuccessorOfANodeThatLeftTheGroupIsASwitchFromIt) {
  SampleGroup group = Calm();
  group.nodes.erase(group.nodes.begin());
  group.master = "n2";
  group.nodes[0].place = "parked";
  const Texts down = Then({group});
  ASSERT_GE(down.size(), 1U);
  EXPECT_EQ(down[0], "+sdown master shop 10.0.0.1 7001");
  group.nodes[0].place = "master";
  group.nodes[0].role = Role::kMaster;
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7001 10.0.0.1 7002");
}

TEST_F(EventsTest, NothingIsToldWhenAnotherControllerLeadsAndHasNotHeardYet) {
  EXPECT_EQ(Then({NobodyHeard()}), Texts{});
  SampleGroup group = Calm();
  group.nodes[1] = NotHeard("n2");
  EXPECT_EQ(Then({group}), Texts{}) << "a replica that was not heard yet is no reason to leave it";
  EXPECT_EQ(Then({Calm()}), Texts{});
}

TEST_F(EventsTest, MasterThatIsNeverHeardIsDownAfterAWhile) {
  Texts told;
  for (int step = 0; step < 40; ++step) {
    for (const std::string& text : Then({NobodyHeard()})) told.push_back(text);
  }
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[0], "+sdown master shop 10.0.0.1 7001");
  EXPECT_EQ(std::count_if(told.begin(), told.end(),
                          [](const std::string& text) { return text.starts_with("+sdown master"); }),
            1);
}

TEST_F(EventsTest, GroupOfWhichNothingIsKnownForAMomentWasNeverGone) {
  view_.at_ms -= 10000;
  view_.groups.at("shop").nodes.at("n1").known_ms -= 10000;
  const View before = view_;
  view_ = ViewOf({NobodyHeard()}, before.at_ms + 10000, &before);
  EXPECT_TRUE(view_.unknown.contains("shop"));
  EXPECT_TRUE(EventsBetween(before, view_).empty());
  SampleGroup group = Calm();
  group.nodes[0].port = 7009;
  const Texts told = Then({group});
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[1], "+switch-master shop 10.0.0.1 7001 10.0.0.1 7009");
}

// Over orders in which places and addresses may be seen to change, and the group to go and come back: no two
// masters at once, and whoever listens to +switch-master knows the same master as whoever asks.
TEST_F(EventsTest, WhoListensAndWhoAsksKnowTheSameMaster) {
  const char* const places[] = {"master", "parked", "replica", ""};
  std::string known = "10.0.0.1 7001";
  std::minstd_rand random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same in every run
  for (unsigned step = 0; step < 20000; ++step) {
    SampleGroup group = Calm();
    for (SampleNode& node : group.nodes) {
      node.place = places[random() % 4];
      node.role = node.place == "replica" ? Role::kReplica : Role::kMaster;
      node.port = static_cast<std::uint16_t>(node.port + random() % 2 * 10);
      node.reported = node.place != "" || random() % 2 == 0;
      if (random() % 8 == 0) node = NotHeard(node.name);
    }
    group.master = random() % 3 == 0 ? "n2" : "n1";
    // A node that is new has another's place and name.
    if (random() % 8 == 0) group.nodes.erase(group.nodes.begin() + random() % 3);
    const bool gone = random() % 16 == 0;
    for (const std::string& text : Then(gone ? std::vector<SampleGroup>() : std::vector{group})) {
      if (text.starts_with("+switch-master shop ")) known = text.substr(text.find(' ', 30) + 1);
    }
    if (!view_.groups.contains("shop")) continue;
    const GroupSeen& seen = view_.groups.at("shop");
    int usable = 0;
    for (const auto& [name, node] : seen.nodes) usable += node.usable && name == seen.master ? 1 : 0;
    EXPECT_LE(usable, 1);
    if (const NodeSeen* master = seen.UsableMaster()) {
      ASSERT_EQ(known, master->endpoint.host + " " + std::to_string(master->endpoint.port))
          << "step " << step;
      EXPECT_EQ(master->name, group.master);
    }
  }
}

}  // namespace
}  // namespace walstitch::sentinel
