// A report: what an agent knows of its node at one moment. Facts only, no opinion.
//
// Sent by the agent to the controller (HTTP and WebSocket, JSON, see json.h). Absent facts are absent
// (std::nullopt), never a zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policies/model/batch.h"
#include "policies/model/sequence.h"

namespace walstitch {

enum class ProcessState { kUnknown, kUp, kHung, kDown };  // "unknown", "up", "hung", "down"
enum class Role { kUnknown, kMaster, kReplica };          // "unknown", "master", "replica"
enum class FullSyncState { kUnknown, kNone, kFetching, kRestoring };
// What the relay does to its node; "idle" = not the node's upstream (a master, or released).
enum class RelayState { kIdle, kParked, kPadding, kSplicing, kFollowing, kRescuing, kFullSync };

std::string_view ToString(ProcessState state);
std::string_view ToString(Role role);
std::string_view ToString(FullSyncState state);  // "unknown", "none", "fetching", "restoring"
std::string_view ToString(
    RelayState state);  // "idle", "parked", "padding", "splicing", "following", "rescuing", "fullsync"

// Host and port of a Kvrocks server, as other nodes reach it.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
  [[nodiscard]] std::string ToString() const { return host + ":" + std::to_string(port); }
};

struct RelayReport {
  RelayState state = RelayState::kIdle;
  bool node_attached = false;         // the node's replication connection stands
  std::optional<Sequence> node_next;  // the sequence that the node expects next
  std::optional<Endpoint> upstream;   // following or full sync: whom
  bool upstream_connected = false;
  std::optional<std::int64_t>
      upstream_silent_ms;                // since anything came from it; an idle master pings every 2 s
  std::uint64_t frames_forwarded = 0;    // since the agent started
  std::uint64_t bytes_forwarded = 0;     // to the node, replication stream
  std::uint64_t full_sync_bytes = 0;     // to the node, full-sync files
  std::uint64_t full_syncs_refused = 0;  // dialogues that the node began and nobody decided
  std::string error;                     // why it parked by itself, or why following does not start
};

// Kvrocks' own counters, INFO stats. They count what this node *served*.
struct SyncCounters {
  std::uint64_t sync_full = 0;
  std::uint64_t sync_partial_ok = 0;
  std::uint64_t sync_partial_err = 0;
  // Partial syncs for which the server padded the replica itself; absent: it does not offer that.
  std::optional<std::uint64_t> sync_partial_padding{};
  bool operator==(const SyncCounters&) const = default;
};

// Of the file system that holds the node's data.
struct DiskReport {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  bool read_only = false;
  bool operator==(const DiskReport&) const = default;
};

struct Report {
  std::string node;
  std::string group;
  std::string boot_id;       // of the agent's machine; empty: an agent of an older version
  std::int64_t boot_ms = 0;  // its boot clock when the report was made: leases are counted from it
  std::int64_t time_ms = 0;  // unix time at the agent, for people; not for ordering
  std::uint64_t number = 0;  // grows with each report of one agent run
  std::uint64_t epoch = 0;   // the highest epoch that the agent has seen
  Endpoint endpoint;         // where other nodes reach this node's server
  Endpoint relay_endpoint;   // what this node's server is told to be the slave of; port 0: not told
  ProcessState process = ProcessState::kUnknown;
  Role role = Role::kUnknown;
  std::optional<Endpoint> master;  // a replica's configured master
  bool upstream_is_relay = false;  // that master is this agent's own relay
  bool link_up = false;            // master_link_status:up
  std::uint64_t connected_replicas = 0;
  std::optional<Sequence> last;  // the last sequence that the node holds
  bool loading = false;
  FullSyncState full_sync = FullSyncState::kUnknown;
  RelayReport relay;
  std::optional<SyncCounters> counters;
  std::string version;                // Kvrocks version as INFO says it
  bool replication_id_psync = false;  // use-rsid-psync
  bool cluster_enabled = false;
  bool wal_readable = false;                     // the data directory's WAL files can be read
  std::optional<std::int64_t> lease_left_ms;     // how long it may go on as master; absent: no lease
  std::optional<std::int64_t> promised_left_ms;  // how long it refuses promotions yet; absent: not at all
  bool leased = false;                           // it has been given a lease once: without one it parks
  std::optional<DiskReport> disk;
  // The server's files, by its own count (used_db_size): without what is only in memory and in the WAL.
  std::optional<std::uint64_t> data_bytes;
  std::optional<bool> empties_before_full_sync;  // slave-empty-db-before-fullsync
  bool leaving = false;        // its server is about to be stopped, and wants to be no master then
  std::string writes_refused;  // why the server itself refuses writes as a master, one sentence; or empty
  std::string error;           // the last thing that went wrong, one sentence; or empty
};

}  // namespace walstitch
