// Failovers that nobody asks for: what starts one, what does not, and what is written down.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Quick(const std::string& block, const std::string& lease) {
  return "lease: {duration: " + lease +
         ", drift: 1%, park: 100ms}\n"
         "failover: {unreachableAfter: 500ms, hungAfter: 500ms, stuckFeedAfter: 1s, blockAfter: " +
         block + "}\n";
}

class FailoverTest : public ClusterTest {
 protected:
  void StartQuick(std::vector<std::string> nodes = {"n1", "n2", "n3"}, const std::string& block = "1100ms",
                  const std::string& lease = "1s") {
    ClusterOptions options;
    options.nodes = std::move(nodes);
    options.controller_config = Quick(block, lease);
    StartCluster(options);
  }

  bool WaitMaster(const std::string& node, milliseconds patience = seconds(20)) {
    return cluster().WaitUntil([&] { return cluster().Master() == node; }, patience);
  }

  // The newest record of that kind.
  std::optional<DecisionRecord> Last(DecisionKind kind) {
    for (DecisionRecord& record : cluster().Decisions()) {
      if (record.decision.kind == kind) return std::move(record);
    }
    return std::nullopt;
  }

  bool WaitRefusal(std::string_view code) {
    return cluster().WaitUntil([&] {
      const auto refusal = Last(DecisionKind::kRefusal);
      return refusal && HasReasonCode(*refusal, code);
    });
  }
};

TEST_F(FailoverTest, CrashOfTheMastersProcessIsOverWithoutAnOrderAndLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  std::atomic<bool> stop{false};
  std::vector<std::string> acknowledged;
  std::thread writer([&] {
    RedisClient client = cluster().Client("n1");
    for (int i = 0; !stop; ++i) {
      const std::string key = "key-" + std::to_string(i);
      if (!client("SET", key, "value").IsOk()) break;
      acknowledged.push_back("__namespace:" + key);
    }
  });
  EXPECT_TRUE(cluster().WaitUntil([&] { return cluster().Node("n2").LastSequence() > 100; }));

  cluster().KillNode("n1");
  stop = true;
  writer.join();

  ASSERT_TRUE(cluster().WaitUntil([&] { return !cluster().Master().empty() && cluster().Master() != "n1"; }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  const auto keys = cluster().Keyspace(cluster().Master());
  for (const std::string& key : acknowledged) EXPECT_EQ(1u, keys.count(key)) << key << " was acknowledged";
  for (const std::string node : {"n1", "n2", "n3"})
    EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace(node), keys));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  const auto record = Last(DecisionKind::kFailover);
  ASSERT_TRUE(record && record->outcome);
  EXPECT_TRUE(HasReasonCode(*record, reason::kMasterDown));
  EXPECT_LT(*record->outcome->without_master_ms, 5000);
}

TEST_F(FailoverTest, MasterThatComesBackBeforeAnybodyWasPromotedMayWin) {
  ASSERT_NO_FATAL_FAILURE(StartQuick({"n1"}));
  cluster().KillNode("n1");
  ASSERT_TRUE(WaitRefusal(reason::kNotEligible));
  ASSERT_FALSE(cluster().RestartNode("n1"));

  ASSERT_TRUE(
      cluster().WaitUntil([&] { return cluster().Epoch() >= 2 && cluster().Condition("n1") == "master"; }));
  auto client = cluster().Client("n1");
  EXPECT_TRUE(client("SET", "key", "value").IsOk());
}

TEST_F(FailoverTest, ServerThatItsSupervisorStartsAtOnceLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  auto client = cluster().Client("n1");
  WriteSingles(client, 200, "key-");
  cluster().KillNode("n1");
  ASSERT_FALSE(cluster().RestartNode("n1"));

  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Epoch() >= 2; }));
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(200u, cluster().Keyspace(cluster().Master()).size());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(FailoverTest, HungMasterIsReplacedOnceItsLeaseIsOverAndParksWhenItGoesOn) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  cluster().Node("n1").process().Signal(SIGSTOP);

  ASSERT_TRUE(cluster().WaitUntil([&] { return !cluster().Master().empty() && cluster().Master() != "n1"; }));
  const auto record = Last(DecisionKind::kFailover);
  ASSERT_TRUE(record);
  EXPECT_TRUE(HasReasonCode(*record, reason::kLeaseOver));
  EXPECT_TRUE(HasReasonCode(*record, reason::kMasterHung));

  cluster().Node("n1").process().Signal(SIGCONT);
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(FailoverTest, MachineThatIsLostIsReplacedOnceItsLeaseIsOver) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  cluster().PauseAgent("n1");
  cluster().Node("n1").process().Signal(SIGSTOP);

  ASSERT_TRUE(cluster().WaitUntil([&] { return !cluster().Master().empty() && cluster().Master() != "n1"; }));

  cluster().Node("n1").process().Signal(SIGCONT);
  cluster().ResumeAgent("n1");
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(FailoverTest, AgentThatIsGoneIsNoReasonForAFailoverWhileItsServerLives) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  cluster().KillAgent("n1");

  ASSERT_TRUE(WaitRefusal(reason::kMasterOutOfSight));
  auto client = cluster().Client("n1");
  EXPECT_TRUE(client("SET", "key", "value").IsOk());
  EXPECT_EQ("n1", cluster().Master());
  ASSERT_FALSE(cluster().StartAgent("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(1u, cluster().Epoch());
  EXPECT_TRUE(client("SET", "key", "value").IsOk());
}

TEST_F(FailoverTest, PausedGroupIsLeftAloneUntilItIsResumed) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  ASSERT_EQ(
      200, cluster().CallController("POST", "/v1/groups/shop/pause", R"({"reason": "moving house"})").status);
  cluster().KillNode("n1");

  ASSERT_TRUE(WaitRefusal(reason::kPaused));
  EXPECT_EQ("n1", cluster().Master());

  ASSERT_EQ(200, cluster().CallController("POST", "/v1/groups/shop/resume").status);
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Master() != "n1"; }));
}

TEST_F(FailoverTest, GroupThatWasJustFailedOverIsBlockedUntilTheBlockIsTakenAway) {
  ASSERT_NO_FATAL_FAILURE(StartQuick({"n1", "n2", "n3"}, "10m"));
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Master() != "n1"; }));
  const std::string second = cluster().Master();
  ASSERT_TRUE(cluster().WaitInService(second == "n2" ? "n3" : "n2"));
  cluster().KillNode(second);
  ASSERT_TRUE(WaitRefusal(reason::kBlocked));
  EXPECT_EQ(second, cluster().Master());

  ASSERT_EQ(200, cluster().CallController("POST", "/v1/groups/shop/unblock").status);
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().Master() != second; }));
}

TEST_F(FailoverTest, NodeInMaintenanceIsNotPromoted) {
  ASSERT_NO_FATAL_FAILURE(StartQuick());
  ASSERT_EQ(200, cluster()
                     .CallController("POST", "/v1/groups/shop/maintenance", R"({"node": "n2", "on": true})")
                     .status);
  cluster().KillNode("n1");

  ASSERT_TRUE(WaitMaster("n3"));
  const auto record = Last(DecisionKind::kFailover);
  ASSERT_TRUE(record);
  bool named = false;
  for (const Reason& reason : record->decision.reasons) {
    named = named ||
            (reason.code == reason::kNotEligible && reason.sentence.starts_with("n2: it is in maintenance"));
  }
  EXPECT_TRUE(named);
}

TEST_F(FailoverTest, ControllerThatIsGoneStopsNoWrites) {
  ASSERT_NO_FATAL_FAILURE(StartQuick({"n1", "n2", "n3"}, "2100ms", "2s"));
  auto client = cluster().Client("n1");
  cluster().KillController();
  // Three leases.
  const auto until = std::chrono::steady_clock::now() + seconds(6);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_TRUE(client("SET", "key", "value").IsOk());
    std::this_thread::sleep_for(milliseconds(1));
  }
  ASSERT_FALSE(cluster().StartController());
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(1u, cluster().Epoch());
}

TEST_F(FailoverTest, ControllerAndAReplicasAgentThatAreGoneStopNoWrites) {
  ASSERT_NO_FATAL_FAILURE(StartQuick({"n1", "n2", "n3"}, "2100ms", "2s"));
  auto client = cluster().Client("n1");
  cluster().KillController();
  cluster().KillAgent("n3");
  const auto until = std::chrono::steady_clock::now() + seconds(6);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_TRUE(client("SET", "key", "value").IsOk());
    std::this_thread::sleep_for(milliseconds(1));
  }
  ASSERT_FALSE(cluster().StartAgent("n3"));
  ASSERT_FALSE(cluster().StartController());
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(1u, cluster().Epoch());
}

}  // namespace
}  // namespace walstitch::test
