#include "agents/agent/config.h"

#include "policies/config_reader.h"
#include "policies/yaml_tree.h"

namespace walstitch::agent {

namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::int64_t kMaxKeepMs = std::int64_t{10} * 366 * 24 * 3600 * 1000;

bool ValidName(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  for (char c : name) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '_' || c == '.';
    if (!good) return false;
  }
  return true;
}

void ReadName(ConfigReader& reader, std::string_view key, std::string& field) {
  reader.RequiredText(key, field);
  if (!field.empty() && !ValidName(field)) {
    reader.Refuse(key, "expected a name of at most 64 letters, digits, '-', '_' and '.'");
  }
}

// A secret stands in `key` or, as a file's content, in the file that `file_key` names.
void ReadSecret(ConfigReader& reader, std::string_view key, std::string_view file_key, std::string& field) {
  std::string file;
  reader.Text(key, field);
  reader.Text(file_key, file);
  if (file.empty()) return;
  if (!field.empty()) {
    reader.Refuse(file_key,
                  "give either " + std::string(key) + " or " + std::string(file_key) + ", not both");
    return;
  }
  auto secret = ReadSecretFile(file);
  if (!secret) {
    reader.Refuse(file_key, secret.error().Message());
  } else {
    field = *secret;
  }
}

void ReadEndpoint(ConfigReader& reader, Endpoint& endpoint) {
  reader.Text("host", endpoint.host);
  reader.Port("port", endpoint.port);
  if (endpoint.host.empty()) reader.Refuse("host", "expected a host name or address");
}

}  // namespace

Result<AgentConfig> ParseConfig(const std::string& path, std::string_view content,
                                const ConfigOverrides& overrides) {
  auto tree = ParseYaml(path, content);
  if (!tree) return Fail(tree.error());
  AgentConfig config;
  ConfigReader reader(path, *tree);
  if (overrides.node.empty()) {
    ReadName(reader, "node", config.node);
  } else {
    std::string ignored;
    reader.Text("node", ignored);
    config.node = overrides.node;
    if (!ValidName(config.node)) {
      return Fail(ErrorCode::kInvalid,
                  "--node: expected a name of at most 64 letters, digits, '-', '_' and '.'");
    }
  }
  ReadName(reader, "group", config.group);

  if (const YamlNode* node = reader.Node("kvrocks")) {
    ConfigReader part(path, *node);
    ReadEndpoint(part, config.kvrocks);
    ReadSecret(part, "password", "passwordFile", config.password);
    part.Text("dir", config.data_directory);
    reader.Adopt(part.Finish());
  }
  config.announce = config.kvrocks;
  if (const YamlNode* node = reader.Node("announce")) {
    ConfigReader part(path, *node);
    ReadEndpoint(part, config.announce);
    reader.Adopt(part.Finish());
  }
  if (const YamlNode* node = reader.Node("relay")) {
    ConfigReader part(path, *node);
    ReadEndpoint(part, config.relay);
    reader.Adopt(part.Finish());
  }
  if (const YamlNode* node = reader.Node("api")) {
    ConfigReader part(path, *node);
    ReadEndpoint(part, config.api);
    ReadSecret(part, "token", "tokenFile", config.token);
    reader.Adopt(part.Finish());
  }
  if (!overrides.host.empty()) {
    config.announce.host = overrides.host;
    config.api.host = overrides.host;
  }
  ReadSecret(reader, "upstreamPassword", "upstreamPasswordFile", config.upstream_password);
  reader.RequiredText("stateDir", config.state_directory);
  if (const YamlNode* node = reader.Node("leave")) {
    ConfigReader part(path, *node);
    part.RequiredText("directory", config.leave_directory);
    reader.Adopt(part.Finish());
  }
  reader.Text("databaseName", config.database_name);
  if (const YamlNode* node = reader.Node("salvage")) {
    ConfigReader part(path, *node);
    part.Duration("keepFor", 0, kMaxKeepMs, config.salvage.keep_for_ms);
    part.Duration("keepAtLeast", 0, kMaxKeepMs, config.salvage.keep_at_least_ms);
    part.Bytes("keepBytes", config.salvage.keep_bytes);
    part.Bytes("diskFloor", config.salvage.disk_floor);
    reader.Adopt(part.Finish());
  }
  reader.Text("logLevel", config.log_level);
  constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
  bool known_level = false;
  for (std::string_view level : kLevels) known_level = known_level || level == config.log_level;
  if (!known_level) reader.Refuse("logLevel", "expected one of trace, debug, info, warn, error");

  // 1. The relay listens where its node does, or the API where the relay does. 2. One of them cannot
  // start, or the node follows itself. Better said here than found out there.
  if (config.relay == config.api) reader.Refuse("api", "api and relay need different ports");
  if (config.relay == config.kvrocks) reader.Refuse("relay", "relay and kvrocks need different ports");
  if (config.api == config.kvrocks) reader.Refuse("api", "api and kvrocks need different ports");

  auto finished = reader.Finish();
  if (!finished) return Fail(finished.error());
  return config;
}

Result<AgentConfig> LoadConfig(const std::string& path, const ConfigOverrides& overrides) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  return ParseConfig(path, *content, overrides);
}

std::string_view ExampleConfig() {
  return R"(node: n1                      # this node's name, unique in its group; or --node
group: shop
kvrocks:
  host: 127.0.0.1
  port: 6666
  passwordFile: /etc/walstitch/requirepass   # or password: ...; leave out if the node has none
  dir: /data/kvrocks          # Kvrocks' own `dir`, the one that holds db/; read only
announce: {host: 10.0.0.1, port: 6666}       # where other nodes reach this node's server
relay: {host: 127.0.0.1, port: 7666}         # start Kvrocks with --slaveof "127.0.0.1 7666"
upstreamPasswordFile: /etc/walstitch/masterauth   # requirepass of the other nodes
api: {host: 127.0.0.1, port: 7667, tokenFile: /etc/walstitch/agent-token}
stateDir: /var/lib/walstitch-agent
leave: {directory: /run/walstitch}           # who stops the server makes the file "leave" there, and waits for "left"
salvage:                      # tails that were given up, in stateDir/salvage
  keepFor: 720h               # older ones are removed, but never the newest
  keepAtLeast: 24h            # none is removed for keepBytes before
  keepBytes: 10Gi             # the oldest are removed until the rest is no more than this
  diskFloor: 256Mi            # with less free space nothing is salvaged, and the node stays parked
databaseName: ""              # Kvrocks' db-name; empty: asked from the node
logLevel: info
)";
}

}  // namespace walstitch::agent
