// Compactions on the rejoiner between its tail and its return: they drop for good what the tail put out of
// sight, and an undo that brought a key's metadata back would bring back a hash without fields. The guard of
// undo (agents/wal/undo.h) is what leaves such keys to the policy; an agent without it loses them. On real
// processes.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

const std::set<std::string> kGuarded = {"__namespace:deleted", "__namespace:deleted-set",
                                        "__namespace:renewed", "__namespace:replaced"};

constexpr char kAllMayDiffer[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: all-may-differ}
spec: {default: ignore}
)";

class UndoGuardTest : public ClusterTest {
 protected:
  // What was there before anything parts. Use with ASSERT_NO_FATAL_FAILURE.
  void Start(std::string policy, const std::string& agent_binary = "walstitch-agent") {
    ClusterOptions options;
    options.policy = std::move(policy);
    options.agent_binary = agent_binary;
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    auto client = cluster().Client("n1");
    client("SET", "string", "common");
    for (const char* hash : {"deleted", "renewed", "replaced", "changed"}) {
      client("HSET", hash, "a", "1", "b", "2", "c", "3");
    }
    client("SADD", "deleted-set", "x", "y");
    client("ZADD", "zset", "1", "m", "2", "n");
    client("RPUSH", "list", "1", "2", "3");
    ASSERT_TRUE(cluster().WaitSettled());
  }

  static void WriteGuarded(RedisClient& client) {
    client("DEL", "deleted");
    client("DEL", "deleted-set");
    client("DEL", "renewed");
    client("HSET", "renewed", "new", "1");
    client("SET", "replaced", "a string");
    client("SET", "string", "tail");
  }
  // What an undo takes back, whatever is compacted.
  static void WriteTakenBack(RedisClient& client) {
    client("SET", "string", "tail");
    client("HSET", "changed", "a", "tail", "new", "tail");
    client("HDEL", "changed", "b");
    client("HSET", "new-hash", "a", "1");
    client("SREM", "deleted-set", "x");
    client("ZADD", "zset", "7", "m", "8", "new");
    client("ZREM", "zset", "n");
    client("LPOP", "list");
    client("RPUSH", "list", "tail");
    client("DEL", "string");
    client("HSET", "passing", "a", "1");
    client("DEL", "passing");
  }

  // n1 dies with the tail, comes back, and is compacted while the group is paused. Then it rejoins.
  DecisionRecord RejoinCompacted(const Cluster::Writer& tail) {
    EXPECT_FALSE(
        cluster().Diverge("n2", tail, [](RedisClient& client) { WriteSingles(client, 5, "missed-"); }));
    EXPECT_EQ(0, cluster().Cli({"pause", "shop"}).exit_code);
    EXPECT_FALSE(cluster().RestartNode("n1"));
    EXPECT_TRUE(cluster().WaitCondition("n1", "parked"));
    const auto error = cluster().Node("n1").Compact();
    EXPECT_FALSE(error) << *error;
    EXPECT_EQ("parked", cluster().Condition("n1")) << "nobody rejoined it meanwhile";
    EXPECT_EQ(0, cluster().Cli({"resume", "shop"}).exit_code);
    EXPECT_TRUE(cluster().WaitSettled()) << cluster().Condition("n1");
    const auto record = cluster().LastRejoin("n1");
    if (!record) throw std::runtime_error("nothing was decided and done for n1");
    return *record;
  }
};

TEST_F(UndoGuardTest, KeysWhoseElementsMayBeGoneAreLeftAndNothingElseDiffers) {
  ASSERT_NO_FATAL_FAILURE(Start(kAllMayDiffer));
  const DecisionRecord record = RejoinCompacted(WriteGuarded);
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  std::set<std::string> left;
  for (const TouchedKey& key : record.decision.evidence->undo->left.keys) {
    left.insert(key.name_space + ":" + key.key);
  }
  EXPECT_EQ(kGuarded, left);
  EXPECT_EQ(kGuarded, DifferingKeys("n1", "n2"));
}

TEST_F(UndoGuardTest, NodeIsCopiedWhereNothingMayDiffer) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  EXPECT_EQ(Verdict::kFull, VerdictOf(RejoinCompacted(WriteGuarded)));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_F(UndoGuardTest, WhatNeedsNoGuardIsTakenBackFromACompactedNode) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  const DecisionRecord record = RejoinCompacted(WriteTakenBack);
  EXPECT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  EXPECT_EQ(0U, cluster().FullSyncsServed());
}

// The very same as above, but for the guard: it claims to have taken everything back, and has not. Where keys
// may differ nobody looks.
TEST_F(UndoGuardTest, WithoutTheGuardElementsAreLostWithoutAWord) {
  ASSERT_NO_FATAL_FAILURE(Start(kAllMayDiffer, "agent_without_guard"));
  const DecisionRecord record = RejoinCompacted(WriteGuarded);
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_TRUE(record.decision.evidence->undo->left.keys.empty());
  EXPECT_EQ(kGuarded, DifferingKeys("n1", "n2"));
  EXPECT_EQ("[]", ToString(cluster().Client("n1")("HGETALL", "deleted")));
  EXPECT_EQ(3, cluster().Client("n1")("HLEN", "deleted").integer) << "a hash whose size lies";
}

// Where nothing may differ, what was taken back is compared before the node is in service.
TEST_F(UndoGuardTest, WithoutTheGuardTheComparisonFindsWhatWasLostAndTheNodeIsCopied) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer, "agent_without_guard"));
  const DecisionRecord record = RejoinCompacted(WriteGuarded);
  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kRepairFailed));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

// It is the compaction that the guard is about: without one the elements are still there.
TEST_F(UndoGuardTest, WithoutTheGuardNothingIsLostUntilSomethingIsCompacted) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer, "agent_without_guard"));
  ASSERT_NO_FATAL_FAILURE(
      Diverge(WriteGuarded, [](RedisClient& client) { WriteSingles(client, 5, "missed-"); }));
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(Rejoin()));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

}  // namespace
}  // namespace walstitch::test
