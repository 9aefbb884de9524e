// A tail is taken back from the WAL before what the survivor wrote is replayed: where that can be done in
// full, nothing differs afterwards, and no policy is asked. On real processes.
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

constexpr char kTakeBackAndIgnore[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: take-back-and-ignore}
spec: {default: ignore}
)";

class UndoTest : public ClusterTest {
 protected:
  void Start(std::string policy) {
    ClusterOptions options;
    options.policy = std::move(policy);
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    auto client = cluster().Client("n1");
    client("SET", "string", "common");
    client("SET", "to-delete", "common");
    client("SET", "counter", "10");
    client("HSET", "hash", "a", "1", "b", "2", "c", "3");
    client("SADD", "set", "x", "y");
    client("ZADD", "zset", "1", "m", "2", "n");
    client("RPUSH", "list", "1", "2", "3");
    client("SETBIT", "bitmap", "7", "1");
    client("HSET", "hash-of-both", "common", "1");
    ASSERT_TRUE(cluster().WaitSettled());
  }
  static void WriteTail(RedisClient& client) {
    client("SET", "string", "tail");
    client("SET", "new-string", "tail");
    client("DEL", "to-delete");
    client("INCRBY", "counter", "5");
    client("HSET", "hash", "a", "tail", "new", "tail");
    client("HDEL", "hash", "b");
    client("HSET", "new-hash", "a", "tail");
    client("SADD", "set", "tail");
    client("SREM", "set", "x");
    client("ZADD", "zset", "7", "m", "8", "tail");
    client("RPUSH", "list", "tail");
    client("LSET", "list", "0", "tail");
    client("SETBIT", "bitmap", "70", "1");
    client("HSET", "hash-of-both", "tail", "1");
    client("PUBLISH", "channel", "tail");
  }
  static void WriteMissed(RedisClient& client) {
    client("SET", "missed", "1");
    client("INCR", "counter");
    client("HSET", "hash-of-both", "missed", "1");
    client("HSET", "hash", "missed", "1");
    client("ZADD", "zset", "9", "n");
    WriteBatch(client, 20, "missed-");
  }
  void ExpectEqual() {
    ASSERT_TRUE(cluster().WaitSettled());
    EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  }
};

TEST_F(UndoTest, TailThatIsTakenBackInFullLeavesNothingToDiffer) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kTailUndone));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_TRUE(record.outcome->salvage);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  // What stands on it goes on alike.
  auto client = cluster().Client("n2");
  client("HSET", "hash", "later", "1");
  client("HDEL", "hash", "b");
  client("ZINCRBY", "zset", "3", "m");
  client("RPOP", "list");
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(UndoTest, KeysThatTheSurvivorHasNotAreTakenBackThoughTheWalBeginsBehindThem) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        WriteSingles(client, 5, "only-here-");
        client("HSET", "hash-only-here", "a", "1", "b", "2");
        client("DEL", "hash-only-here");
        client("SADD", "set-only-here", "a");
      },
      [](RedisClient& client) { WriteSingles(client, 3, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(UndoTest, HashThatTheTailDeletedIsLeftAndThePolicyDecides) {
  ASSERT_NO_FATAL_FAILURE(Start(kTakeBackAndIgnore));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        client("DEL", "hash");
        client("SET", "string", "tail");
      },
      [](RedisClient& client) { WriteSingles(client, 3, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  const auto& undo = record.decision.evidence->undo;
  ASSERT_TRUE(undo);
  ASSERT_EQ(1u, undo->left.keys.size());
  EXPECT_EQ("hash", undo->left.keys[0].key);
  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ((std::set<std::string>{"__namespace:hash"}), DifferingKeys("n1", "n2"));
}

TEST_F(UndoTest, NodeWhoseTailCannotBeTakenBackIsCopiedWhereNothingMayDiffer) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("DEL", "hash"); },
                                  [](RedisClient& client) { WriteSingles(client, 3, "missed-"); }));
  EXPECT_EQ(Verdict::kFull, VerdictOf(Rejoin()));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(UndoTest, FlushInTheTailIsNotTakenBack) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("FLUSHDB"); },
                                  [](RedisClient& client) { WriteSingles(client, 3, "missed-"); }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_FALSE(record.decision.evidence->undo);
  EXPECT_FALSE(record.decision.evidence->undo_note.empty());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

// The fork search must not take the records of an undo for a place where the node joined a stream.
TEST_F(UndoTest, SplicedBackAndForthNothingEverDiffers) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(Rejoin()));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  const auto error = cluster().Diverge(
      "n1", [](RedisClient& client) { client("HSET", "hash", "second", "tail"); },
      [](RedisClient& client) { client("HSET", "hash", "a", "second"); });
  ASSERT_FALSE(error) << *error;
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(Rejoin("n2")));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

class UndoCrashTest : public UndoTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(UndoCrashTest, ControllerThatDiesOnTheWayFinishesIt) {
  ASSERT_NO_FATAL_FAILURE(Start(kNothingMayDiffer));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  ASSERT_FALSE(cluster().RestartController({{"WALSTITCH_CRASH_AT", GetParam()}}));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().ControllerProcess().Wait(std::chrono::seconds(20))) << "the point was not reached";
  ASSERT_FALSE(cluster().StartController());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

INSTANTIATE_TEST_SUITE_P(Points, UndoCrashTest,
                         ::testing::Values("after-decision", "after-advance", "after-splice"),
                         [](const auto& point) {
                           std::string name(point.param);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace walstitch::test
