#include "controller/shell/config.h"

#include <algorithm>
#include <set>

#include "policies/config_reader.h"
#include "policies/yaml_tree.h"

namespace walstitch::shell {
namespace {

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

constexpr std::string_view kNameRule = "a name has 1 to 64 of a-z A-Z 0-9 - _ .";

void ReadToken(ConfigReader& reader, std::string_view key, std::string_view file_key, std::string& token) {
  std::string file;
  reader.Text(key, token);
  reader.Text(file_key, file);
  if (file.empty()) return;
  if (!token.empty()) return reader.Refuse(file_key, "give the token or the token's file, not both");
  auto secret = ReadSecretFile(file);
  if (!secret) return reader.Refuse(file_key, secret.error().Message());
  token = *secret;
}

Result<NodeConfig> ReadNode(const std::string& path, const YamlNode& node) {
  NodeConfig config;
  ConfigReader reader(path, node);
  reader.RequiredText("name", config.name);
  if (!config.name.empty() && !IsName(config.name)) reader.Refuse("name", kNameRule);
  reader.RequiredText("agent", config.agent);
  if (!config.agent.empty()) {
    auto url = http::ParseUrl(config.agent);
    if (url) {
      config.agent_url = *url;
    } else {
      reader.Refuse("agent", url.error().Message());
    }
  }
  reader.Number("priority", -1000000, 1000000, config.priority);
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

Result<GroupConfig> ReadGroup(const std::string& path, const YamlNode& node) {
  GroupConfig config;
  ConfigReader reader(path, node);
  reader.RequiredText("name", config.name);
  if (!config.name.empty() && !IsName(config.name)) reader.Refuse("name", kNameRule);
  const YamlNode* nodes = reader.Node("nodes");
  if (nodes == nullptr || nodes->kind != YamlNode::Kind::kSequence || nodes->elements.empty()) {
    reader.Refuse("nodes", "nodes: expected a list of at least one {name, agent}");
  } else {
    std::set<std::string> names;
    for (const auto& element : nodes->elements) {
      auto read = ReadNode(path, element);
      if (!read) return Fail(read.error());
      if (!names.insert(read->name).second) {
        return Fail(YamlError(path, element.mark, "node '" + read->name + "' is named twice in this group"));
      }
      config.nodes.push_back(std::move(*read));
    }
  }
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

}  // namespace

const char kControllerConfigExample[] =
    R"(api: {host: 127.0.0.1, port: 7700}      # tokenFile: /etc/walstitch/token
stateDir: /var/lib/walstitch-controller
agentTokenFile: /etc/walstitch/agent-token   # optional
policies: [/etc/walstitch/policies]          # files or directories of *.yaml
maxConcurrentFullSyncs: 1
logLevel: info
groups:
  - name: shop
    nodes:
      - {name: n1, agent: "http://10.0.0.1:7667", priority: 100}
      - {name: n2, agent: "http://10.0.0.2:7667"}
)";

Result<ControllerConfig> ParseControllerConfig(const std::string& path, std::string_view content) {
  auto tree = ParseYaml(path, content);
  if (!tree) return Fail(tree.error());
  ControllerConfig config;
  ConfigReader reader(path, *tree);
  if (const YamlNode* api = reader.Node("api")) {
    ConfigReader sub(path, *api);
    sub.Text("host", config.api_host);
    sub.Port("port", config.api_port);
    ReadToken(sub, "token", "tokenFile", config.api_token);
    reader.Adopt(sub.Finish());
  }
  ReadToken(reader, "agentToken", "agentTokenFile", config.agent_token);
  reader.RequiredText("stateDir", config.state_dir);
  reader.Texts("policies", config.policies);
  reader.Number("maxConcurrentFullSyncs", 1, 1000, config.max_concurrent_full_syncs);
  reader.Text("logLevel", config.log_level);
  static const std::set<std::string> kLevels = {"trace", "debug", "info", "warning", "error"};
  if (!kLevels.contains(config.log_level)) {
    reader.Refuse("logLevel", "logLevel: expected trace, debug, info, warning or error");
  }
  const YamlNode* groups = reader.Node("groups");
  if (groups == nullptr || groups->kind != YamlNode::Kind::kSequence || groups->elements.empty()) {
    reader.Refuse("groups", "groups: expected a list of at least one {name, nodes}");
  } else {
    std::set<std::string> names;
    for (const auto& element : groups->elements) {
      auto read = ReadGroup(path, element);
      if (!read) return Fail(read.error());
      if (!names.insert(read->name).second) {
        return Fail(YamlError(path, element.mark, "group '" + read->name + "' is named twice"));
      }
      config.groups.push_back(std::move(*read));
    }
  }
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

Result<ControllerConfig> LoadControllerConfig(const std::string& path) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  return ParseControllerConfig(path, *content);
}

}  // namespace walstitch::shell
