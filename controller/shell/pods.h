// Groups and nodes as Kubernetes shows them: pods and StatefulSets with the label walstitch.io/group. Pure:
// the API's objects in (core/v1 Pod, apps/v1 StatefulSet), groups and labels out.
//
// A StatefulSet says which nodes there are, whether their pods are there or not: NAME-0 … NAME-(replicas-1).
// A pod that belongs to none with the label is a node as long as it is there. A node's name is its pod's
// name; its agent is at the pod's address, which another pod may have tomorrow (GroupMember::own_address).
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/finding.h"
#include "controller/shell/config.h"

namespace walstitch::shell {

inline constexpr std::string_view kGroupLabel = "walstitch.io/group";
inline constexpr std::string_view kRoleLabel = "walstitch.io/role";  // master, replica, parked
inline constexpr std::string_view kInServiceGate = "walstitch.io/in-service";

struct Pod {
  std::string name;
  std::string uid;
  std::string group;
  std::string ip;                  // empty: it has none yet, or none any more
  std::string stateful_set;        // that it belongs to; empty: none
  std::string role;                // the label as it is; empty: none
  bool gated = false;              // its readiness waits for the gate
  std::optional<bool> in_service;  // the gate's condition as it is; absent: never set
  std::int64_t priority = 0;
  std::string zone;
  bool candidate = true;
  std::uint16_t agent_port = 7667;
  bool ended = false;                 // it will run no more
  std::vector<std::string> problems;  // annotations that say nothing sensible, one sentence each
};

struct StatefulSet {
  std::string name;
  std::string group;
  std::int64_t replicas = 1;
  std::int64_t first = 0;  // the ordinal of the first
};

// nullopt: it is none of ours, or not a pod (a StatefulSet) at all.
std::optional<Pod> ReadPod(const boost::json::value& object);
std::optional<StatefulSet> ReadStatefulSet(const boost::json::value& object);

// By name, nodes by name. `problems` gets what does not fit, one sentence each. `tls`: agents speak TLS.
std::vector<GroupConfig> GroupsOf(const std::map<std::string, Pod>& pods,
                                  const std::map<std::string, StatefulSet>& sets,
                                  std::vector<std::string>* problems, bool tls = false);

// What is to be written on a pod, so that Services and kubelets know what the controller knows.
struct PodChange {
  std::string pod;
  std::optional<core::Place> role;  // the label
  std::optional<bool> in_service;   // the gate
};

// In the order in which they are to be written: first who is a master no more, then who is one. Of a node
// whose place is not known nothing is changed, except that nobody stays labelled a master beside `master`.
std::vector<PodChange> ChangesOf(const std::map<std::string, Pod>& pods,
                                 const std::map<std::string, std::optional<core::Place>>& places,
                                 const std::string& master);

}  // namespace walstitch::shell
