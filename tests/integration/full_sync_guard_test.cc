// Full syncs that are due: how many at once, and which of them do not begin. On real processes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "policies/model/reason_codes.h"
#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using FullSyncGuardTest = ClusterTest;

bool IsFull(const DecisionRecord& record) {
  return record.decision.kind == DecisionKind::kRejoin && record.decision.verdict &&
         record.decision.verdict->verdict == Verdict::kFull;
}

std::string Summary(const std::vector<DecisionRecord>& decisions) {
  std::map<std::string, int> counts;
  for (const DecisionRecord& record : decisions) {
    std::string what(ToString(record.decision.kind));
    if (record.decision.verdict) what += " " + std::string(ToString(record.decision.verdict->verdict));
    ++counts[what + (record.outcome ? ": " + std::string(ToString(record.outcome->outcome)) : ": open")];
  }
  std::string text;
  for (const auto& [what, count] : counts) text += std::to_string(count) + " " + what + "\n";
  return text;
}

// Of these, at any one time: from the command to the outcome. A decision's own time is when its evidence was
// asked for, and it waits for its turn behind that.
size_t MostAtOnce(const std::vector<DecisionRecord>& decisions) {
  std::vector<std::pair<int64_t, int>> changes;
  for (const DecisionRecord& record : decisions) {
    if (!IsFull(record) || !record.outcome) continue;
    for (const StepRecord& step : record.steps) {
      if (step.action != ActionName(FullSyncAction{})) continue;
      changes.emplace_back(step.start_ms, 1);
      changes.emplace_back(record.outcome->time_ms, -1);
    }
  }
  // At the same millisecond an end counts before a beginning.
  std::sort(changes.begin(), changes.end());
  size_t now = 0;
  size_t most = 0;
  for (const auto& [time_ms, change] : changes) {
    now += static_cast<size_t>(change);
    most = std::max(most, now);
  }
  return most;
}

// Writes one key after the other, as long as it lives.
class PacedWriter {
 public:
  explicit PacedWriter(uint16_t port)
      : thread_([this, port] {
          RedisClient client(port);
          for (uint64_t i = 0; !stop_; ++i) {
            client("SET", "load-" + std::to_string(i), "value");
            std::this_thread::sleep_for(milliseconds(2));
          }
        }) {}
  ~PacedWriter() {
    stop_ = true;
    thread_.join();
  }
  PacedWriter(const PacedWriter&) = delete;
  PacedWriter& operator=(const PacedWriter&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_F(FullSyncGuardTest, ThirtyReplicasThatLostTheirLinksAndTheWalAreSyncedTwoAtATime) {
  constexpr size_t kReplicas = 30;
  ClusterOptions options;
  options.nodes = {"n1"};
  for (size_t i = 0; i < kReplicas; ++i) options.nodes.push_back("r" + std::to_string(i));
  options.max_concurrent_full_syncs = 2;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_EQ("n1", cluster().Master());
  for (const std::string& node : cluster().Nodes()) {
    if (node != "n1") cluster().KillAgent(node);  // and with it the node's link
  }
  // What they lack is written, and purged: nothing may be written while that is waited for.
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 100, "lacked-");
  }
  const auto error = cluster().Node("n1").PurgeWal();
  ASSERT_FALSE(error) << *error;
  {
    const PacedWriter writer(cluster().Node("n1").port());
    for (const std::string& node : cluster().Nodes()) {
      if (node == "n1") continue;
      ASSERT_FALSE(cluster().StartAgent(node)) << node;
    }
    ASSERT_TRUE(cluster().WaitUntil(
        [&] {
          const auto decisions = cluster().Decisions();
          const auto done =
              std::count_if(decisions.begin(), decisions.end(), [](const DecisionRecord& record) {
                return IsFull(record) && record.outcome && record.outcome->outcome == Outcome::kDone;
              });
          return static_cast<size_t>(done) >= kReplicas;
        },
        seconds(90)))
        << Summary(cluster().Decisions());
  }
  ASSERT_TRUE(cluster().WaitSettled(seconds(60)));

  const auto decisions = cluster().Decisions();
  EXPECT_EQ(2U, MostAtOnce(decisions));
  EXPECT_EQ(static_cast<uint64_t>(std::count_if(decisions.begin(), decisions.end(), IsFull)),
            cluster().FullSyncsServed());
  const auto master = cluster().Keyspace("n1");
  for (const std::string node : {"r0", "r14", "r29"})
    EXPECT_EQ("", DiffKeyspaces(master, cluster().Keyspace(node))) << node;
}

// The node would throw its own copy away before it has another, and nobody else has one but the master.
TEST_F(FullSyncGuardTest, TheLastOtherCopyIsNotEmptiedForAFullSync) {
  ClusterOptions options;
  options.policy = kFullSyncAll;
  options.node_config["slave-empty-db-before-fullsync"] = "yes";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));

  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n1");
    return record && record->decision.verdict && HasReason(*record, reason::kFullSyncLastCopy);
  }));
  EXPECT_EQ(Verdict::kHold, cluster().LastDecision("n1")->decision.verdict->verdict);
  EXPECT_EQ(0U, cluster().FullSyncsServed());
  EXPECT_EQ(3U, cluster().Keyspace("n1").size()) << "it has what it had";

  cluster().Client("n1")("CONFIG", "SET", "slave-empty-db-before-fullsync", "no");

  EXPECT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(1U, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

}  // namespace
}  // namespace walstitch::test
