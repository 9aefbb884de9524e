// What an operator sets about failovers. Data only; read and checked by controller/shell/config.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policies/model/lease.h"

namespace walstitch::core {

struct FailoverSettings {
  bool automatic = true;  // fail over without being asked
  LeaseTerms lease;
  std::int64_t unreachable_ms = 2000;         // an agent that is silent for so long counts as gone
  std::int64_t hung_ms = 1500;                // a server that does not answer its agent for so long is hung
  std::int64_t loading_ms = 60000;            // loading for longer is a finding
  std::int64_t stuck_feed_ms = 5000;          // a replica that stands still while its master goes on
  std::int64_t purge_warning_ms = 600000;     // a replica's resume point that will be purged within
  std::uint64_t disk_low_bytes = 1ULL << 30;  // less free space is a finding
  std::int64_t block_ms = 60000;              // a group is not failed over again for so long
  std::int64_t max_concurrent = 3;            // groups failed over at once
  bool operator==(const FailoverSettings&) const = default;
};

struct NodeSettings {
  std::string name;
  std::string agent;          // "http://host:port"
  std::int64_t priority = 0;  // of equally advanced nodes, the higher one is promoted
  std::string zone;           // of equals, one in the old master's zone is promoted
  bool candidate = true;      // false: never promoted
  bool operator==(const NodeSettings&) const = default;
};

struct GroupSettings {
  std::string name;
  std::vector<NodeSettings> nodes;
  FailoverSettings failover;
};

}  // namespace walstitch::core
