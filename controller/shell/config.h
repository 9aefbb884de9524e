// The controller's configuration file (YAML). `walstitch-controller --help` shows an example.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agents/http/http_client.h"
#include "controller/core/settings.h"
#include "policies/model/result.h"

namespace walstitch::shell {

struct NodeConfig : core::NodeSettings {
  http::Url agent_url;
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
  // requirepass of the servers, to park one directly whose agent is gone; empty: they have none
  std::string kvrocks_password;
  std::string state_dir;
  std::vector<std::string> policies;  // files or directories
  std::int64_t max_concurrent_full_syncs = 1;
  std::int64_t max_concurrent_full_syncs_per_zone = 0;  // 0: no limit of its own
  std::uint64_t full_sync_rate = 0;                     // bytes a second; 0: no limit
  core::FailoverSettings failover;
  std::string log_level = "info";
  std::vector<GroupConfig> groups;
};

extern const char kControllerConfigExample[];

// `path` is for the errors.
Result<ControllerConfig> ParseControllerConfig(const std::string& path, std::string_view content);
Result<ControllerConfig> LoadControllerConfig(const std::string& path);

}  // namespace walstitch::shell
