// docs/configuration.md says what the readers of the configuration files read, no more and no less.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "agents/agent/config.h"
#include "controller/shell/config.h"
#include "policies/config_reader.h"
#include "policies/yaml_tree.h"

namespace walstitch {
namespace {

const std::string kPage = std::string(WALSTITCH_SOURCE_DIR) + "/docs/configuration.md";

// The page with the text between the marks of `program` replaced.
std::string With(const std::string& page, const std::string& program, const std::string& text) {
  const std::string begin = "<!-- begin " + program + " -->\n";
  const std::string end = "<!-- end " + program + " -->\n";
  const auto from = page.find(begin);
  const auto to = page.find(end);
  if (from == std::string::npos || to == std::string::npos) return "";
  return page.substr(0, from + begin.size()) + text + page.substr(to);
}

// Every key of a file, with [] for each element of a list of mappings.
void CollectKeys(const YamlNode& node, const std::string& path, std::set<std::string>* keys) {
  for (const auto& [key, value] : node.entries) {
    const std::string name = path.empty() ? key.scalar : path + "." + key.scalar;
    keys->insert(name);
    CollectKeys(value, name, keys);
    for (const YamlNode& element : value.elements) {
      if (element.kind != YamlNode::Kind::kMapping) continue;
      keys->insert(name + "[]");
      CollectKeys(element, name + "[]", keys);
    }
  }
}

std::set<std::string> KeysOf(const std::string& content) {
  std::set<std::string> keys;
  auto tree = ParseYaml("example", content);
  EXPECT_TRUE(tree) << tree.error().Message();
  if (tree) CollectKeys(*tree, "", &keys);
  return keys;
}

void EachStandsInAnExampleOrIsRare(const ConfigReference& reference,
                                   const std::set<std::string>& in_examples) {
  for (const ConfigKey& key : reference) {
    EXPECT_TRUE(key.rare || in_examples.contains(key.path))
        << key.path << " stands in no example: add it to one, or describe it with Rare(...)";
  }
}

void EachIsDescribedInASentence(const ConfigReference& reference) {
  ASSERT_GT(reference.size(), 10U);
  std::set<std::string> seen;
  for (const ConfigKey& key : reference) {
    EXPECT_TRUE(seen.insert(key.path).second) << key.path << " is read twice";
    EXPECT_GE(key.words.size(), 8U) << key.path;
    EXPECT_TRUE(key.words.ends_with('.') || key.words.ends_with(".)")) << key.path << ": " << key.words;
    EXPECT_EQ(key.words.find('\n'), std::string::npos) << key.path;
  }
}

TEST(ConfigurationPage, SaysWhatTheProgramsRead) {
  std::ifstream file(kPage);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string expected = With(With(page, "walstitch-agent", agent::ConfigReferenceText()),
                                    "walstitch-controller", shell::ControllerConfigReferenceText());
  ASSERT_FALSE(expected.empty()) << kPage << " has lost its begin and end marks";
  if (std::getenv("WALSTITCH_UPDATE_DOCS") != nullptr) {
    std::ofstream(kPage) << expected;
    return;
  }
  EXPECT_EQ(page, expected)
      << "docs/configuration.md is not as the programs say; ./x docs --update writes it";
}

TEST(ConfigurationReference, EveryKeyIsDescribed) {
  EachIsDescribedInASentence(agent::DescribeConfig());
  EachIsDescribedInASentence(shell::DescribeControllerConfig());
}

TEST(ConfigurationReference, EveryKeyStandsInAnExampleOrIsRare) {
  EachStandsInAnExampleOrIsRare(agent::DescribeConfig(), KeysOf(std::string(agent::ExampleConfig())));
  auto keys = KeysOf(shell::kControllerConfigExample);
  keys.merge(KeysOf(shell::kKubernetesConfigExample));
  keys.merge(KeysOf(shell::kWebhooksConfigExample));
  EachStandsInAnExampleOrIsRare(shell::DescribeControllerConfig(), keys);
}

// The examples name files that are not on this machine; here they lie elsewhere, each with a line in it.
std::string WithItsFiles(std::string example, const std::string& directory) {
  const std::string etc = "/etc/walstitch/";
  for (auto at = example.find(etc); at != std::string::npos; at = example.find(etc, at)) {
    const auto end = example.find_first_of(" \n,}]", at);
    const std::string name = example.substr(at + etc.size(), end - at - etc.size());
    std::ofstream(directory + "/" + name) << "secret\n";
    example.replace(at, etc.size(), directory + "/");
  }
  return example;
}

TEST(ConfigurationReference, EveryExampleIsGood) {
  const std::string directory = testing::TempDir() + "/walstitch_examples";
  std::filesystem::create_directories(directory);
  auto parsed =
      agent::ParseConfig("agent.yaml", WithItsFiles(std::string(agent::ExampleConfig()), directory));
  EXPECT_TRUE(parsed) << parsed.error().Message();
  std::string example = shell::kControllerConfigExample;
  auto controller = shell::ParseControllerConfig("controller.yaml", WithItsFiles(example, directory));
  EXPECT_TRUE(controller) << controller.error().Message();
  // As the help says: instead of the groups.
  example = example.substr(0, example.find("groups:")) + shell::kKubernetesConfigExample +
            shell::kWebhooksConfigExample;
  controller = shell::ParseControllerConfig("controller.yaml", WithItsFiles(example, directory));
  EXPECT_TRUE(controller) << controller.error().Message();
  std::filesystem::remove_all(directory);
}

TEST(ConfigurationReference, KnowsSectionsListsDefaultsAndRanges) {
  const auto reference = shell::DescribeControllerConfig();
  const auto find = [&](const std::string& path) {
    const auto it = std::find_if(reference.begin(), reference.end(),
                                 [&](const ConfigKey& key) { return key.path == path; });
    return it == reference.end() ? ConfigKey{} : *it;
  };
  EXPECT_EQ(find("lease.duration").absent, "3s");
  EXPECT_EQ(find("lease.duration").type, "time, 500ms to 10m");
  EXPECT_EQ(find("lease.park").type, "time, 50ms to 5m");
  EXPECT_EQ(find("lease.drift").absent, "1%");
  EXPECT_EQ(find("failover.diskLow").absent, "1Gi");
  EXPECT_EQ(find("kubernetes.store").type, "local or shared");
  EXPECT_TRUE(find("groups[].nodes[].name").required);
  EXPECT_TRUE(find("groups[].nodes[]").IsSection());
  EXPECT_FALSE(find("groups[].nodes[].zone").words.empty());
}

}  // namespace
}  // namespace walstitch
