// One controller with a store of its own, as the chart installs it by default.
#include <algorithm>
#include <boost/json.hpp>
#include <csignal>

#include "tests/integration/kubernetes/pods_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(PodsTest, InstalledGroupHasOneMasterAndItsServicesLeadThere) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  ASSERT_FALSE(Master().empty());
  EXPECT_EQ(Replicas().size(), 2U);
  RedisClient master = ClientOf(Master());
  EXPECT_EQ(InfoField(master, "replication", "role"), "master");
  ExpectNothingLost();
  EXPECT_EQ(EventReasons().front(), "Promoted");
}

TEST_F(PodsTest, CommandLineInTheControllersPodNeedsNoArguments) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const auto status = player_->Exec(ControllerPod(), "controller", {"walstitch", "status", "--check"});
  EXPECT_EQ(status.exit_code, 0) << status.text;
  const auto list = player_->Exec(ControllerPod(), "controller", {"walstitch", "decisions", "list"});
  EXPECT_EQ(list.exit_code, 0) << list.text;
  EXPECT_NE(list.text.find("bootstrap"), std::string::npos) << list.text;
  const auto verified = player_->Exec(ControllerPod(), "controller", {"walstitch", "decisions", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.text;
}

TEST_F(PodsTest, ParkedNodeIsAliveAndNotReady) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const std::string replica = Replicas().front();
  const auto paused =
      player_->Exec(ControllerPod(), "controller", {"walstitch", "pause", "shop", "--reason", "a test"});
  ASSERT_EQ(paused.exit_code, 0) << paused.text;
  player_->KillContainer(replica, "kvrocks");
  // It boots parked, and nobody decides about it.
  ASSERT_TRUE(WaitUntil(
      [&] {
        return player_->RestartsOf(replica, "kvrocks") == 1 && StatusOf(replica, 7667, "/readyz") == 503;
      },
      seconds(20)));
  EXPECT_EQ(StatusOf(replica, 7667, "/healthz"), 200);
  ASSERT_TRUE(WaitUntil([&] { return !player_->IsReady(replica) && Replicas().size() == 1; }, seconds(10)));
  const auto resumed = player_->Exec(ControllerPod(), "controller", {"walstitch", "resume", "shop"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.text;
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(PodsTest, KilledServerOfTheMasterIsReplacedAndComesBack) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const std::string old = Master();
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitNewMaster(old));
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
  const auto reasons = EventReasons();
  EXPECT_GE(std::count(reasons.begin(), reasons.end(), "Promoted"), 2);
}

TEST_F(PodsTest, LostMachineOfTheMasterIsReplacedAndItsPodComesBackUnderAnotherAddress) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const std::string old = Master();
  const std::string address = player_->IpOf(old);
  player_->LosePod(old, seconds(8));
  ASSERT_TRUE(WaitNewMaster(old));
  ASSERT_TRUE(WaitAllReady());
  EXPECT_NE(player_->IpOf(old), address);
  ExpectNothingLost(true);
}

// It holds more than the others, perhaps: then it is the master again, with nothing lost.
TEST_F(PodsTest, PodOfTheMasterThatIsBackAtOnceUnderAnotherAddressIsTakenIn) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const std::string old = Master();
  const std::string address = player_->IpOf(old);
  player_->LosePod(old);
  ASSERT_TRUE(
      WaitUntil([&] { return !player_->IpOf(old).empty() && player_->IpOf(old) != address; }, seconds(20)));
  ASSERT_TRUE(WaitWritten());
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost(true);
}

TEST_F(PodsTest, RollingAllPodsLosesNothingAndSwitchesOverBeforeTheMasterEnds) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  ASSERT_TRUE(player_->Roll("shop", seconds(60)));
  ASSERT_TRUE(WaitAllReady());
  bool left = false;
  for (const DecisionRecord& record : Decisions()) {
    EXPECT_NE(record.decision.kind, DecisionKind::kFailover) << record.decision.finding;
    for (const Reason& reason : record.decision.reasons) left = left || reason.code == "master-leaving";
  }
  EXPECT_TRUE(left);
  ExpectNothingLost();
}

TEST_F(PodsTest, RestartedControllerGoesOnWithWhatItKnew) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  const std::string controller = ControllerPod();
  player_->DeletePod(controller);
  ASSERT_TRUE(
      WaitUntil([&] { return !ControllerPod().empty() && ControllerPod() != controller; }, seconds(30)));
  ASSERT_TRUE(WaitAllReady());
  const std::string old = Master();
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitNewMaster(old));
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

std::string PolicyOf(const std::string& spec) {
  return "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: edited}\nspec: " + spec + "\n";
}

class PolicyMapTest : public PodsTest {
 protected:
  [[nodiscard]] std::string NameInForce() const {
    const auto group = Ask("/v1/groups/shop");
    return group.is_object() ? std::string(group.at("policy").at("name").as_string()) : std::string();
  }
  [[nodiscard]] std::string Problem() const {
    const auto group = Ask("/v1/groups/shop");
    const auto* error = group.is_object() ? group.at("policy").as_object().if_contains("error") : nullptr;
    return error == nullptr ? std::string() : std::string(error->as_string());
  }
  [[nodiscard]] bool Told(const std::string& reason) const {
    const auto reasons = EventReasons();
    return std::count(reasons.begin(), reasons.end(), reason) > 0;
  }
};

TEST_F(PolicyMapTest, EditedPolicyIsInForceWithoutARestartAndInEachRecord) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  player_->UpdateConfigMap("walstitch-policies",
                           {{"shop.yaml", PolicyOf("{default: fullsync, limits: {pad: 7}}")}});
  ASSERT_TRUE(WaitUntil([&] { return NameInForce() == "edited"; }, seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return Told("PoliciesInForce"); }, seconds(10)));
  const std::string old = Master();
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitNewMaster(old));
  EXPECT_EQ(Decisions().front().decision.policy_name, "edited");
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(PolicyMapTest, BadEditIsRefusedAndSeenInStatusMetricAndEvents) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  ASSERT_EQ(NameInForce(), "shop");
  player_->UpdateConfigMap("walstitch-policies", {{"shop.yaml", PolicyOf("{default: perhaps}")}});
  ASSERT_TRUE(WaitUntil([&] { return !Problem().empty(); }, seconds(20)));
  EXPECT_EQ(NameInForce(), "shop");
  EXPECT_TRUE(WaitUntil([&] { return Told("PoliciesRefused"); }, seconds(10)));
  const std::string problem = R"(walstitch_policy_refused{group="shop"} 1)";
  EXPECT_TRUE(WaitUntil([&] { return Metrics().find(problem) != std::string::npos; }, seconds(5)))
      << Metrics();
  player_->UpdateConfigMap("walstitch-policies", {{"shop.yaml", PolicyOf("{default: fullsync}")}});
  ASSERT_TRUE(WaitUntil([&] { return Problem().empty() && NameInForce() == "edited"; }, seconds(20)));
  EXPECT_NE(Metrics().find(R"(walstitch_policy_refused{group="shop"} 0)"), std::string::npos) << Metrics();
}

TEST_F(PodsTest, GroupThatIsMadeLargerTakesTheNewNodeInAndSmallerAgainForgetsIt) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  player_->Scale("shop", 4);
  ASSERT_TRUE(WaitUntil([&] { return Replicas().size() == 3; }, seconds(60)));
  player_->Scale("shop", 3);
  ASSERT_TRUE(
      WaitUntil([&] { return Replicas().size() == 2 && player_->Pods("shop").size() == 3; }, seconds(60)));
  // The fourth is still known, and away; the next run of the controller knows it no more.
  player_->DeletePod(ControllerPod());
  ASSERT_TRUE(WaitUntil(
      [&] {
        const auto group = Ask("/v1/groups/shop");
        return group.is_object() && group.at("nodes").as_array().size() == 3;
      },
      seconds(30)));
  ASSERT_TRUE(WaitAllReady());
}

// ---- the API server is away, or says no; nothing of it is needed for a failover

class ApiServerTest : public PodsTest {
 protected:
  void SetUp() override {
    if (IsRealApiServer()) GTEST_SKIP() << "a real API server has no switch for faults";
  }
  // Of every request of the controller's, for ever.
  void Break(ApiFault fault) {
    fault.user = "system:serviceaccount:walstitch:walstitch";
    fault.times = -1;
    Fake().AddFault(fault);
    Fake().CloseWatches();
  }
  // The master's server is killed, and another takes over: seen by the nodes themselves, for labels may not
  // follow.
  void ExpectAFailover() {
    const std::string old = Master();
    const std::uint64_t epoch = Epoch();
    player_->KillContainer(old, "kvrocks");
    ASSERT_TRUE(WaitUntil([&] { return Epoch() > epoch && MasterByStatus() != old; }, seconds(40)));
    RedisClient client = ClientOf(MasterByStatus());
    ASSERT_TRUE(WaitUntil([&] { return client("SET", "written", "by hand").IsOk(); }, seconds(10)));
  }
  [[nodiscard]] std::string MasterByStatus() const {
    const auto group = Ask("/v1/groups/shop");
    return group.is_object() ? std::string(group.at("master").as_string()) : std::string();
  }
  void ExpectLabelsFollow() {
    Fake().ClearFaults();
    ASSERT_TRUE(WaitUntil([&] { return Master() == MasterByStatus() && !Master().empty(); }, seconds(40)));
    ASSERT_TRUE(WaitAllReady());
    ExpectNothingLost();
  }
};

TEST_F(ApiServerTest, FailoverHappensWhileTheApiServerIsGone) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  StopApiServer();
  const std::string old = Master();
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitUntil([&] { return MasterByStatus() != old && !MasterByStatus().empty(); }, seconds(40)));
  StartApiServer();
  ExpectLabelsFollow();
}

TEST_F(ApiServerTest, FailoverHappensWhileTheApiServerAnswersErrors) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  for (const auto& [status, reason] : {std::pair(409, "Conflict"), std::pair(410, "Expired"),
                                       std::pair(429, "TooManyRequests"), std::pair(500, "InternalError")}) {
    ApiFault fault;
    fault.action = ApiFault::Action::kStatus;
    fault.status = status;
    fault.reason = reason;
    fault.retry_after_seconds = status == 429 ? 1 : 0;
    Break(fault);
    ExpectAFailover();
    if (HasFatalFailure()) return;
    Fake().ClearFaults();
    ASSERT_TRUE(WaitUntil([&] { return Master() == MasterByStatus(); }, seconds(40))) << status;
    ASSERT_TRUE(WaitAllReady()) << status;
    // The next failover is not held back by this one.
    const auto unblocked = player_->Exec(ControllerPod(), "controller", {"walstitch", "unblock", "shop"});
    ASSERT_EQ(unblocked.exit_code, 0) << unblocked.text;
  }
  ExpectLabelsFollow();
}

TEST_F(ApiServerTest, FailoverHappensWhileTheApiServerIsSlowAndClosesWatches) {
  ASSERT_NO_FATAL_FAILURE(Install("whole"));
  ApiFault slow;
  slow.action = ApiFault::Action::kDelayBefore;
  slow.delay = milliseconds(3000);
  Break(slow);
  ExpectAFailover();
  Fake().CloseWatches();
  ExpectLabelsFollow();
}

}  // namespace
}  // namespace walstitch::test
