// A node whose resume point will soon be purged from its master's WAL: it is told, also of one that is away,
// and where the policy wants it, the copy is made before. On real processes.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/integration/metrics_fixture.h"

namespace walstitch::test {
namespace {

// A log is kept for three hours, so whatever is in an archived one is told of.
constexpr char kToldEarly[] = "failover: {automatic: false, purgeWarning: 5h}\n";

// A tail must not be given up without being asked.
constexpr char kAsk[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: ask}
spec:
  default: ignore
  limits: {tail: 0}
  onLimit: hold
)";

class EndangeredTest : public MetricsClusterTest {
 protected:
  // Has what is in the log that is written to flushed, and another log begun; not without a pause.
  void RotateLog(RedisClient& client) {
    const auto now = std::chrono::steady_clock::now();
    if (now - rotated_ < std::chrono::milliseconds(500)) return;
    rotated_ = now;
    client("COMPACT");
    client("SET", "in-a-new-log-" + std::to_string(rotations_++), "value");
  }
  // What a node needs next is in a log that is archived. Until so it is.
  bool ToldOf(const std::string& node, const std::string& master) {
    auto client = cluster().Client(master);
    return cluster().WaitUntil(
        [&] {
          RotateLog(client);
          const boost::json::value status = cluster().Status();
          for (const auto& finding : status.at("findings").as_array()) {
            if (finding.at("code").as_string() == "ResumePointEndangered" &&
                finding.at("node").as_string() == node) {
              return true;
            }
          }
          return false;
        },
        std::chrono::seconds(40));
  }

 private:
  std::chrono::steady_clock::time_point rotated_{};
  int rotations_ = 0;
};

TEST_F(EndangeredTest, TheOperatorIsToldOfANodeThatIsAwayAndNobodyElse) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.controller_config = kToldEarly;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  auto client = cluster().Client("n1");
  WriteSingles(client, 20, "common-");
  ASSERT_TRUE(cluster().WaitSettled());
  cluster().KillNode("n3");
  ASSERT_TRUE(cluster().WaitCondition("n3", "down"));
  WriteSingles(client, 20, "while-away-");

  const std::string left = Series("resume_point_left_seconds", "n3");
  EXPECT_TRUE(ToldOf("n3", "n1"));
  ExpectAbove(OfController(), left, 0);
  ExpectBelow(OfController(), left, 5 * 3600);
  EXPECT_EQ(Controller().Find(Series("resume_point_left_seconds", "n2")), std::nullopt) << "it lacks nothing";

  const boost::json::value status = cluster().Status();
  for (const auto& finding : status.at("findings").as_array()) {
    if (finding.at("code").as_string() != "ResumePointEndangered") continue;
    EXPECT_EQ("n3", finding.at("node").as_string());
    EXPECT_NE(std::string(finding.at("sentence").as_string()).find("start it before"), std::string::npos);
  }
  for (const auto& node : status.at("nodes").as_array()) {
    EXPECT_EQ(node.at("node").as_string() == "n3", node.as_object().contains("resume_left_ms")) << Dump(node);
  }
  const CommandOutput shown = cluster().Cli({"status"});
  EXPECT_NE(shown.out.find("n3: the WAL of n1 holds what it needs next"), std::string::npos) << shown.out;

  EXPECT_FALSE(cluster().RestartNode("n3"));
  EXPECT_TRUE(cluster().WaitSettled());
  ExpectAbsent(OfController(), left);
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

// n1 is held with its tail, for the policy asks to be asked.
class EndangeredHoldTest : public EndangeredTest {
 protected:
  void HoldN1(const std::string& policy) {
    ClusterOptions options;
    options.policy = policy;
    options.controller_config = kToldEarly;
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                    [](RedisClient& client) { WriteBatch(client, 20, "missed-"); }));
    ASSERT_FALSE(cluster().RestartNode("n1"));
    ASSERT_TRUE(cluster().WaitUntil([&] {
      const auto record = cluster().LastDecision("n1");
      return record && record->outcome && HasReason(*record, reason::kTailLimit);
    }));
  }
};

TEST_F(EndangeredHoldTest, ANodeThatIsHeldStaysHeldAndIsToldOf) {
  ASSERT_NO_FATAL_FAILURE(HoldN1(kAsk));
  EXPECT_TRUE(ToldOf("n1", "n2"));
  EXPECT_EQ("parked", cluster().Condition("n1"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(EndangeredHoldTest, WhereThePolicyWantsItANodeThatIsHeldIsCopiedBefore) {
  ASSERT_NO_FATAL_FAILURE(HoldN1(std::string(kAsk) + "  onResumePointEndangered: fullsync\n"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  auto client = cluster().Client("n2");
  ASSERT_TRUE(cluster().WaitUntil(
      [&] {
        if (cluster().FullSyncsServed() > 0) return true;
        RotateLog(client);
        return false;
      },
      std::chrono::seconds(40)));
  ASSERT_TRUE(cluster().WaitSettled());
  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  EXPECT_EQ(Verdict::kFull, VerdictOf(*record));
  EXPECT_EQ(reason::kResumePointEndangered, record->decision.verdict->reasons.front().code);
  EXPECT_TRUE(record->outcome->salvage) << "the tail is kept";
  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

}  // namespace
}  // namespace walstitch::test
