#include "controller/shell/pods.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::shell {
namespace {

using core::Place;

Pod PodOf(const std::string& json) {
  auto pod = ReadPod(boost::json::parse(json));
  EXPECT_TRUE(pod) << json;
  return pod.value_or(Pod{});
}

const char* const kPod = R"({
  "metadata": {"name": "shop-0", "uid": "u-0",
    "labels": {"walstitch.io/group": "shop", "walstitch.io/role": "master"},
    "annotations": {"walstitch.io/priority": "100", "walstitch.io/zone": "eu-1", "walstitch.io/candidate": "false"},
    "ownerReferences": [{"kind": "StatefulSet", "name": "shop"}]},
  "spec": {"readinessGates": [{"conditionType": "walstitch.io/in-service"}]},
  "status": {"phase": "Running", "podIP": "10.1.2.3",
    "conditions": [{"type": "Ready", "status": "False"}, {"type": "walstitch.io/in-service", "status": "True"}]}})";

TEST(ReadPodTest, WhatTheApiSaysOfAPod) {
  const Pod pod = PodOf(kPod);
  EXPECT_EQ(pod.name, "shop-0");
  EXPECT_EQ(pod.uid, "u-0");
  EXPECT_EQ(pod.group, "shop");
  EXPECT_EQ(pod.ip, "10.1.2.3");
  EXPECT_EQ(pod.stateful_set, "shop");
  EXPECT_EQ(pod.role, "master");
  EXPECT_TRUE(pod.gated);
  EXPECT_EQ(pod.in_service, true);
  EXPECT_EQ(pod.priority, 100);
  EXPECT_EQ(pod.zone, "eu-1");
  EXPECT_FALSE(pod.candidate);
  EXPECT_EQ(pod.problems, std::vector<std::string>{});
}

TEST(ReadPodTest, WhatIsNoPodOfOursIsNone) {
  EXPECT_FALSE(ReadPod(boost::json::parse(R"({"metadata": {"name": "web-0", "labels": {"app": "web"}}})")));
  EXPECT_FALSE(ReadPod(boost::json::parse(R"({"metadata": [], "status": 7})")));
  EXPECT_FALSE(ReadPod(boost::json::value("a pod")));
  EXPECT_FALSE(ReadStatefulSet(boost::json::value(nullptr)));
}

TEST(ReadPodTest, AnnotationThatSaysNothingSensibleIsToldAndItsDefaultCounts) {
  const Pod pod = PodOf(R"({"metadata": {"name": "n", "labels": {"walstitch.io/group": "g"},
    "annotations": {"walstitch.io/priority": "high", "walstitch.io/agent-port": "0"}}})");
  EXPECT_EQ(pod.priority, 0);
  EXPECT_EQ(pod.agent_port, 7667);
  EXPECT_EQ(pod.problems,
            (std::vector<std::string>{
                "pod n: annotation walstitch.io/priority is 'high'; expected a whole number from "
                "-1000000 to 1000000",
                "pod n: annotation walstitch.io/agent-port is '0'; expected a port, 1 to 65535"}));
}

TEST(ReadPodTest, AddressOfAPodThatHasEndedMayBeAnothers) {
  const Pod pod = PodOf(R"({"metadata": {"name": "n", "labels": {"walstitch.io/group": "g"}},
    "status": {"phase": "Failed", "podIP": "10.1.2.3"}})");
  EXPECT_EQ(pod.ip, "");
}

TEST(ReadPodTest, ZoneOfTheMachineCountsWhereNoneIsAnnotated) {
  const Pod pod = PodOf(R"({"metadata": {"name": "n",
    "labels": {"walstitch.io/group": "g", "topology.kubernetes.io/zone": "eu-2"}}})");
  EXPECT_EQ(pod.zone, "eu-2");
}

class GroupsTest : public testing::Test {
 protected:
  void AddPod(const std::string& name, const std::string& ip, const std::string& set = "shop") {
    Pod pod;
    pod.name = name;
    pod.group = "shop";
    pod.ip = ip;
    pod.stateful_set = set;
    pods_[name] = pod;
  }
  void AddSet(const std::string& name, std::int64_t replicas, const std::string& group = "shop") {
    StatefulSet set;
    set.name = name;
    set.group = group;
    set.replicas = replicas;
    sets_[name] = set;
  }
  std::string Groups() {
    problems_.clear();
    std::string text;
    for (const auto& group : GroupsOf(pods_, sets_, &problems_)) {
      text += (text.empty() ? "" : "; ") + group.name + ":";
      for (const auto& node : group.nodes)
        text += " " + node.name + "=" + (node.agent.empty() ? "?" : node.agent);
    }
    return text;
  }

  std::map<std::string, Pod> pods_;
  std::map<std::string, StatefulSet> sets_;
  std::vector<std::string> problems_;
};

TEST_F(GroupsTest, StatefulSetSaysWhichNodesThereAre) {
  AddSet("shop", 3);
  AddPod("shop-1", "10.0.0.1");
  EXPECT_EQ(Groups(), "shop: shop-0=? shop-1=http://10.0.0.1:7667 shop-2=?");
}

TEST_F(GroupsTest, PodBehindTheLastReplicaIsNoNode) {
  AddSet("shop", 1);
  AddPod("shop-0", "10.0.0.1");
  AddPod("shop-1", "10.0.0.2");
  EXPECT_EQ(Groups(), "shop: shop-0=http://10.0.0.1:7667");
}

TEST_F(GroupsTest, OrdinalsMayBeginElsewhere) {
  AddSet("shop", 2);
  sets_["shop"].first = 5;
  EXPECT_EQ(Groups(), "shop: shop-5=? shop-6=?");
}

TEST_F(GroupsTest, PodOfNoStatefulSetIsANodeAsLongAsItIsThere) {
  AddPod("one", "10.0.0.1", "");
  EXPECT_EQ(Groups(), "shop: one=http://10.0.0.1:7667");
  EXPECT_EQ(problems_, std::vector<std::string>{});
}

TEST_F(GroupsTest, PodsGoOnWhileTheirStatefulSetIsExchanged) {
  AddPod("shop-0", "10.0.0.1");
  EXPECT_EQ(Groups(), "shop: shop-0=http://10.0.0.1:7667");
  EXPECT_EQ(problems_.size(), 1U);
}

TEST_F(GroupsTest, LabelsThatContradictEachOtherAreTold) {
  AddSet("shop", 1, "bank");
  AddPod("shop-0", "10.0.0.1");
  EXPECT_EQ(Groups(), "bank: shop-0=http://10.0.0.1:7667");
  EXPECT_EQ(problems_,
            std::vector<std::string>{
                "pod shop-0 is of group shop, and its StatefulSet shop of group bank: label both alike"});
}

TEST_F(GroupsTest, AddressesOfPodsAreNobodysOwnAndMayBeOfVersion6) {
  AddSet("shop", 1);
  AddPod("shop-0", "fd00::1");
  const auto groups = GroupsOf(pods_, sets_, &problems_);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].nodes[0].agent, "http://[fd00::1]:7667");
  EXPECT_EQ(groups[0].nodes[0].agent_url.host, "fd00::1");
  EXPECT_FALSE(groups[0].nodes[0].own_address);
}

class ChangesTest : public testing::Test {
 protected:
  void Add(const std::string& name, const std::string& role, std::optional<bool> in_service = std::nullopt) {
    Pod pod;
    pod.name = name;
    pod.role = role;
    pod.gated = true;
    pod.in_service = in_service;
    pods_[name] = pod;
  }
  std::string Changes(const std::map<std::string, std::optional<Place>>& places, const std::string& master) {
    std::string text;
    for (const auto& change : ChangesOf(pods_, places, master)) {
      text += (text.empty() ? "" : ", ") + change.pod;
      if (change.role) text += " " + std::string(ToString(*change.role));
      if (change.in_service) text += *change.in_service ? " in" : " out";
    }
    return text;
  }

  std::map<std::string, Pod> pods_;
};

TEST_F(ChangesTest, WhatIsAsItShouldBeIsNotWritten) {
  Add("n1", "master", true);
  Add("n2", "replica", true);
  Add("n3", "parked", false);
  EXPECT_EQ(Changes({{"n1", Place::kMaster}, {"n2", Place::kReplica}, {"n3", Place::kParked}}, "n1"), "");
}

TEST_F(ChangesTest, OldMasterIsRelabelledBeforeTheNewOne) {
  Add("n1", "replica", true);
  Add("n2", "master", true);
  EXPECT_EQ(Changes({{"n1", Place::kMaster}, {"n2", Place::kParked}}, "n1"), "n2 parked out, n1 master");
}

TEST_F(ChangesTest, OfANodeThatIsNotHeardNothingIsChanged) {
  Add("n1", "master", true);
  Add("n2", "replica", true);
  EXPECT_EQ(Changes({{"n1", std::nullopt}, {"n2", std::nullopt}}, "n1"), "");
}

TEST_F(ChangesTest, NobodyStaysAMasterBesideTheRecordedOne) {
  Add("n1", "master", true);
  Add("n2", "replica", true);
  EXPECT_EQ(Changes({{"n1", std::nullopt}, {"n2", Place::kMaster}}, "n2"), "n1 parked out, n2 master");
}

TEST_F(ChangesTest, NewPodGetsBoth) {
  Add("n1", "");
  EXPECT_EQ(Changes({{"n1", Place::kParked}}, ""), "n1 parked out");
}

TEST_F(ChangesTest, PodWithoutTheGateGetsItsLabelOnly) {
  Add("n1", "");
  pods_["n1"].gated = false;
  EXPECT_EQ(Changes({{"n1", Place::kReplica}, {"n2", Place::kMaster}}, "n2"), "n1 replica");
}

}  // namespace
}  // namespace walstitch::shell
