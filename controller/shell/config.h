// The controller's configuration file (YAML). `walstitch-controller --help` shows an example.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agents/http/http_client.h"
#include "policies/model/result.h"

namespace walstitch::shell {

struct NodeConfig {
  std::string name;
  std::string agent;  // "http://host:port"
  http::Url agent_url;
  std::int64_t priority = 0;  // of equally advanced nodes, the higher one is promoted
};

struct GroupConfig {
  std::string name;
  std::vector<NodeConfig> nodes;
};

struct ControllerConfig {
  std::string api_host = "127.0.0.1";
  std::uint16_t api_port = 7700;
  std::string api_token;    // empty: no token is asked
  std::string agent_token;  // sent to the agents
  std::string state_dir;
  std::vector<std::string> policies;  // files or directories
  std::int64_t max_concurrent_full_syncs = 1;
  std::string log_level = "info";
  std::vector<GroupConfig> groups;
};

extern const char kControllerConfigExample[];

// `path` is for the errors.
Result<ControllerConfig> ParseControllerConfig(const std::string& path, std::string_view content);
Result<ControllerConfig> LoadControllerConfig(const std::string& path);

}  // namespace walstitch::shell
