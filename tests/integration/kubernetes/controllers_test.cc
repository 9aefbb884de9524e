// Two controllers that share their store in the API, of which one leads.
#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <optional>

#include "tests/integration/kubernetes/pods_fixture.h"
#include "tests/support/redis_client.h"
#include "tests/support/scrape.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The chart's 15 s, and what a standby needs to see it and to begin.
constexpr seconds kTakeOver{30};

class ControllersTest : public PodsTest {
 protected:
  [[nodiscard]] std::string Standby() const {
    const std::string leader = ControllerPod();
    for (const std::string& pod : player_->Pods("walstitch")) {
      if (pod != leader) return pod;
    }
    return "";
  }
  bool WaitLeaderIsNot(const std::string& old) {
    return WaitUntil([&] { return !ControllerPod().empty() && ControllerPod() != old; }, kTakeOver);
  }
  // Whether it says of itself that it leads; nullopt: it does not answer.
  [[nodiscard]] std::optional<double> Leads(const std::string& pod) const {
    return ParseScrape(MetricsOf(pod)).Find("walstitch_leader");
  }
  [[nodiscard]] bool Logged(const std::string& pod, const std::string& text) const {
    return player_->OutputOf(pod, "controller").find(text) != std::string::npos;
  }
};

TEST_F(ControllersTest, OneLeadsAndTheOtherNamesItToTheCommandLine) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  ASSERT_TRUE(WaitUntil([&] { return !Standby().empty(); }, seconds(20)));
  // It has to look at the Lease first.
  PodPlayer::Output status;
  EXPECT_TRUE(WaitUntil(
      [&] {
        status = player_->Exec(Standby(), "controller", {"walstitch", "status", "--check"});
        return status.exit_code == 0;
      },
      seconds(10)))
      << status.text;
  EXPECT_EQ(StatusOf(Standby(), 7700, "/readyz"), 200);
  ExpectNothingLost();
}

TEST_F(ControllersTest, BothTellClientsOfSentinelTheSameMasterAndOfItsSwitch) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  ASSERT_TRUE(WaitUntil([&] { return !Standby().empty(); }, seconds(20)));
  const auto ask = [&](const std::string& pod, const std::vector<std::string>& words) {
    RedisClient client(26379, player_->IpOf(pod), seconds(5));
    return client.Command(words);
  };
  const std::string leader = ControllerPod();
  const std::string standby = Standby();
  const auto both_tell = [&](const std::string& pod) {
    return WaitUntil(
        [&] {
          for (const std::string& controller : {leader, standby}) {
            const Reply reply = ask(controller, {"SENTINEL", "get-master-addr-by-name", "shop"});
            if (reply.items.size() != 2 || reply.items[0].text != player_->IpOf(pod)) return false;
          }
          return true;
        },
        seconds(20));
  };
  const std::string old = Master();
  EXPECT_TRUE(both_tell(old));
  EXPECT_NE(ask(leader, {"SENTINEL", "myid"}).text, ask(standby, {"SENTINEL", "myid"}).text);
  EXPECT_EQ(ask(standby, {"SENTINEL", "myid"}).text.size(), 40U);
  EXPECT_EQ(ToString(ask(leader, {"ROLE"})), ToString(ask(standby, {"ROLE"})));
  for (const std::string& controller : {leader, standby}) {
    EXPECT_TRUE(WaitUntil(
        [&] {
          return ask(controller, {"SENTINEL", "ckquorum", "shop"}).text.starts_with("OK ");
        },
        seconds(10)))
        << ask(controller, {"SENTINEL", "ckquorum", "shop"});
  }
  // No token was shown to either.
  EXPECT_EQ(ask(standby, {"SENTINEL", "failover", "shop"}).text.substr(0, 6), "NOPERM");

  RedisClient subscriber(26379, player_->IpOf(standby), seconds(60));
  ASSERT_FALSE(subscriber("SUBSCRIBE", "+switch-master").IsBroken());
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitNewMaster(old));
  const Reply message = subscriber.ReadReply();
  ASSERT_EQ(message.items.size(), 3U) << message;
  EXPECT_EQ(message.items[2].text,
            "shop " + player_->IpOf(old) + " 6666 " + player_->IpOf(Master()) + " 6666");
  EXPECT_TRUE(both_tell(Master()));

  // A standby asks whoever leads; when nobody does, it says so, and tells of no master.
  player_->SignalContainer(leader, "controller", SIGSTOP);
  EXPECT_TRUE(WaitUntil(
      [&] {
        return ask(standby, {"SENTINEL", "masters"}).text.starts_with("LOADING ");
      },
      seconds(10)));
  EXPECT_TRUE(WaitUntil(
      [&] {
        const Reply reply = ask(standby, {"SENTINEL", "get-master-addr-by-name", "shop"});
        return reply.items.size() == 2 && reply.items[0].text == player_->IpOf(Master());
      },
      kTakeOver));
  player_->SignalContainer(leader, "controller", SIGCONT);
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(ControllersTest, DecisionsAreObjectsOfTheApi) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  ASSERT_TRUE(WaitUntil(
      [&] { return admin_->List("walstitch.io/v1alpha1", "decisions").size() == Decisions().size(); },
      seconds(20)));
  bool promoted = false;
  for (const auto& decision : admin_->List("walstitch.io/v1alpha1", "decisions")) {
    const auto& spec = decision.at("spec").as_object();
    if (spec.at("kind").as_string() != "bootstrap") continue;
    promoted = true;
    EXPECT_EQ(spec.at("group").as_string(), "shop");
    EXPECT_EQ(decision.at("status").at("outcome").as_string(), "done");
  }
  EXPECT_TRUE(promoted);
  const auto verified = player_->Exec(ControllerPod(), "controller", {"walstitch", "decisions", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.text;
}

TEST_F(ControllersTest, KilledLeaderIsReplacedWithinItsLeasesTimeAndTheOtherFailsOver) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  const std::string leader = ControllerPod();
  const std::uint64_t epoch = Epoch();
  player_->LosePod(leader);
  player_->KillContainer(Master(), "kvrocks");
  ASSERT_TRUE(WaitLeaderIsNot(leader));
  ASSERT_TRUE(WaitFailedOver(epoch));
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(ControllersTest, LeaderThatEndsGivesItsLeaseBack) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  const std::string leader = ControllerPod();
  player_->DeletePod(leader);
  EXPECT_TRUE(WaitUntil([&] { return !ControllerPod().empty() && ControllerPod() != leader; }, seconds(6)));
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(ControllersTest, LeaderThatWasPausedBeyondItsLeaseDoesNothingMoreWhenItWakes) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  const std::string leader = ControllerPod();
  const std::uint64_t epoch = Epoch();
  EXPECT_EQ(Leads(leader), 1);
  EXPECT_TRUE(WaitUntil([&] { return !Standby().empty() && Leads(Standby()) == 0; }, seconds(20)));
  player_->SignalContainer(leader, "controller", SIGSTOP);
  player_->KillContainer(Master(), "kvrocks");
  ASSERT_TRUE(WaitLeaderIsNot(leader));
  ASSERT_TRUE(WaitFailedOver(epoch));
  const std::size_t decisions = Decisions().size();
  player_->SignalContainer(leader, "controller", SIGCONT);
  ASSERT_TRUE(WaitUntil([&] { return Logged(leader, "beginning anew"); }, seconds(10)));
  ASSERT_TRUE(WaitAllReady());
  EXPECT_NE(ControllerPod(), leader);
  EXPECT_EQ(Leads(ControllerPod()), 1);
  EXPECT_TRUE(WaitUntil([&] { return Leads(leader) == 0; }, seconds(10)));
  EXPECT_GE(Decisions().size(), decisions);
  ExpectNothingLost();
  const auto verified = player_->Exec(ControllerPod(), "controller", {"walstitch", "decisions", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.text;
}

TEST_F(ControllersTest, GroupGoesOnWithoutTheApiServerAndFailsOverWhenItIsBack) {
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  StopApiServer();
  ASSERT_TRUE(WaitWritten(500));
  const std::uint64_t epoch = Epoch();
  player_->KillContainer(Master(), "kvrocks");
  StartApiServer();
  ASSERT_TRUE(WaitFailedOver(epoch));
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(ControllersTest, FailoverHappensWhileTheApiServerIsSlowAndClosesWatches) {
  if (IsRealApiServer()) GTEST_SKIP() << "a real API server has no switch for faults";
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  ApiFault slow;
  slow.action = ApiFault::Action::kDelayBefore;
  slow.delay = milliseconds(700);
  slow.user = "system:serviceaccount:walstitch:walstitch";
  slow.times = -1;
  Fake().AddFault(slow);
  Fake().CloseWatches();
  const std::string leader = ControllerPod();
  const std::uint64_t epoch = Epoch();
  player_->KillContainer(Master(), "kvrocks");
  ASSERT_TRUE(WaitFailedOver(epoch));
  EXPECT_EQ(ControllerPod(), leader);
  Fake().ClearFaults();
  ASSERT_TRUE(WaitAllReady());
  ExpectNothingLost();
}

TEST_F(ControllersTest, WritesOfUnknownFateAreSeenThroughAndNothingIsWrittenTwice) {
  if (IsRealApiServer()) GTEST_SKIP() << "a real API server has no switch for faults";
  ASSERT_NO_FATAL_FAILURE(Install("two-controllers"));
  for (const auto action : {ApiFault::Action::kCloseAfter, ApiFault::Action::kCloseBefore}) {
    ApiFault fault;
    fault.action = action;
    fault.verb = "update";
    fault.resource = "decisionlogs";
    fault.times = 2;
    Fake().AddFault(fault);
  }
  for (const auto& [status, reason] :
       {std::pair(409, "Conflict"), std::pair(429, "TooManyRequests"), std::pair(500, "InternalError")}) {
    ApiFault fault;
    fault.action = ApiFault::Action::kStatus;
    fault.verb = "update";
    fault.resource = "decisionlogs";
    fault.status = status;
    fault.reason = reason;
    fault.times = 1;
    Fake().AddFault(fault);
  }
  const std::string leader = ControllerPod();
  const std::string old = Master();
  player_->KillContainer(old, "kvrocks");
  ASSERT_TRUE(WaitNewMaster(old));
  ASSERT_TRUE(WaitAllReady());
  EXPECT_EQ(ControllerPod(), leader);
  ExpectNothingLost();
  const auto verified = player_->Exec(ControllerPod(), "controller", {"walstitch", "decisions", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.text;
}

}  // namespace
}  // namespace walstitch::test
