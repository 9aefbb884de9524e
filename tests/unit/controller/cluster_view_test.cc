#include "controller/shell/cluster_view.h"

#include <gtest/gtest.h>

#include "controller/shell/pods.h"
#include "tests/support/kubernetes/api_fixture.h"

namespace walstitch::shell {
namespace {

using core::Place;
using kubernetes::Await;
using kubernetes::Object;
using kubernetes::RunUntil;
using test::ApiFault;

class ClusterViewTest : public kubernetes::ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    ClusterViewOptions options{client_, "walstitch-0", "policies"};
    view_ =
        std::make_unique<ClusterView>(context_.get_executor(), std::move(options), [this] { ++changes_; });
  }
  void TearDown() override { view_.reset(); }

  void AddPod(const std::string& name, const std::string& ip) {
    Object pod = kubernetes::PodNamed(name);
    pod["spec"].as_object()["readinessGates"] = {Object{{"conditionType", kInServiceGate}}};
    ASSERT_TRUE(Await(context_, client_.Create(kubernetes::Pods(), pod)));
    Move(name, ip);
  }
  void Move(const std::string& name, const std::string& ip) {
    Object patch{{"status", Object{{"podIP", ip}, {"phase", "Running"}}}};
    ASSERT_TRUE(Await(context_, client_.Patch(kubernetes::Pods(), name, patch,
                                              kubernetes::PatchKind::kStrategicMerge, "status")));
  }
  std::string Agents() const {
    std::string text;
    const auto groups = view_->Groups();
    if (!groups) return "not known";
    for (const auto& group : *groups) {
      for (const auto& node : group.nodes) text += (text.empty() ? "" : " ") + node.agent;
    }
    return text;
  }
  Pod PodNow(const std::string& name) {
    auto object = Await(context_, client_.Get(kubernetes::Pods(), name));
    return object ? ReadPod(*object).value_or(Pod{}) : Pod{};
  }
  std::vector<std::string> Reasons() {
    std::vector<std::string> reasons;
    auto events = Await(context_, client_.List(kubernetes::Events()));
    if (events) {
      for (const auto& event : events->items) reasons.push_back(kubernetes::TextAt(event, "reason"));
    }
    return reasons;
  }

  kubernetes::ApiClient client_ = Admin();
  std::unique_ptr<ClusterView> view_;
  int changes_ = 0;
};

TEST_F(ClusterViewTest, PodsAreFollowedWhereverTheyMove) {
  view_->Start();
  ASSERT_TRUE(RunUntil(context_, [&] { return view_->Groups().has_value(); }));
  AddPod("shop-0", "10.0.0.1");
  EXPECT_TRUE(RunUntil(context_, [&] { return Agents() == "http://10.0.0.1:7667"; })) << Agents();
  Move("shop-0", "10.0.0.9");
  EXPECT_TRUE(RunUntil(context_, [&] { return Agents() == "http://10.0.0.9:7667"; })) << Agents();
  server_.CloseWatches();
  Move("shop-0", "10.0.0.7");
  EXPECT_TRUE(RunUntil(context_, [&] { return Agents() == "http://10.0.0.7:7667"; })) << Agents();
}

TEST_F(ClusterViewTest, WhatWasSeenStandsWhileTheServerIsAway) {
  AddPod("shop-0", "10.0.0.1");
  view_->Start();
  ASSERT_TRUE(RunUntil(context_, [&] { return Agents() == "http://10.0.0.1:7667"; }));
  EXPECT_EQ(view_->Problem(), "");
  server_.Stop();
  EXPECT_TRUE(RunUntil(context_, [&] { return !view_->Problem().empty(); }));
  EXPECT_EQ(Agents(), "http://10.0.0.1:7667");
  server_.Start();
  EXPECT_TRUE(RunUntil(context_, [&] { return view_->Problem().empty(); }));
}

TEST_F(ClusterViewTest, RolesAndGatesAreWrittenOnPods) {
  AddPod("shop-0", "10.0.0.1");
  AddPod("shop-1", "10.0.0.2");
  view_->Start();
  ASSERT_TRUE(
      RunUntil(context_, [&] { return view_->Groups() && view_->Groups()->front().nodes.size() == 2; }));
  const auto shown = [&] {
    view_->Show({{"shop-0", Place::kMaster}, {"shop-1", Place::kParked}}, "shop-0");
    return PodNow("shop-0").role == "master" && PodNow("shop-0").in_service == true &&
           PodNow("shop-1").role == "parked" && PodNow("shop-1").in_service == false;
  };
  EXPECT_TRUE(RunUntil(context_, shown));
}

TEST_F(ClusterViewTest, RoleIsWrittenWhenTheServerTakesItAgain) {
  AddPod("shop-0", "10.0.0.1");
  view_->Start();
  ASSERT_TRUE(RunUntil(context_, [&] { return view_->Groups() && !view_->Groups()->empty(); }));
  ApiFault fault;
  fault.verb = "patch";
  fault.times = 3;
  server_.AddFault(fault);
  const auto shown = [&] {
    view_->Show({{"shop-0", Place::kMaster}}, "shop-0");
    return PodNow("shop-0").role == "master";
  };
  EXPECT_TRUE(RunUntil(context_, shown));
}

TEST_F(ClusterViewTest, PodThatCannotBeWrittenKeepsTheNewMasterFromItsLabelNotForEver) {
  AddPod("shop-0", "10.0.0.1");
  AddPod("shop-1", "10.0.0.2");
  view_->Start();
  ASSERT_TRUE(
      RunUntil(context_, [&] { return view_->Groups() && view_->Groups()->front().nodes.size() == 2; }));
  ASSERT_TRUE(RunUntil(context_, [&] {
    view_->Show({{"shop-0", Place::kMaster}, {"shop-1", Place::kReplica}}, "shop-0");
    return PodNow("shop-0").role == "master" && PodNow("shop-1").role == "replica";
  }));
  ApiFault fault;
  fault.verb = "patch";
  fault.name = "shop-0";
  fault.times = -1;
  server_.AddFault(fault);
  EXPECT_TRUE(RunUntil(context_, [&] {
    view_->Show({{"shop-0", Place::kParked}, {"shop-1", Place::kMaster}}, "shop-1");
    return PodNow("shop-1").role == "master";
  }));
}

TEST_F(ClusterViewTest, EventsTellDecisionsAndPolicies) {
  view_->Start();
  view_->Tell({"shop-0", false, "Promoted", "shop-0 is the master"});
  view_->TellPolicies("", "shop: mixed 0123");
  view_->TellPolicies("", "shop: mixed 0123");
  view_->TellPolicies("a.yaml:1:1: no", "shop: mixed 0123");
  EXPECT_TRUE(RunUntil(context_, [&] { return Reasons().size() >= 3; }));
  auto reasons = Reasons();
  std::sort(reasons.begin(), reasons.end());
  EXPECT_EQ(reasons, (std::vector<std::string>{"PoliciesInForce", "PoliciesRefused", "Promoted"}));
}

}  // namespace
}  // namespace walstitch::shell
