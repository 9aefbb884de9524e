#include "controller/core/finding.h"

#include <algorithm>

namespace walstitch::core {
namespace {

bool Loading(const Report& report) { return report.loading || report.full_sync == FullSyncState::kRestoring; }

bool Parked(const Report& report) { return report.role == Role::kReplica && report.upstream_is_relay; }

// Its relay was told to follow the present master, whether the links stand at this moment or not.
bool FollowsMaster(const GroupSnapshot& snapshot, const NodeView& view) {
  const NodeView* master = snapshot.Find(snapshot.state.master);
  const Report* report = view.Fresh();
  if (report == nullptr || master == nullptr || !master->report) return false;
  auto membership = snapshot.state.nodes.find(view.node);
  auto masters = snapshot.state.nodes.find(snapshot.state.master);
  const bool joined = membership != snapshot.state.nodes.end() && masters != snapshot.state.nodes.end() &&
                      membership->second.epoch == masters->second.epoch;
  return joined && report->process == ProcessState::kUp && report->role == Role::kReplica &&
         report->upstream_is_relay && report->relay.state == RelayState::kFollowing &&
         report->relay.upstream == master->report->endpoint;
}

Finding MasterFinding(const GroupSnapshot& snapshot) {
  const std::string& name = snapshot.state.master;
  const NodeView* view = snapshot.Find(name);
  if (view == nullptr) {
    return {FindingCode::kMasterUnreachable, name,
            "master " + name +
                " is no longer in the configuration: add it again, or run: walstitch failover " +
                snapshot.state.group + " --force"};
  }
  const Report* report = view->Fresh();
  if (report == nullptr) {
    return {
        FindingCode::kMasterUnreachable, name,
        "the agent of master " + name +
            " does not answer; its server may be alive and taking writes. If you know that it is dead, run: "
            "walstitch failover " +
            snapshot.state.group + " --force"};
  }
  switch (report->process) {
    case ProcessState::kDown:
      return {FindingCode::kMasterProcessDown, name,
              "the server process of master " + name + " is down, says its agent; run: walstitch failover " +
                  snapshot.state.group};
    case ProcessState::kHung:
    case ProcessState::kUnknown:
      return {
          FindingCode::kMasterProcessHung, name,
          "the server of master " + name +
              " does not answer its agent; it may still hold writes. Stop it, then run: walstitch failover " +
              snapshot.state.group};
    case ProcessState::kUp:
      break;
  }
  return {FindingCode::kMasterParked, name,
          "master " + name + " is back, read-only; run: walstitch failover " + snapshot.state.group +
              " (the most advanced node becomes master, this one if it is)"};
}

std::optional<Finding> NodeFinding(const GroupSnapshot& snapshot, const NodeView& view) {
  const Report* report = view.Fresh();
  if (report == nullptr) {
    return Finding{FindingCode::kNodeUnreachable, view.node,
                   "the agent of " + view.node + " does not answer"};
  }
  if (report->process == ProcessState::kDown) {
    return Finding{FindingCode::kNodeDown, view.node, "the server process of " + view.node + " is down"};
  }
  if (report->process != ProcessState::kUp) {
    return Finding{FindingCode::kNodeWaiting, view.node,
                   "the server of " + view.node + " does not answer its agent"};
  }
  if (view.full_sync_open) {
    return Finding{FindingCode::kFullSyncRunning, view.node, "a full sync of " + view.node + " is under way"};
  }
  if (Loading(*report)) {
    return Finding{FindingCode::kNodeWaiting, view.node, view.node + " is loading its data"};
  }
  if (InService(snapshot, view)) return std::nullopt;
  if (snapshot.LiveMaster() == nullptr)
    return std::nullopt;  // nobody to rejoin to; the master's finding says so
  if (report->role == Role::kMaster) {
    return Finding{FindingCode::kSecondMaster, view.node,
                   view.node + " accepts writes, but " + snapshot.state.master + " is the master of epoch " +
                       std::to_string(snapshot.state.epoch) + ": it will be parked and rejoined"};
  }
  // A link that broke within an epoch is the relay's own to mend: it asks for exactly the next sequence,
  // and parks with an error if it is refused.
  if (FollowsMaster(snapshot, view)) {
    return Finding{FindingCode::kNodeWaiting, view.node,
                   view.node + " and its relay are reconnecting" +
                       (report->relay.error.empty() ? "" : ": " + report->relay.error)};
  }
  return Finding{
      FindingCode::kNodeToRejoin, view.node,
      view.node + " does not follow master " + snapshot.state.master + ": its rejoin will be decided"};
}

}  // namespace

std::string_view ToString(FindingCode code) {
  switch (code) {
    case FindingCode::kNewGroup:
      return "NewGroup";
    case FindingCode::kNodesMissing:
      return "NodesMissing";
    case FindingCode::kStoreLost:
      return "StoreLost";
    case FindingCode::kAdoptableGroup:
      return "AdoptableGroup";
    case FindingCode::kGroupReleased:
      return "GroupReleased";
    case FindingCode::kMasterUnreachable:
      return "MasterUnreachable";
    case FindingCode::kMasterProcessDown:
      return "MasterProcessDown";
    case FindingCode::kMasterProcessHung:
      return "MasterProcessHung";
    case FindingCode::kMasterParked:
      return "MasterParked";
    case FindingCode::kSecondMaster:
      return "SecondMaster";
    case FindingCode::kNodeToRejoin:
      return "NodeToRejoin";
    case FindingCode::kNodeWaiting:
      return "NodeWaiting";
    case FindingCode::kNodeDown:
      return "NodeDown";
    case FindingCode::kNodeUnreachable:
      return "NodeUnreachable";
    case FindingCode::kFullSyncRunning:
      return "FullSyncRunning";
  }
  return "";
}

bool InService(const GroupSnapshot& snapshot, const NodeView& view) {
  return FollowsMaster(snapshot, view) && view.report->relay.node_attached &&
         view.report->relay.upstream_connected;
}

std::vector<Finding> FindIn(const GroupSnapshot& snapshot) {
  const GroupState& state = snapshot.state;
  std::vector<Finding> findings;
  if (state.management == Management::kReleased) {
    return {{FindingCode::kGroupReleased, "",
             "the group is released: its nodes replicate directly; to take it back, run: walstitch adopt " +
                 state.group}};
  }
  if (state.management == Management::kNew) {
    std::string missing;
    std::size_t parked = 0;
    for (const auto& [name, view] : snapshot.nodes) {
      const Report* report = view.Fresh();
      if (report == nullptr || report->process != ProcessState::kUp || Loading(*report) || !report->last) {
        missing += (missing.empty() ? "" : ", ") + name;
      } else if (Parked(*report)) {
        ++parked;
      }
    }
    if (!missing.empty()) {
      return {{FindingCode::kNodesMissing, "",
               "a new group waits until every node is up and reported; still missing: " + missing}};
    }
    // 1. The controller's store is lost, all nodes boot parked. 2. Nobody remembers who was the last
    // master. 3. The greatest sequence may be an old master's tail: promoting it would give up what came
    // after.
    std::uint64_t seen = 0;
    for (const auto& [name, view] : snapshot.nodes) seen = std::max(seen, view.Fresh()->epoch);
    if (parked == snapshot.nodes.size() && seen > state.epoch) {
      return {
          {FindingCode::kStoreLost, "",
           "all nodes are parked and their agents have seen epoch " + std::to_string(seen) +
               ", but the controller knows of " + std::to_string(state.epoch) +
               ": its state was lost. If you know which node was the last master, run: walstitch failover " +
               state.group + " --to NODE --force"}};
    }
    if (parked == snapshot.nodes.size()) {
      return {{FindingCode::kNewGroup, "",
               "all nodes are parked and no epoch is recorded: a first master is due"}};
    }
    return {{FindingCode::kAdoptableGroup, "",
             "the group runs without Walstitch; to see what would be done, run: walstitch adopt " +
                 state.group + " --dry-run"}};
  }
  if (snapshot.LiveMaster() == nullptr) findings.push_back(MasterFinding(snapshot));
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == state.master) continue;
    if (auto finding = NodeFinding(snapshot, view)) findings.push_back(std::move(*finding));
  }
  return findings;
}

Condition ConditionOf(const GroupSnapshot& snapshot, const NodeView& view) {
  const Report* report = view.Fresh();
  if (report == nullptr) return {"unreachable", "the agent does not answer"};
  switch (report->process) {
    case ProcessState::kDown:
      return {"down", "the server process is down"};
    case ProcessState::kHung:
      return {"hung", "the server does not answer its agent"};
    case ProcessState::kUnknown:
      return {"unknown", "the agent has not heard from its server yet"};
    case ProcessState::kUp:
      break;
  }
  if (report->relay.state == RelayState::kFullSync) {
    return {"full sync", "a full sync that was decided is under way"};
  }
  if (Loading(*report)) return {"loading", "the server is loading its data"};
  if (report->role == Role::kMaster) {
    if (view.node == snapshot.state.master)
      return {"master", "master of epoch " + std::to_string(snapshot.state.epoch)};
    return snapshot.state.management == Management::kManaged
               ? Condition{"master", "a second master: it will be parked"}
               : Condition{"direct", "a master that Walstitch does not manage"};
  }
  if (!report->upstream_is_relay) {
    return {"direct",
            "replicates directly from " + (report->master ? report->master->ToString() : "an unknown node")};
  }
  if (InService(snapshot, view)) return {"following", "follows " + snapshot.state.master};
  if (report->relay.state == RelayState::kFollowing) {
    return {"following", "follows " + (report->relay.upstream ? report->relay.upstream->ToString() : "?") +
                             (report->relay.upstream_connected ? "" : ", reconnecting")};
  }
  return {"parked",
          report->relay.error.empty() ? "read-only, fed by its agent's relay only" : report->relay.error};
}

}  // namespace walstitch::core
