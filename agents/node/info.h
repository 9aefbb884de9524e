// What a node says of itself in INFO, as facts. Pure: text in, values out; total on any bytes.
//
// Kvrocks leaves out the replication and keyspace sections while it restores a full sync, and other
// versions have other fields: what is not there, or is no number, is absent, never a zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agents/node/kvrocks_client.h"
#include "policies/model/report.h"
#include "policies/model/sequence.h"

namespace walstitch::node {

// Lines `field:value`, ended by LF or CRLF; comments and anything else are skipped. Of a field that
// comes twice the first counts.
InfoFields ParseInfo(std::string_view text);

struct NodeFacts {
  Role role = Role::kUnknown;
  std::optional<Endpoint> master;        // a replica's configured master
  std::optional<bool> link_up;           // master_link_status
  std::optional<bool> sync_in_progress;  // master_sync_in_progress: fetching a full sync
  std::optional<bool> loading;           // restoring a full sync
  std::optional<std::uint64_t> connected_replicas;
  std::optional<Sequence> last;
  std::optional<SyncCounters> counters;
  std::string version;
  std::optional<bool> cluster_enabled;
  std::optional<std::uint64_t> process_id;  // tells one run of the server from the next
  std::optional<std::uint64_t> uptime_s;
  std::optional<std::uint64_t> data_bytes;  // used_db_size: of its SST files
  // Why it refuses writes as a master, one sentence; empty: INFO tells of no reason.
  std::string writes_refused;
};

NodeFacts ReadFacts(const InfoFields& fields);

// A whole decimal number of at most 64 bits, nothing around it.
std::optional<std::uint64_t> ParseNumber(std::string_view text);

}  // namespace walstitch::node
