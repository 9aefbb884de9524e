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

// Only ever compared and shown.
bool IsZone(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

constexpr std::string_view kNameRule = "a name has 1 to 64 of a-z A-Z 0-9 - _ .";

void ReadSecret(ConfigReader& reader, std::string_view key, std::string_view file_key, std::string& secret) {
  std::string file;
  reader.Text(key, secret);
  reader.Text(file_key, file);
  if (file.empty()) return;
  if (!secret.empty()) {
    return reader.Refuse(file_key,
                         "give " + std::string(key) + " or " + std::string(file_key) + ", not both");
  }
  auto read = ReadSecretFile(file);
  if (!read) return reader.Refuse(file_key, read.error().Message());
  secret = *read;
}

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 60 * 60 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

// An error stands at the setting that is most likely meant; one that is not in the file has its default,
// and then it is the other that does not fit.
void ReadFailover(const std::string& path, ConfigReader& reader, core::FailoverSettings& settings) {
  YamlNode none;
  none.kind = YamlNode::Kind::kMapping;
  const YamlNode* lease_node = reader.Node("lease");
  const YamlNode* failover_node = reader.Node("failover");
  ConfigReader lease(path, lease_node == nullptr ? none : *lease_node);
  lease.Duration("duration", 0, kHour, settings.lease.duration_ms);
  lease.Percent("drift", settings.lease.drift_permille);
  lease.Duration("park", 0, kHour, settings.lease.park_ms);
  auto lease_read = lease.Finish();

  ConfigReader failover(path, failover_node == nullptr ? none : *failover_node);
  failover.Flag("automatic", settings.automatic);
  failover.Duration("unreachableAfter", 0, kHour, settings.unreachable_ms);
  failover.Duration("hungAfter", 0, kHour, settings.hung_ms);
  failover.Duration("loadingAfter", kSecond, kDay, settings.loading_ms);
  failover.Duration("stuckFeedAfter", 0, kDay, settings.stuck_feed_ms);
  failover.Duration("purgeWarning", 0, 30 * kDay, settings.purge_warning_ms);
  failover.Bytes("diskLow", settings.disk_low_bytes);
  failover.Duration("blockAfter", 0, 30 * kDay, settings.block_ms);
  failover.Number("maxConcurrent", 1, 1000, settings.max_concurrent);
  auto failover_read = failover.Finish();

  reader.Adopt(lease_read);
  reader.Adopt(failover_read);
  if (!lease_read || !failover_read) return;
  const auto problem = core::CheckSettings(settings);
  if (!problem) return;
  for (std::string_view setting : problem->settings) {
    const auto dot = setting.find('.');
    ConfigReader& part = setting.substr(0, dot) == "lease" ? lease : failover;
    const std::string_view key = setting.substr(dot + 1);
    if (!part.Has(key)) continue;
    part.Refuse(key, problem->sentence);
    return reader.Adopt(part.Finish());
  }
  reader.Refuse("failover", problem->sentence);
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
  reader.Text("zone", config.zone);
  if (reader.Has("zone") && !IsZone(config.zone)) {
    reader.Refuse("zone", "zone: expected 1 to 64 printable characters, or leave zone out");
  }
  reader.Flag("candidate", config.candidate);
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
    if (std::none_of(config.nodes.begin(), config.nodes.end(),
                     [](const NodeConfig& each) { return each.candidate; })) {
      reader.Refuse("nodes",
                    "nodes: candidate is false for all of them, so the group could never have a master; "
                    "expected at least one that may be promoted");
    }
  }
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

// What is given to the API server as a name: RFC 1123, as it asks for.
bool IsObjectName(std::string_view text) {
  const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), inner) &&
         text.front() != '-' && text.back() != '-';
}

constexpr std::string_view kObjectNameRule =
    "a name of an object in Kubernetes has 1 to 63 of a-z 0-9 -, and no - at either end";

Result<KubernetesConfig> ReadKubernetes(const std::string& path, const YamlNode& node) {
  KubernetesConfig config;
  config.service_account = "/var/run/secrets/kubernetes.io/serviceaccount";
  ConfigReader reader(path, node);
  reader.Text("server", config.server);
  reader.Text("serviceAccount", config.service_account);
  std::string store = "local";
  reader.Text("store", store);
  if (store != "local" && store != "shared") {
    reader.Refuse("store", "store: expected local (one controller) or shared (several)");
  }
  config.shared_store = store == "shared";
  reader.Text("name", config.name);
  if (!IsObjectName(config.name)) reader.Refuse("name", kObjectNameRule);
  if (const YamlNode* leadership = reader.Node("leadership")) {
    ConfigReader part(path, *leadership);
    part.Duration("duration", 2 * kSecond, 10 * 60 * kSecond, config.leadership.duration_ms);
    part.Percent("drift", config.leadership.drift_permille);
    // A Lease counts whole seconds.
    if (config.leadership.duration_ms % kSecond != 0)
      part.Refuse("duration", "duration: expected whole seconds");
    if (config.leadership.drift_permille > 100) part.Refuse("drift", "drift: expected at most 10%");
    reader.Adopt(part.Finish());
  }
  reader.Number("keepDecisions", 10, 100000, config.keep_decisions);
  reader.Text("policyConfigMap", config.policy_config_map);
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

Result<std::vector<GroupConfig>> ReadGroups(const std::string& path, const YamlNode& list) {
  std::vector<GroupConfig> groups;
  std::set<std::string> names;
  for (const auto& element : list.elements) {
    auto read = ReadGroup(path, element);
    if (!read) return Fail(read.error());
    if (!names.insert(read->name).second) {
      return Fail(YamlError(path, element.mark, "group '" + read->name + "' is named twice"));
    }
    groups.push_back(std::move(*read));
  }
  return groups;
}

}  // namespace

const char kControllerConfigExample[] =
    R"(api: {host: 127.0.0.1, port: 7700}      # tokenFile: /etc/walstitch/token
stateDir: /var/lib/walstitch-controller
agentTokenFile: /etc/walstitch/agent-token   # optional
kvrocksPasswordFile: /etc/walstitch/requirepass   # of the servers; leave out if they have none
policies: [/etc/walstitch/policies]          # files or directories of *.yaml
maxConcurrentFullSyncs: 1
maxConcurrentFullSyncsPerZone: 0   # of nodes in one zone; 0: no limit of its own
fullSyncRate: 0                    # bytes a second of each, as 100Mi; 0: as fast as it goes
logLevel: info
lease:                      # what is left out has the value shown here
  duration: 3s              # a lost machine is replaced after about so long
  drift: 1%                 # how much any clock may gain or lose
  park: 300ms               # so long before the end a master begins to park itself
failover:
  automatic: true           # false: only when an operator asks
  unreachableAfter: 1s      # an agent silent for so long counts as gone
  hungAfter: 1500ms         # a server that does not answer its agent for so long is hung
  loadingAfter: 60s         # loading for longer is a finding
  stuckFeedAfter: 5s        # a replica that advances no more while its master does is a finding
  purgeWarning: 10m         # a resume point that will be purged within is a finding
  diskLow: 1Gi              # less free space is a finding
  blockAfter: 60s           # a group is not failed over again for so long
  maxConcurrent: 3          # groups failed over at once
groups:
  - name: shop
    nodes:
      - {name: n1, agent: "http://10.0.0.1:7667", priority: 100, zone: eu-1}
      - {name: n2, agent: "http://10.0.0.2:7667", zone: eu-2}
      - {name: n3, agent: "http://10.0.0.3:7667", candidate: false}   # never promoted
)";

const char kKubernetesConfigExample[] =
    R"(kubernetes:
  store: local              # one controller, with its store in stateDir; shared: several, with custom resources
  name: walstitch           # of the Lease and of the shared log
  leadership: {duration: 15s, drift: 1%}   # shared: another controller leads after about so long
  keepDecisions: 1000       # shared: older ones are removed
  policyConfigMap: walstitch-policies      # events about the policies are about it
)";

Result<ControllerConfig> ParseControllerConfig(const std::string& path, std::string_view content,
                                               const ConfigOverrides& overrides) {
  auto tree = ParseYaml(path, content);
  if (!tree) return Fail(tree.error());
  ControllerConfig config;
  ConfigReader reader(path, *tree);
  if (const YamlNode* api = reader.Node("api")) {
    ConfigReader sub(path, *api);
    sub.Text("host", config.api_host);
    sub.Port("port", config.api_port);
    ReadSecret(sub, "token", "tokenFile", config.api_token);
    reader.Adopt(sub.Finish());
  }
  if (!overrides.host.empty()) config.api_host = overrides.host;
  config.identity = overrides.identity;
  ReadSecret(reader, "agentToken", "agentTokenFile", config.agent_token);
  ReadSecret(reader, "kvrocksPassword", "kvrocksPasswordFile", config.kvrocks_password);
  reader.RequiredText("stateDir", config.state_dir);
  reader.Texts("policies", config.policies);
  reader.Number("maxConcurrentFullSyncs", 1, 1000, config.max_concurrent_full_syncs);
  reader.Number("maxConcurrentFullSyncsPerZone", 0, 1000, config.max_concurrent_full_syncs_per_zone);
  reader.Bytes("fullSyncRate", config.full_sync_rate);
  ReadFailover(path, reader, config.failover);
  reader.Text("logLevel", config.log_level);
  static const std::set<std::string> kLevels = {"trace", "debug", "info", "warning", "error"};
  if (!kLevels.contains(config.log_level)) {
    reader.Refuse("logLevel", "logLevel: expected trace, debug, info, warning or error");
  }
  if (const YamlNode* kubernetes = reader.Node("kubernetes")) {
    auto read = ReadKubernetes(path, *kubernetes);
    if (!read) return Fail(read.error());
    config.kubernetes = std::move(*read);
    if (reader.Has("groups")) {
      reader.Refuse("groups",
                    "groups: with kubernetes, they come from the labels of the pods; leave them out");
    }
    if (config.kubernetes->shared_store && config.identity.empty()) {
      return Fail(ErrorCode::kInvalid,
                  "--identity: with kubernetes.store: shared, each controller needs a name of "
                  "its own, as its pod has");
    }
  } else {
    const YamlNode* groups = reader.Node("groups");
    if (groups == nullptr || groups->kind != YamlNode::Kind::kSequence || groups->elements.empty()) {
      reader.Refuse("groups", "groups: expected a list of at least one {name, nodes}");
    } else {
      auto read = ReadGroups(path, *groups);
      if (!read) return Fail(read.error());
      config.groups = std::move(*read);
    }
  }
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  return config;
}

Result<ControllerConfig> LoadControllerConfig(const std::string& path, const ConfigOverrides& overrides) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  return ParseControllerConfig(path, *content, overrides);
}

}  // namespace walstitch::shell
