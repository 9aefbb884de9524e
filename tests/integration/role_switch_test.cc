// Failover and switchover, and what is refused: on real processes, mostly under load.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using RoleSwitchTest = ClusterTest;

// Writes wherever the controller says that the master is, as a client with discovery would.
class Load {
 public:
  explicit Load(Cluster& cluster) : cluster_(cluster), thread_([this] { Run(); }) {}
  ~Load() { Stop(); }

  bool WaitForMore(int count = 20) {
    const int so_far = acknowledged_;
    return Eventually(seconds(15), [&] { return acknowledged_ > so_far + count; });
  }
  // How many writes were acknowledged; their keys are "load-0" and on.
  int Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return acknowledged_;
  }

 private:
  void Run() {
    while (!stop_) {
      const std::string master = cluster_.Master();
      if (master.empty()) continue;
      RedisClient client = cluster_.Client(master);
      while (!stop_ && client("SET", "load-" + std::to_string(acknowledged_), "value").IsOk())
        ++acknowledged_;
    }
  }

  Cluster& cluster_;
  std::atomic<bool> stop_{false};
  std::atomic<int> acknowledged_{0};
  std::thread thread_;
};

void ExpectAllThere(Cluster& cluster, int acknowledged) {
  for (const std::string& node : cluster.Nodes()) {
    const auto keys = cluster.Keyspace(node);
    for (int i = 0; i < acknowledged; ++i) {
      ASSERT_EQ(1u, keys.count("__namespace:load-" + std::to_string(i)))
          << "write " << i << " is not on " << node;
    }
  }
}

TEST_F(RoleSwitchTest, SwitchoversUnderLoadLoseNothing) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  int acknowledged = 0;
  {
    Load load(cluster());
    for (const std::string to : {"n2", "n3", "n1"}) {
      ASSERT_TRUE(load.WaitForMore());
      const Answer answer = cluster().Switchover(to);
      ASSERT_TRUE(answer.IsDone()) << answer.error
                                   << (answer.record && answer.record->outcome
                                           ? answer.record->outcome->sentence
                                           : "");
      std::cout << "without a master for " << *answer.record->outcome->without_master_ms << " ms\n";
      ASSERT_TRUE(load.WaitForMore());
      ASSERT_TRUE(cluster().WaitUntil([&] {
        return cluster().Condition("n1") != "parked" && cluster().Condition("n2") != "parked" &&
               cluster().Condition("n3") != "parked";
      }));
    }
    acknowledged = load.Stop();
  }
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(4u, cluster().Epoch());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  ASSERT_NO_FATAL_FAILURE(ExpectAllThere(cluster(), acknowledged));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n3")));
}

TEST_F(RoleSwitchTest, CandidateThatDoesNotCatchUpLeavesTheMasterWhereItWas) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  // The candidate is stopped behind its agent's back, just before the order.
  cluster().Node("n2").Pause();
  auto client = cluster().Client("n1");
  WriteSingles(client, 5, "key-");

  const Answer answer = cluster().Switchover("n2", {{"deadline_ms", 300}});

  EXPECT_FALSE(answer.IsDone());
  cluster().Node("n2").Resume();
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ("n1", cluster().Master());
  // It was parked for a moment, and has closed its clients' connections.
  EXPECT_TRUE(cluster().Client("n1")("SET", "still", "writable").IsOk());
  EXPECT_TRUE(cluster().WaitInService("n2"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RoleSwitchTest, LivingMasterIsNotFailedOver) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());

  const Answer answer = cluster().Failover("n2");

  EXPECT_EQ(409, answer.status);
  EXPECT_EQ("n1 is alive and the master: use switchover, which loses nothing", answer.error);
  EXPECT_EQ(1u, cluster().Epoch());
  EXPECT_EQ("n1", cluster().Master());
  // A refusal is a record too.
  const auto decisions = cluster().Decisions();
  ASSERT_FALSE(decisions.empty());
  EXPECT_EQ(DecisionKind::kRefusal, decisions.front().decision.kind);
}

TEST_F(RoleSwitchTest, MasterWithoutAnAgentIsFencedByTheControllerItself) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  cluster().KillAgent("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "unreachable"));

  const Answer answer = cluster().Failover("n2");

  ASSERT_TRUE(answer.IsDone()) << answer.error;
  EXPECT_EQ("n2", cluster().Master());
  EXPECT_TRUE(HasReasonCode(*answer.record, reason::kFencedDirectly));
  auto client = cluster().Client("n1");
  EXPECT_TRUE(client("SET", "key", "value").IsError());
  ASSERT_FALSE(cluster().StartAgent("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RoleSwitchTest, MasterOfWhichNothingIsLeftIsFailedOverOnceItsLeaseIsOver) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  cluster().KillAgent("n1");
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "unreachable"));

  const Answer answer = cluster().Failover("n2");

  ASSERT_TRUE(answer.IsDone()) << answer.error;
  EXPECT_TRUE(HasReasonCode(*answer.record, reason::kLeaseOver));
  ASSERT_FALSE(cluster().StartAgent("n1"));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

void WriteMixed(RedisClient& client) {
  ASSERT_TRUE(client("SET", "acknowledged", "single").IsOk());
  ASSERT_TRUE(client("MULTI").IsOk());
  for (int i = 0; i < 20; ++i) client("HSET", "hash", "field-" + std::to_string(i), std::string(3000, 'v'));
  client("DEL", "key-1");
  ASSERT_EQ(Reply::Kind::kArray, client("EXEC").kind);
  ASSERT_TRUE(client("SET", "big", std::string(3 << 20, 'b')).IsOk());
}

TEST_F(RoleSwitchTest, FailoverTakesWhatTheDeadMasterHasOnItsDisk) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 5, "key-");
  }
  uint64_t last = 0;
  const auto error = cluster().DieWithTail([&](RedisClient& client) {
    WriteMixed(client);
    last = cluster().Node("n1").LastSequence();
  });
  ASSERT_FALSE(error) << *error;

  const Answer answer = cluster().Failover("n2");

  ASSERT_TRUE(answer.IsDone()) << answer.error;
  EXPECT_GE(cluster().Node("n2").LastSequence(), last);
  auto client = cluster().Client("n2");
  EXPECT_EQ("single", client("GET", "acknowledged").text);
  EXPECT_EQ(20, client("HLEN", "hash").integer);
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitInService("n1"));
  ASSERT_TRUE(cluster().LastRejoin("n1"));
  EXPECT_EQ(Verdict::kAligned, cluster().LastRejoin("n1")->decision.verdict->verdict);
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RoleSwitchTest, FailoverWithoutARescueSaysWhatItLeavesBehind) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const auto error =
      cluster().DieWithTail([](RedisClient& client) { client("SET", "acknowledged", "single"); });
  ASSERT_FALSE(error) << *error;

  const Answer answer = cluster().Failover("n2", {{"rescue", false}});

  ASSERT_TRUE(answer.IsDone()) << answer.error;
  EXPECT_NE(std::string::npos, answer.record->outcome->sentence.find("on its disk, which n2 does not have"))
      << answer.record->outcome->sentence;
  EXPECT_TRUE(cluster().Client("n2")("GET", "acknowledged").IsNil());
}

TEST_F(RoleSwitchTest, MostAdvancedReplicaIsChosen) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  cluster().KillAgent("n2");  // n2 has the higher priority, but stays behind
  ASSERT_TRUE(cluster().WaitCondition("n2", "unreachable"));
  auto client = cluster().Client("n1");
  WriteSingles(client, 5, "key-");
  ASSERT_TRUE(cluster().WaitInService("n3"));
  cluster().KillNode("n1");
  ASSERT_FALSE(cluster().StartAgent("n2"));
  ASSERT_TRUE(cluster().WaitCondition("n1", "down"));
  ASSERT_TRUE(cluster().WaitCondition("n2", "parked"));

  const Answer behind = cluster().Failover("n2");
  EXPECT_EQ(409, behind.status) << "n2 is behind n3";
  ASSERT_TRUE(cluster().Failover().IsDone());

  EXPECT_EQ("n3", cluster().Master());
  ASSERT_TRUE(cluster().WaitInService("n2"));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n3"), cluster().Keyspace("n2")));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RoleSwitchTest, SecondMasterIsParkedAndRejoined) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  auto stray = cluster().Client("n2");
  ASSERT_TRUE(stray("SLAVEOF", "NO", "ONE").IsOk());
  auto master = cluster().Client("n1");
  WriteBatch(master, 5, "right-");

  ASSERT_TRUE(cluster().WaitSettled());

  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(1u, cluster().Epoch());
  EXPECT_TRUE(cluster().Client("n2")("SET", "more", "write").IsError()) << "it takes writes still";
}

// Its records may be all that is left of what n1 lost, or a mistake: only an operator can tell.
TEST_F(RoleSwitchTest, SecondMasterWithWritesOfItsOwnIsHeld) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  auto stray = cluster().Client("n2");
  ASSERT_TRUE(stray("SLAVEOF", "NO", "ONE").IsOk());
  ASSERT_TRUE(stray("SET", "stray", "write").IsOk());

  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n2");
    return record && record->outcome && VerdictOf(*record) == Verdict::kHold && record->decision.plan.empty();
  }));
  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ("parked", cluster().Condition("n2"));
  EXPECT_TRUE(stray("PING").IsBroken()) << "its clients go on as if it were a master";
  auto again = cluster().Client("n2");
  EXPECT_TRUE(again("SET", "more", "write").IsError()) << "it takes writes still";
  EXPECT_EQ("write", again("GET", "stray").text);
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RoleSwitchTest, NodeThatSomebodyRepointedComesBack) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  auto replica = cluster().Client("n2");
  ASSERT_TRUE(replica("SLAVEOF", "127.0.0.1", std::to_string(cluster().Node("n1").port())).IsOk());
  ASSERT_TRUE(cluster().WaitCondition("n2", "direct") || cluster().Condition("n2") == "following");

  ASSERT_TRUE(cluster().WaitSettled());

  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ(std::to_string(cluster().RelayPort("n2")),
            cluster().Node("n2").Info("replication", "master_port"));
}

TEST_F(RoleSwitchTest, DryRunChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const size_t decisions = cluster().Decisions().size();

  EXPECT_EQ(200, cluster().Switchover("n2", {{"dry_run", true}}).status);
  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "down"));
  EXPECT_EQ(200, cluster().Failover("", {{"dry_run", true}}).status);

  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(1u, cluster().Epoch());
  // That nobody is promoted by itself is a record of its own.
  size_t refusals = 0;
  for (const DecisionRecord& record : cluster().Decisions()) {
    if (record.decision.kind == DecisionKind::kRefusal) ++refusals;
  }
  EXPECT_EQ(decisions + refusals, cluster().Decisions().size());
}

}  // namespace
}  // namespace walstitch::test
