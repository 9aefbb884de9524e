#include "controller/shell/pods.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <set>

#include "policies/model/bytes.h"

namespace walstitch::shell {
namespace {

constexpr std::string_view kPriority = "walstitch.io/priority";
constexpr std::string_view kZone = "walstitch.io/zone";
constexpr std::string_view kCandidate = "walstitch.io/candidate";
constexpr std::string_view kAgentPort = "walstitch.io/agent-port";
// Kubernetes itself copies it from the machine to its pods, from 1.35 on.
constexpr std::string_view kTopologyZone = "topology.kubernetes.io/zone";
constexpr std::int64_t kMostPriority = 1000000;
constexpr std::int64_t kMostNodes = 64;

using boost::json::object;
using boost::json::value;

const object* ObjectAt(const object* parent, std::string_view name) {
  const value* found = parent == nullptr ? nullptr : parent->if_contains(name);
  return found == nullptr ? nullptr : found->if_object();
}

std::string TextAt(const object* parent, std::string_view name) {
  const value* found = parent == nullptr ? nullptr : parent->if_contains(name);
  return found == nullptr || !found->is_string() ? std::string() : std::string(found->get_string());
}

std::optional<std::int64_t> NumberAt(const object* parent, std::string_view name) {
  const value* found = parent == nullptr ? nullptr : parent->if_contains(name);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  boost::system::error_code problem;
  const auto number = found->to_number<std::int64_t>(problem);
  return problem ? std::nullopt : std::optional(number);
}

std::optional<std::int64_t> WholeNumber(std::string_view text, std::int64_t low, std::int64_t high) {
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size() || number < low || number > high)
    return std::nullopt;
  return number;
}

// An annotation is a person's text: one that says nothing sensible is told, and its default counts.
void ReadAnnotations(const object* annotations, Pod* pod) {
  const auto refuse = [&](std::string_view name, const std::string& text, std::string_view expected) {
    pod->problems.push_back("pod " + pod->name + ": annotation " + std::string(name) + " is '" +
                            ToPrintable(text) + "'; expected " + std::string(expected));
  };
  if (const std::string text = TextAt(annotations, kPriority); !text.empty()) {
    if (const auto number = WholeNumber(text, -kMostPriority, kMostPriority)) {
      pod->priority = *number;
    } else {
      refuse(kPriority, text, "a whole number from -1000000 to 1000000");
    }
  }
  if (const std::string text = TextAt(annotations, kAgentPort); !text.empty()) {
    if (const auto number = WholeNumber(text, 1, 65535)) {
      pod->agent_port = static_cast<std::uint16_t>(*number);
    } else {
      refuse(kAgentPort, text, "a port, 1 to 65535");
    }
  }
  if (const std::string text = TextAt(annotations, kCandidate); !text.empty()) {
    pod->candidate = text != "false";
    if (text != "false" && text != "true") refuse(kCandidate, text, "true or false");
  }
  if (const std::string text = TextAt(annotations, kZone); !text.empty()) pod->zone = text;
}

NodeConfig NodeOf(const std::string& name, const Pod* pod, bool tls) {
  NodeConfig node;
  node.name = name;
  node.own_address = false;
  if (pod == nullptr) return node;
  node.priority = pod->priority;
  node.zone = pod->zone;
  node.candidate = pod->candidate;
  if (pod->ip.empty()) return node;
  const std::string address = http::ToString(http::Url{pod->ip, std::to_string(pod->agent_port), tls});
  auto url = http::ParseUrl(address);
  if (!url) return node;
  node.agent = address;
  node.agent_url = *url;
  return node;
}

}  // namespace

std::optional<Pod> ReadPod(const value& given) {
  const object* metadata = ObjectAt(given.if_object(), "metadata");
  const object* labels = ObjectAt(metadata, "labels");
  Pod pod;
  pod.name = TextAt(metadata, "name");
  pod.group = TextAt(labels, kGroupLabel);
  if (pod.name.empty() || pod.group.empty()) return std::nullopt;
  pod.uid = TextAt(metadata, "uid");
  pod.role = TextAt(labels, kRoleLabel);
  pod.zone = TextAt(labels, kTopologyZone);
  ReadAnnotations(ObjectAt(metadata, "annotations"), &pod);
  const value* owners = metadata->if_contains("ownerReferences");
  if (owners != nullptr && owners->is_array()) {
    for (const value& owner : owners->get_array()) {
      if (TextAt(owner.if_object(), "kind") == "StatefulSet")
        pod.stateful_set = TextAt(owner.if_object(), "name");
    }
  }
  const object* status = ObjectAt(given.if_object(), "status");
  pod.ip = TextAt(status, "podIP");
  const std::string phase = TextAt(status, "phase");
  pod.ended = phase == "Succeeded" || phase == "Failed";
  if (pod.ended) pod.ip.clear();  // the address may be another's already
  const object* spec = ObjectAt(given.if_object(), "spec");
  const value* gates = spec == nullptr ? nullptr : spec->if_contains("readinessGates");
  if (gates != nullptr && gates->is_array()) {
    for (const value& gate : gates->get_array()) {
      pod.gated = pod.gated || TextAt(gate.if_object(), "conditionType") == kInServiceGate;
    }
  }
  const value* conditions = status == nullptr ? nullptr : status->if_contains("conditions");
  if (conditions != nullptr && conditions->is_array()) {
    for (const value& condition : conditions->get_array()) {
      if (TextAt(condition.if_object(), "type") != kInServiceGate) continue;
      pod.in_service = TextAt(condition.if_object(), "status") == "True";
    }
  }
  return pod;
}

std::optional<StatefulSet> ReadStatefulSet(const value& given) {
  const object* metadata = ObjectAt(given.if_object(), "metadata");
  StatefulSet set;
  set.name = TextAt(metadata, "name");
  set.group = TextAt(ObjectAt(metadata, "labels"), kGroupLabel);
  if (set.name.empty() || set.group.empty()) return std::nullopt;
  const object* spec = ObjectAt(given.if_object(), "spec");
  set.replicas = std::clamp<std::int64_t>(NumberAt(spec, "replicas").value_or(1), 0, kMostNodes);
  set.first = std::max<std::int64_t>(0, NumberAt(ObjectAt(spec, "ordinals"), "start").value_or(0));
  return set;
}

std::vector<GroupConfig> GroupsOf(const std::map<std::string, Pod>& pods,
                                  const std::map<std::string, StatefulSet>& sets,
                                  std::vector<std::string>* problems, bool tls) {
  std::map<std::string, std::map<std::string, NodeConfig>> groups;
  for (const auto& [name, set] : sets) {
    for (std::int64_t at = 0; at < set.replicas; ++at) {
      const std::string node = name + "-" + std::to_string(set.first + at);
      const auto pod = pods.find(node);
      const bool its_own = pod != pods.end() && pod->second.stateful_set == name;
      groups[set.group].emplace(node, NodeOf(node, its_own ? &pod->second : nullptr, tls));
    }
  }
  for (const auto& [name, pod] : pods) {
    for (const std::string& problem : pod.problems) problems->push_back(problem);
    const auto set = sets.find(pod.stateful_set);
    if (set == sets.end()) {
      // Also while a StatefulSet is exchanged for another, and its pods go on.
      if (!pod.ended) groups[pod.group].emplace(name, NodeOf(name, &pod, tls));
      if (pod.stateful_set.empty()) continue;
      problems->push_back("pod " + name + " has the label " + std::string(kGroupLabel) +
                          ", and its StatefulSet " + pod.stateful_set + " has not, or is gone: label both");
    } else if (set->second.group != pod.group) {
      problems->push_back("pod " + name + " is of group " + ToPrintable(pod.group) +
                          ", and its StatefulSet " + pod.stateful_set + " of group " +
                          ToPrintable(set->second.group) + ": label both alike");
    }
  }
  std::vector<GroupConfig> found;
  for (auto& [name, nodes] : groups) {
    GroupConfig group;
    group.name = name;
    for (auto& [node, config] : nodes) group.nodes.push_back(std::move(config));
    found.push_back(std::move(group));
  }
  return found;
}

std::vector<PodChange> ChangesOf(const std::map<std::string, Pod>& pods,
                                 const std::map<std::string, std::optional<core::Place>>& places,
                                 const std::string& master) {
  std::vector<PodChange> changes;
  for (const auto& [node, known] : places) {
    const auto found = pods.find(node);
    if (found == pods.end() || found->second.ended) continue;
    const Pod& pod = found->second;
    std::optional<core::Place> place = known;
    const bool stands_as_master =
        pod.role == ToString(core::Place::kMaster) && node != master && !master.empty();
    if (!place && stands_as_master) place = core::Place::kParked;
    PodChange change;
    change.pod = node;
    if (place && pod.role != ToString(*place)) change.role = place;
    const bool in_service = place && *place != core::Place::kParked;
    if (place && pod.gated && pod.in_service != in_service) change.in_service = in_service;
    if (change.role || change.in_service) changes.push_back(std::move(change));
  }
  std::stable_partition(changes.begin(), changes.end(),
                        [](const PodChange& change) { return change.role != core::Place::kMaster; });
  return changes;
}

}  // namespace walstitch::shell
