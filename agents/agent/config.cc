#include "agents/agent/config.h"

#include "policies/config_reader.h"
#include "policies/name.h"
#include "policies/yaml_tree.h"

namespace walstitch::agent {

namespace {

constexpr std::int64_t kMaxKeepMs = std::int64_t{10} * 366 * 24 * 3600 * 1000;

constexpr const char* kNameRule = "expected a name of at most 64 letters, digits, '-', '_' and '.'";

void ReadName(ConfigReader& reader, std::string_view key, std::string& field, const KeyWords& words) {
  reader.RequiredText(key, field, words);
  if (!field.empty() && !IsName(field)) reader.Refuse(key, kNameRule);
}

void ReadEndpoint(ConfigReader& reader, Endpoint& endpoint, const KeyWords& host, const KeyWords& port) {
  reader.Text("host", endpoint.host, host);
  reader.Port("port", endpoint.port, port);
  if (endpoint.host.empty()) reader.Refuse("host", "expected a host name or address");
}

// Who may be the node.
void ReadRelayAccess(ConfigReader& reader, AgentConfig& config) {
  reader.SecretFile(
      "passwordFile", "password", config.relay_password,
      Rare("The file that holds what Kvrocks' `masterauth` must be, so that nobody else on this machine can "
           "pose as it. Without it anything will do."));
  bool without = false;
  reader.Flag("withoutPassword", without,
              Rare("`true`: it may listen elsewhere than on loopback, and asks for no password there."));
  reader.Section("tls", Rare("For a Kvrocks with `tls-replication yes`; one without goes on in plain."),
                 [&](ConfigReader& part) {
                   http::TlsFiles files;
                   part.RequiredText("certificateFile", files.certificate,
                                     Rare("PEM: what the relay shows."));
                   part.RequiredText("keyFile", files.key, Rare("PEM: its private key."));
                   if (!files.certificate.empty() && !files.key.empty()) {
                     auto loaded = http::TlsIdentity::Load(http::TlsEnd::kServer, files);
                     if (!loaded) part.RefuseWhole("relay.tls: " + loaded.error().Message());
                   }
                   config.relay_tls = std::move(files);
                 });
  if (!http::IsLoopback(config.relay.host) && config.relay_password.empty() && !without) {
    reader.Refuse("host",
                  "the relay would listen on " + config.relay.host +
                      ", and anybody could pose as the node: listen on 127.0.0.1, name a passwordFile, "
                      "or say withoutPassword: true");
  }
}

// Where the server is reached by TLS.
void ReadGate(ConfigReader& reader, AgentConfig& config) {
  config.gate.port = 7668;
  ReadEndpoint(reader, config.gate, Rare("Where it listens; or `--host`."),
               Rare("Its port, the same on every node: `upstreamPort`."));
  reader.RequiredText("certificateFile", config.gate_tls.certificate, Rare("PEM: what it shows."));
  reader.RequiredText("keyFile", config.gate_tls.key, Rare("PEM: its private key."));
  reader.RequiredText("clientCaFile", config.gate_tls.authority,
                      Rare("PEM: the certificates that those of relays and controllers must come from."));
  reader.Text(
      "clientName", config.gate_client_name,
      Rare("The name that those must be for. Without it any of theirs opens the gate: where that authority "
           "also signs for others, give a name that only nodes and controllers have."));
  const http::TlsFiles& files = config.gate_tls;
  if (files.certificate.empty() || files.key.empty() || files.authority.empty()) return;
  if (auto loaded = http::TlsIdentity::Load(http::TlsEnd::kServer, files); !loaded)
    reader.RefuseWhole("gate: " + loaded.error().Message());
}

AgentConfig ReadConfig(ConfigReader& reader, const ConfigOverrides& overrides) {
  AgentConfig config;
  const KeyWords node_words =
      "This node's name, unique in its group; or `--node`: at most 64 letters, digits, `-`, `_` and `.`.";
  if (overrides.node.empty()) {
    ReadName(reader, "node", config.node, node_words);
  } else {
    std::string ignored;
    reader.Text("node", ignored, node_words);
    config.node = overrides.node;
  }
  ReadName(reader, "group", config.group, "The group that the node is in, as the controller names it.");
  reader.Section("kvrocks", "The Kvrocks beside this agent.", [&](ConfigReader& part) {
    ReadEndpoint(part, config.kvrocks, "Where the agent reaches it.", "Its port.");
    part.SecretFile("passwordFile", "password", config.password,
                    "The file that holds Kvrocks' own `requirepass`. Leave it out if there is none.");
    part.Text("dir", config.data_directory,
              "Kvrocks' own `dir`, the one that holds `db/`; it is only read. Without it the WAL is read "
              "through the server, and nothing can be padded or salvaged.");
  });
  config.announce = config.kvrocks;
  reader.Section("announce", "Where other nodes reach this node's server. Without it: as `kvrocks` says.",
                 [&](ConfigReader& part) {
                   ReadEndpoint(part, config.announce, "A host name or address; or `--host`.",
                                "The server's port there.");
                 });
  reader.Section("relay", "The listener that the Kvrocks beside this agent follows.",
                 [&](ConfigReader& part) {
                   ReadEndpoint(part, config.relay, "Where the relay listens: on loopback.",
                                "Its port: start Kvrocks with `--slaveof \"127.0.0.1 7666\"`.");
                   ReadRelayAccess(part, config);
                 });
  reader.Section("api", "The HTTP API, for the controller and for other agents.", [&](ConfigReader& part) {
    ReadEndpoint(part, config.api, "Where the API listens; or `--host`.", "Its port.");
    http::ReadApiAccess(part, config.access);
    if (!config.access.tokens.empty() && config.access.Own().Empty()) {
      part.RefuseWhole(
          "none of its tokens may operate: no controller could lead this node, and its master would park "
          "itself; name the controller's token in tokenFile");
    }
  });
  if (!overrides.host.empty()) {
    config.announce.host = overrides.host;
    config.api.host = overrides.host;
  }
  if (const std::string why = http::WhyNotListen(config.api.host, config.access); !why.empty())
    reader.Refuse("api", why);
  http::ReadClientTls(reader, "peerTls", config.peer_tls,
                      Rare("How other agents are spoken to where the controller names them by `https://`."));
  const bool gate = reader.Section(
      "gate",
      Rare("Other nodes' relays, with `upstreamTls`, reach this node's server here. See docs/relay-tls.md."),
      [&](ConfigReader& part) { ReadGate(part, config); });
  if (!gate) config.gate.port = 0;
  if (gate && !overrides.host.empty()) config.gate.host = overrides.host;
  http::ReadClientTls(reader, "upstreamTls", config.upstream_tls,
                      Rare("The servers of the other nodes are spoken to by TLS. See docs/relay-tls.md."));
  reader.OptionalPort(
      "upstreamPort", config.upstream_port,
      Rare("With `upstreamTls`: the port of the other nodes' gates, each at the host that it announces. "
           "Without it: the announced port, of servers that speak TLS themselves."));
  if (config.upstream_port != 0 && !config.upstream_tls)
    reader.Refuse("upstreamPort", "upstreamPort: means something with upstreamTls only");
  reader.SecretFile(
      "upstreamPasswordFile", "upstreamPassword", config.upstream_password,
      "The file that holds `requirepass` of the other nodes, that the relay follows. Leave it out "
      "if they have none.");
  reader.RequiredText("stateDir", config.state_directory,
                      "A directory of the agent's own: the lease, the commands that it has carried out, "
                      "salvages. It must outlive the process.");
  reader.Section("leave", "How a server that is about to be stopped says so.", [&](ConfigReader& part) {
    part.RequiredText("directory", config.leave_directory,
                      "Who stops the server makes the file `leave` there, and waits for `left`: another "
                      "node has taken over.");
  });
  reader.Text("databaseName", config.database_name, "Kvrocks' own `db-name`. Without it the node is asked.");
  reader.Section("salvage", "Tails that were given up, in `stateDir`/salvage.", [&](ConfigReader& part) {
    part.Duration("keepFor", 0, kMaxKeepMs, config.salvage.keep_for_ms,
                  "Older ones are removed, but never the newest.");
    part.Duration("keepAtLeast", 0, kMaxKeepMs, config.salvage.keep_at_least_ms,
                  "None is removed for `salvage.keepBytes` before.");
    part.Bytes("keepBytes", config.salvage.keep_bytes,
               "The oldest are removed until the rest is no more than this.");
    part.Bytes("diskFloor", config.salvage.disk_floor,
               "With less free space nothing is salvaged, and the node stays parked.");
  });
  reader.LogLevel(config.log_level);

  // 1. The relay listens where its node does, or the API where the relay does. 2. One of them cannot
  // start, or the node follows itself. Better said here than found out there.
  if (gate && (config.gate == config.relay || config.gate == config.api || config.gate == config.kvrocks))
    reader.Refuse("gate", "gate needs a port of its own");
  if (config.relay == config.api) reader.Refuse("api", "api and relay need different ports");
  if (config.relay == config.kvrocks) reader.Refuse("relay", "relay and kvrocks need different ports");
  if (config.api == config.kvrocks) reader.Refuse("api", "api and kvrocks need different ports");
  return config;
}

}  // namespace

Result<AgentConfig> ParseConfig(const std::string& path, std::string_view content,
                                const ConfigOverrides& overrides) {
  if (!overrides.node.empty() && !IsName(overrides.node)) {
    return Fail(ErrorCode::kInvalid, std::string("--node: ") + kNameRule);
  }
  auto tree = ParseYaml(path, content);
  if (!tree) return Fail(tree.error());
  ConfigReader reader(path, *tree);
  AgentConfig config = ReadConfig(reader, overrides);
  if (auto finished = reader.Finish(); !finished) return Fail(finished.error());
  return config;
}

ConfigReference DescribeConfig() {
  ConfigReference reference;
  ConfigReader reader(reference);
  (void)ReadConfig(reader, {});
  return reference;
}

Result<AgentConfig> LoadConfig(const std::string& path, const ConfigOverrides& overrides) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  return ParseConfig(path, *content, overrides);
}

std::string ConfigReferenceText() {
  return "## walstitch-agent\n\n"
         "One file in YAML, named by `--config`. It is read once, at the start. `walstitch-agent --check "
         "--config FILE` says whether it is good.\n\n" +
         ReferenceMarkdown(DescribeConfig()) + "An example:\n\n```yaml\n" + std::string(ExampleConfig()) +
         "```\n";
}

std::string_view ExampleConfig() {
  return R"(node: n1                      # this node's name, unique in its group; or --node
group: shop
kvrocks:
  host: 127.0.0.1
  port: 6666
  passwordFile: /etc/walstitch/requirepass    # leave out if the node has none
  dir: /data/kvrocks          # Kvrocks' own `dir`, the one that holds db/; read only
announce: {host: 10.0.0.1, port: 6666}       # where other nodes reach this node's server
relay: {host: 127.0.0.1, port: 7666}         # start Kvrocks with --slaveof "127.0.0.1 7666"
upstreamPasswordFile: /etc/walstitch/masterauth   # requirepass of the other nodes
api:
  host: 127.0.0.1             # elsewhere only with a token or a clientCaFile, or withoutToken: true
  port: 7667
  tokenFile: /etc/walstitch/agent-token      # of the controller and of the other agents; may do everything
  tokens:                                    # more of them; a file may hold several, one a line
    - {name: metrics, role: view, file: /etc/walstitch/view-token}   # role: view or operate
  # tls: {certificateFile: tls.crt, keyFile: tls.key, clientCaFile: ca.crt}   # clientCaFile: clients show theirs
# peerTls: {caFile: ca.crt, certificateFile: tls.crt, keyFile: tls.key}       # other agents by https://
# gate: {host: 10.0.0.1, port: 7668, certificateFile: tls.crt, keyFile: tls.key, clientCaFile: ca.crt}
# upstreamTls: {caFile: ca.crt, certificateFile: tls.crt, keyFile: tls.key}   # the other nodes' gates
# upstreamPort: 7668
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
