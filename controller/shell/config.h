// The controller's configuration file (YAML). `walstitch-controller --help` shows an example.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/http/access_config.h"
#include "agents/http/http_client.h"
#include "agents/http/rest_client.h"
#include "controller/core/leadership.h"
#include "controller/core/notice.h"
#include "controller/core/settings.h"
#include "policies/config_reference.h"
#include "policies/model/result.h"

namespace walstitch::shell {

struct NodeConfig : core::NodeSettings {
  http::Url agent_url;  // no host: it is not known where the agent is
};

struct GroupConfig {
  std::string name;
  std::vector<NodeConfig> nodes;
};

// Where the controller runs in Kubernetes: groups and agents come from the labels of pods (shell/pods.h).
struct KubernetesConfig {
  std::string server;           // "https://host:port"; empty: as the environment of a pod says
  std::string service_account;  // a directory with token, ca.crt and namespace
  // Several controllers, of which one leads, with all that they must remember in custom resources. False: one
  // controller, with a store of its own in stateDir.
  bool shared_store = false;
  std::string name = "walstitch";  // of the Lease and of the shared log
  core::LeaderTerms leadership;
  std::int64_t keep_decisions = 1000;  // in the shared store
  std::string policy_config_map;       // what events about the policies are about; empty: none are written
};

// Where clients that speak Sentinel's protocol are answered (sentinel/service.h).
struct SentinelConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 26379;
  // Where clients and the other controllers reach it, if not there.
  std::string announce_host;
  std::uint16_t announce_port = 0;
  std::vector<std::string> others;  // "host:port" of the other controllers; a name may stand for several
  bool without_token = false;       // whoever shows no token may ask, and not order
  // Towards the API of the controller that leads; none: as towards agents.
  std::optional<http::TlsFiles> leader_tls;
  std::int64_t max_connections = 1000;
  std::uint64_t max_request = 16 * 1024;  // bytes
  std::uint64_t max_output = 256 * 1024;  // bytes that wait for a subscriber
  std::int64_t request_timeout_ms = 10000;
  std::int64_t idle_timeout_ms = 600000;
};

// Who is told of what happens (shell/webhooks.h).
struct WebhookConfig {
  std::string name;  // unique, for logs and counts
  http::Origin origin;
  std::string target = "/";  // path and query; may be a secret
  std::string secret_file;   // one line for each secret that signs
  std::string ca_file;       // empty: the authorities that the system trusts
  std::set<core::NoticeKind> events = {core::NoticeKind::kDecision, core::NoticeKind::kOutcome,
                                       core::NoticeKind::kWithoutMaster};
  core::Severity severity = core::Severity::kWarning;  // of findings: at least
  std::int64_t timeout_ms = 5000;                      // of one attempt
  std::int64_t tell_again_ms = 600000;  // how far a new run looks back for what was perhaps not told; 0: not
};

struct ControllerConfig {
  std::string api_host = "127.0.0.1";
  std::uint16_t api_port = 7700;
  http::ApiAccess api_access;
  http::TokenSource agent_token;  // sent to the agents
  std::optional<http::TlsFiles>
      agent_tls;  // towards agents that are named by https://, or found by pods' labels
  std::optional<SentinelConfig> sentinel;
  // requirepass of the servers, to park one directly whose agent is gone; empty: they have none
  std::string kvrocks_password;
  std::optional<http::TlsFiles> kvrocks_tls;  // towards the servers
  std::uint16_t kvrocks_port = 0;             // of their hosts; 0: what their agents announce
  std::string state_dir;
  std::vector<std::string> policies;  // files or directories
  std::int64_t max_concurrent_full_syncs = 1;
  std::int64_t max_concurrent_full_syncs_per_zone = 0;  // 0: no limit of its own
  std::uint64_t full_sync_rate = 0;                     // bytes a second; 0: no limit
  core::FailoverSettings failover;
  std::string log_level = "info";
  std::vector<WebhookConfig> webhooks;
  std::vector<GroupConfig> groups;
  std::optional<KubernetesConfig> kubernetes;  // then there are no groups here
  std::string identity;                        // of this controller among others: its pod's name
};

// What the command line says, where one file is for several controllers. It counts more than the file.
struct ConfigOverrides {
  std::string host;      // of the API and of the Sentinel's protocol; empty: as the file says
  std::string identity;  // empty: none
};

extern const char kControllerConfigExample[];
extern const char kKubernetesConfigExample[];  // instead of groups
extern const char kWebhooksConfigExample[];

// Every key that the file may have.
ConfigReference DescribeControllerConfig();
// The same for people, in Markdown, with the examples.
std::string ControllerConfigReferenceText();

// `path` is for the errors.
Result<ControllerConfig> ParseControllerConfig(const std::string& path, std::string_view content,
                                               const ConfigOverrides& overrides = {});
Result<ControllerConfig> LoadControllerConfig(const std::string& path, const ConfigOverrides& overrides = {});

}  // namespace walstitch::shell
