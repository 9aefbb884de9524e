#include "controller/shell/config.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace walstitch::shell {
namespace {

std::string ErrorOf(std::string_view content) {
  auto config = ParseControllerConfig("c.yaml", content);
  return config ? "accepted" : config.error().Message();
}

constexpr std::string_view kNodes =
    "groups:\n  - name: shop\n    nodes: [{name: n1, agent: 'http://127.0.0.1:1'}]\n";

std::string With(const std::string& line) { return "stateDir: /s\n" + line + "\n" + std::string(kNodes); }

TEST(ControllerConfigTest, ReadsEverySetting) {
  auto config =
      ParseControllerConfig("c.yaml",
                            "api: {host: 0.0.0.0, port: 7, withoutToken: true}\nstateDir: /s\n"
                            "policies: [p, q]\nmaxConcurrentFullSyncs: 3\nlogLevel: debug\n"
                            "lease: {duration: 5s, drift: 0.5%, park: 400ms}\n"
                            "failover: {automatic: false, unreachableAfter: 2s, hungAfter: 2500ms,\n"
                            "  loadingAfter: 2m, stuckFeedAfter: 7s, purgeWarning: 1h, diskLow: 5Gi,\n"
                            "  blockAfter: 3m, maxConcurrent: 7}\n"
                            "groups:\n  - name: shop\n    nodes:\n"
                            "      - {name: n1, agent: 'http://10.0.0.1:7667', priority: -5, zone: eu 1,\n"
                            "         candidate: false}\n"
                            "      - {name: n2, agent: 'http://10.0.0.2:7667'}\n");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->api_host, "0.0.0.0");
  EXPECT_EQ(config->api_port, 7);
  EXPECT_TRUE(config->api_access.without_token);
  EXPECT_EQ(config->state_dir, "/s");
  EXPECT_EQ(config->policies, (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(config->max_concurrent_full_syncs, 3);
  EXPECT_EQ(config->failover.lease, (LeaseTerms{5000, 5, 400}));
  EXPECT_FALSE(config->failover.automatic);
  EXPECT_EQ(config->failover.unreachable_ms, 2000);
  EXPECT_EQ(config->failover.hung_ms, 2500);
  EXPECT_EQ(config->failover.loading_ms, 120000);
  EXPECT_EQ(config->failover.stuck_feed_ms, 7000);
  EXPECT_EQ(config->failover.purge_warning_ms, 3600000);
  EXPECT_EQ(config->failover.disk_low_bytes, 5ULL << 30);
  EXPECT_EQ(config->failover.block_ms, 180000);
  EXPECT_EQ(config->failover.max_concurrent, 7);
  ASSERT_EQ(config->groups.size(), 1U);
  ASSERT_EQ(config->groups[0].nodes.size(), 2U);
  EXPECT_EQ(config->groups[0].nodes[0].priority, -5);
  EXPECT_EQ(config->groups[0].nodes[0].zone, "eu 1");
  EXPECT_FALSE(config->groups[0].nodes[0].candidate);
  EXPECT_EQ(config->groups[0].nodes[1].zone, "");
  EXPECT_TRUE(config->groups[0].nodes[1].candidate);
  EXPECT_EQ(config->groups[0].nodes[1].agent_url.port, "7667");
}

TEST(ControllerConfigTest, MistakesAreNamedWithTheirPlace) {
  EXPECT_EQ(ErrorOf(With("stateDirectory: /x")).substr(0, 50),
            "c.yaml:2:1: unknown key 'stateDirectory'; expected");
  EXPECT_EQ(ErrorOf(With("maxConcurrentFullSyncs: 0")),
            "c.yaml:2:25: maxConcurrentFullSyncs: expected a whole number from 1 to 1000");
  EXPECT_EQ(ErrorOf(With("logLevel: loud")),
            "c.yaml:2:11: logLevel: expected trace, debug, info, warn or error");
  EXPECT_EQ(ErrorOf(With("api: {port: 70000}")),
            "c.yaml:2:13: port: expected a whole number from 1 to 65535");
  EXPECT_EQ(ErrorOf(With("api: yes")), "c.yaml:2:6: expected a mapping (key: value)");
  EXPECT_EQ(ErrorOf(With("agentTokenFile: /does/not/exist")),
            "c.yaml:2:17: /does/not/exist: cannot be opened");
  EXPECT_EQ(ErrorOf(std::string(kNodes)),
            "c.yaml:1:1: stateDir is missing; expected a text that is not empty");
  EXPECT_EQ(ErrorOf("stateDir: /s\n"), "c.yaml:1:1: groups: expected a list of at least one {name, nodes}");
  EXPECT_EQ(ErrorOf("stateDir: /s\ngroups: [{name: a, nodes: [{name: n, agent: 'http://h:1'}, {name: n, "
                    "agent: 'http://h:2'}]}]\n"),
            "c.yaml:2:60: node 'n' is named twice in this group");
  EXPECT_NE(ErrorOf("stateDir: /s\ngroups: [{name: a/b, nodes: [{name: n, agent: 'http://h:1'}]}]\n")
                .find("a name has 1 to 64"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf("stateDir: /s\ngroups: [{name: a, nodes: [{name: n, agent: 'ftp://h'}]}]\n").find("c.yaml:2:"),
      std::string::npos);
}

TEST(ControllerConfigTest, WhatIsLeftOutHasItsDefault) {
  auto config = ParseControllerConfig("c.yaml", With("lease: {}\nfailover: {diskLow: 0, purgeWarning: 0s}"));
  ASSERT_TRUE(config) << config.error().Message();
  core::FailoverSettings expected;
  expected.disk_low_bytes = 0;  // never told
  expected.purge_warning_ms = 0;
  EXPECT_EQ(config->failover, expected);
}

TEST(ControllerConfigTest, ASettingOfAFailoverIsRefusedWithItsPlace) {
  const auto expected = [](const std::string& range) {
    return ": expected a time from " + range + ", with its unit: ms, s, m or h";
  };
  const std::pair<const char*, std::string> cases[] = {
      {"lease: 3s", "2:8: expected a mapping (key: value)"},
      {"lease: {length: 3s}", "2:9: unknown key 'length'; expected one of: duration, drift, park"},
      {"lease: {duration: 3}", "2:19: duration" + expected("500ms to 10m")},
      {"lease: {duration: 1.5s}", "2:19: duration" + expected("500ms to 10m")},
      {"lease: {duration: [3s]}", "2:19: duration" + expected("500ms to 10m")},
      {"lease: {duration: 2h}", "2:19: duration" + expected("500ms to 10m")},
      {"lease: {duration: 100ms}", "2:19: duration" + expected("500ms to 10m")},
      {"lease: {park: soon}", "2:15: park" + expected("50ms to 5m")},
      {"lease: {park: 49ms}", "2:15: park" + expected("50ms to 5m")},
      {"lease: {drift: 1}", "2:16: drift: expected a percentage such as 1% or 0.5%"},
      {"lease: {drift: 0.25%}", "2:16: drift: expected a percentage such as 1% or 0.5%"},
      {"failover: true", "2:11: expected a mapping (key: value)"},
      {"failover: {auto: true}",
       "2:12: unknown key 'auto'; expected one of: automatic, unreachableAfter, hungAfter, loadingAfter, "
       "stuckFeedAfter, purgeWarning, diskLow, blockAfter, maxConcurrent"},
      {"failover: {automatic: yes}", "2:23: automatic: expected true or false"},
      {"failover: {unreachableAfter: 1}", "2:30: unreachableAfter" + expected("50ms to 1h")},
      {"failover: {hungAfter: 1 s}", "2:23: hungAfter" + expected("50ms to 1h")},
      {"failover: {loadingAfter: 10ms}",
       "2:26: loadingAfter: expected a time from 1s to 24h, with its unit: ms, s, m or h"},
      {"failover: {stuckFeedAfter: -1s}", "2:28: stuckFeedAfter" + expected("100ms to 24h")},
      {"failover: {purgeWarning: 1d}",
       "2:26: purgeWarning: expected a time from 0s to 720h, with its unit: ms, s, m or h"},
      {"failover: {blockAfter: never}", "2:24: blockAfter" + expected("500ms to 720h")},
      {"failover: {diskLow: 10%}",
       "2:21: diskLow: expected a number of bytes such as 1000000, 64Mi or 4Gi (units k, M, G, T, Ki, Mi, "
       "Gi, Ti)"},
      {"failover: {maxConcurrent: 0}", "2:27: maxConcurrent: expected a whole number from 1 to 1000"},
  };
  for (const auto& [line, error] : cases) EXPECT_EQ(ErrorOf(With(line)), "c.yaml:" + error) << line;
}

// Where the setting that does not fit has its default, the place is that of the one which was changed.
TEST(ControllerConfigTest, SettingsThatDoNotFitTogetherAreRefusedAtTheOneThatIsInTheFile) {
  const std::string under_ten = "under a lease of 10s an agent may be silent for 2400ms between two renewals";
  EXPECT_EQ(ErrorOf(With("lease: {duration: 10s}")),
            "c.yaml:2:19: failover.unreachableAfter is 1s, but " + under_ten +
                "; expected at least 2400ms, or a shorter lease.duration");
  EXPECT_EQ(ErrorOf(With("lease: {duration: 10s}\nfailover: {unreachableAfter: 2s}")),
            "c.yaml:3:30: failover.unreachableAfter is 2s, but " + under_ten +
                "; expected at least 2400ms, or a shorter lease.duration");
  EXPECT_EQ(ErrorOf(With("lease: {duration: 10s}\nfailover: {unreachableAfter: 3s, hungAfter: 3s}")),
            "accepted");
  EXPECT_EQ(
      ErrorOf(With("lease: {park: 2s}")),
      "c.yaml:2:15: lease: of a lease of 3000 ms, a park time of 2000 ms and the drift leave the master "
      "less than half; expected a longer lease.duration or a shorter lease.park");
  EXPECT_EQ(ErrorOf(With("failover: {blockAfter: 3s}")).substr(0, 47),
            "c.yaml:2:24: failover.blockAfter is 3s, but und");
}

// The range of a key is the widest of all leases: its ends are taken where the others fit.
TEST(ControllerConfigTest, TheEndsOfTheRangesAreTaken) {
  EXPECT_EQ(ErrorOf(With("lease: {duration: 500ms, park: 50ms, drift: 0.1%}")), "accepted");
  EXPECT_EQ(
      ErrorOf(With("lease: {duration: 10m, park: 4m, drift: 10%}\n"
                   "failover: {unreachableAfter: 1h, hungAfter: 1h, stuckFeedAfter: 1h, blockAfter: 12m}")),
      "accepted");
}

TEST(ControllerConfigTest, MistakesOfNodesAreNamedWithTheirPlace) {
  auto node = [](const std::string& more) {
    return ErrorOf("stateDir: /s\ngroups: [{name: a, nodes: [{name: n, agent: 'http://h:1', " + more +
                   "}]}]\n");
  };
  EXPECT_EQ(node("zone: eu-1"), "accepted");
  EXPECT_EQ(node("zone: ''"), "c.yaml:2:65: zone: expected 1 to 64 printable characters, or leave zone out");
  EXPECT_EQ(node("zone: \"a\\tb\""),
            "c.yaml:2:65: zone: expected 1 to 64 printable characters, or leave zone out");
  EXPECT_EQ(node("zone: " + std::string(65, 'z')),
            "c.yaml:2:65: zone: expected 1 to 64 printable characters, or leave zone out");
  EXPECT_EQ(node("zone: [a]"), "c.yaml:2:65: zone: expected a text");
  EXPECT_EQ(node("candidate: 0"), "c.yaml:2:70: candidate: expected true or false");
  EXPECT_EQ(node("candidate: false"),
            "c.yaml:2:27: nodes: candidate is false for all of them, so the group could never have a master; "
            "expected at least one that may be promoted");
}

TEST(ControllerConfigTest, SecretsComeFromFiles) {
  const std::string path = testing::TempDir() + "/controller_config_password";
  std::ofstream(path) << "secret\n";
  auto config = ParseControllerConfig("c.yaml", With("kvrocksPasswordFile: " + path));
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->kvrocks_password, "secret");
  config = ParseControllerConfig("c.yaml", With("agentTokenFile: " + path));
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->agent_token.file, path);
  EXPECT_EQ(
      ErrorOf(With("kvrocksPassword: hunter2")),
      "c.yaml:2:18: kvrocksPassword: a secret is not written here: put it into a file that nobody else can "
      "read, and name that in kvrocksPasswordFile");
  EXPECT_NE(ErrorOf(With("agentToken: hunter2")).find("name that in agentTokenFile"), std::string::npos);
  std::ofstream(path) << "\n";
  EXPECT_EQ(ErrorOf(With("kvrocksPasswordFile: " + path)), "c.yaml:2:22: " + path + ": the secret is empty");
  std::remove(path.c_str());
  EXPECT_EQ(ErrorOf(With("kvrocksPasswordFile: /does/not/exist")),
            "c.yaml:2:22: /does/not/exist: cannot be opened");
}

TEST(ControllerConfigTest, TheExampleOfTheHelpShowsEveryDefault) {
  std::string example = kControllerConfigExample;
  // Its secret files do not exist here.
  example.erase(example.find("  tokenFile:"), example.find("stateDir:") - example.find("  tokenFile:"));
  example.erase(example.find("agentTokenFile"), example.find("policies:") - example.find("agentTokenFile"));
  auto config = ParseControllerConfig("c.yaml", example);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->failover, core::FailoverSettings());
  for (const char* setting :
       {"duration", "drift", "park", "automatic", "unreachableAfter", "hungAfter", "loadingAfter",
        "stuckFeedAfter", "purgeWarning", "diskLow", "blockAfter", "maxConcurrent"}) {
    EXPECT_NE(example.find("\n  " + std::string(setting) + ": "), std::string::npos) << setting;
  }
  EXPECT_EQ(config->api_host, ControllerConfig().api_host);
  EXPECT_EQ(config->api_port, ControllerConfig().api_port);
  EXPECT_EQ(config->max_concurrent_full_syncs, ControllerConfig().max_concurrent_full_syncs);
  EXPECT_EQ(config->log_level, ControllerConfig().log_level);
}

TEST(ControllerConfigTest, InKubernetesGroupsComeFromThePods) {
  auto config = ParseControllerConfig("c.yaml", std::string("stateDir: /s\n") + kKubernetesConfigExample);
  ASSERT_TRUE(config) << config.error().Message();
  ASSERT_TRUE(config->kubernetes);
  EXPECT_FALSE(config->kubernetes->shared_store);
  EXPECT_EQ(config->kubernetes->leadership.duration_ms, core::LeaderTerms().duration_ms);
  EXPECT_EQ(config->kubernetes->leadership.drift_permille, core::LeaderTerms().drift_permille);
  EXPECT_EQ(config->kubernetes->keep_decisions, KubernetesConfig().keep_decisions);
  EXPECT_EQ(config->kubernetes->policy_config_map, "walstitch-policies");
}

TEST(ControllerConfigTest, MistakesOfKubernetesAreNamedWithTheirPlace) {
  const auto with = [](const std::string& more) {
    return ErrorOf("stateDir: /s\nkubernetes: {" + more + "}\n");
  };
  EXPECT_EQ(with("store: etcd"), "c.yaml:2:21: store: expected local or shared");
  EXPECT_EQ(
      with("name: Walstitch"),
      "c.yaml:2:20: a name of an object in Kubernetes has 1 to 63 of a-z 0-9 -, and no - at either end");
  EXPECT_EQ(with("leadership: {duration: 2500ms}"), "c.yaml:2:37: duration: expected whole seconds");
  EXPECT_EQ(ErrorOf(With("kubernetes: {}")),
            "c.yaml:4:3: groups: with kubernetes, they come from the labels of the pods; leave them out");
}

TEST(ControllerConfigTest, SeveralControllersNeedNames) {
  const std::string shared = "stateDir: /s\nkubernetes: {store: shared}\napi: {withoutToken: true}\n";
  EXPECT_EQ(
      ErrorOf(shared),
      "--identity: with kubernetes.store: shared, each controller needs a name of its own, as its pod has");
  ConfigOverrides overrides;
  overrides.identity = "walstitch-7f9c-x";
  overrides.host = "10.1.2.3";
  auto config = ParseControllerConfig("c.yaml", shared, overrides);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_TRUE(config->kubernetes->shared_store);
  EXPECT_EQ(config->identity, "walstitch-7f9c-x");
  EXPECT_EQ(config->api_host, "10.1.2.3");
}

TEST(ControllerConfigTest, ReadsWebhooks) {
  auto config = ParseControllerConfig(
      "c.yaml",
      With("webhooks:\n"
           "  - {name: pager, url: 'https://hooks.example.org/a/b?c=d', secretFile: /s/one, caFile: /s/ca,\n"
           "     events: [outcome, finding], severity: critical, timeout: 2s, tellAgain: 0s}\n"
           "  - {name: local, url: 'http://127.0.0.1:8080', secretFile: /s/two}"));
  ASSERT_TRUE(config) << config.error().Message();
  ASSERT_EQ(config->webhooks.size(), 2U);
  const WebhookConfig& pager = config->webhooks[0];
  EXPECT_EQ(pager.name, "pager");
  EXPECT_TRUE(pager.origin.tls);
  EXPECT_EQ(pager.origin.host, "hooks.example.org");
  EXPECT_EQ(pager.origin.port, "443");
  EXPECT_EQ(pager.target, "/a/b?c=d");
  EXPECT_EQ(pager.secret_file, "/s/one");
  EXPECT_EQ(pager.ca_file, "/s/ca");
  EXPECT_EQ(pager.events, (std::set{core::NoticeKind::kOutcome, core::NoticeKind::kFinding}));
  EXPECT_EQ(pager.severity, core::Severity::kCritical);
  EXPECT_EQ(pager.timeout_ms, 2000);
  EXPECT_EQ(pager.tell_again_ms, 0);
  const WebhookConfig& local = config->webhooks[1];
  EXPECT_FALSE(local.origin.tls);
  EXPECT_EQ(local.target, "/");
  EXPECT_EQ(local.events.size(), 3U);
}

TEST(ControllerConfigTest, WebhookOverPlainHttpElsewhereIsRefusedUnlessToldSo) {
  const std::string hook = "webhooks: [{name: a, url: 'http://10.0.0.1/secret-path', secretFile: /s";
  const std::string error = ErrorOf(With(hook + "}]"));
  EXPECT_NE(error.find("use https://"), std::string::npos) << error;
  EXPECT_EQ(error.find("secret-path"), std::string::npos) << error;
  EXPECT_EQ(ErrorOf(With(hook + ", insecure: true}]")), "accepted");
}

TEST(ControllerConfigTest, WebhookThatMakesNoSenseIsRefused) {
  const auto error_of = [](const std::string& hook) { return ErrorOf(With("webhooks: [{" + hook + "}]")); };
  const std::string fine = "name: a, url: 'https://h/', secretFile: /s";
  EXPECT_EQ(error_of(fine), "accepted");
  EXPECT_NE(error_of("name: a, secretFile: /s").find("url: expected"), std::string::npos);
  EXPECT_NE(error_of("name: a, url: 'https://h/'").find("secretFile"), std::string::npos);
  EXPECT_NE(error_of("name: a, url: 'ftp://h/', secretFile: /s").find("expected https://"),
            std::string::npos);
  EXPECT_NE(error_of("name: a, url: 'https://u:p@h/', secretFile: /s").find("no user"), std::string::npos);
  EXPECT_NE(error_of(fine + ", events: [nothing]").find("expected decision, outcome"), std::string::npos);
  EXPECT_NE(error_of(fine + ", events: []").find("at least one"), std::string::npos);
  EXPECT_NE(error_of(fine + ", severity: high").find("expected info, warning or critical"),
            std::string::npos);
  EXPECT_NE(error_of(fine + "}, {" + fine).find("named twice"), std::string::npos);
}

TEST(ControllerConfigTest, ListeningElsewhereThanOnLoopbackNeedsAToken) {
  EXPECT_NE(ErrorOf(With("api: {host: 0.0.0.0}")).find("the API would listen on 0.0.0.0"), std::string::npos);
  EXPECT_EQ(ErrorOf(With("api: {host: 0.0.0.0, withoutToken: true}")), "accepted");
  const std::string path = testing::TempDir() + "/controller_config_token";
  std::ofstream(path) << "t\n";
  EXPECT_EQ(ErrorOf(With("api: {host: 0.0.0.0, tokenFile: " + path + "}")), "accepted");
  std::remove(path.c_str());
}

TEST(ControllerConfigTest, SentinelIsServedWhereTheFileSaysSo) {
  auto config = ParseControllerConfig("c.yaml", With(""));
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_FALSE(config->sentinel);
  config = ParseControllerConfig("c.yaml", With("sentinel: {}"));
  ASSERT_TRUE(config) << config.error().Message();
  ASSERT_TRUE(config->sentinel);
  EXPECT_EQ(config->sentinel->host, "127.0.0.1");
  EXPECT_EQ(config->sentinel->port, 26379);
  EXPECT_EQ(config->sentinel->announce_host, "127.0.0.1");
  EXPECT_EQ(config->sentinel->announce_port, 26379);
  config = ParseControllerConfig(
      "c.yaml",
      With("sentinel: {port: 5, announce: {host: a}, others: ['b:1', '[::1]:2'], maxConnections: 20,\n"
           "  maxRequest: 2Ki, maxOutput: 32Ki, requestTimeout: 2s, idleTimeout: 1m}"));
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->sentinel->announce_host, "a");
  EXPECT_EQ(config->sentinel->announce_port, 5);
  EXPECT_EQ(config->sentinel->others, (std::vector<std::string>{"b:1", "[::1]:2"}));
  EXPECT_EQ(config->sentinel->max_connections, 20);
  EXPECT_EQ(config->sentinel->max_request, 2048U);
  EXPECT_EQ(config->sentinel->max_output, 32U * 1024);
  EXPECT_EQ(config->sentinel->request_timeout_ms, 2000);
  EXPECT_EQ(config->sentinel->idle_timeout_ms, 60000);
}

TEST(ControllerConfigTest, MistakesOfSentinelAreNamedWithTheirPlace) {
  EXPECT_EQ(ErrorOf(With("sentinel: {others: [b]}")),
            "c.yaml:2:20: others: expected a list of host:port, such as 10.0.0.2:26379");
  EXPECT_EQ(ErrorOf(With("sentinel: {maxRequest: 1}")), "c.yaml:2:24: maxRequest: expected 1Ki to 1Mi");
  EXPECT_NE(ErrorOf(With("sentinel: {prot: 1}")).find("prot"), std::string::npos);
}

TEST(ControllerConfigTest, SentinelElsewhereThanOnLoopbackNeedsATokenOrTheWordThatNoneIsNeeded) {
  const std::string path = testing::TempDir() + "/controller_config_sentinel_token";
  std::ofstream(path) << "t\n";
  const std::string token = "api: {tokenFile: " + path + "}\n";
  EXPECT_NE(ErrorOf(With("sentinel: {host: 0.0.0.0}")).find("without a token"), std::string::npos);
  EXPECT_EQ(ErrorOf(With("sentinel: {host: 0.0.0.0, withoutToken: true}")), "accepted");
  EXPECT_EQ(ErrorOf(With(token + "sentinel: {host: 0.0.0.0}")), "accepted");
  ConfigOverrides overrides;
  overrides.host = "10.0.0.5";
  const auto config = ParseControllerConfig("c.yaml", With(token + "sentinel: {}"), overrides);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->sentinel->host, "10.0.0.5");
  EXPECT_EQ(config->sentinel->announce_host, "10.0.0.5");
  std::remove(path.c_str());
}

TEST(ControllerConfigTest, AgentsInTlsNeedAnAuthority) {
  const std::string why = ErrorOf(
      "stateDir: /s\ngroups:\n  - name: shop\n    nodes: [{name: n1, agent: 'https://127.0.0.1:1'}]\n");
  EXPECT_NE(why.find("https:// needs agentTls"), std::string::npos) << why;
}

}  // namespace
}  // namespace walstitch::shell
