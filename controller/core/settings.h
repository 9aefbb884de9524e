// What an operator sets of failovers, for all groups and for each node. Data and one check; the file they
// come from is read by shell/config.h, and controller/FAILOVER.md says what each buys and costs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/lease.h"

namespace walstitch::core {

struct FailoverSettings {
  bool automatic = true;  // false: an operator starts every failover
  LeaseTerms lease;
  std::int64_t unreachable_ms = 1000;         // an agent silent for so long counts as gone
  std::int64_t hung_ms = 1500;                // a server that does not answer its agent for so long is hung
  std::int64_t loading_ms = 60000;            // loading for longer is a finding
  std::int64_t stuck_feed_ms = 5000;          // a replica that advances no more while its master does
  std::int64_t purge_warning_ms = 600000;     // a resume point that will be purged within; 0: never told
  std::uint64_t disk_low_bytes = 1ULL << 30;  // less free space is a finding; 0: never told
  std::int64_t block_ms = 60000;    // after a failover the group is not failed over again for so long
  std::int64_t max_concurrent = 3;  // groups failed over at once
  bool operator==(const FailoverSettings&) const = default;
};

struct NodeSettings {
  std::string name;
  std::string agent;          // its agent, "http://host:port"
  std::int64_t priority = 0;  // of equally advanced nodes, the higher one is promoted
  std::string zone;           // what fails together, in the operator's own words; empty: not told
  bool candidate = true;      // false: never promoted
  bool own_address = true;    // of its agent, see GroupMember
  bool operator==(const NodeSettings&) const = default;
};

struct GroupSettings {
  std::string name;
  std::vector<NodeSettings> nodes;
  FailoverSettings failover;
};

// The shortest park time: SLAVEOF is one round trip on loopback, and waits for commands under way.
inline constexpr std::int64_t kShortestParkMs = 50;

// Settings that are unsafe or make no sense together.
struct SettingsProblem {
  std::vector<std::string_view> settings;  // as the file names them, the one most likely meant first
  std::string sentence;                    // what is wrong, why, and what to do
};

std::optional<SettingsProblem> CheckSettings(const FailoverSettings& settings);

}  // namespace walstitch::core
