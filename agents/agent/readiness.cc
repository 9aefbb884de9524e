#include "agents/agent/readiness.h"

namespace walstitch::agent {

Readiness ReadinessOf(const Report& report) {
  switch (report.process) {
    case ProcessState::kUnknown:
      return {false, "the agent has not heard from its server yet"};
    case ProcessState::kDown:
      return {false, "the server process is down"};
    case ProcessState::kHung:
      return {false, "the server does not answer"};
    case ProcessState::kUp:
      break;
  }
  if (report.loading || report.full_sync == FullSyncState::kRestoring)
    return {false, "the server is loading its data"};
  if (report.role == Role::kMaster) {
    if (report.leased && !report.lease_left_ms)
      return {false, "it is a master without a lease, to be parked"};
    return {true, "it is the master"};
  }
  if (report.role != Role::kReplica) return {false, "the server's role is not known"};
  const std::string upstream = report.relay.upstream ? report.relay.upstream->ToString() : "its master";
  if (!report.upstream_is_relay) {
    return report.link_up ? Readiness{true, "it replicates directly, without Walstitch"}
                          : Readiness{false, "its link to its master is down"};
  }
  if (report.relay.state != RelayState::kFollowing) {
    return {false, "it follows nobody: its relay is in the state " +
                       std::string(ToString(report.relay.state)) +
                       (report.relay.error.empty() ? "" : "; " + report.relay.error)};
  }
  if (!report.relay.node_attached) return {false, "it is reconnecting to its relay"};
  if (!report.relay.upstream_connected) return {false, "its relay is reconnecting to " + upstream};
  return {true, "it follows " + upstream};
}

}  // namespace walstitch::agent
