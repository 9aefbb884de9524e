// Keys that a rejoin lets differ are made equal again on the master, and replication carries that to the
// node, which is out of service until it was seen to be equal. On real processes.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

constexpr char kRepairAll[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: repair-all}
spec:
  default: repair
  limits: {undoScan: 0}
)";

// Nothing is replayed, so that there is more to repair.
constexpr char kPadAndRepair[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-and-repair}
spec:
  default: repair
  prefer: [aligned, padded, full]
)";

constexpr char kPadAndEvict[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-and-evict}
spec:
  default: evict
  prefer: [aligned, padded, full]
)";

constexpr char kPadAndMix[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-and-mix}
spec:
  keyspaces:
    - name: pages
      match: {keys: ["page:*"]}
      onDivergence: ignore
    - name: sessions
      match: {keys: ["sess:*"]}
      onDivergence: evict
    - name: small-carts
      match: {keys: ["cart:*"]}
      onDivergence: repair
      limits: {bytes: 2k}
  default: repair
  prefer: [aligned, padded, full]
)";

class RepairTest : public ClusterTest {
 protected:
  void Start(std::string policy) {
    ClusterOptions options;
    options.policy = std::move(policy);
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    auto client = cluster().Client("n1");
    client("SET", "string", "common");
    client("SET", "to-delete", "common");
    client("SET", "digits", "006");
    client("HSET", "hash", "a", "1", "b", "2", "c", "3");
    client("HSET", "hash-to-delete", "a", "1");
    client("HSET", "hash-to-make-anew", "a", "1", "b", "2");
    client("SADD", "set", "x", "y");
    client("ZADD", "zset", "1", "m", "2", "n");
    client("RPUSH", "list", "1", "2", "3");
    client("SET", "expires", "common", "PX", "3600000");
    ASSERT_TRUE(cluster().WaitSettled());
  }
  static void WriteTail(RedisClient& client) {
    client("SET", "string", "tail");
    client("SET", "only-in-tail", "tail");
    client("HSET", "hash-only-in-tail", "a", "1");
    client("DEL", "to-delete");
    client("SET", "digits", "007");
    client("HSET", "hash", "a", "tail", "new", "tail");
    client("HDEL", "hash", "b");
    client("DEL", "hash-to-delete");
    client("DEL", "hash-to-make-anew");
    client("HSET", "hash-to-make-anew", "a", "1", "b", "2");
    client("SADD", "set", "tail");
    client("ZADD", "zset", "7", "m", "8", "tail");
    client("RPUSH", "list", "tail");
    client("PEXPIRE", "expires", "1800000");
  }
  static void WriteMissed(RedisClient& client) {
    client("SET", "missed", "1");
    client("HSET", "missed-hash", "missed", "1");
    client("SET", "missed-digits", "0012");
    client("SET", "missed-and-expires", "1", "PX", "7200000");
    client("ZADD", "missed-zset", "1.5", "a", "-3", "b");
    client("RPUSH", "missed-list", "1", "", "2");
    client("SADD", "missed-set", "a", "b");
    client("DEL", "list");
    WriteBatch(client, 20, "missed-");
  }
  std::map<std::string, std::string> Keyspace(const std::string& node) { return cluster().Keyspace(node); }
  void ExpectEqual() {
    ASSERT_TRUE(cluster().WaitSettled());
    EXPECT_EQ("", DiffKeyspaces(Keyspace("n1"), Keyspace("n2")));
  }
  // What stands on it goes on alike: a version that is not the same on both would show.
  void ExpectGoesOnAlike() {
    auto client = cluster().Client("n2");
    client("HSET", "hash", "a", "later", "later", "1");
    client("HSET", "hash-to-make-anew", "a", "later");
    client("HSET", "missed-hash", "missed", "later");
    client("ZINCRBY", "zset", "3", "m");
    client("SREM", "set", "y");
    client("RPUSH", "missed-list", "3");
    client("LSET", "missed-list", "0", "later");
    ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  }
};

TEST_F(RepairTest, SplicedNodeIsMadeEqualByRewritingWhatItsTailTouched) {
  ASSERT_NO_FATAL_FAILURE(Start(kRepairAll));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  const auto before = Keyspace("n2");
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kRepairedAfterwards));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  ASSERT_TRUE(record.outcome->keys);
  EXPECT_EQ(12u, record.outcome->keys->repair.repaired);
  EXPECT_EQ(12u, record.outcome->keys->after.equal);
  EXPECT_EQ("", DiffKeyspaces(before, Keyspace("n2"))) << "the master's own values were changed";
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  ASSERT_NO_FATAL_FAILURE(ExpectGoesOnAlike());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RepairTest, PaddedNodeIsMadeEqualWithoutAValueOfTheMasterBeingChanged) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  const auto before = Keyspace("n2");
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ("", DiffKeyspaces(before, Keyspace("n2"))) << "the master's own values were changed";
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  ASSERT_NO_FATAL_FAILURE(ExpectGoesOnAlike());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RepairTest, RecordNamesTheKeysThatDifferedAndNoOthers) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        client("SET", "string", "tail");
        client("SET", "both", "same");
        client("HSET", "hash", "a", "tail");
        client("HSET", "hash", "a", "1");
      },
      [](RedisClient& client) {
        client("SET", "both", "same");
        WriteBatch(client, 5, "missed-");
      }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_TRUE(record.outcome->keys);
  const Comparison& compared = record.outcome->keys->before;
  std::set<std::string> differed;
  for (const UserKeyName& name : compared.differing) differed.insert(name.key);
  EXPECT_EQ((std::set<std::string>{"string", "missed-0", "missed-1", "missed-2", "missed-3", "missed-4"}),
            differed);
  EXPECT_EQ(2u, compared.equal);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, EvictedKeysAreGoneOnBothAlsoThoseThatTheMasterNeverHad) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndEvict));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_TRUE(HasReason(record, reason::kEvictedAfterwards));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  EXPECT_TRUE(Keyspace("n2").empty()) << "every key was touched by one or the other";
  // An evicted hash does not come back with what it held.
  auto client = cluster().Client("n2");
  client("HSET", "hash", "fresh", "1");
  client("HSET", "hash-only-in-tail", "fresh", "1");
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, EachKeyspaceIsDealtWithAsItsRuleSays) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndMix));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        client("SET", "page:1", "tail");
        client("HSET", "sess:1", "a", "tail");
        client("SET", "cart:1", "tail");
      },
      [](RedisClient& client) {
        client("SET", "page:2", "missed");
        client("HSET", "sess:2", "a", "missed");
        client("SET", "cart:2", "missed");
        WriteBatch(client, 5, "page:");
      }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(record));
  ASSERT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(2u, record.outcome->keys->repair.evicted);
  EXPECT_EQ(2u, record.outcome->keys->repair.repaired);
  ASSERT_TRUE(cluster().WaitSettled());
  for (const std::string& key : DifferingKeys("n1", "n2")) {
    EXPECT_NE(std::string::npos, key.find("page:")) << key;
  }
  auto client = cluster().Client("n2");
  EXPECT_EQ(0, client("EXISTS", "sess:2").integer);
  EXPECT_EQ("missed", client("GET", "cart:2").text);
}

TEST_F(RepairTest, ValueThatIsTooLargeToBeRewrittenMeansACopyKnownBeforehand) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "string", "tail"); },
                                  [](RedisClient& client) {
                                    client("SET", "large", std::string((std::size_t{16} << 20) + 1, 'x'));
                                    WriteBatch(client, 5, "missed-");
                                  }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kNotRepairable));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, KeysLargerThanTheirLimitMeanACopy) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndMix));
  auto client = cluster().Client("n1");
  for (int i = 0; i < 10; ++i)
    client("HSET", "cart:large", "field-" + std::to_string(i), std::string(1000, 'x'));
  ASSERT_TRUE(cluster().WaitSettled());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& tail) { tail("HSET", "cart:large", "f", "tail"); },
                                  [](RedisClient& missed) { WriteBatch(missed, 5, "page:"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  EXPECT_EQ(Verdict::kFull, VerdictOf(*record));
  EXPECT_TRUE(HasReason(*record, reason::kRepairFailed));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, ClientsThatWriteTheVerySameKeysLoseNothing) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        for (int i = 0; i < 50; ++i) client("HSET", "hash:" + std::to_string(i), "tail", "1");
        client("SET", "counter", "500");
      },
      [](RedisClient& client) { WriteBatch(client, 20, "missed-"); }));
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> counted{0};
  std::thread writer([&] {
    auto client = cluster().Client("n2");
    for (std::int64_t i = 0; !stop; ++i) {
      client("HSET", "hash:" + std::to_string(i % 50), "f" + std::to_string(i % 7), std::to_string(i));
      if (client("INCR", "counter").integer > 0) ++counted;
    }
  });
  EXPECT_FALSE(cluster().RestartNode("n1"));
  EXPECT_TRUE(cluster().WaitUntil([&] { return cluster().LastRejoin("n1").has_value(); }));
  stop = true;
  writer.join();
  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  EXPECT_EQ(Outcome::kDone, record->outcome->outcome) << record->outcome->sentence;
  EXPECT_EQ(Verdict::kPadded, VerdictOf(*record));
  auto client = cluster().Client("n2");
  EXPECT_EQ(std::to_string(counted), client("GET", "counter").text);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, KeyOfAnotherTypeOnTheMasterIsNotDeletedByARuleForTheTailsType) {
  ASSERT_NO_FATAL_FAILURE(Start(R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: strings-only}
spec:
  keyspaces:
    - name: strings
      match: {keys: ["*"], types: [string]}
      onDivergence: evict
  default: fullsync
  prefer: [aligned, padded, full]
)"));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "hash", "a string by now"); },
                                  [](RedisClient& client) { WriteBatch(client, 5, "missed-"); }));
  EXPECT_EQ(Verdict::kFull, VerdictOf(Rejoin()));
  EXPECT_EQ(3, cluster().Client("n2")("HLEN", "hash").integer);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

TEST_F(RepairTest, KeysOfOtherNamespacesAreRepairedThroughTheirTokensAlsoOfOnesMadeLater) {
  ClusterOptions options;
  options.policy = kPadAndRepair;
  options.password = "secret";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const auto add = [this](const std::string& name) {
    for (const std::string node : {"n1", "n2"}) {
      const Reply added = cluster().Client(node)("NAMESPACE", "ADD", name, "token-of-" + name);
      EXPECT_TRUE(added.IsOk()) << added;
    }
  };
  for (const std::string name : {"first", "second"}) {  // the second when the first is known to the agents
    add(name);
    const std::string rejoiner = cluster().Master();
    const std::string survivor = rejoiner == "n1" ? "n2" : "n1";
    const auto write = [&](const std::string& word, size_t more) {
      return [=](RedisClient& client) {
        client("AUTH", "token-of-" + name);
        client("HSET", "cart", word, "1");
        client("SET", "only-" + word, "1", "PX", "3600000");
        WriteBatch(client, more, word + "-");
        client("AUTH", "secret");
      };
    };
    ASSERT_FALSE(cluster().Diverge(survivor, write("tail", 2), write("missed", 9)));
    const DecisionRecord record = Rejoin(rejoiner);
    ASSERT_EQ(Verdict::kPadded, VerdictOf(record)) << record.decision.verdict->reasons.front().sentence;
    EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
    EXPECT_EQ(0u, record.outcome->keys->after.unreadable);
    const auto of_namespace = [&](const std::string& node) {
      RedisClient client = cluster().Client(node);
      client("AUTH", "token-of-" + name);
      return DumpKeyspace(client);
    };
    EXPECT_EQ("", DiffKeyspaces(of_namespace("n1"), of_namespace("n2")));
  }
}

TEST_F(RepairTest, KeysWhoseTimeIsOverMeanwhileAreNoFailure) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "string", "tail"); },
                                  [](RedisClient& client) {
                                    for (int i = 0; i < 100; ++i) {
                                      const std::string key = "short:" + std::to_string(i);
                                      client("MULTI");
                                      client("HSET", key, "f", "1");
                                      client("PEXPIRE", key, std::to_string(500 + 20 * i));
                                      client("EXEC");
                                    }
                                  }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(Verdict::kPadded, VerdictOf(record));
  // What expires while it is compared here would differ by chance.
  auto client = cluster().Client("n2");
  EXPECT_TRUE(cluster().WaitUntil([&] { return client("EXISTS", "short:99").integer == 0; }));
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

class RepairCrashTest : public RepairTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(RepairCrashTest, ControllerThatDiesOnTheWayFinishesIt) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  ASSERT_NO_FATAL_FAILURE(Diverge(WriteTail, WriteMissed));
  ASSERT_FALSE(cluster().RestartController({{"WALSTITCH_CRASH_AT", GetParam()}}));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().ControllerProcess().Wait(std::chrono::seconds(20))) << "the point was not reached";
  ASSERT_FALSE(cluster().StartController());
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

INSTANTIATE_TEST_SUITE_P(Points, RepairCrashTest,
                         ::testing::Values("after-follow", "after-compare", "after-repair", "before-outcome"),
                         [](const auto& point) {
                           std::string name(point.param);
                           std::erase(name, '-');
                           return name;
                         });

// Whoever dies in the middle: it is finished, or made anew, and never left half and in service.
class RepairLossTest : public RepairTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // The open decision has come to its repairs.
  bool Repairs() {
    for (const DecisionRecord& record : cluster().Decisions()) {
      if (record.outcome || record.steps.empty()) continue;
      if (record.steps.back().action == "compare") return true;
    }
    return false;
  }
};

TEST_P(RepairLossTest, NothingIsLeftHalf) {
  ASSERT_NO_FATAL_FAILURE(Start(kPadAndRepair));
  // Each takes the master some hundred microseconds, and as long to rest.
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        for (int i = 0; i < 900; ++i) client("HSET", "hash:" + std::to_string(i), "tail", "1");
      },
      [](RedisClient& client) { WriteBatch(client, 20, "missed-"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitUntil([this] { return Repairs(); }));
  const std::string victim = GetParam();
  if (victim == "agent of n1") {
    ASSERT_FALSE(cluster().RestartAgent("n1"));
  } else if (victim == "agent of n2") {
    ASSERT_FALSE(cluster().RestartAgent("n2"));
  } else if (victim == "server of n1") {
    cluster().KillNode("n1");
    ASSERT_FALSE(cluster().RestartNode("n1"));
  } else {
    cluster().KillNode("n2");
    ASSERT_TRUE(cluster().WaitUntil([this] { return cluster().HasFinding("MasterProcessDown"); }));
    // n1 is in the middle of it: not even an operator promotes it while that goes on.
    ASSERT_FALSE(cluster().RestartNode("n2"));
    ASSERT_TRUE(cluster().WaitUntil([this] { return cluster().Failover("n2").status == 200; }));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectEqual());
}

INSTANTIATE_TEST_SUITE_P(Victims, RepairLossTest,
                         ::testing::Values("agent of n1", "agent of n2", "server of n1", "server of n2"),
                         [](const auto& victim) {
                           std::string name(victim.param);
                           std::erase(name, ' ');
                           return name;
                         });

}  // namespace
}  // namespace walstitch::test
