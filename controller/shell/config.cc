#include "controller/shell/config.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <set>

#include "agents/http/http_client.h"
#include "policies/config_reader.h"
#include "policies/name.h"
#include "policies/yaml_tree.h"

namespace walstitch::shell {
namespace {

// Only ever compared and shown.
bool IsZone(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

constexpr std::string_view kNameRule = "a name has 1 to 64 of a-z A-Z 0-9 - _ .";

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kHour = 60 * 60 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

// The widest ranges that CheckSettings takes under any lease, so that none is described which it refuses.
// What follows from the lease of the file is said in words, and checked behind the reading.
constexpr std::int64_t kShortestLease = 500;
constexpr std::int64_t kLongestLease = 10 * 60 * kSecond;
constexpr std::int64_t kShortestRenewal = 50;

// An error stands at the setting that is most likely meant; one that is not in the file has its default,
// and then it is the other that does not fit.
void ReadFailover(ConfigReader& reader, core::FailoverSettings& settings) {
  reader.Section("lease", "How a master's right to be one is limited in time.", [&](ConfigReader& part) {
    part.Duration("duration", kShortestLease, kLongestLease, settings.lease.duration_ms,
                  "A lost machine is replaced after about so long.");
    part.Percent("drift", settings.lease.drift_permille,
                 "How much any clock may gain or lose: `0.1%` to `10%`.");
    part.Duration("park", core::kShortestParkMs, kLongestLease / 2, settings.lease.park_ms,
                  "So long before the end of its lease a master begins to park itself; with the drift, less "
                  "than half of the lease.");
  });
  reader.Section("failover", "When a master is replaced, and what is a finding.", [&](ConfigReader& part) {
    part.Flag("automatic", settings.automatic, "`false`: only when an operator asks.");
    part.Duration("unreachableAfter", kShortestRenewal, kHour, settings.unreachable_ms,
                  "An agent silent for so long counts as gone; at least a quarter of the lease.");
    part.Duration("hungAfter", kShortestRenewal, kHour, settings.hung_ms,
                  "A server that does not answer its agent for so long is hung; at least a quarter of the "
                  "lease.");
    part.Duration("loadingAfter", kSecond, kDay, settings.loading_ms, "Loading for longer is a finding.");
    part.Duration("stuckFeedAfter", 2 * kShortestRenewal, kDay, settings.stuck_feed_ms,
                  "A replica that advances no more while its master does is a finding; at least half of the "
                  "lease.");
    part.Duration("purgeWarning", 0, 30 * kDay, settings.purge_warning_ms,
                  "A resume point that will be purged within is a finding; `0s`: never.");
    part.Bytes("diskLow", settings.disk_low_bytes, "Less free space is a finding; `0`: never.");
    part.Duration("blockAfter", kShortestLease, 30 * kDay, settings.block_ms,
                  "A group is not failed over again for so long; at least one lease and its drift.");
    part.Number("maxConcurrent", 1, 1000, settings.max_concurrent, "Groups failed over at once.");
  });
  const auto problem = core::CheckSettings(settings);
  if (!problem) return;
  for (std::string_view setting : problem->settings) {
    if (reader.Has(setting)) return reader.Refuse(setting, problem->sentence);
  }
  reader.Refuse("failover", problem->sentence);
}

NodeConfig ReadNode(ConfigReader& reader, bool agent_tls) {
  NodeConfig config;
  reader.RequiredText("name", config.name,
                      "The node's name, unique in its group, as its agent's configuration has it.");
  if (!config.name.empty() && !IsName(config.name)) reader.Refuse("name", kNameRule);
  reader.RequiredText("agent", config.agent,
                      "Where the API of its agent is: `http://host:port`, or `https://` with `agentTls`.");
  if (!config.agent.empty()) {
    auto url = http::ParseUrl(config.agent);
    if (url) {
      config.agent_url = *url;
      if (url->tls && !agent_tls) {
        reader.Refuse("agent",
                      "agent: https:// needs agentTls: name the caFile that agents' certificates come from");
      }
    } else {
      reader.Refuse("agent", url.error().Message());
    }
  }
  reader.Number("priority", -1000000, 1000000, config.priority,
                "Of equally advanced nodes, the one with the higher priority is promoted.");
  reader.Text(
      "zone", config.zone,
      "What fails together, in your own words: 1 to 64 printable characters. It is compared and shown.");
  if (reader.Has("zone") && !IsZone(config.zone)) {
    reader.Refuse("zone", "zone: expected 1 to 64 printable characters, or leave zone out");
  }
  reader.Flag("candidate", config.candidate, "`false`: never promoted.");
  return config;
}

GroupConfig ReadGroup(ConfigReader& reader, bool agent_tls) {
  GroupConfig config;
  reader.RequiredText("name", config.name,
                      "The group's name, as its agents and policies say it: 1 to 64 of a-z A-Z 0-9 - _ .");
  if (!config.name.empty() && !IsName(config.name)) reader.Refuse("name", kNameRule);
  std::set<std::string> names;
  reader.Each("nodes", "The nodes of the group, at least one; one of them at least may be promoted.",
              [&](ConfigReader& part) {
                NodeConfig node = ReadNode(part, agent_tls);
                if (!node.name.empty() && !names.insert(node.name).second) {
                  part.RefuseWhole("node '" + node.name + "' is named twice in this group");
                }
                config.nodes.push_back(std::move(node));
              });
  if (config.nodes.empty()) {
    reader.Refuse("nodes", "nodes: expected a list of at least one {name, agent}");
  } else if (std::none_of(config.nodes.begin(), config.nodes.end(),
                          [](const NodeConfig& each) { return each.candidate; })) {
    reader.Refuse("nodes",
                  "nodes: candidate is false for all of them, so the group could never have a master; "
                  "expected at least one that may be promoted");
  }
  return config;
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code none;
  const auto address = boost::asio::ip::make_address(host, none);
  return !none && address.is_loopback();
}

// "https://host:port/path?query". What is wrong is said without the address itself: it may be a secret.
Result<void> ReadWebhookUrl(std::string_view text, bool insecure, WebhookConfig& config) {
  const std::size_t scheme = text.find("://");
  const bool known = text.starts_with("https://") || text.starts_with("http://");
  if (!known || scheme == std::string_view::npos) {
    return Fail(ErrorCode::kInvalid, "expected https://host:port/path");
  }
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable || text.size() > 2000) {
    return Fail(ErrorCode::kInvalid,
                "expected an address of at most 2000 printable characters, without spaces");
  }
  const std::size_t path = text.find_first_of("/?#", scheme + 3);
  const std::string_view authority = text.substr(0, path);
  if (text.find('#') != std::string_view::npos || authority.find('@') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalid,
                "expected no user, no password and no # in the address; what is sent is signed");
  }
  auto origin = http::ParseOrigin(authority);
  if (!origin) return Fail(origin.error());
  if (!origin->tls && !insecure && !IsLoopback(origin->host)) {
    return Fail(
        ErrorCode::kInvalid,
        "over http:// anybody between can read it, and hold it back: use https://, or say insecure: true");
  }
  config.origin = std::move(*origin);
  config.target = path == std::string_view::npos ? "/" : std::string(text.substr(path));
  if (config.target.front() != '/') config.target.insert(0, "/");
  return {};
}

WebhookConfig ReadWebhook(ConfigReader& reader) {
  WebhookConfig config;
  reader.RequiredText("name", config.name, "For logs and counts; unique: 1 to 64 of a-z A-Z 0-9 - _ .");
  if (!config.name.empty() && !IsName(config.name)) reader.Refuse("name", kNameRule);
  std::string url;
  reader.TextOrFile(
      "url", "urlFile", url,
      Rare("Where notices are posted: `https://host:port/path`; `http://` to loopback only, or with "
           "`insecure`. Nothing of its path is ever logged; if that is a secret, as chat services have it, "
           "name a file in `urlFile`."));
  bool insecure = false;
  reader.Flag("insecure", insecure, Rare("`true`: `http://` to other machines is meant."));
  if (!reader.Has("url") && !reader.Has("urlFile")) {
    reader.Refuse("url", "url: expected https://host:port/path, or urlFile with a file that holds it");
  } else if (auto read = ReadWebhookUrl(url, insecure, config); !read) {
    const std::string_view key = reader.Has("url") ? "url" : "urlFile";
    reader.Refuse(key, std::string(key) + ": " + read.error().Message());
  }
  reader.RequiredText("secretFile", config.secret_file,
                      "The file whose secret signs what is sent; read again for each attempt. While a secret "
                      "is exchanged it has a line for each.");
  reader.Text(
      "caFile", config.ca_file,
      "Certificates, in PEM, that the receiver's must come from; read again for each attempt. Without "
      "it: those that the system trusts.");
  std::vector<std::string> events;
  reader.Texts("events", events,
               "`decision`, `outcome`, `without_master` and `finding`. Without it: all but `finding`.");
  if (reader.Has("events")) {
    config.events.clear();
    for (const std::string& event : events) {
      const auto kind = core::NoticeKindOf(event);
      if (kind) config.events.insert(*kind);
      if (!kind) reader.Refuse("events", "events: expected decision, outcome, without_master or finding");
    }
    if (events.empty()) {
      reader.Refuse("events", "events: expected at least one; leave events out for the usual ones");
    }
  }
  std::string severity(core::ToString(config.severity));
  reader.Choice("severity", {"info", "warning", "critical"}, severity,
                "Of findings: the least that is sent.");
  config.severity = core::SeverityNamed(severity).value_or(config.severity);
  reader.Duration("timeout", 100, 60 * kSecond, config.timeout_ms, "Of one attempt.");
  reader.Duration("tellAgain", 0, kDay, config.tell_again_ms,
                  "How far back a controller that begins looks in the decision log for what was perhaps not "
                  "sent; `0s`: not.");
  return config;
}

void ReadWebhooks(ConfigReader& reader, std::vector<WebhookConfig>& hooks) {
  constexpr std::size_t kMost = 20;
  std::set<std::string> names;
  reader.Each("webhooks", "Who is told of what happens, over HTTP, at most 20; docs/webhooks.md.",
              [&](ConfigReader& part) {
                WebhookConfig hook = ReadWebhook(part);
                if (!hook.name.empty() && !names.insert(hook.name).second) {
                  part.RefuseWhole("webhook '" + hook.name + "' is named twice");
                }
                hooks.push_back(std::move(hook));
              });
  if (hooks.size() > kMost) {
    reader.Refuse("webhooks", "webhooks: expected at most " + std::to_string(kMost));
  }
}

// What is given to the API server as a name: RFC 1123, as it asks for.
bool IsObjectName(std::string_view text) {
  const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), inner) &&
         text.front() != '-' && text.back() != '-';
}

constexpr std::string_view kObjectNameRule =
    "a name of an object in Kubernetes has 1 to 63 of a-z 0-9 -, and no - at either end";

KubernetesConfig ReadKubernetes(ConfigReader& reader) {
  KubernetesConfig config;
  config.service_account = "/var/run/secrets/kubernetes.io/serviceaccount";
  reader.Text("server", config.server,
              Rare("The API server, `https://host:port`. Without it: as the environment of a pod says."));
  reader.Text("serviceAccount", config.service_account,
              Rare("A directory with `token`, `ca.crt` and `namespace`."));
  std::string store = "local";
  reader.Choice("store", {"local", "shared"}, store,
                "`local`: one controller, with its store in `stateDir`. `shared`: several, of which one "
                "leads, with custom resources as their store; each needs `--identity`.");
  config.shared_store = store == "shared";
  reader.Text("name", config.name, "Of the Lease and of the shared log.");
  if (!IsObjectName(config.name)) reader.Refuse("name", kObjectNameRule);
  reader.Section("leadership", "Which of several controllers leads.", [&](ConfigReader& part) {
    part.Duration("duration", 2 * kSecond, 10 * 60 * kSecond, config.leadership.duration_ms,
                  "Another controller leads after about so long; in whole seconds.");
    part.Percent("drift", config.leadership.drift_permille,
                 "How much any clock may gain or lose, at most `10%`.");
    // A Lease counts whole seconds.
    if (config.leadership.duration_ms % kSecond != 0)
      part.Refuse("duration", "duration: expected whole seconds");
    if (config.leadership.drift_permille > 100) part.Refuse("drift", "drift: expected at most 10%");
  });
  reader.Number("keepDecisions", 10, 100000, config.keep_decisions,
                "With `store: shared`, older decisions are removed.");
  reader.Text("policyConfigMap", config.policy_config_map,
              "The ConfigMap that events about the policies are about. Without it none are written.");
  return config;
}

// "host:port"; an IPv6 address stands in brackets.
bool IsAddress(std::string_view text) {
  const auto url = http::ParseUrl("http://" + std::string(text));
  const auto colon = text.rfind(':');
  return url && colon != std::string_view::npos && colon + 1 < text.size() && text.back() != ']' &&
         text.find('/') == std::string_view::npos;
}

SentinelConfig ReadSentinel(ConfigReader& reader, const ConfigOverrides& overrides, bool has_token) {
  SentinelConfig config;
  reader.Text("host", config.host, "Where it listens; or `--host`.");
  if (!overrides.host.empty()) config.host = overrides.host;
  reader.Port("port", config.port, "Its port.");
  config.announce_port = config.port;
  reader.Section("announce", "Where clients and the other controllers reach it, if not there.",
                 [&](ConfigReader& part) {
                   part.Text("host", config.announce_host, "Without it: as `host` above.");
                   part.Port("port", config.announce_port, "Without it: as `port` above.");
                 });
  if (config.announce_host.empty()) config.announce_host = config.host;
  reader.Texts("others", config.others,
               "The other controllers that answer, `host:port`; a name may stand for several. They are what "
               "`SENTINEL sentinels` lists.");
  for (const std::string& other : config.others) {
    if (IsAddress(other)) continue;
    reader.Refuse("others", "others: expected a list of host:port, such as 10.0.0.2:26379");
    break;
  }
  reader.Flag(
      "withoutToken", config.without_token,
      Rare("`true`: clients find the master without a token. Ordering a failover then always needs one."));
  http::ReadClientTls(
      reader, "leaderTls", config.leader_tls,
      Rare("How one that stands by speaks to the API of the one that leads, by `https://`. Without "
           "it: as `agentTls` says."));
  reader.Number("maxConnections", 10, 100000, config.max_connections,
                "Clients at once. Whoever has asked nothing for longest gives its place to a new one.");
  reader.Bytes("maxRequest", config.max_request, "Of one request, `1Ki` to `1Mi`.");
  if (config.max_request < 1024 || config.max_request > 1024 * 1024)
    reader.Refuse("maxRequest", "maxRequest: expected 1Ki to 1Mi");
  reader.Bytes("maxOutput", config.max_output,
               "That waits for one subscriber, who is disconnected beyond it; `16Ki` to `64Mi`.");
  if (config.max_output < 16 * 1024 || config.max_output > 64 * 1024 * 1024)
    reader.Refuse("maxOutput", "maxOutput: expected 16Ki to 64Mi");
  reader.Duration(
      "requestTimeout", kSecond, kHour, config.request_timeout_ms,
      "From a request's first byte to its last; and who takes less than 64 KiB of what waits for it in "
      "that time is disconnected.");
  reader.Duration("idleTimeout", kSecond, kDay, config.idle_timeout_ms,
                  "Without a request; subscribers may be silent for ever.");
  if (!http::IsLoopback(config.host) && !has_token && !config.without_token) {
    reader.Refuse("host",
                  "host: without a token, whoever reaches " + config.host +
                      " is answered, and may fail groups over; set api.tokenFile, listen on 127.0.0.1, "
                      "or say withoutToken: true");
  }
  return config;
}

ControllerConfig ReadConfig(ConfigReader& reader, const ConfigOverrides& overrides) {
  ControllerConfig config;
  reader.Section("api", "The HTTP API, for people and programs.", [&](ConfigReader& part) {
    part.Text("host", config.api_host, "Where the API listens; or `--host`.");
    part.Port("port", config.api_port, "Its port.");
    http::ReadApiAccess(part, config.api_access);
  });
  if (!overrides.host.empty()) config.api_host = overrides.host;
  if (const std::string why = http::WhyNotListen(config.api_host, config.api_access); !why.empty())
    reader.Refuse("api", why);
  config.identity = overrides.identity;
  reader.Section("sentinel",
                 "Sentinel's protocol, for clients that find the master with it. Without it none is served.",
                 [&](ConfigReader& part) {
                   config.sentinel = ReadSentinel(part, overrides, !config.api_access.tokens.empty());
                 });
  http::ReadTokenFile(
      reader, "agentTokenFile", "agentToken", config.agent_token,
      "The file that holds the bearer token that the APIs of the agents ask for; of several lines, the first "
      "is shown.");
  http::ReadClientTls(reader, "agentTls", config.agent_tls,
                      Rare("How agents are spoken to by `https://`; with `kubernetes`, all of them are."));
  reader.SecretFile("kvrocksPasswordFile", "kvrocksPassword", config.kvrocks_password,
                    "The file that holds `requirepass` of the servers, to park one directly whose agent is "
                    "gone. Leave it out if they have none.");
  http::ReadClientTls(reader, "kvrocksTls", config.kvrocks_tls,
                      Rare("The servers are spoken to by TLS, as agents with `upstreamTls` do."));
  reader.OptionalPort(
      "kvrocksPort", config.kvrocks_port,
      Rare("With `kvrocksTls`: the port of the agents' gates, as `upstreamPort` of the agents."));
  if (config.kvrocks_port != 0 && !config.kvrocks_tls)
    reader.Refuse("kvrocksPort", "kvrocksPort: means something with kvrocksTls only");
  reader.RequiredText("stateDir", config.state_dir,
                      "A directory of the controller's own: epochs, leases, decisions. It must outlive the "
                      "process.");
  reader.Texts("policies", config.policies,
               "Tolerance policies: files, or directories of `*.yaml`; read again when they change.");
  reader.Number("maxConcurrentFullSyncs", 1, 1000, config.max_concurrent_full_syncs,
                "Full syncs at once, in all groups together; the others wait in a queue.");
  reader.Number("maxConcurrentFullSyncsPerZone", 0, 1000, config.max_concurrent_full_syncs_per_zone,
                "The same of nodes in one zone; `0`: no limit of its own.");
  reader.Bytes("fullSyncRate", config.full_sync_rate,
               "Bytes a second of each full sync, such as `100Mi`; `0`: as fast as it goes.");
  ReadFailover(reader, config.failover);
  reader.LogLevel(config.log_level);
  ReadWebhooks(reader, config.webhooks);
  const bool in_kubernetes =
      reader.Section("kubernetes", "With it, groups and agents come from the labels of pods.",
                     [&](ConfigReader& part) { config.kubernetes = ReadKubernetes(part); });
  std::set<std::string> names;
  reader.Each("groups", "The groups, at least one. Not with `kubernetes`.", [&](ConfigReader& part) {
    GroupConfig group = ReadGroup(part, config.agent_tls.has_value());
    if (!group.name.empty() && !names.insert(group.name).second) {
      part.RefuseWhole("group '" + group.name + "' is named twice");
    }
    config.groups.push_back(std::move(group));
  });
  if (in_kubernetes && reader.Has("groups")) {
    reader.Refuse("groups", "groups: with kubernetes, they come from the labels of the pods; leave them out");
  } else if (!in_kubernetes && config.groups.empty()) {
    reader.Refuse("groups", "groups: expected a list of at least one {name, nodes}");
  }
  return config;
}

}  // namespace

const char kControllerConfigExample[] =
    R"(api:
  host: 127.0.0.1           # elsewhere only with a token or a clientCaFile, or withoutToken: true
  port: 7700
  tokenFile: /etc/walstitch/token          # may do everything; a file may hold several, one a line
  tokens:                                  # more of them, by name
    - {name: grafana, role: view, file: /etc/walstitch/view-token}   # role: view or operate
  # tls: {certificateFile: tls.crt, keyFile: tls.key, clientCaFile: ca.crt}   # clientCaFile: clients show theirs
sentinel:                   # for clients that speak Sentinel's protocol; leave it out, and it is not served
  host: 127.0.0.1
  port: 26379
  announce: {host: 10.0.0.9, port: 26379}   # where clients reach it, if not there
  others: ["10.0.0.10:26379"]               # the other controllers; a name may stand for several
  maxConnections: 1000
  maxRequest: 16Ki          # of one request
  maxOutput: 256Ki          # that waits for one subscriber
  requestTimeout: 10s       # from a request's first byte to its last
  idleTimeout: 10m          # without a request; subscribers may be silent for ever
stateDir: /var/lib/walstitch-controller
agentTokenFile: /etc/walstitch/agent-token   # optional
# agentTls: {caFile: ca.crt, certificateFile: tls.crt, keyFile: tls.key}   # agents by https://
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

const char kWebhooksConfigExample[] =
    R"(webhooks:                   # docs/webhooks.md: what is sent, and how its signature is checked
  - name: pager
    url: https://hooks.example.org/walstitch   # or urlFile; http:// to loopback only, or with insecure: true
    secretFile: /etc/walstitch/webhook-secret  # signs; a line for each secret, of which the receiver knows one
    caFile: /etc/walstitch/hooks-ca.pem        # leave out: the authorities that the system trusts
    events: [decision, outcome, without_master]   # and finding, of at least
    severity: warning         # info, warning or critical
    timeout: 5s               # of one attempt
    tellAgain: 10m            # what a new run tells again from the decision log; 0s: nothing
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
  ConfigReader reader(path, *tree);
  ControllerConfig config = ReadConfig(reader, overrides);
  if (auto done = reader.Finish(); !done) return Fail(done.error());
  if (config.kubernetes && config.kubernetes->shared_store && config.identity.empty()) {
    return Fail(ErrorCode::kInvalid,
                "--identity: with kubernetes.store: shared, each controller needs a name of "
                "its own, as its pod has");
  }
  return config;
}

ConfigReference DescribeControllerConfig() {
  ConfigReference reference;
  ConfigReader reader(reference);
  (void)ReadConfig(reader, {});
  return reference;
}

std::string ControllerConfigReferenceText() {
  return "## walstitch-controller\n\n"
         "One file in YAML, named by `--config`. It is read once, at the start; policies and secret files "
         "are "
         "described with their keys. `walstitch-controller --check --config FILE` says whether it is "
         "good.\n\n" +
         ReferenceMarkdown(DescribeControllerConfig()) + "An example:\n\n```yaml\n" +
         kControllerConfigExample +
         "```\n\nIn Kubernetes, instead of `groups` (the chart writes it):\n\n```yaml\n" +
         kKubernetesConfigExample + "```\n\nTo tell others of what happens:\n\n```yaml\n" +
         kWebhooksConfigExample + "```\n";
}

Result<ControllerConfig> LoadControllerConfig(const std::string& path, const ConfigOverrides& overrides) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  return ParseControllerConfig(path, *content, overrides);
}

}  // namespace walstitch::shell
