#include "agents/agent/report_builder.h"

namespace walstitch::agent {

namespace {

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

FullSyncState FullSyncOf(const node::NodeFacts& facts, const RelayReport& relay) {
  if (facts.loading.value_or(false)) return FullSyncState::kRestoring;
  if (facts.sync_in_progress.value_or(false)) return FullSyncState::kFetching;
  // The dialogue goes through the relay: it knows of it before the node's INFO does.
  if (relay.state == RelayState::kFullSync) return FullSyncState::kFetching;
  if (!facts.loading) return FullSyncState::kUnknown;
  if (facts.role == Role::kReplica && !facts.sync_in_progress) return FullSyncState::kUnknown;
  return FullSyncState::kNone;
}

bool SameRelay(const RelayReport& left, const RelayReport& right) {
  return left.state == right.state && left.node_attached == right.node_attached &&
         left.upstream == right.upstream && left.upstream_connected == right.upstream_connected &&
         left.full_syncs_refused == right.full_syncs_refused && left.error == right.error;
}

}  // namespace

ProcessState ClassifyProcess(const Result<node::InfoFields>& info) {
  if (info) return ProcessState::kUp;
  switch (info.error().Code()) {
    case ErrorCode::kUnavailable:
      return ProcessState::kDown;
    case ErrorCode::kTimeout:
      return ProcessState::kHung;
    case ErrorCode::kConflict:
    case ErrorCode::kInvalid:
      return ProcessState::kUp;
    case ErrorCode::kNotFound:
    case ErrorCode::kStale:
    case ErrorCode::kDamaged:
    case ErrorCode::kIo:
      return ProcessState::kUnknown;
  }
  return ProcessState::kUnknown;
}

bool SameEndpoint(const Endpoint& left, const Endpoint& right) {
  if (left.port != right.port) return false;
  return left.host == right.host || (IsLoopback(left.host) && IsLoopback(right.host));
}

Report BuildReport(const ReportInput& input) {
  Report report;
  report.node = input.node;
  report.group = input.group;
  report.boot_id = input.boot_id;
  report.boot_ms = input.boot_ms;
  report.time_ms = input.time_ms;
  report.number = input.number;
  report.epoch = input.epoch;
  report.endpoint = input.endpoint;
  report.relay_endpoint = input.relay_endpoint;
  report.disk = input.disk;
  report.process = input.seen.process;
  report.relay = input.relay;
  report.wal_readable = input.wal_readable;
  report.replication_id_psync = input.replication_id_psync;
  report.empties_before_full_sync = input.empties_before_full_sync;
  report.error = !input.fence_note.empty()   ? input.fence_note
                 : !input.seen.error.empty() ? input.seen.error
                                             : input.error;

  const node::NodeFacts* facts = input.seen.facts ? &*input.seen.facts : nullptr;
  const node::NodeFacts* known = facts != nullptr ? facts : input.known ? &*input.known : nullptr;
  if (known != nullptr) {
    report.version = known->version;
    report.cluster_enabled = known->cluster_enabled.value_or(false);
  }
  if (facts != nullptr || (known != nullptr && input.seen.process == ProcessState::kHung)) {
    report.role = known->role;
    report.master = known->master;
    report.upstream_is_relay = known->master && SameEndpoint(*known->master, input.relay_endpoint);
  }
  if (facts != nullptr) {
    report.link_up = facts->link_up.value_or(false);
    report.connected_replicas = facts->connected_replicas.value_or(0);
    report.loading = facts->loading.value_or(false);
    report.full_sync = FullSyncOf(*facts, input.relay);
    report.counters = facts->counters;
    report.writes_refused = facts->writes_refused;
    report.data_bytes = facts->data_bytes;
    if (!report.loading) report.last = facts->last;
  } else if (input.seen.process == ProcessState::kDown) {
    report.last = input.wal_last;
  }
  return report;
}

bool SameSubstance(const Report& left, const Report& right) {
  return left.epoch == right.epoch && left.process == right.process && left.role == right.role &&
         left.master == right.master && left.upstream_is_relay == right.upstream_is_relay &&
         left.link_up == right.link_up && left.connected_replicas == right.connected_replicas &&
         left.last == right.last && left.loading == right.loading && left.full_sync == right.full_sync &&
         left.counters == right.counters && left.version == right.version &&
         left.replication_id_psync == right.replication_id_psync &&
         left.empties_before_full_sync == right.empties_before_full_sync &&
         left.cluster_enabled == right.cluster_enabled && left.wal_readable == right.wal_readable &&
         left.lease_left_ms.has_value() == right.lease_left_ms.has_value() &&
         left.promised_left_ms.has_value() == right.promised_left_ms.has_value() &&
         left.leased == right.leased && left.leaving == right.leaving &&
         left.writes_refused == right.writes_refused && left.disk.has_value() == right.disk.has_value() &&
         (!left.disk || left.disk->read_only == right.disk->read_only) && left.error == right.error &&
         SameRelay(left.relay, right.relay);
}

}  // namespace walstitch::agent
