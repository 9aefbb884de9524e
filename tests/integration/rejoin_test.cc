// A node that comes back: each verdict, with the histories that lead to it, on real processes.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "policies/model/reason_codes.h"
#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using RejoinTest = ClusterTest;

TEST_F(RejoinTest, NodeThatWasOnlyAwayIsAligned) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const std::string master = cluster().Master();
  const std::string replica = master == "n1" ? "n2" : "n1";
  cluster().KillNode(replica);
  ASSERT_TRUE(cluster().WaitCondition(replica, "down"));
  auto client = cluster().Client(master);
  WriteBatch(client, 5, "while-away-");

  const DecisionRecord record = Rejoin(replica);

  EXPECT_EQ(Verdict::kAligned, VerdictOf(record));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

// The pad that is needed depends on where in a batch of the survivor the rejoiner's next falls.
struct PadCase {
  const char* name;
  size_t tail;   // records the rejoiner has alone
  size_t batch;  // records of the survivor's batch at the fork
  uint64_t pad;
};
std::ostream& operator<<(std::ostream& out, const PadCase& pad) { return out << pad.name; }

class PadTest : public ClusterTest, public ::testing::WithParamInterface<PadCase> {};

TEST_P(PadTest, DivergentKeysAreThoseOfTheRecord) {
  const PadCase& param = GetParam();
  ClusterOptions options;
  options.policy = kPadAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  {
    auto client = cluster().Client(cluster().Master());
    WriteBatch(client, 20, "common-");
  }
  ASSERT_NO_FATAL_FAILURE(Diverge([&](RedisClient& client) { WriteSingles(client, param.tail, "tail-"); },
                                  [&](RedisClient& client) {
                                    WriteBatch(client, param.batch, "missed-");
                                    WriteSingles(client, 3, "after-");
                                  }));
  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kPadded, VerdictOf(record));
  EXPECT_EQ(param.pad, record.decision.evidence->Pad());
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  const auto divergent = DivergentKeys(record);
  EXPECT_EQ(param.tail + param.batch, divergent.size());
  EXPECT_EQ(divergent, DifferingKeys("n1", "n2"));
  // Where the time went, for people.
  int64_t now = record.decision.time_ms;
  for (const StepRecord& step : record.steps) {
    std::cout << step.start_ms - now << " ms, then " << step.action << " " << step.end_ms - step.start_ms
              << " ms; ";
    now = step.end_ms;
  }
  std::cout << "outcome after " << record.outcome->took_ms << " ms\n";
}

INSTANTIATE_TEST_SUITE_P(Pads, PadTest,
                         ::testing::Values(PadCase{"Zero", 5, 5, 0}, PadCase{"One", 4, 5, 1},
                                           PadCase{"MiddleOfABigBatch", 2000, 4000, 2000},
                                           PadCase{"EndOfABigBatch", 1, 10000, 9999}),
                         [](const auto& pad) { return std::string(pad.param.name); });

// How the nodes are set up, each with a divergence over every type and hard names.
struct Setting {
  const char* name;
  bool password;
  bool replication_ids;
  bool namespaces;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

class SettingTest : public ClusterTest, public ::testing::WithParamInterface<Setting> {};

void WriteEveryType(RedisClient& client, const std::string& prefix) {
  client("HSET", prefix + "hash", "field", prefix, "other", "1");
  client("RPUSH", prefix + "list", "a", "b", prefix);
  client("SADD", prefix + "set", "x", prefix);
  client("ZADD", prefix + "zset", "1", "m", "2", prefix);
  client("SET", prefix + "expires", "soon", "EX", "1000");
  client("DEL", "common-to-delete-" + prefix);
  client("INCR", "common-counter");
  client("APPEND", std::string("common-binary\0\xff\r\n key", 22), prefix);
  client("SET", std::string("\0", 1) + prefix + "\xfe\xff", std::string("\0value", 6));
}

TEST_P(SettingTest, PaddedRejoinNamesEveryDivergentKey) {
  const Setting& param = GetParam();
  ClusterOptions options;
  options.policy = kPadAll;
  if (param.password) options.password = "secret-of-all";
  if (param.replication_ids) options.node_config["use-rsid-psync"] = "yes";
  if (param.namespaces) {
    options.password = "secret-of-all";  // Kvrocks has namespaces only with an administrator's password
    options.node_config["namespace.tenant"] = "token-of-tenant";
  }
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  // In the tenant's namespace too, if there is one.
  const auto everywhere = [&](RedisClient& client, const std::string& prefix) {
    WriteEveryType(client, prefix);
    if (!param.namespaces) return;
    RedisClient tenant(client.port());
    ASSERT_TRUE(tenant("AUTH", "token-of-tenant").IsOk());
    WriteEveryType(tenant, prefix);
  };
  {
    auto client = cluster().Client("n1");
    client("SET", "common-to-delete-tail-", "1");
    client("SET", "common-to-delete-missed-", "1");
    client("SET", std::string("common-binary\0\xff\r\n key", 22), "start");
    everywhere(client, "common-");
  }
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [&](RedisClient& client) {
        everywhere(client, "tail-");
        WriteSingles(client, 10, "tail-single-");  // so that it ends within the batch below
      },
      [&](RedisClient& client) {
        everywhere(client, "missed-");
        WriteBatch(client, 100, "batch-");
      }));
  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kPadded, VerdictOf(record));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_LT(0u, record.decision.evidence->Pad());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  // APPEND and INCR may agree by chance on a key that both touched, so: nothing differs that is not named,
  // and all that only one side wrote does differ.
  const auto named = DivergentKeys(record);
  const auto differing = DifferingKeys("n1", "n2");
  for (const std::string& key : differing)
    EXPECT_EQ(1u, named.count(key)) << key << " differs and is not named";
  EXPECT_EQ(1u, differing.count("__namespace:tail-hash"));
  EXPECT_EQ(1u, differing.count("__namespace:missed-zset"));
  EXPECT_EQ(1u, differing.count("__namespace:batch-0"));
  if (param.namespaces) {
    EXPECT_EQ(1u, differing.count("tenant:tail-list"));
  }

  // The joined node follows like any other from now on.
  auto client = cluster().Client("n2");
  WriteSingles(client, 10, "later-");
  EXPECT_TRUE(cluster().WaitInService("n1"));
  for (const std::string& key : DifferingKeys("n1", "n2")) EXPECT_EQ(1u, named.count(key)) << key;
}

INSTANTIATE_TEST_SUITE_P(Settings, SettingTest,
                         ::testing::Values(Setting{"Plain", false, false, false},
                                           Setting{"Password", true, false, false},
                                           Setting{"ReplicationIds", false, true, false},
                                           Setting{"Namespaces", true, false, true},
                                           Setting{"Everything", true, true, true}),
                         [](const auto& setting) { return std::string(setting.param.name); });

TEST_F(RejoinTest, KeyspaceThatMustNotDivergeIsFullSynced) {
  ClusterOptions options;
  options.policy = kFullSyncAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "orders", "old"); },
                                  [](RedisClient& client) { WriteBatch(client, 3, "new-"); }));

  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kKeyspaceFullSync));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_F(RejoinTest, RecordedRejoinIsJudgedByAnotherPolicyWithoutBeingTouched) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "orders", "old"); },
                                  [](RedisClient& client) { WriteBatch(client, 3, "new-"); }));
  const DecisionRecord record = Rejoin();
  const std::string strict = cluster().directory() + "/strict.yaml";
  std::ofstream(strict) << kFullSyncAll;

  const CommandOutput one =
      cluster().Cli({"decisions", "replay", record.decision.id, "--policy", strict, "--check"});

  EXPECT_EQ(1, one.exit_code) << one.error;
  EXPECT_NE(std::string::npos, one.out.find("replayed: full")) << one.out;
  const CommandOutput all = cluster().Cli({"decisions", "replay", "--policy", strict, "--output", "json"});
  ASSERT_EQ(0, all.exit_code) << all.error;
  const auto json = ParseJson(all.out);
  ASSERT_TRUE(json) << all.out;
  EXPECT_EQ(0, json->at("recorded").at("full_syncs"));
  EXPECT_EQ(1, json->at("replayed").at("full_syncs"));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RejoinTest, WithoutAnyPolicyNothingIsSkipped) {
  ClusterOptions options;
  options.policy.clear();
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  // The numbers fit: Kvrocks itself would resume here, and never notice.
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "key", "of n1"); },
                                  [](RedisClient& client) { client("SET", "key", "of n2"); }));

  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_F(RejoinTest, WithoutAnyPolicyATailThatCannotBeTakenBackIsACopy) {
  ClusterOptions options;
  options.policy.clear();
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  cluster().Client("n1")("HSET", "hash", "field", "1");
  ASSERT_TRUE(cluster().WaitSettled());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("DEL", "hash"); },
                                  [](RedisClient& client) { client("SET", "key", "of n2"); }));

  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

TEST_F(RejoinTest, TailLongerThanTheSurvivorsIsFullSyncedWhereTheMasterMayNotBeAdvanced) {
  ClusterOptions options;
  options.policy = kIgnoreAll;
  options.policy.replace(options.policy.find("undoScan"), 0, "advanceMaster: 7, ");
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 10, "tail-"); },
                                  [](RedisClient& client) { WriteSingles(client, 2, "new-"); }));

  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kRejoinerAhead));
  EXPECT_TRUE(HasReason(record, reason::kAdvanceLimit));
  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

constexpr char kHoldOnLimit[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: careful}
spec:
  keyspaces:
    - name: cache
      match: {keys: ["*"]}
      onDivergence: ignore
      limits: {keys: 5}
  default: fullsync
  prefer: [aligned, padded, full]
  limits: {advanceMaster: 0}
  onLimit: hold
)";

TEST_F(RejoinTest, HeldNodeStaysUntilThePolicyAllowsIt) {
  ClusterOptions options;
  options.policy = kHoldOnLimit;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 8, "missed-"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n1");
    return record && record->decision.kind == DecisionKind::kRejoin && VerdictOf(*record) == Verdict::kHold &&
           record->outcome;
  }));
  const auto held = cluster().LastDecision("n1");
  EXPECT_TRUE(HasReason(*held, reason::kKeyspaceLimit));
  EXPECT_EQ("parked", cluster().Condition("n1"));
  const uint64_t last = cluster().Node("n1").LastSequence();

  cluster().WritePolicy(kPadAll);

  ASSERT_TRUE(cluster().WaitSettled());
  const auto record = cluster().LastRejoin("n1");
  ASSERT_TRUE(record);
  EXPECT_EQ(Verdict::kPadded, VerdictOf(*record));
  EXPECT_EQ(last, record->decision.evidence->rejoiner.last->Value()) << "a held node stands still";
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RejoinTest, HoldOfANodeThatIsAheadSaysWhy) {
  ClusterOptions options;
  options.policy = kHoldOnLimit;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 4, "tail-"); },
                                  [](RedisClient& client) { client("SET", "new", "1"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n1");
    return record && record->decision.kind == DecisionKind::kRejoin && record->outcome;
  }));
  EXPECT_TRUE(HasReason(*cluster().LastDecision("n1"), reason::kRejoinerAhead));

  // As soon as the survivor has gone far enough, there is something to pad to.
  auto client = cluster().Client("n2");
  WriteBatch(client, 4, "more-");
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n1");
    return record && (HasReason(*record, reason::kKeyspaceLimit) || VerdictOf(*record) == Verdict::kPadded);
  }));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(RejoinTest, PurgedWalOfTheSurvivorMeansAFullSync) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 2, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  const auto error = cluster().Node("n2").PurgeWal();
  ASSERT_FALSE(error) << *error;
  auto client = cluster().Client("n2");
  WriteSingles(client, 3, "after-");

  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_TRUE(HasReason(record, reason::kWalPurged));
  EXPECT_EQ(1u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
}

// Padded in one direction, then in the other: what was stitched once is no new divergence.
TEST_F(RejoinTest, StitchedNodeMayBecomeTheSurvivor) {
  ClusterOptions options;
  options.policy = kPadAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 2, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 7, "missed-"); }));
  const DecisionRecord first = Rejoin();
  ASSERT_EQ(Verdict::kPadded, VerdictOf(first));
  const auto left_over = DifferingKeys("n1", "n2");

  const auto error = cluster().Diverge(
      "n1", [](RedisClient& client) { WriteSingles(client, 3, "second-tail-"); },
      [](RedisClient& client) { WriteBatch(client, 5, "second-missed-"); });
  ASSERT_FALSE(error) << *error;
  const DecisionRecord second = Rejoin("n2");

  EXPECT_EQ(Verdict::kPadded, VerdictOf(second));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  const auto named = DivergentKeys(second);
  EXPECT_EQ(8u, named.size());
  for (const std::string& key : DifferingKeys("n1", "n2")) {
    EXPECT_EQ(1u, named.count(key) + left_over.count(key)) << key;
  }
}

TEST_F(RejoinTest, OtherReplicasFollowTheNewMaster) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  auto client = cluster().Client("n1");
  WriteSingles(client, 20, "key-");
  ASSERT_TRUE(cluster().WaitSettled());

  cluster().KillNode("n1");
  ASSERT_TRUE(cluster().WaitCondition("n1", "down"));
  ASSERT_TRUE(cluster().Failover("n2").IsDone());
  ASSERT_TRUE(cluster().WaitInService("n3"));
  auto heir = cluster().Client("n2");
  WriteBatch(heir, 5, "after-");
  const DecisionRecord record = Rejoin();

  EXPECT_EQ(Verdict::kAligned, VerdictOf(record));
  EXPECT_EQ(0u, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n2"), cluster().Keyspace("n1")));
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n2"), cluster().Keyspace("n3")));
}

}  // namespace
}  // namespace walstitch::test
