// What controller and agents tell Prometheus while things happen: each number becomes another, and where
// things are well again, it is as before. On real processes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/integration/metrics_fixture.h"
#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

constexpr char kQuick[] =
    "lease: {duration: 1s, drift: 1%, park: 100ms}\n"
    "failover: {unreachableAfter: 500ms, hungAfter: 500ms, blockAfter: 5s}\n";

constexpr char kPadAndRepair[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-and-repair}
spec:
  keyspaces:
    - name: pages
      match: {keys: ["page:*"]}
      onDivergence: ignore
    - name: sessions
      match: {keys: ["sess:*"]}
      onDivergence: evict
  default: repair
  prefer: [aligned, padded, full]
)";

using MetricsTest = MetricsClusterTest;

TEST_F(MetricsTest, WhatAnOperatorSetsIsSeenUntilItIsTakenBack) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string paused = R"(walstitch_group_paused{group="shop"})";
  const std::string maintenance = R"(walstitch_node_maintenance{group="shop",node="n2"})";
  const std::string refused = R"(walstitch_policy_refused{group="shop"})";
  const std::string paused_for = R"(walstitch_group_paused_seconds{group="shop"})";
  ExpectIs(controller, "walstitch_leader", 1);
  for (const Scrape& scrape : {Controller(), Agent("n1")})
    EXPECT_EQ(scrape.Find("walstitch_build_info", {}), 1);
  ExpectIs(controller, R"(walstitch_group_managed{group="shop"})", 1);
  ExpectIs(controller, paused, 0);
  ExpectIs(controller, paused_for, 0);
  ExpectOrdered({"pause", "shop", "--reason", "a test"});
  ExpectIs(controller, paused, 1);
  ExpectAbove(controller, paused_for, 0.5);
  // Another run of the controller knows since when.
  const double before_it_restarts = Controller().Find(paused_for).value_or(-1);
  ASSERT_FALSE(cluster().RestartController());
  ExpectAbove(controller, paused_for, before_it_restarts);
  ExpectOrdered({"resume", "shop"});
  ExpectIs(controller, paused, 0);
  ExpectIs(controller, paused_for, 0);
  ExpectIs(controller, R"(walstitch_decisions_total{group="shop",kind="resume",verdict="none"})", 1);
  ExpectIs(controller, R"(walstitch_outcomes_total{group="shop",kind="resume",outcome="done"})", 1);

  ExpectIs(controller, maintenance, 0);
  ExpectOrdered({"maintenance", "shop", "n2", "on", "--reason", "a test"});
  ExpectIs(controller, maintenance, 1);
  ExpectOrdered({"maintenance", "shop", "n2", "off"});
  ExpectIs(controller, maintenance, 0);

  ExpectIs(controller, refused, 0);
  const auto policy = [&](const std::string& name) {
    return Controller().Find("walstitch_policy_info", {R"(group="shop")", "name=\"" + name + "\""});
  };
  EXPECT_EQ(policy("ignore-all"), 1);
  cluster().WritePolicy("kind: nothing of the sort\n");
  ExpectIs(controller, refused, 1);
  EXPECT_EQ(policy("ignore-all"), 1) << "the older one is in force";
  cluster().WritePolicy(kPadAndRepair);
  ExpectIs(controller, refused, 0);
  EXPECT_EQ(policy("pad-and-repair"), 1);
  EXPECT_EQ(policy("ignore-all"), std::nullopt);
}

TEST_F(MetricsTest, AnAgentThatIsGoneAndAServerThatIsDownAreSeenUntilTheyAreBack) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const auto condition = [](const std::string& word) {
    return R"(walstitch_node_condition{group="shop",node="n2",condition=")" + word + "\"}";
  };
  const std::string connected = R"(walstitch_node_connected{group="shop",node="n2"})";
  const std::string healthy = R"(walstitch_node_healthy{group="shop",node="n2"})";
  const std::string finding = R"(walstitch_findings_open{group="shop",finding="NodeUnreachable"})";
  const std::string last = R"(walstitch_node_last_sequence{group="shop",node="n2"})";
  ExpectIs(controller, connected, 1);
  ExpectIs(controller, healthy, 1);
  ExpectIs(controller, finding, 0);
  ExpectIs(controller, condition("following"), 1);
  ExpectIs(controller, R"(walstitch_node_role{group="shop",node="n2",role="replica"})", 1);
  ExpectIs(controller, R"(walstitch_node_relay_state{group="shop",node="n2",state="following"})", 1);

  cluster().KillAgent("n2");
  ExpectIs(controller, connected, 0);
  ExpectIs(controller, healthy, 0);
  ExpectIs(controller, finding, 1);
  ExpectIs(controller, condition("following"), 0);
  ExpectIs(controller, condition("unreachable"), 1);
  ExpectAbsent(controller, last);
  ExpectAbsent(controller, R"(walstitch_node_role{group="shop",node="n2",role="replica"})");

  ASSERT_FALSE(cluster().RestartAgent("n2"));
  ExpectIs(controller, connected, 1);
  ExpectIs(controller, finding, 0);
  ExpectIs(controller, condition("following"), 1);
  ExpectAbove(controller, last, -1);

  const Look agent = OfAgent("n2");
  const std::string up = R"(walstitch_agent_server_state{group="shop",node="n2",state="up"})";
  const std::string down = R"(walstitch_agent_server_state{group="shop",node="n2",state="down"})";
  const std::string ready = R"(walstitch_agent_ready{group="shop",node="n2"})";
  ExpectIs(agent, up, 1);
  ExpectIs(agent, ready, 1);
  cluster().KillNode("n2");
  ExpectIs(agent, up, 0);
  ExpectIs(agent, down, 1);
  ExpectIs(agent, ready, 0);
  ExpectIs(controller, condition("down"), 1);
  ASSERT_FALSE(cluster().RestartNode("n2"));
  ExpectIs(agent, up, 1);
  ExpectIs(agent, ready, 1);
  ExpectIs(controller, condition("following"), 1);
}

TEST_F(MetricsTest, SequencesAndTheRelaysBytesGrowWithWrites) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string last = R"(walstitch_node_last_sequence{group="shop",node="n2"})";
  const std::string bytes = R"(walstitch_node_relay_forwarded_bytes_total{group="shop",node="n2"})";
  const std::string frames = R"(walstitch_node_relay_forwarded_frames_total{group="shop",node="n2"})";
  ExpectAbove(controller, last, -1);
  ExpectAbove(OfAgent("n2"), Series("agent_last_sequence", "n2"), -1);
  const Scrape before = Controller();
  const Scrape agent_before = Agent("n2");
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 50, "key-");
  }
  ExpectAbove(controller, last, *before.Find(last) + 49);
  ExpectAbove(controller, bytes, *before.Find(bytes) + 50 * 20);
  ExpectAbove(controller, frames, *before.Find(frames) + 49);
  ExpectIs(controller, R"(walstitch_node_lag_sequences{group="shop",node="n2"})", 0);
  ExpectIs(controller, R"(walstitch_node_lag_seconds{group="shop",node="n2"})", 0);
  // The agents say the same of themselves.
  for (const auto& [series, least] : std::map<std::string, double>{
           {Series("agent_relay_forwarded_bytes_total", "n2"), 50 * 20},
           {Series("agent_relay_forwarded_frames_total", "n2"), 50},
           {Series("agent_last_sequence", "n2"), 50},
           {Series("agent_wal_newest_sequence", "n2"), 50},
       }) {
    ExpectAbove(OfAgent("n2"), series, agent_before.Find(series).value_or(0) + least - 1);
  }
  ExpectAbove(OfAgent("n1"), Series("agent_wal_files", "n1"), 0);
  ExpectAbove(OfAgent("n1"), Series("agent_wal_bytes", "n1"), 0);
  ExpectAbove(OfAgent("n1"), Series("agent_disk_free_bytes", "n1"), 0);
  ExpectAbove(OfAgent("n1"), Series("agent_disk_bytes", "n1"),
              *Agent("n1").Find(Series("agent_disk_free_bytes", "n1")));
  ExpectIs(OfAgent("n1"), Series("agent_disk_read_only", "n1"), 0);
  ExpectAbove(OfAgent("n1"), Series("agent_state_disk_free_bytes", "n1"), 0);
  ExpectAbove(controller, Series("node_disk_free_bytes", "n1"), 0);

  const double oldest = Agent("n1").Find(Series("agent_wal_oldest_sequence", "n1")).value_or(-1);
  EXPECT_GE(oldest, 0);
  const auto error = cluster().Node("n1").PurgeWal();
  ASSERT_FALSE(error) << *error;
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 1, "in-a-new-log-");
  }
  ExpectAbove(OfAgent("n1"), Series("agent_wal_oldest_sequence", "n1"), oldest);
}

TEST_F(MetricsTest, AStoppedReplicaFallsBehindAndCatchesUp) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string sequences = R"(walstitch_node_lag_sequences{group="shop",node="n2"})";
  const std::string lag = R"(walstitch_node_lag_seconds{group="shop",node="n2"})";
  ExpectIs(controller, sequences, 0);
  // Its agent says what it held, and the master goes on.
  cluster().PauseAgent("n2");
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 200, "key-");
  }
  bool behind = false;
  cluster().WaitUntil([&] {
    const Scrape scrape = Controller();
    behind = behind || (scrape.Find(sequences).value_or(0) > 0 && scrape.Find(lag).value_or(0) > 0);
    return behind || !scrape.Find(sequences);
  });
  EXPECT_TRUE(behind) << "it was never seen behind";
  cluster().ResumeAgent("n2");
  ExpectIs(controller, sequences, 0);
  ExpectIs(controller, lag, 0);
}

TEST_F(MetricsTest, AFailoverIsHeldThenDoneThenTimed) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.controller_config = kQuick;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_EQ(cluster().Master(), "n1");
  const Look controller = OfController();
  const std::string present = R"(walstitch_group_master_present{group="shop"})";
  const std::string without = R"(walstitch_group_without_master_seconds{group="shop"})";
  const std::string held = R"(walstitch_failover_held{group="shop",reason="paused"})";
  const std::string timed = R"(walstitch_failover_duration_seconds_count{group="shop"})";
  const std::string stood = R"(walstitch_without_master_seconds_count{group="shop",kind="failover"})";
  const std::string blocked = R"(walstitch_group_failover_blocked_seconds{group="shop"})";
  const std::string of_master = R"(walstitch_node_role{group="shop",node="n1",role="master"})";
  ExpectIs(controller, present, 1);
  ExpectIs(controller, without, 0);
  ExpectIs(controller, held, 0);
  ExpectIs(controller, timed, 0);
  ExpectIs(controller, blocked, 0);
  ExpectIs(controller, of_master, 1);
  Expect(
      controller, R"(walstitch_group_lease_age_seconds{group="shop"})",
      [](double age) { return age >= 0 && age < 1; }, "of a lease that is renewed");
  ExpectAbove(controller, R"(walstitch_node_lease_left_seconds{group="shop",node="n1"})", 0);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_lease_left_seconds{group="shop",node="n1"})", 0);
  ExpectAbove(OfAgent("n1"),
              R"(walstitch_agent_lease_renewals_total{group="shop",node="n1",source="controller"})", 1);
  const double epoch = Controller().Find(R"(walstitch_group_epoch{group="shop"})").value_or(0);
  ExpectIs(OfAgent("n2"), Series("agent_epoch", "n2"), epoch);

  ExpectOrdered({"pause", "shop"});
  cluster().KillNode("n1");
  ExpectIs(controller, present, 0);
  ExpectIs(controller, held, 1);
  ExpectAbove(controller, without, 0);
  ExpectIs(controller, of_master, 0);
  ExpectOrdered({"resume", "shop"});
  ExpectIs(controller, present, 1);
  ExpectIs(controller, without, 0);
  ExpectIs(controller, held, 0);
  ExpectIs(controller, timed, 1);
  ExpectAbove(controller, blocked, 0);
  ExpectIs(controller, stood, 1);
  ExpectAbove(controller, R"(walstitch_failover_duration_seconds_sum{group="shop"})", 0);
  ExpectAbove(controller, R"(walstitch_group_epoch{group="shop"})", epoch);
  ExpectAbove(OfAgent("n2"), Series("agent_epoch", "n2"), epoch);
  ExpectIs(controller, R"(walstitch_decisions_total{group="shop",kind="failover",verdict="none"})", 1);
  ExpectIs(controller, R"(walstitch_outcomes_total{group="shop",kind="failover",outcome="done"})", 1);
  ExpectIs(
      controller,
      R"(walstitch_decision_reasons_total{group="shop",kind="failover",verdict="none",reason="master-down"})",
      1);
  ExpectIs(controller, blocked, 0);
  const std::string heir = cluster().Master();
  ExpectIs(OfAgent(heir), "walstitch_agent_role{group=\"shop\",node=\"" + heir + "\",role=\"master\"}", 1);
  ExpectIs(OfAgent(heir),
           "walstitch_agent_commands_total{group=\"shop\",node=\"" + heir +
               "\",action=\"promote\",result=\"done\"}",
           1);

  const std::string ok = R"(walstitch_sync_partial_ok_total{group="shop"})";
  const double before = Controller().Find(ok).value_or(-1);
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitSettled());
  ExpectAbove(controller, ok, before);
  ExpectIs(controller, R"(walstitch_decisions_open{group="shop"})", 0);
}

TEST_F(MetricsTest, WhatHoldsAFailoverIsNamedUntilItDoesNoMore) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.controller_config =
      "lease: {duration: 1s, drift: 1%, park: 100ms}\n"
      "failover: {unreachableAfter: 500ms, hungAfter: 500ms, blockAfter: 10m}\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const Look controller = OfController();
  const auto held = [](const std::string& reason) {
    return Series("failover_held", "", "reason=\"" + reason + "\"");
  };
  const std::string present = Series("group_master_present");
  const std::string first = cluster().Master();
  ExpectOrdered({"maintenance", "shop", first, "on", "--reason", "a test"});
  cluster().KillNode(first);
  ExpectIs(controller, held("in-maintenance"), 1);
  ExpectIs(controller, present, 0);
  ExpectOrdered({"maintenance", "shop", first, "off"});
  ExpectIs(controller, present, 1);
  ExpectIs(controller, held("in-maintenance"), 0);

  ASSERT_FALSE(cluster().RestartNode(first));
  ASSERT_TRUE(cluster().WaitSettled());
  ExpectIs(controller, held("blocked"), 0);
  cluster().KillNode(cluster().Master());
  ExpectIs(controller, held("blocked"), 1);
  ExpectIs(controller, present, 0);
  ExpectOrdered({"unblock", "shop"});
  ExpectIs(controller, present, 1);
  ExpectIs(controller, held("blocked"), 0);
}

TEST_F(MetricsTest, WithoutAControllerALeaseIsRenewedByPromises) {
  ClusterOptions options;
  options.controller_config = kQuick;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const std::string master = cluster().Master();
  const Look agent = OfAgent(master);
  const std::string by_promises =
      "walstitch_agent_lease_renewals_total{group=\"shop\",node=\"" + master + "\",source=\"promises\"}";
  const std::string by_controller =
      "walstitch_agent_lease_renewals_total{group=\"shop\",node=\"" + master + "\",source=\"controller\"}";
  const std::string leased = "walstitch_agent_leased{group=\"shop\",node=\"" + master + "\"}";
  ExpectIs(agent, leased, 1);
  const double before = Agent(master).Find(by_promises).value_or(-1);
  cluster().KillController();
  ExpectAbove(agent, by_promises, before + 1);
  const std::string other = master == "n1" ? "n2" : "n1";
  ExpectAbove(OfAgent(other), "walstitch_agent_promise_left_seconds{group=\"shop\",node=\"" + other + "\"}",
              0);
  const double given = Agent(master).Find(by_controller).value_or(-1);
  ASSERT_FALSE(cluster().StartController());
  ExpectAbove(agent, by_controller, given);
  ExpectAbsent(OfAgent(other), Series("agent_promise_left_seconds", other));
  // The agent that promises no more: the lease runs out, and the master parks itself.
  const std::string parks =
      "walstitch_agent_parks_total{group=\"shop\",node=\"" + master + "\",reason=\"lease-over\"}";
  const double parked = Agent(master).Find(parks).value_or(-1);
  cluster().KillController();
  cluster().PauseAgent(other);
  ExpectAbove(agent, parks, parked);
  ExpectAbsent(agent, Series("agent_lease_left_seconds", master));
  cluster().ResumeAgent(other);
}

TEST_F(MetricsTest, APaddedRejoinTellsOfItsKeysItsRepairsAndItsSalvage) {
  ClusterOptions options;
  options.policy = kPadAndRepair;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const Look controller = OfController();
  const std::string salvages = R"(walstitch_agent_salvages{group="shop",node="n1"})";
  ExpectIs(controller, R"(walstitch_sync_partial_padding_total{group="shop"})", 0);
  ExpectIs(OfAgent("n1"), salvages, 0);
  ASSERT_NO_FATAL_FAILURE(Diverge(
      [](RedisClient& client) {
        client("SET", "cart:1", "tail");
        client("SET", "page:1", "tail");
        client("SET", "sess:1", "tail");
      },
      [](RedisClient& client) { WriteBatch(client, 20, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_EQ(VerdictOf(record), Verdict::kPadded);
  ExpectIs(controller, R"(walstitch_sync_partial_padding_total{group="shop"})", 1);
  ExpectIs(controller, R"(walstitch_sync_partial_err_total{group="shop"})", 0);
  ExpectIs(controller, R"(walstitch_decisions_total{group="shop",kind="rejoin",verdict="padded"})", 1);
  ExpectIs(controller, R"(walstitch_divergent_keys_total{group="shop",tolerance="ignore"})", 1);
  ExpectIs(controller, R"(walstitch_divergent_keys_total{group="shop",tolerance="evict"})", 1);
  ExpectIs(controller, R"(walstitch_divergent_keys_total{group="shop",tolerance="repair"})", 21);
  ASSERT_TRUE(record.outcome->keys);
  ExpectIs(controller, R"(walstitch_keys_repaired_total{group="shop"})",
           static_cast<double>(record.outcome->keys->repair.repaired));
  ExpectIs(controller, R"(walstitch_keys_evicted_total{group="shop"})", 1);
  EXPECT_GT(record.outcome->keys->repair.repaired, 0U);
  ExpectIs(controller, R"(walstitch_keys_not_mended_total{group="shop"})", 0);
  ExpectIs(controller, R"(walstitch_salvages_total{group="shop"})", 1);
  ExpectIs(controller, R"(walstitch_salvaged_records_total{group="shop"})", 3);
  ExpectIs(OfAgent("n1"), salvages, 1);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_salvage_bytes{group="shop",node="n1"})", 0);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_wal_read_bytes_total{group="shop",node="n1"})", 0);
}

TEST_F(MetricsTest, FullSyncsWaitRunAndAreDone) {
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.controller_config += "fullSyncRate: 400k\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_EQ(cluster().Master(), "n1");
  const Look controller = OfController();
  const std::string open = Series("decisions_open");
  const std::string copied = Series("findings_open", "", R"(finding="FullSyncRunning")");
  ExpectIs(controller, open, 0);
  ExpectIs(controller, copied, 0);
  const std::string running = R"(walstitch_full_syncs_running{group="shop"})";
  const std::string queued = R"(walstitch_full_syncs_queued{group="shop"})";
  ExpectIs(controller, running, 0);
  ExpectIs(controller, queued, 0);
  cluster().KillAgent("n2");  // and with it the node's link
  cluster().KillAgent("n3");
  {
    auto client = cluster().Client("n1");
    std::string noise;
    std::uint32_t state = 1;
    for (int i = 0; i < 20'000; ++i)
      noise += static_cast<char>(33 + (state = state * 1664525 + 1013904223) % 90);
    for (int i = 0; i < 100; ++i) client("SET", "bulk-" + std::to_string(i), std::to_string(i) + noise);
  }
  const auto error = cluster().Node("n1").PurgeWal();
  ASSERT_FALSE(error) << *error;
  ASSERT_FALSE(cluster().StartAgent("n2"));
  ASSERT_FALSE(cluster().StartAgent("n3"));
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 10, "later-");
  }
  ExpectIs(controller, running, 1);
  ExpectIs(controller, queued, 1);
  ExpectAbove(controller, open, 0);
  ExpectAbove(controller, copied, 0);
  Expect(
      controller, R"(walstitch_decision_open_oldest_seconds{group="shop",full_sync="yes"})",
      [](double age) { return age > 0; }, "that of an open one");
  ASSERT_TRUE(cluster().WaitSettled(seconds(60)));
  ExpectIs(controller, running, 0);
  ExpectIs(controller, queued, 0);
  ExpectIs(controller, open, 0);
  ExpectIs(controller, copied, 0);
  ExpectAbove(OfAgent("n2"), Series("agent_relay_full_sync_bytes_total", "n2"), 1000);
  ExpectIs(controller, R"(walstitch_decision_open_oldest_seconds{group="shop",full_sync="yes"})", 0);
  ExpectIs(controller, R"(walstitch_full_syncs_total{group="shop"})", 2);
  ExpectIs(controller, R"(walstitch_sync_partial_err_total{group="shop"})", 2);
  ExpectAbove(controller, R"(walstitch_node_full_sync_bytes_total{group="shop",node="n2"})", 1000);
}

// What is done to the cluster, and what is seen of it until it is taken back.
struct Trouble {
  std::string name;
  std::function<void()> begin;
  std::function<void()> end;
  std::vector<std::string> seen;    // series that become 1
  std::vector<std::string> unseen;  // series that become 0
};

TEST_F(MetricsTest, EachTroubleIsSeenUntilItIsOver) {
  ClusterOptions options;
  options.controller_config =
      "lease: {duration: 1s, drift: 1%, park: 100ms}\n"
      "failover: {automatic: false, hungAfter: 500ms, loadingAfter: 1s}\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_EQ(cluster().Master(), "n1");
  const auto condition = [](const std::string& word) {
    return Series("node_condition", "n2", "condition=\"" + word + "\"");
  };
  const auto finding = [](const std::string& code) {
    return Series("findings_open", "", "finding=\"" + code + "\"");
  };
  const auto server = [](const std::string& state) {
    return Series("agent_server_state", "n2", "state=\"" + state + "\"");
  };
  const std::string fine = condition("following");
  const std::string present = Series("group_master_present");
  const std::string loading = Series("agent_server_loading", "n2");
  // Answers in place of n2's server that it loads, whatever it is asked.
  std::optional<tests::FakeKvrocks> loads;
  const auto answer = [](const tests::FakeKvrocks::Words& words) -> std::optional<std::string> {
    if (words.front() != "INFO" && words.front() != "info")
      return "-LOADING Kvrocks is restoring the db from backup\r\n";
    return tests::FakeKvrocks::Bulk("# Server\r\nprocess_id:1\r\n# Persistence\r\nloading:1\r\n");
  };
  const std::vector<Trouble> troubles = {
      {"a server that hangs",
       [&] { cluster().Node("n2").Pause(); },
       [&] { cluster().Node("n2").Resume(); },
       {condition("hung"), server("hung")},
       {fine, server("up")}},
      {"a server that is down",
       [&] { cluster().KillNode("n2"); },
       [&] { EXPECT_FALSE(cluster().RestartNode("n2")); },
       {condition("down"), finding("NodeDown"), server("down")},
       {fine, server("up")}},
      {"a server that loads",
       [&] {
         cluster().KillNode("n2");
         loads.emplace(answer, cluster().Node("n2").port());
       },
       [&] {
         loads.reset();
         EXPECT_FALSE(cluster().RestartNode("n2"));
       },
       {condition("loading"), finding("NodeLoadingLong"), loading},
       {fine}},
      {"an agent that is gone",
       [&] { cluster().KillAgent("n2"); },
       [&] { EXPECT_FALSE(cluster().StartAgent("n2")); },
       {condition("unreachable"), finding("NodeUnreachable")},
       {fine, Series("node_connected", "n2")}},
      {"a master that hangs",
       [&] { cluster().Node("n1").Pause(); },
       [&] { cluster().Node("n1").Resume(); },
       {finding("MasterProcessHung"), Series("failover_held", "", R"(reason="not-automatic")")},
       {present}},
      {"a group that is released",
       [&] { EXPECT_TRUE(cluster().Release().IsDone()); },
       [&] { EXPECT_TRUE(cluster().Adopt().IsDone()); },
       {finding("GroupReleased"), condition("direct")},
       {fine, Series("group_managed"), Series("agent_leased", "n1")}},
  };
  for (const Trouble& trouble : troubles) {
    SCOPED_TRACE(trouble.name);
    const auto look_for = [&](const std::string& series) {
      if (!series.starts_with("walstitch_agent_")) return OfController();
      return OfAgent(series.find("node=\"n1\"") != std::string::npos ? "n1" : "n2");
    };
    const auto expect = [&](double seen) {
      for (const std::string& series : trouble.seen) ExpectIs(look_for(series), series, seen);
      for (const std::string& series : trouble.unseen) ExpectIs(look_for(series), series, 1 - seen);
    };
    expect(0);
    trouble.begin();
    expect(1);
    trouble.end();
    expect(0);
    ASSERT_TRUE(cluster().WaitSettled());
  }
}

TEST_F(MetricsTest, ARejoinThatFailsIsCountedAndItsNodeStaysParkedUntilItIsDone) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string failed = Series("outcomes_total", "", R"(kind="rejoin",outcome="failed")");
  const std::string parked = Series("node_condition", "n1", R"(condition="parked")");
  const std::string to_rejoin = Series("findings_open", "", R"(finding="NodeToRejoin")");
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  ExpectIs(controller, failed, 0);
  ExpectIs(controller, parked, 0);
  ExpectIs(controller, to_rejoin, 0);
  // Its tail cannot be kept.
  const std::string in_the_way = cluster().directory() + "/agent-n1/salvage";
  std::ofstream(in_the_way) << "a file";
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ExpectAbove(controller, failed, 0);
  ExpectIs(controller, parked, 1);
  ExpectIs(controller, to_rejoin, 1);
  std::filesystem::remove(in_the_way);
  ExpectIs(controller, parked, 0);
  ExpectIs(controller, to_rejoin, 0);
  ExpectAbove(controller, Series("outcomes_total", "", R"(kind="rejoin",outcome="done")"), 0);
}

TEST_F(MetricsTest, ASwitchoverMovesWhatTheAgentsSayAndTheNextOneMovesItBack) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const auto of_relay = [](const std::string& node, const std::string& state) {
    return Series("agent_relay_state", node, "state=\"" + state + "\"");
  };
  const auto of_role = [](const std::string& node, const std::string& role) {
    return Series("agent_role", node, "role=\"" + role + "\"");
  };
  const auto expect_master = [&](const std::string& master, const std::string& replica) {
    SCOPED_TRACE(master + " is the master");
    ExpectIs(OfAgent(master), of_role(master, "master"), 1);
    ExpectIs(OfAgent(master), of_relay(master, "following"), 0);
    ExpectIs(OfAgent(master), Series("agent_relay_attached", master), 0);
    ExpectIs(OfAgent(master), Series("agent_relay_upstream_connected", master), 0);
    ExpectIs(OfAgent(master), Series("agent_leased", master), 1);
    ExpectAbove(OfAgent(master), Series("agent_lease_left_seconds", master), 0);
    ExpectIs(OfAgent(replica), of_role(replica, "master"), 0);
    ExpectIs(OfAgent(replica), of_role(replica, "replica"), 1);
    ExpectIs(OfAgent(replica), of_relay(replica, "following"), 1);
    ExpectIs(OfAgent(replica), Series("agent_relay_attached", replica), 1);
    ExpectIs(OfAgent(replica), Series("agent_relay_upstream_connected", replica), 1);
    ExpectAbsent(OfAgent(replica), Series("agent_lease_left_seconds", replica));
  };
  expect_master("n1", "n2");
  ExpectIs(OfAgent("n2"), Series("agent_leased", "n2"), 0);  // it was never a master
  for (const auto& [master, replica] : {std::pair("n2", "n1"), std::pair("n1", "n2")}) {
    const std::string parks = Series("agent_parks_total", replica, R"(reason="command")");
    const double parked = Agent(replica).Find(parks).value_or(-1);
    const Answer answer = cluster().Switchover(master);
    ASSERT_TRUE(answer.IsDone()) << answer.error;
    expect_master(master, replica);
    ExpectAbove(OfAgent(replica), parks, parked);
  }
}

TEST_F(MetricsTest, ARelayTellsThatItsUpstreamIsSilentThenGoneThenThereAgain) {
  ClusterOptions options;
  options.proxied = true;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_EQ(cluster().Master(), "n1");
  const Look agent = OfAgent("n2");
  const std::string connected = Series("agent_relay_upstream_connected", "n2");
  const std::string silent = Series("agent_relay_upstream_silent_seconds", "n2");
  const std::string reconnects = Series("agent_relay_reconnects_total", "n2");
  ExpectIs(agent, connected, 1);
  ExpectBelow(agent, silent, 2);
  const double before = Agent("n2").Find(reconnects).value_or(-1);
  EXPECT_GE(before, 0);
  {
    // A link that is made again is compared with the one before by a batch.
    auto client = cluster().Client("n1");
    WriteSingles(client, 3, "key-");
  }
  ExpectAbove(agent, Series("agent_last_sequence", "n2"), 0);
  cluster().Node("n1").Pause();
  ExpectAbove(agent, silent, 2);
  cluster().Node("n1").Resume();
  ExpectBelow(agent, silent, 2);
  // The controller would have it follow anew, which is another connection, and not one that is made again.
  ExpectOrdered({"pause", "shop"});
  cluster().Cut("n1", "n2");
  ExpectIs(agent, connected, 0);
  cluster().Heal("n1", "n2");
  ExpectIs(agent, connected, 1);
  ExpectAbove(agent, reconnects, before);
}

TEST_F(MetricsTest, ANodeThatBecomesItsRelaysReplicaByItselfIsFoundParked) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_TRUE(cluster().Release().IsDone());
  const std::string found = Series("agent_parks_total", "n2", R"(reason="found")");
  ExpectIs(OfAgent("n2"), Series("agent_relay_state", "n2", R"(state="idle")"), 1);
  ExpectIs(OfAgent("n2"), found, 0);
  auto client = cluster().Client("n2");
  EXPECT_TRUE(client("SLAVEOF", "127.0.0.1", std::to_string(cluster().RelayPort("n2"))).IsOk());
  ExpectIs(OfAgent("n2"), found, 1);
  ExpectIs(OfAgent("n2"), Series("agent_relay_state", "n2", R"(state="parked")"), 1);
}

TEST_F(MetricsTest, ARelayThatCannotGoOnParksItsNodeUntilItIsRejoined) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look agent = OfAgent("n2");
  const std::string parks = Series("agent_parks_total", "n2", R"(reason="relay")");
  const std::string following = Series("agent_relay_state", "n2", R"(state="following")");
  ExpectIs(agent, parks, 0);
  ExpectIs(agent, following, 1);
  const auto rejoins = [&] {
    return Controller().Find(Series("outcomes_total", "", R"(kind="rejoin",outcome="done")")).value_or(-1);
  };
  const double before = rejoins();
  // In its place somebody asks for what comes long after all that there is.
  cluster().KillNode("n2");
  ExpectIs(agent, Series("agent_relay_attached", "n2"), 0);
  {
    RedisClient node(cluster().RelayPort("n2"));
    node.Send({"PSYNC", "1000000"});
    ExpectIs(agent, parks, 1);
    ExpectIs(agent, following, 0);
  }
  ASSERT_FALSE(cluster().RestartNode("n2"));
  ExpectAbove(OfController(), Series("outcomes_total", "", R"(kind="rejoin",outcome="done")"), before);
  ExpectIs(agent, following, 1);
}

TEST_F(MetricsTest, FullSyncsThatNobodyDecidedAreRefusedAndCounted) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const std::string refused = Series("agent_relay_full_syncs_refused_total", "n2");
  ExpectIs(OfAgent("n2"), refused, 0);
  RedisClient node(cluster().RelayPort("n2"));
  EXPECT_TRUE(node("_fetch_meta").IsBroken());
  ExpectIs(OfAgent("n2"), refused, 1);
}

TEST_F(MetricsTest, SalvagesAreCountedAsTheyAreKeptDamagedAndRemoved) {
  ClusterOptions options;
  options.agent_config = "salvage: {keepBytes: 3Mi, diskFloor: 5Mi}\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const Look agent = OfAgent("n1");
  const std::string kept = Series("agent_salvages", "n1");
  const std::string damaged = Series("agent_salvages_damaged", "n1");
  ExpectIs(agent, Series("agent_salvage_limit_bytes", "n1"), 3 << 20);
  ExpectIs(agent, Series("agent_salvage_disk_floor_bytes", "n1"), 5 << 20);
  ExpectIs(agent, kept, 0);
  ExpectIs(agent, Series("agent_salvage_bytes", "n1"), 0);
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_TRUE(record.outcome->salvage);
  ExpectIs(agent, kept, 1);
  ExpectIs(agent, damaged, 0);
  ExpectAbove(agent, Series("agent_salvage_bytes", "n1"), 0);
  const std::filesystem::path path = record.outcome->salvage->path;
  std::ofstream(path / "manifest.json", std::ios::app) << "and more";
  ExpectIs(agent, damaged, 1);
  ExpectIs(agent, kept, 0);
  std::filesystem::remove_all(path);
  ExpectIs(agent, damaged, 0);
  ExpectIs(agent, kept, 0);
  ExpectIs(agent, Series("agent_salvage_bytes", "n1"), 0);
}

TEST_F(MetricsTest, ListenersTellWhomTheyRefuse) {
  ClusterOptions options;
  options.token = "open-sesame";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const std::string refused = R"(walstitch_listener_refused_total{listener="api",reason="token"})";
  const std::string accepted = R"(walstitch_listener_connections_total{listener="api"})";
  const auto knock = [&](const Look& look, uint16_t port) {
    const Scrape before = look();
    EXPECT_EQ(HttpCall(port, "GET", "/metrics").status, 401) << "numbers are not for everybody";
    ExpectIs(look, refused, before.Find(refused).value_or(-1) + 1);
    ExpectAbove(look, accepted, before.Find(accepted).value_or(-1));
    ExpectAbove(look, R"(walstitch_listener_connections{listener="api"})", 0);
    ExpectAbove(look, R"(walstitch_listener_requests_total{listener="api"})",
                before.Find(R"(walstitch_listener_requests_total{listener="api"})").value_or(-1));
  };
  knock(OfController(), cluster().ControllerPort());
  knock(OfAgent("n1"), cluster().AgentPort("n1"));
}

TEST_F(MetricsTest, CountersBeginAnewWithTheController) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string decisions = R"(walstitch_decisions_total{group="shop",kind="pause",verdict="none"})";
  ExpectOrdered({"pause", "shop"});
  ExpectIs(controller, decisions, 1);
  ASSERT_FALSE(cluster().RestartController());
  ExpectIs(controller, decisions, 0);
  ExpectIs(controller, R"(walstitch_group_paused{group="shop"})", 1);
}

}  // namespace
}  // namespace walstitch::test
