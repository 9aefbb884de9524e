// What controller and agents tell Prometheus while things happen: each number becomes another, and where
// things are well again, it is as before. On real processes.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/scrape.h"

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

class MetricsTest : public ClusterTest {
 protected:
  static Scrape ScrapeOf(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.status == 200 ? ParseScrape(answer.body) : Scrape();
  }
  Scrape Controller() { return ScrapeOf(cluster().CallController("GET", "/metrics")); }
  Scrape Agent(const std::string& node) { return ScrapeOf(cluster().CallAgent(node, "GET", "/metrics")); }

  using Look = std::function<Scrape()>;
  Look OfController() {
    return [this] { return Controller(); };
  }
  Look OfAgent(std::string node) {
    return [this, node = std::move(node)] { return Agent(node); };
  }
  // Waits until the series has such a value.
  void Expect(const Look& look, const std::string& series, const std::function<bool(double)>& such,
              const std::string& words) {
    std::optional<double> last;
    const bool came = cluster().WaitUntil([&] {
      last = look().Find(series);
      return last && such(*last);
    });
    EXPECT_TRUE(came) << series << " is " << (last ? std::to_string(*last) : "not told") << ", not " << words;
  }
  void ExpectIs(const Look& look, const std::string& series, double value) {
    Expect(
        look, series, [value](double is) { return is == value; }, std::to_string(value));
  }
  void ExpectAbove(const Look& look, const std::string& series, double bound) {
    Expect(
        look, series, [bound](double is) { return is > bound; }, "above " + std::to_string(bound));
  }
  void ExpectAbsent(const Look& look, const std::string& series) {
    EXPECT_TRUE(cluster().WaitUntil([&] { return !look().Find(series); })) << series << " is told";
  }
  void ExpectOrdered(const std::vector<std::string>& arguments) {
    const CommandOutput output = cluster().Cli(arguments);
    EXPECT_EQ(output.exit_code, 0) << output.out << output.error;
  }
};

TEST_F(MetricsTest, WhatAnOperatorSetsIsSeenUntilItIsTakenBack) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Look controller = OfController();
  const std::string paused = R"(walstitch_group_paused{group="shop"})";
  const std::string maintenance = R"(walstitch_node_maintenance{group="shop",node="n2"})";
  const std::string refused = R"(walstitch_policy_refused{group="shop"})";
  ExpectIs(controller, "walstitch_leader", 1);
  ExpectIs(controller, R"(walstitch_group_managed{group="shop"})", 1);
  ExpectIs(controller, paused, 0);
  ExpectOrdered({"pause", "shop", "--reason", "a test"});
  ExpectIs(controller, paused, 1);
  ExpectOrdered({"resume", "shop"});
  ExpectIs(controller, paused, 0);
  ExpectIs(controller, R"(walstitch_decisions_total{group="shop",kind="pause",verdict="none"})", 1);
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
  const Scrape before = Controller();
  {
    auto client = cluster().Client("n1");
    WriteSingles(client, 50, "key-");
  }
  ExpectAbove(controller, last, *before.Find(last) + 49);
  ExpectAbove(controller, bytes, *before.Find(bytes) + 50 * 20);
  ExpectAbove(controller, frames, *before.Find(frames) + 49);
  ExpectIs(controller, R"(walstitch_node_lag_sequences{group="shop",node="n2"})", 0);
  ExpectIs(controller, R"(walstitch_node_lag_seconds{group="shop",node="n2"})", 0);
  ExpectAbove(OfAgent("n2"), R"(walstitch_agent_relay_forwarded_bytes_total{group="shop",node="n2"})",
              50 * 20);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_wal_bytes{group="shop",node="n1"})", 0);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_disk_free_bytes{group="shop",node="n1"})", 0);
  ExpectAbove(OfAgent("n1"), R"(walstitch_agent_state_disk_free_bytes{group="shop",node="n1"})", 0);
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
  // The agent that promises no more: the lease runs out, and the master parks itself.
  const std::string parks =
      "walstitch_agent_parks_total{group=\"shop\",node=\"" + master + "\",reason=\"lease-over\"}";
  const double parked = Agent(master).Find(parks).value_or(-1);
  cluster().KillController();
  cluster().PauseAgent(other);
  ExpectAbove(agent, parks, parked);
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
  Expect(
      controller, R"(walstitch_decision_open_oldest_seconds{group="shop",full_sync="yes"})",
      [](double age) { return age > 0; }, "that of an open one");
  ASSERT_TRUE(cluster().WaitSettled(seconds(60)));
  ExpectIs(controller, running, 0);
  ExpectIs(controller, queued, 0);
  ExpectIs(controller, R"(walstitch_decision_open_oldest_seconds{group="shop",full_sync="yes"})", 0);
  ExpectIs(controller, R"(walstitch_full_syncs_total{group="shop"})", 2);
  ExpectIs(controller, R"(walstitch_sync_partial_err_total{group="shop"})", 2);
  ExpectAbove(controller, R"(walstitch_node_full_sync_bytes_total{group="shop",node="n2"})", 1000);
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
