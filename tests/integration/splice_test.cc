// The survivor is advanced by a filler, and all that it wrote since the fork is replayed to the node that
// comes back: nothing of it is missed. On real processes.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

// Of orders nothing may differ, whoever wrote them; of all else everything may.
constexpr char kOrdersMustNotDiffer[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: orders}
spec:
  keyspaces:
    - name: orders
      match: {keys: ["order:*"]}
      onDivergence: fullsync
    - name: rest
      match: {keys: ["*"]}
      onDivergence: ignore
  limits: {undoScan: 0}
)";

constexpr char kPatientLeases[] =
    "failover: {automatic: false, unreachableAfter: 4s, hungAfter: 4s, stuckFeedAfter: 8s}\n"
    "lease: {duration: 16s}\n";

class SpliceTest : public ClusterTest {
 protected:
  static std::set<std::string> TailKeys(const DecisionRecord& record) {
    DecisionRecord tail = record;
    tail.decision.evidence->missed.reset();
    tail.decision.evidence->tail = record.decision.evidence->OwnTail();
    return DivergentKeys(tail);
  }

  // The node holds all that the survivor wrote, key by key, and differs in nothing but its own tail.
  void ExpectNothingMissed(const std::set<std::string>& tail) {
    ASSERT_TRUE(cluster().WaitSettled());
    for (const std::string& key : DifferingKeys("n1", "n2")) {
      EXPECT_EQ(1u, tail.count(key)) << key << " differs, and the tail did not write it";
    }
    EXPECT_EQ(0u, cluster().FullSyncsServed());
  }
  void ExpectSpliced(const DecisionRecord& record) {
    ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
    EXPECT_TRUE(HasReason(record, reason::kNothingMissed));
    EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
    EXPECT_TRUE(record.outcome->salvage);
    EXPECT_NO_FATAL_FAILURE(ExpectNothingMissed(TailKeys(record)));
    // The last sequence is one on both, and what is written from now on arrives.
    auto client = cluster().Client("n2");
    WriteSingles(client, 3, "after-the-splice-");
    client("HSET", "hash-after-the-splice", "field", "value");
    EXPECT_NO_FATAL_FAILURE(ExpectNothingMissed(TailKeys(record)));
    EXPECT_EQ(cluster().Node("n1").LastSequence(), cluster().Node("n2").LastSequence());
  }

  // The node's relay does not go on by itself when it is back: it is decided on.
  void GoAway(const std::string& node) {
    cluster().KillNode(node);
    ASSERT_TRUE(cluster().WaitCondition(node, "down"));
    const auto error = cluster().RestartAgent(node);
    ASSERT_FALSE(error) << *error;
  }
  DecisionRecord ComeBack(const std::string& node) {
    const std::string before = cluster().LastRejoin(node)->decision.id;
    EXPECT_FALSE(cluster().RestartNode(node));
    EXPECT_TRUE(cluster().WaitUntil([&] { return cluster().LastRejoin(node)->decision.id != before; }));
    return *cluster().LastRejoin(node);
  }

  static void WriteEveryType(RedisClient& client, const std::string& prefix) {
    client("HSET", prefix + "hash", "field", prefix, "other", "1");
    client("HSET", "hash-of-both", prefix, "1");
    client("RPUSH", prefix + "list", "a", "b", prefix);
    client("SADD", prefix + "set", "x", prefix);
    client("ZADD", prefix + "zset", "1", "m", "2", prefix);
    client("SET", prefix + "expires", "soon", "EX", "1000");
    client("SETBIT", prefix + "bitmap", "70", "1");
    if (NodeServer::IsRealKvrocks()) client("XADD", prefix + "stream", "1-1", "field", prefix);
    client("DEL", "common-to-delete-" + prefix);
    client("INCR", "common-counter");
    client("PUBLISH", "channel", prefix);
    client("SCRIPT", "LOAD", "return '" + prefix + "'");
    for (const char* const command : {"MULTI", "", "EXEC"}) {
      if (*command != '\0') {
        client(command);
      } else {
        client("SET", prefix + "in-a-transaction", "1");
        client("SADD", prefix + "set", "of a transaction");
      }
    }
  }
  void WriteCommon() {
    auto client = cluster().Client("n1");
    WriteBatch(client, 20, "common-");
    client("SET", "common-to-delete-tail-", "1");
    client("SET", "common-to-delete-missed-", "1");
    client("HSET", "hash-of-both", "common", "1");
    ASSERT_TRUE(cluster().WaitSettled());
  }
};

struct Setting {
  const char* name;
  bool ahead;
  bool replication_ids;
  bool password;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

class SpliceSettingTest : public SpliceTest, public ::testing::WithParamInterface<Setting> {};

TEST_P(SpliceSettingTest, NothingThatTheSurvivorWroteIsMissed) {
  const Setting& param = GetParam();
  ClusterOptions options;
  options.policy = std::string(kIgnoreAll) + "  internal: {propagate: ignore}\n";
  if (param.replication_ids) options.node_config["use-rsid-psync"] = "yes";
  if (param.password) options.password = "secret-of-all";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [&](RedisClient& client) {
        WriteEveryType(client, "tail-");
        if (param.ahead) WriteBatch(client, 300, "tail-batch-");
      },
      [&](RedisClient& client) {
        WriteEveryType(client, "missed-");
        if (!param.ahead) WriteBatch(client, 300, "missed-batch-");
      }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(param.ahead, record.decision.evidence->rejoiner.last > record.decision.evidence->survivor.last);
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(record));
  const auto keys = cluster().Keyspace("n1");
  if (NodeServer::IsRealKvrocks()) {
    EXPECT_EQ(1u, keys.count("__namespace:missed-stream"));
  }
  EXPECT_EQ(0u, keys.count("__namespace:common-to-delete-missed-"));
  EXPECT_EQ(1u, keys.count("__namespace:tail-list")) << "what the survivor did not touch stays";
}

INSTANTIATE_TEST_SUITE_P(Settings, SpliceSettingTest,
                         ::testing::Values(Setting{"Behind", false, false, false},
                                           Setting{"Ahead", true, false, false},
                                           Setting{"BehindWithReplicationIds", false, true, false},
                                           Setting{"AheadWithReplicationIds", true, true, false},
                                           Setting{"Password", false, false, true}),
                         [](const auto& setting) { return std::string(setting.param.name); });

TEST_F(SpliceTest, SurvivorThatWroteNothingIsAdvancedToTheEndOfTheTail) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(
      Diverge([](RedisClient& client) { WriteSingles(client, 5, "tail-"); }, [](RedisClient&) {}));
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(Rejoin()));
}

TEST_F(SpliceTest, WhatTheSurvivorWroteMayBeOfAnyKeyspace) {
  ClusterOptions options;
  options.policy = kOrdersMustNotDiffer;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 4, "page:"); },
                                  [](RedisClient& client) { WriteBatch(client, 10, "order:"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(record));
  EXPECT_EQ(1u, cluster().Keyspace("n1").count("__namespace:order:9"));
}

TEST_F(SpliceTest, TailOfAKeyspaceThatMustNotDifferIsNotSpliced) {
  ClusterOptions options;
  options.policy = kOrdersMustNotDiffer;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 4, "order:"); },
                                  [](RedisClient& client) { WriteBatch(client, 10, "page:"); }));
  EXPECT_EQ(Verdict::kFull, VerdictOf(Rejoin()));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

// A tail of many chunks of filler, and writers that share the master's WAL records with it.
TEST_F(SpliceTest, WritersGoOnMeanwhile) {
  constexpr size_t kTail = 5000;
  ClusterOptions options;
  // Four writers on one machine with everybody else: nobody shall be parked for it.
  options.controller_config = kPatientLeases;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteBatch(client, kTail, "tail-"); },
                                  [](RedisClient& client) { WriteSingles(client, 200, "missed-"); }));
  std::atomic<bool> stop{false};
  std::vector<std::atomic<int>> written(4);
  std::vector<std::thread> writers;
  for (size_t i = 0; i < written.size(); ++i) {
    writers.emplace_back([&, i] {
      RedisClient client = cluster().Client("n2");
      const std::string prefix = "writer-" + std::to_string(i) + "-";
      while (!stop) {
        const std::string n = std::to_string(written[i]);
        if (!client("SET", prefix + n, n).IsOk()) break;
        client("HSET", prefix + "hash", n, n);
        client("PUBLISH", "channel", n);
        ++written[i];
      }
    });
  }
  EXPECT_FALSE(cluster().RestartNode("n1"));
  const bool joined = cluster().WaitUntil(
      [&] {
        const auto record = cluster().LastRejoin("n1");
        return record && record->outcome->outcome == Outcome::kDone;
      },
      seconds(60));
  const int so_far = written[0];
  EXPECT_TRUE(Eventually(seconds(10), [&] { return written[0] > so_far + 20; }));
  stop = true;
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(joined);

  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(*record));
  const auto keys = cluster().Keyspace("n1");
  for (size_t i = 0; i < written.size(); ++i) {
    for (int n = 0; n < written[i]; ++n) {
      ASSERT_EQ(1u, keys.count("__namespace:writer-" + std::to_string(i) + "-" + std::to_string(n)));
    }
  }
}

// Spliced in one direction, then in the other: the window of a splice is no new divergence.
TEST_F(SpliceTest, SplicedNodeMayBecomeTheSurvivor) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 2, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 7, "missed-"); }));
  const DecisionRecord first = Rejoin();
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(first));

  const auto error = cluster().Diverge(
      "n1", [](RedisClient& client) { WriteSingles(client, 3, "second-tail-"); },
      [](RedisClient& client) { WriteBatch(client, 5, "second-missed-"); });
  ASSERT_FALSE(error) << *error;
  const DecisionRecord second = Rejoin("n2");

  ASSERT_EQ(Verdict::kSpliced, VerdictOf(second));
  EXPECT_EQ(3u, second.decision.evidence->tail->records);
  auto tail = TailKeys(second);
  tail.merge(TailKeys(first));
  ExpectNothingMissed(tail);

  // And a node that was merely away afterwards is aligned.
  ASSERT_NO_FATAL_FAILURE(GoAway("n2"));
  auto client = cluster().Client("n1");
  WriteBatch(client, 5, "while-away-");
  EXPECT_EQ(Verdict::kAligned, VerdictOf(ComeBack("n2")));
  ExpectNothingMissed(tail);
}

TEST_F(SpliceTest, NodeThatWasAwayRightAfterItsSpliceIsAligned) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 5, "tail-"); },
                                  [](RedisClient& client) { WriteSingles(client, 2, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  // Its last batch is one of the replay; the survivor's there is the filler.
  ASSERT_NO_FATAL_FAILURE(GoAway("n1"));
  EXPECT_EQ(Verdict::kAligned, VerdictOf(ComeBack("n1")));
  ExpectNothingMissed(TailKeys(record));
}

TEST_F(SpliceTest, OtherReplicasTakeTheFillerLikeAnyRecord) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [this](RedisClient& client) {
        cluster().KillAgent("n3");  // it shall not have the tail either
        WriteSingles(client, 20, "tail-");
      },
      [](RedisClient& client) { WriteBatch(client, 30, "missed-"); }));
  ASSERT_FALSE(cluster().StartAgent("n3"));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  ASSERT_TRUE(cluster().WaitSettled());
  const auto tail = TailKeys(record);
  for (const char* const node : {"n1", "n3"}) {
    for (const std::string& key : DifferingKeys(node, "n2")) EXPECT_EQ(1u, tail.count(key)) << node << key;
    EXPECT_EQ(cluster().Node("n2").LastSequence(), cluster().Node(node).LastSequence()) << node;
  }
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

// Where the policy wants no splice, a node that is ahead is padded all the same.
TEST_F(SpliceTest, SurvivorIsAdvancedPastANodeThatIsAheadAndThenItIsPadded) {
  ClusterOptions options;
  options.policy = kPadAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 12, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 4, "missed-"); }));
  const uint64_t before = cluster().Node("n2").LastSequence();
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(Verdict::kPadded, VerdictOf(record));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(before + 8, cluster().Node("n2").LastSequence());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ(DivergentKeys(record), DifferingKeys("n1", "n2"));
  bool advanced = false;
  for (const DecisionRecord& decision : cluster().Decisions()) {
    advanced = advanced || HasReason(decision, reason::kAdvancedFirst);
  }
  EXPECT_TRUE(advanced);
}

// ---- what may break

class SpliceControllerCrashTest : public SpliceTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SpliceControllerCrashTest, SpliceIsFinishedAndTheFillerNotWrittenTwice) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 8, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 6, "missed-"); }));
  const uint64_t before = cluster().Node("n2").LastSequence();
  ASSERT_FALSE(cluster().RestartController({{"WALSTITCH_CRASH_AT", GetParam()}}));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().ControllerProcess().Wait(seconds(20))) << "the crash point was not reached";
  ASSERT_FALSE(cluster().StartController());
  ASSERT_TRUE(cluster().WaitSettled());
  for (const DecisionRecord& record : cluster().Decisions()) {
    EXPECT_TRUE(record.outcome) << record.decision.id << " is still open";
  }
  EXPECT_EQ(before + 8, cluster().Node("n2").LastSequence());
  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(*record));
}

INSTANTIATE_TEST_SUITE_P(CrashPoints, SpliceControllerCrashTest,
                         ::testing::Values("after-decision", "after-salvage", "after-advance", "after-splice",
                                           "before-outcome"),
                         [](const auto& point) {
                           std::string name(point.param);
                           std::erase(name, '-');
                           return name;
                         });

// The replay is long enough to be met in the middle.
class LongSpliceTest : public SpliceTest {
 protected:
  static ClusterOptions Patient() {
    ClusterOptions options;
    options.controller_config = kPatientLeases;
    options.proxied = true;
    return options;
  }
  static constexpr size_t kMissed = 80;
  std::string missed_ = "missed-";

  void DivergeFar() {
    ASSERT_NO_FATAL_FAILURE(WriteCommon());
    const std::string value(200000, 'x');
    ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 8, "tail-"); },
                                    [&](RedisClient& client) {
                                      for (size_t i = 0; i < kMissed; ++i) {
                                        client("SET", missed_ + std::to_string(i), value);
                                      }
                                    }));
    cluster().Delay(std::chrono::milliseconds(20));  // so that the replay takes a while
  }
  bool WaitSplicing() {
    return Eventually(seconds(20), [&] {
      const auto report = cluster().ReportOf("n1");
      return report && report->relay.state == RelayState::kSplicing;
    });
  }
  // However it was broken off: it ends in service, with all that the survivor wrote, and no full sync.
  void ExpectJoinedInTheEnd() {
    ASSERT_TRUE(cluster().WaitUntil(
        [&] {
          const auto record = cluster().LastRejoin("n1");
          return record && record->outcome->outcome == Outcome::kDone;
        },
        seconds(60)));
    std::set<std::string> tail;
    for (const DecisionRecord& record : cluster().Decisions()) {
      if (record.decision.node == "n1" && record.decision.evidence) tail.merge(TailKeys(record));
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNothingMissed(tail));
    const auto keys = cluster().Keyspace("n1");
    const auto theirs = cluster().Keyspace("n2");
    for (size_t i = 0; i < kMissed; ++i) {
      const std::string key = "__namespace:" + missed_ + std::to_string(i);
      ASSERT_EQ(1u, keys.count(key)) << key;
      EXPECT_EQ(theirs.at(key), keys.at(key)) << key;
    }
    for (const DecisionRecord& record : cluster().Decisions()) {
      EXPECT_TRUE(record.outcome) << record.decision.id << " is still open";
    }
  }
};

TEST_F(LongSpliceTest, AgentOfTheRejoinerDiesInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(Patient()));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  ASSERT_FALSE(cluster().RestartAgent("n1"));
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
}

TEST_F(LongSpliceTest, RejoinerDiesInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(Patient()));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  cluster().KillNode("n1");
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
}

// What was replayed before it broke off is no tail that the policy judges.
TEST_F(LongSpliceTest, SpliceThatBrokeIsMadeAgainThoughWhatItLeftMustNotDiffer) {
  ClusterOptions options = Patient();
  options.policy = kOrdersMustNotDiffer;
  missed_ = "order:";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  const uint64_t before = cluster().Node("n1").LastSequence();
  ASSERT_TRUE(Eventually(seconds(20), [&] { return cluster().Node("n1").LastSequence() > before; }));
  ASSERT_FALSE(cluster().RestartAgent("n1"));
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
  const auto record = cluster().LastRejoin("n1");
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(*record));
  EXPECT_TRUE(record->decision.evidence->own_last);
}

// The replay goes on without the controller, and is not begun anew for it.
TEST_F(LongSpliceTest, ControllerThatDoesNotHearTheAgentForAWhileWaitsForTheSplice) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(Patient()));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  cluster().Cut("controller", "n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "unreachable"));
  cluster().Heal();
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
  size_t splices = 0;
  for (const DecisionRecord& record : cluster().Decisions()) {
    if (record.decision.verdict && record.decision.verdict->verdict == Verdict::kSpliced) ++splices;
  }
  EXPECT_EQ(1u, splices);
}

TEST_F(LongSpliceTest, ControllerDiesInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(Patient()));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  cluster().KillController();
  ASSERT_FALSE(cluster().StartController());
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
}

TEST_F(LongSpliceTest, LinkToTheSurvivorIsCutInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(StartCluster(Patient()));
  ASSERT_NO_FATAL_FAILURE(DivergeFar());
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(WaitSplicing());
  cluster().Cut("n1", "n2");
  // Silence ends it after ten seconds.
  ASSERT_TRUE(cluster().WaitUntil(
      [&] {
        const auto record = cluster().LastRejoin("n1");
        return record && record->outcome->outcome != Outcome::kDone;
      },
      seconds(30)));
  EXPECT_EQ("parked", cluster().Condition("n1"));
  cluster().Heal();
  ASSERT_NO_FATAL_FAILURE(ExpectJoinedInTheEnd());
}

TEST_F(SpliceTest, AgentOfTheMasterThatDiesLeavesNoHalfSplice) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(WriteCommon());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteBatch(client, 20000, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 6, "missed-"); }));
  const uint64_t before = cluster().Node("n2").LastSequence();
  ASSERT_FALSE(cluster().RestartNode("n1"));
  // As soon as some of the filler is written, and most likely before all of it is.
  ASSERT_TRUE(Eventually(seconds(60), [&] { return cluster().Node("n2").LastSequence() > before; }));
  ASSERT_FALSE(cluster().RestartAgent("n2"));
  ASSERT_TRUE(cluster().WaitUntil(
      [&] {
        const auto record = cluster().LastRejoin("n1");
        return record && record->outcome->outcome == Outcome::kDone;
      },
      seconds(60)));
  const auto record = cluster().LastRejoin("n1");
  ASSERT_NO_FATAL_FAILURE(ExpectSpliced(*record));
}

}  // namespace
}  // namespace walstitch::test
