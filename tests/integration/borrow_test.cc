// A node whose next record its master's WAL no longer holds, and another node's does: that one lends what is
// between, and nothing is copied. On real processes.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

class BorrowTest : public ClusterTest {
 protected:
  // n1 is the master, n2 follows; n3 dies, and n1's WAL no longer holds what it needs next when it comes
  // back.
  void LeaveN3Behind(ClusterOptions options = {}) {
    options.nodes = {"n1", "n2", "n3"};
    ASSERT_NO_FATAL_FAILURE(StartCluster(std::move(options)));
    ASSERT_EQ("n1", cluster().Master());
    auto client = cluster().Client("n1");
    WriteSingles(client, 20, "common-");
    ASSERT_TRUE(cluster().WaitSettled());
    cluster().KillNode("n3");
    ASSERT_TRUE(cluster().WaitCondition("n3", "down"));
    WriteBatch(client, 7, "while-away-");
    WriteSingles(client, 30, "while-away-");
    client("HSET", "hash", "field", "value");
    ASSERT_TRUE(cluster().WaitInService("n2"));
    Purge("n1");
    WriteSingles(client, 10, "after-the-purge-");
    ASSERT_TRUE(cluster().WaitInService("n2"));
  }
  void Purge(const std::string& node) {
    const auto error = cluster().Node(node).PurgeWal();
    ASSERT_FALSE(error) << *error;
  }
  void ExpectEqual() {
    ASSERT_TRUE(cluster().WaitSettled());
    EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n3")));
  }
};

TEST_F(BorrowTest, WhatTheMastersWalNoLongerHoldsAnotherReplicaLends) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());

  const DecisionRecord record = Rejoin("n3");

  EXPECT_EQ(Verdict::kAligned, VerdictOf(record));
  ASSERT_TRUE(HasReason(record, reason::kBorrowed)) << record.decision.verdict->reasons.front().sentence;
  ASSERT_TRUE(record.decision.evidence->borrow);
  EXPECT_EQ("n2", record.decision.evidence->borrow->lender);
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  ASSERT_EQ(2u, record.steps.size());
  EXPECT_EQ("rescue", record.steps[0].action);
  EXPECT_EQ("follow", record.steps[1].action);
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  auto client = cluster().Client("n1");
  WriteSingles(client, 5, "after-the-rejoin-");
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  const CommandOutput shown = cluster().Cli({"decisions", "show", record.decision.id});
  EXPECT_NE(shown.out.find("borrowed from n2"), std::string::npos) << shown.out << shown.error;
}

TEST_F(BorrowTest, WithReplicationIdsTheMasterAcceptsWhoBorrowed) {
  ClusterOptions options;
  options.node_config["use-rsid-psync"] = "yes";
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind(options));

  const DecisionRecord record = Rejoin("n3");

  EXPECT_TRUE(HasReason(record, reason::kBorrowed));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(BorrowTest, WritesGoOnMeanwhile) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());
  std::atomic<bool> stop{false};
  std::thread writer([&, port = cluster().Node("n1").port()] {
    RedisClient client(port);
    for (int i = 0; !stop; ++i) {
      client("SET", "busy-" + std::to_string(i % 500), std::to_string(i));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_FALSE(cluster().RestartNode("n3"));
  EXPECT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastRejoin("n3");
    return record && HasReason(*record, reason::kBorrowed) && cluster().Condition("n3") == "following";
  }));
  stop = true;
  writer.join();
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

// After a failover the new master's WAL begins late; the other replica's does not.
TEST_F(BorrowTest, ANodeThatMissedAFailoverBorrowsFromAReplicaOfTheNewMaster) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());
  ASSERT_TRUE(cluster().Switchover("n2").IsDone());
  ASSERT_TRUE(cluster().WaitInService("n1"));
  auto client = cluster().Client("n2");
  WriteSingles(client, 10, "of-the-new-master-");
  ASSERT_TRUE(cluster().WaitInService("n1"));
  // n1's WAL begins later than where n3 stands; n2's reaches back, and so n3 needs no lender.
  const DecisionRecord record = Rejoin("n3");
  EXPECT_EQ(Verdict::kAligned, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kPrefixOfSurvivor));
  EXPECT_EQ(0u, cluster().FullSyncsServed());

  // The other way round: n1 is away over a switchover to n3, whose WAL is purged, and n2's is not.
  ASSERT_TRUE(cluster().WaitSettled());
  // Its agent, too: its relay would have it fed by n2 as soon as it is back.
  cluster().KillNode("n1");
  cluster().KillAgent("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "unreachable"));
  WriteSingles(client, 10, "n1-is-away-");
  ASSERT_TRUE(cluster().WaitInService("n3"));
  ASSERT_TRUE(cluster().Switchover("n3").IsDone());
  ASSERT_TRUE(cluster().WaitInService("n2"));
  ASSERT_NO_FATAL_FAILURE(Purge("n3"));
  auto heir = cluster().Client("n3");
  WriteSingles(heir, 10, "of-the-third-");
  ASSERT_TRUE(cluster().WaitInService("n2"));

  ASSERT_FALSE(cluster().StartAgent("n1"));
  const DecisionRecord second = Rejoin("n1");

  EXPECT_TRUE(HasReason(second, reason::kBorrowed)) << second.decision.verdict->reasons.front().sentence;
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(BorrowTest, WhereNobodysWalReachesTheNodeIsCopied) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());
  ASSERT_NO_FATAL_FAILURE(Purge("n2"));
  auto client = cluster().Client("n1");
  WriteSingles(client, 3, "more-");
  ASSERT_TRUE(cluster().WaitInService("n2"));

  const DecisionRecord record = Rejoin("n3");

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kWalPurged));
  EXPECT_NE(record.decision.evidence->borrow_note.find("n2: its WAL begins at"), std::string::npos)
      << record.decision.evidence->borrow_note;
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(BorrowTest, APolicyMayForbidIt) {
  ClusterOptions options;
  options.policy = kIgnoreAll;
  options.policy.replace(options.policy.find("undoScan"), 0, "borrow: 0, ");
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind(options));

  const DecisionRecord record = Rejoin("n3");

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kWalPurged));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

// The lender goes away in the middle of it, and comes back: nothing is given up, and nothing is copied.
TEST_F(BorrowTest, ALenderWhoseAgentIsNotHeardIsWaitedFor) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());
  cluster().PauseAgent("n2");
  ASSERT_FALSE(cluster().RestartNode("n3"));
  ASSERT_TRUE(cluster().WaitCondition("n3", "parked"));
  cluster().ResumeAgent("n2");
  ASSERT_TRUE(cluster().WaitSettled());
  const auto record = cluster().LastRejoin("n3");
  ASSERT_TRUE(record);
  EXPECT_TRUE(HasReason(*record, reason::kBorrowed)) << record->decision.verdict->reasons.front().sentence;
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

class BorrowCrashTest : public BorrowTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(BorrowCrashTest, AControllerThatDiesInBetweenFinishesIt) {
  ASSERT_NO_FATAL_FAILURE(LeaveN3Behind());
  ASSERT_FALSE(cluster().RestartController({{"WALSTITCH_CRASH_AT", GetParam()}}));
  ASSERT_FALSE(cluster().RestartNode("n3"));
  ASSERT_TRUE(cluster().ControllerProcess().Wait(seconds(20))) << "the crash point was not reached";
  ASSERT_FALSE(cluster().StartController());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  for (const DecisionRecord& record : cluster().Decisions())
    EXPECT_TRUE(record.outcome) << record.decision.id << " is still open";
  const auto record = cluster().LastRejoin("n3");
  ASSERT_TRUE(record);
  EXPECT_TRUE(HasReason(*record, reason::kBorrowed));
  EXPECT_EQ(Outcome::kDone, record->outcome->outcome) << record->outcome->sentence;
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

INSTANTIATE_TEST_SUITE_P(CrashPoints, BorrowCrashTest,
                         ::testing::Values("after-decision", "after-rescue", "after-follow",
                                           "before-outcome"),
                         [](const auto& point) {
                           std::string name = point.param;
                           for (char& letter : name) letter = letter == '-' ? '_' : letter;
                           return name;
                         });

}  // namespace
}  // namespace walstitch::test
