// A master whose server can pad a replica by itself (the proposed replication-enable-sequence-padding) does
// so, where the policy wants it. On real processes; Kvrocks does not have it yet.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

constexpr char kPadNatively[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-natively}
spec:
  default: ignore
  prefer: [aligned, padded, full]
  padding: native
)";

class NativePaddingTest : public ClusterTest {
 protected:
  void Start(bool offers) {
    ClusterOptions options;
    options.policy = kPadNatively;
    if (offers) options.node_config["refnode.offers-padding"] = "yes";
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                    [](RedisClient& client) {
                                      WriteBatch(client, 8, "missed-");
                                      WriteSingles(client, 2, "after-");
                                    }));
  }
  std::string Setting() {
    return cluster().Client("n2")("CONFIG", "GET", "replication-enable-sequence-padding").items.at(1).text;
  }
  static bool HasStep(const DecisionRecord& record, const std::string& action) {
    for (const StepRecord& step : record.steps) {
      if (step.action == action) return true;
    }
    return false;
  }
};

TEST_F(NativePaddingTest, ServerThatOffersItPadsAndIsAskedToForThatNodeOnly) {
  if (NodeServer::IsRealKvrocks()) GTEST_SKIP() << "no released Kvrocks offers it";
  ASSERT_NO_FATAL_FAILURE(Start(true));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_TRUE(HasStep(record, "offer_padding"));
  EXPECT_FALSE(HasStep(record, "pad"));
  EXPECT_EQ(1u, record.outcome->survivor_after->sync_partial_padding);
  EXPECT_EQ(std::string::npos, record.outcome->sentence.find("counted no")) << record.outcome->sentence;
  EXPECT_EQ("no", Setting());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ(2u, cluster().Client("n1")("EXISTS", "after-0", "after-1").integer);
  // And once more, the other way round.
  ASSERT_FALSE(cluster().Diverge(
      "n1", [](RedisClient& client) { WriteSingles(client, 3, "second-"); },
      [](RedisClient& client) { WriteBatch(client, 8, "second-missed-"); }));
  EXPECT_EQ(Verdict::kPadded, VerdictOf(Rejoin("n2")));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(NativePaddingTest, ServerThatDoesNotOfferItLeavesItToTheRelay) {
  ASSERT_NO_FATAL_FAILURE(Start(false));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_TRUE(HasStep(record, "pad"));
  EXPECT_FALSE(HasStep(record, "offer_padding"));
  EXPECT_NE(std::string::npos, record.decision.verdict->reasons.front().sentence.find("by its relay"));
}

TEST_F(NativePaddingTest, ControllerThatDiesOnTheWaySwitchesItOffAllTheSame) {
  if (NodeServer::IsRealKvrocks()) GTEST_SKIP() << "no released Kvrocks offers it";
  ASSERT_NO_FATAL_FAILURE(Start(true));
  ASSERT_FALSE(cluster().RestartController({{"WALSTITCH_CRASH_AT", "after-offer_padding"}}));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().ControllerProcess().Wait(std::chrono::seconds(20))) << "the point was not reached";
  EXPECT_EQ("yes", Setting());
  ASSERT_FALSE(cluster().StartController());
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ("no", Setting());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

}  // namespace
}  // namespace walstitch::test
