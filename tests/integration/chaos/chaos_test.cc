// Processes that die, stop and go on, links that are cut: under writers that remember every acknowledged
// write, and with a look at the whole keyspace afterwards. Longer, and at random: `./x chaos`.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "policies/model/json.h"
#include "tests/integration/chaos/havoc.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Short, and yet kept by processes that have to wait for a processor.
constexpr milliseconds kLease{2000};
// How long nothing must happen that a lease's end would bring about.
constexpr milliseconds kManyLeases = 3 * kLease;

class ChaosTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (HasFailure() && havoc_)
      std::cerr << Dump(havoc_->cluster().Status()) << "\n" << havoc_->cluster().Logs(8000) << std::flush;
  }

  void Start(ClusterOptions options = ChaosOptions(kLease)) {
    havoc_ = std::make_unique<Havoc>(std::move(options));
    const auto error = havoc_->Start();
    ASSERT_FALSE(error) << *error;
    master_ = havoc_->Master();
    ASSERT_NE("", master_);
  }

  Havoc& havoc() { return *havoc_; }
  Cluster& cluster() { return havoc_->cluster(); }
  // The one before anything was done.
  const std::string& master() const { return master_; }
  std::string Replica() {
    for (const std::string& node : cluster().Nodes()) {
      if (node != master_) return node;
    }
    return "";
  }

  // Somebody else takes writes, and is the master from here on.
  void ExpectTakeover(int64_t since_us) {
    const auto takeover = havoc_->WaitTakeover(master_, since_us);
    ASSERT_TRUE(takeover) << "nobody took over from " << master_;
    std::cout << takeover->node << " took over from " << master_ << " after " << takeover->took_us / 1000
              << " ms\n";
    master_ = takeover->node;
  }

  AckFindings ExpectNothingWrong() {
    AckFindings findings = havoc_->CheckNow();
    EXPECT_EQ(std::vector<std::string>(), findings.Sentences());
    std::cout << havoc_->log().acknowledged() << " writes acknowledged, " << findings.given_up
              << " given up\n";
    return findings;
  }

  // The writes went on where they were, and no role changed.
  void ExpectNothingHappened() {
    EXPECT_TRUE(havoc_->WaitSettled());
    EXPECT_EQ(master_, cluster().Master());
    EXPECT_EQ(1U, cluster().Epoch());
    EXPECT_EQ(0U, ExpectNothingWrong().given_up);
    EXPECT_EQ(0U, cluster().FullSyncsServed());
  }

 private:
  std::unique_ptr<Havoc> havoc_;
  std::string master_;
};

TEST_F(ChaosTest, CrashesOfTheMasterLoseNothingAndCostNoFullSync) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (int i = 0; i < 4; ++i) {
    const std::string dead = master();
    ASSERT_TRUE(havoc().WaitForWrites(dead, 100));
    const int64_t since_us = AckLog::NowMicros();
    havoc().KillServer(dead);
    ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));
    ASSERT_FALSE(havoc().StartServer(dead));
    ASSERT_TRUE(havoc().WaitSettled());
  }
  EXPECT_EQ(0U, ExpectNothingWrong().given_up);
  EXPECT_EQ(0U, cluster().FullSyncsServed());
  EXPECT_EQ(5U, cluster().Epoch());
}

// The server's agent lives, and cannot park a server that does not listen. It does when that goes on; what
// was acknowledged before is what this measures, and what the record of the rejoin must name.
TEST_F(ChaosTest, StoppedMasterThatGoesOnIsParkedAndWhatItTookMeanwhileIsOnRecord) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string stopped = master();
  const int64_t since_us = AckLog::NowMicros();
  havoc().Stop(stopped, false);
  ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));
  ASSERT_TRUE(havoc().WaitForWrites(master(), 100));

  EXPECT_TRUE(havoc().Continue(stopped, false, true)) << "it is a master still";

  ASSERT_TRUE(havoc().WaitSettled());
  const AckFindings findings = ExpectNothingWrong();
  std::cout << findings.excused << " writes acknowledged by the one that was replaced, the last of them "
            << findings.longest_excused_us / 1000 << " ms after it went on\n";
  EXPECT_EQ(0U, cluster().FullSyncsServed());
}

// A whole machine that stands still, and goes on without knowing that time has passed.
TEST_F(ChaosTest, StoppedMachineThatGoesOnIsParkedByItsOwnAgent) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string stopped = master();
  const int64_t since_us = AckLog::NowMicros();
  havoc().Stop(stopped, true);
  ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));
  ASSERT_TRUE(havoc().WaitForWrites(master(), 100));
  // Nobody else could park it.
  cluster().Isolate(stopped);

  EXPECT_TRUE(havoc().Continue(stopped, true, true)) << "it is a master still";

  cluster().Heal();
  ASSERT_TRUE(havoc().WaitSettled());
  const AckFindings findings = ExpectNothingWrong();
  std::cout << findings.excused << " writes acknowledged by the one that was replaced, the last of them "
            << findings.longest_excused_us / 1000 << " ms after it went on\n";
}

TEST_F(ChaosTest, MasterThatIsCutOffFromEverybodyIsParkedBeforeAnotherIsPromoted) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string alone = master();
  const int64_t since_us = AckLog::NowMicros();
  cluster().Isolate(alone);
  ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));
  ASSERT_TRUE(havoc().WaitForWrites(master(), 100));

  const auto first = havoc().log().FirstAckSince(since_us, alone);
  EXPECT_LT(havoc().log().LastAckOf(alone), first->second.done_us);
  EXPECT_EQ("slave", cluster().Node(alone).Info("replication", "role"));
  // What it acknowledged before it was parked is a tail; one that ends behind the new master cannot be
  // padded.
  const uint64_t last = cluster().Node(alone).LastSequence();
  ASSERT_TRUE(Eventually(seconds(20), [&] { return cluster().Node(master()).LastSequence() > last; }));
  cluster().Heal();
  ASSERT_TRUE(havoc().WaitSettled());
  ExpectNothingWrong();
  EXPECT_EQ(0U, cluster().FullSyncsServed());
}

TEST_F(ChaosTest, ControllerThatIsGoneForManyLeasesStopsNoWrite) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().KillController();

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  ASSERT_FALSE(cluster().StartController());
  ExpectNothingHappened();
}

TEST_F(ChaosTest, ControllerAndTheAgentOfAReplicaThatAreGoneStopNoWrite) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().KillController();
  cluster().KillAgent(Replica());

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  ASSERT_FALSE(cluster().StartAgent(Replica()));
  ASSERT_FALSE(cluster().StartController());
  ExpectNothingHappened();
}

TEST_F(ChaosTest, ControllerThatIsGoneAndAnAgentOfTheMasterThatIsStartedAgainStopNoWrite) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().KillController();
  EXPECT_TRUE(havoc().WritesGoOn(master(), kLease));
  cluster().KillAgent(master());
  ASSERT_FALSE(cluster().StartAgent(master()));

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  ASSERT_FALSE(cluster().StartController());
  ExpectNothingHappened();
}

TEST_F(ChaosTest, AgentsThatAreStartedAgainStopNoWrite) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const std::string& node : cluster().Nodes()) {
    cluster().KillAgent(node);
    ASSERT_FALSE(cluster().StartAgent(node));
    EXPECT_TRUE(havoc().WritesGoOn(master(), kLease)) << "the agent of " << node;
  }
  ExpectNothingHappened();
}

TEST_F(ChaosTest, ReplicaWithoutAnAgentIsMissedByNoWriter) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().KillAgent(Replica());

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  ASSERT_FALSE(cluster().StartAgent(Replica()));
  ExpectNothingHappened();
}

TEST_F(ChaosTest, ControllerThatSeesTheMasterNoMorePromotesNobodyWhileTheOthersDo) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().Cut("controller", master());

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  cluster().Heal();
  ExpectNothingHappened();
}

// Its lease ends, for one replica promises nothing; the other still hears its server, which takes no writes
// any more, and says so.
TEST_F(ChaosTest, MasterThatHasParkedItselfIsReplacedThoughAReplicaHearsItsServer) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const int64_t since_us = AckLog::NowMicros();
  const std::string alone = master();
  cluster().Cut("controller", alone);
  cluster().Cut(Replica(), alone);
  ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));

  const auto first = havoc().log().FirstAckSince(since_us, alone);
  EXPECT_LT(havoc().log().LastAckOf(alone), first->second.done_us);
  cluster().Heal();
  ASSERT_TRUE(havoc().WaitSettled());
  ExpectNothingWrong();
}

TEST_F(ChaosTest, ReplicaThatIsCutOffComesBackWithoutAFullSync) {
  ASSERT_NO_FATAL_FAILURE(Start());
  cluster().Isolate(Replica());

  EXPECT_TRUE(havoc().WritesGoOn(master(), kManyLeases));

  cluster().Heal();
  ExpectNothingHappened();
}

// Both replicas are far behind when the master dies: what they lack is on its disk.
TEST_F(ChaosTest, SlowDisksOfTheReplicasLoseNothing) {
  if (NodeServer::IsRealKvrocks()) GTEST_SKIP() << "a real Kvrocks has no fault switches";
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const std::string& node : cluster().Nodes()) {
    if (node != master()) {
      ASSERT_TRUE(cluster().Client(node)("REFNODE.FAULT", "slow-writes", "5").IsOk());
    }
  }
  const std::string dead = master();
  ASSERT_TRUE(havoc().WaitForWrites(dead, 300));
  const int64_t since_us = AckLog::NowMicros();
  havoc().KillServer(dead);
  ASSERT_NO_FATAL_FAILURE(ExpectTakeover(since_us));
  for (const std::string& node : cluster().Nodes()) {
    if (node != dead) cluster().Client(node)("REFNODE.FAULT", "clear");
  }
  ASSERT_FALSE(havoc().StartServer(dead));
  ASSERT_TRUE(havoc().WaitSettled());
  EXPECT_EQ(0U, ExpectNothingWrong().given_up);
  EXPECT_EQ(0U, cluster().FullSyncsServed());
}

}  // namespace
}  // namespace walstitch::test
