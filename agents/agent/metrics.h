// What the agent counts, as Prometheus reads it; docs/metrics.md has the table. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "agents/agent/command_service.h"
#include "agents/agent/lease_service.h"
#include "agents/agent/salvage_store.h"
#include "agents/metrics/process_numbers.h"
#include "agents/relay/relay.h"
#include "policies/model/batch.h"
#include "policies/model/report.h"

namespace walstitch::agent {

struct SalvageNumbers {
  std::uint64_t kept = 0;
  std::uint64_t damaged = 0;
  std::uint64_t bytes = 0;  // of those that are kept
};

struct AgentNumbers {
  metrics::ProcessNumbers process;
  Report report;
  relay::RelayCounts relay;
  LeaseCounts leases;
  CommandService::Counts commands;
  std::uint64_t found_parked = 0;          // times that the node became its relay's replica by itself
  std::optional<WalExtent> wal;            // of the files; absent: they cannot be read
  std::uint64_t wal_bytes_read = 0;        // of these files, since the agent started
  std::optional<SalvageNumbers> salvages;  // absent: their worker is busy
  SalvageLimits salvage_limits;
  std::optional<DiskReport> state_disk;  // the file system of the salvages; absent: it cannot be looked at
};

// Every metric of the agent. All but the process' own have the labels group and node.
std::span<const metrics::MetricInfo> AgentMetrics();

std::string MetricsText(const AgentNumbers& numbers);

// What a listener for the node's server counts, as numbers of the program: "relay", "gate".
void AddListener(const std::string& listener, const relay::ListenerCounts& counts,
                 metrics::ProcessNumbers* numbers);

}  // namespace walstitch::agent
