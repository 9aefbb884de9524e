// Snapshots for tests: a healthy group of n1 (master), n2 and n3, to be spoilt by each test.
#pragma once

#include <string>

#include "controller/core/snapshot.h"

namespace walstitch::core {

inline Endpoint EndpointOf(const std::string& node) { return {"10.0.0." + node.substr(1), 6666}; }

inline Report ReportOf(const std::string& node, std::uint64_t last) {
  Report report;
  report.node = node;
  report.group = "shop";
  report.endpoint = EndpointOf(node);
  report.process = ProcessState::kUp;
  report.role = Role::kReplica;
  report.upstream_is_relay = true;
  report.link_up = true;
  report.last = Sequence(last);
  report.full_sync = FullSyncState::kNone;
  report.relay.state = RelayState::kParked;
  report.relay.node_attached = true;
  return report;
}

// All three parked, no epoch yet.
inline GroupSnapshot NewGroup() {
  GroupSnapshot snapshot;
  snapshot.state.group = "shop";
  for (const std::string node : {"n1", "n2", "n3"}) {
    NodeView view;
    view.node = node;
    view.connected = true;
    view.report = ReportOf(node, 100);
    snapshot.nodes[node] = view;
  }
  return snapshot;
}

inline GroupSnapshot HealthyGroup() {
  GroupSnapshot snapshot = NewGroup();
  snapshot.state.management = Management::kManaged;
  ApplyPromotion(snapshot.state, "n1", 1, Sequence(0));
  Report& master = *snapshot.nodes["n1"].report;
  master.role = Role::kMaster;
  master.upstream_is_relay = false;
  master.relay.state = RelayState::kIdle;
  for (const std::string node : {"n2", "n3"}) {
    ApplyJoin(snapshot.state, node, Sequence(1));
    RelayReport& relay = snapshot.nodes[node].report->relay;
    relay.state = RelayState::kFollowing;
    relay.upstream = EndpointOf("n1");
    relay.upstream_connected = true;
  }
  return snapshot;
}

}  // namespace walstitch::core
