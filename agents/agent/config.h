// The agent's configuration: a YAML file. Unknown keys are refused, every error has file, line, column.
// Plain data, no ownership. Secrets can stand in files of their own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agents/agent/salvage_store.h"
#include "agents/http/access_config.h"
#include "policies/config_reference.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::agent {

struct AgentConfig {
  std::string node;
  std::string group;
  Endpoint kvrocks{"127.0.0.1", 6666};
  std::string password;        // requirepass of the node
  std::string data_directory;  // Kvrocks' `dir`, holds db/; empty: POLLUPDATES only
  Endpoint announce;           // where other nodes reach this node's server
  Endpoint relay{"127.0.0.1", 7666};
  std::string relay_password;               // what the node's masterauth must be; empty: anything
  std::optional<http::TlsFiles> relay_tls;  // for a node with tls-replication
  Endpoint gate{"127.0.0.1", 0};  // where other nodes' relays reach the server by TLS; port 0: nowhere
  std::string gate_client_name;   // that the certificates of those who come to it must be for; empty: any
  http::TlsFiles gate_tls;
  std::uint16_t upstream_port = 0;             // of the other nodes' hosts; 0: what they announce
  std::optional<http::TlsFiles> upstream_tls;  // towards the servers of the other nodes
  std::string upstream_password;               // requirepass of the other nodes
  Endpoint api{"127.0.0.1", 7667};
  http::ApiAccess access;                  // who may speak to the API; its own token is shown to other agents
  std::optional<http::TlsFiles> peer_tls;  // towards agents that are named by https://
  std::string state_directory;
  std::string leave_directory;  // see leave.h; empty: nobody asks
  std::string database_name;    // Kvrocks' db-name; empty: asked from the node
  SalvageLimits salvage;
  std::string log_level = "info";
};

// What the command line says, where one file is for many nodes. It counts more than the file.
struct ConfigOverrides {
  std::string node;  // empty: as the file says
  std::string host;  // of the API, and announced for the server; empty: as the file says
};

// Parses and checks the content. Reads the secret files that it names; relative ones are taken from
// the working directory. `path` is for error messages.
Result<AgentConfig> ParseConfig(const std::string& path, std::string_view content,
                                const ConfigOverrides& overrides = {});
Result<AgentConfig> LoadConfig(const std::string& path, const ConfigOverrides& overrides = {});

// Every key that the file may have.
ConfigReference DescribeConfig();
// The same for people, in Markdown, with the example.
std::string ConfigReferenceText();

// For --help.
std::string_view ExampleConfig();

}  // namespace walstitch::agent
