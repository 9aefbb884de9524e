#include "controller/shell/config.h"

#include <gtest/gtest.h>

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
                            "api: {host: 0.0.0.0, port: 7, token: t}\nstateDir: /s\nagentToken: a\n"
                            "policies: [p, q]\nmaxConcurrentFullSyncs: 3\nlogLevel: debug\ngroups:\n"
                            "  - name: shop\n    nodes:\n"
                            "      - {name: n1, agent: 'http://10.0.0.1:7667', priority: -5}\n"
                            "      - {name: n2, agent: 'http://10.0.0.2:7667'}\n");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->api_host, "0.0.0.0");
  EXPECT_EQ(config->api_port, 7);
  EXPECT_EQ(config->api_token, "t");
  EXPECT_EQ(config->agent_token, "a");
  EXPECT_EQ(config->state_dir, "/s");
  EXPECT_EQ(config->policies, (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(config->max_concurrent_full_syncs, 3);
  ASSERT_EQ(config->groups.size(), 1U);
  ASSERT_EQ(config->groups[0].nodes.size(), 2U);
  EXPECT_EQ(config->groups[0].nodes[0].priority, -5);
  EXPECT_EQ(config->groups[0].nodes[1].agent_url.port, "7667");
}

TEST(ControllerConfigTest, MistakesAreNamedWithTheirPlace) {
  EXPECT_EQ(ErrorOf(With("stateDirectory: /x")).substr(0, 50),
            "c.yaml:2:1: unknown key 'stateDirectory'; expected");
  EXPECT_EQ(ErrorOf(With("maxConcurrentFullSyncs: 0")),
            "c.yaml:2:25: maxConcurrentFullSyncs: expected a whole number from 1 to 1000");
  EXPECT_EQ(ErrorOf(With("logLevel: loud")),
            "c.yaml:2:11: logLevel: expected trace, debug, info, warning or error");
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

TEST(ControllerConfigTest, TheExampleOfTheHelpIsAValidConfiguration) {
  std::string example = kControllerConfigExample;
  // Its token file does not exist here.
  example.erase(example.find("agentTokenFile"), example.find("policies:") - example.find("agentTokenFile"));
  EXPECT_EQ(ErrorOf(example), "accepted");
}

}  // namespace
}  // namespace walstitch::shell
