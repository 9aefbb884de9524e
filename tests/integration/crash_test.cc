// Processes that die in the middle: whatever dies, and wherever, everything ends in a finished outcome and a
// group that is in sync, and nothing is copied that was not decided.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ControllerCrashTest : public ClusterTest, public ::testing::WithParamInterface<const char*> {
 protected:
  std::map<std::string, std::string> CrashPoint() const { return {{"WALSTITCH_CRASH_AT", GetParam()}}; }

  // The controller reaches its crash point, and is started again without one.
  void ExpectCrashAndRestart() {
    ASSERT_TRUE(cluster().ControllerProcess().Wait(seconds(20))) << "the crash point was not reached";
    const auto error = cluster().StartController();
    ASSERT_FALSE(error) << *error;
    ASSERT_TRUE(cluster().WaitSettled());
    for (const DecisionRecord& record : cluster().Decisions()) {
      EXPECT_TRUE(record.outcome) << record.decision.id << " is still open";
    }
  }

  // The order of a failover meets the crash point; the controller that comes back finishes it, and n1
  // returns.
  void FailOverToN2AcrossTheCrash() {
    EXPECT_EQ(0, cluster().Failover().status);
    ASSERT_TRUE(cluster().ControllerProcess().Wait(seconds(20)));
    ASSERT_FALSE(cluster().StartController());
    ASSERT_TRUE(cluster().WaitCondition("n2", "master"));
    ASSERT_FALSE(cluster().RestartNode("n1"));
    ASSERT_TRUE(cluster().WaitSettled());
    EXPECT_EQ("n2", cluster().Master());
  }
};

TEST_P(ControllerCrashTest, PaddedRejoinIsFinished) {
  ClusterOptions options;
  options.policy = kPadAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 2, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 6, "missed-"); }));
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_NO_FATAL_FAILURE(ExpectCrashAndRestart());

  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  EXPECT_EQ(Verdict::kPadded, VerdictOf(*record));
  EXPECT_EQ(Outcome::kDone, record->outcome->outcome) << record->outcome->sentence;
  EXPECT_EQ(DivergentKeys(*record), DifferingKeys("n1", "n2"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_P(ControllerCrashTest, FullSyncIsFinishedAndNotRepeated) {
  ClusterOptions options;
  options.policy = kFullSyncAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 2, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 6, "missed-"); }));
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_NO_FATAL_FAILURE(ExpectCrashAndRestart());

  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_P(ControllerCrashTest, FailoverIsFinished) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  ASSERT_TRUE(cluster().WaitSettled());
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "down"));

  ASSERT_NO_FATAL_FAILURE(FailOverToN2AcrossTheCrash());

  EXPECT_EQ(2u, cluster().Epoch());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_P(ControllerCrashTest, RescueIsFinished) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  const auto error = cluster().DieWithTail([](RedisClient& client) { WriteSingles(client, 5, "tail-"); });
  ASSERT_FALSE(error) << *error;

  ASSERT_NO_FATAL_FAILURE(FailOverToN2AcrossTheCrash());

  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  EXPECT_EQ(1u, cluster().Keyspace("n2").count("__namespace:tail-4"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_P(ControllerCrashTest, SwitchoverIsFinished) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  ASSERT_TRUE(cluster().WaitSettled());
  auto client = cluster().Client("n1");
  WriteSingles(client, 20, "key-");

  EXPECT_EQ(0, cluster().Switchover("n2").status);
  ASSERT_NO_FATAL_FAILURE(ExpectCrashAndRestart());

  EXPECT_EQ("n2", cluster().Master());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_P(ControllerCrashTest, AdoptionIsFinished) {
  ClusterOptions options;
  options.direct = true;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_FALSE(cluster().RestartController(CrashPoint()));
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("AdoptableGroup"); }));

  EXPECT_EQ(0, cluster().Adopt().status);
  ASSERT_NO_FATAL_FAILURE(ExpectCrashAndRestart());

  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

INSTANTIATE_TEST_SUITE_P(CrashPoints, ControllerCrashTest,
                         ::testing::Values("after-decision", "before-outcome"), [](const auto& point) {
                           return std::string(point.param) == "after-decision" ? "AfterDecision"
                                                                               : "BeforeOutcome";
                         });

using CrashTest = ClusterTest;

TEST_F(CrashTest, NodeThatDiesHalfPaddedIsPaddedToTheEnd) {
  constexpr size_t kBatch = 60000;
  ClusterOptions options;
  options.policy = kPadAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "tail", "1"); },
                                  [](RedisClient& client) { WriteBatch(client, kBatch, "missed-"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  const uint64_t before = cluster().Node("n1").LastSequence();
  {
    // As soon as some of the pad is in, and most likely before all of it is.
    auto client = cluster().Client("n1");
    ASSERT_TRUE(Eventually(seconds(60), [&] {
      return std::strtoull(InfoField(client, "keyspace", "sequence").c_str(), nullptr, 10) > before;
    }));
  }
  cluster().KillNode("n1");
  const auto error = cluster().RestartNode("n1");
  ASSERT_FALSE(error) << *error;

  ASSERT_TRUE(cluster().WaitSettled(seconds(60)));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ(kBatch + 1, DifferingKeys("n1", "n2").size());
  for (const DecisionRecord& record : cluster().Decisions()) EXPECT_TRUE(record.outcome);
}

TEST_F(CrashTest, AgentsThatDieUnderLoadCostNothing) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::thread writer([&] {
    RedisClient client = cluster().Client("n1");
    while (!stop && client("SET", "key-" + std::to_string(written), "value").IsOk()) ++written;
  });
  const auto written_more = [&] {
    const int so_far = written;
    return Eventually(seconds(10), [&] { return written > so_far + 20; });
  };
  EXPECT_TRUE(written_more());
  for (const std::string node : {"n2", "n1"}) {
    cluster().KillAgent(node);
    EXPECT_TRUE(written_more()) << "writes stopped when the agent of " << node << " died";
    EXPECT_FALSE(cluster().StartAgent(node));
    EXPECT_TRUE(written_more());
  }
  stop = true;
  writer.join();

  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(1u, cluster().Epoch());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  const auto keys = cluster().Keyspace("n2");
  EXPECT_EQ(static_cast<size_t>(written), keys.size());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), keys));
}

TEST_F(CrashTest, MasterThatComesBackByItselfStaysReadOnlyUntilAnOperatorSaysSo) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  cluster().KillNode("n1");
  ASSERT_FALSE(cluster().RestartNode("n1"));

  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("MasterParked"); }));
  auto client = cluster().Client("n1");
  EXPECT_TRUE(client("SET", "key", "value").IsError());
  ASSERT_TRUE(cluster().Failover("n1").IsDone());

  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ("n1", cluster().Master());
  EXPECT_TRUE(client("SET", "key", "value").IsOk());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

}  // namespace
}  // namespace walstitch::test
