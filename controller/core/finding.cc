#include "controller/core/finding.h"

#include <algorithm>

#include "controller/core/endangered.h"

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
                      membership->second.epoch == masters->second.epoch && !membership->second.begun;
  return joined && report->process == ProcessState::kUp && report->role == Role::kReplica &&
         report->upstream_is_relay && report->relay.state == RelayState::kFollowing &&
         report->relay.upstream == master->report->endpoint;
}

// The replicas whose agents hear the master's server, with how long ago: "n2 (400 ms ago)".
std::string HeardBy(const GroupSnapshot& snapshot, const Endpoint& server) {
  std::string heard;
  for (const auto& name : NodesThatHear(snapshot, server)) {
    const RelayReport& relay = snapshot.Find(name)->report->relay;
    heard +=
        (heard.empty() ? "" : ", ") + name + " (" + std::to_string(*relay.upstream_silent_ms) + " ms ago)";
  }
  return heard;
}

Finding ParkedOutOfReach(const std::string& master, const SeenReplica& seen) {
  std::vector<Source> rests_on;
  if (!seen.through.empty()) rests_on.push_back(Source::kPeers);
  if (seen.probed || seen.by_hand) rests_on.push_back(Source::kProbe);
  std::string told = seen.probed ? "the controller" : "";
  for (const auto& name : seen.through) told += (told.empty() ? "" : ", ") + name;
  return {FindingCode::kMasterParked, master,
          "the agent of master " + master + " does not answer, and its server takes no writes: " +
              (seen.by_hand ? "the controller made it a replica itself"
                            : "it told " + told + " that it is a replica"),
          std::move(rests_on)};
}

// Whose agent has promised the master not to be promoted: the master's agent lives, and sees that node.
std::string PromisedBy(const GroupSnapshot& snapshot) {
  std::string promised;
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* report = view.Fresh();
    if (report == nullptr || name == snapshot.state.master) continue;
    if (report->promised_left_ms.value_or(0) > 0) promised += (promised.empty() ? "" : ", ") + name;
  }
  return promised;
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
    // 1. The controller loses the network, or an agent is restarted. 2. The master takes writes all the same.
    // 3. Failed over, the group would have stopped for nothing. So it is asked what others see.
    //
    // 1. The master is cut off from the controller and from one of its replicas, and parks itself, for not
    // all promise. 2. Another replica hears its server, which sends heartbeats still. 3. Taken for a living
    // master, it would leave the group without one for ever. So what counts is what the server says that it
    // is.
    if (snapshot.seen_replica) return ParkedOutOfReach(name, *snapshot.seen_replica);
    const std::string heard = view->report ? HeardBy(snapshot, view->report->endpoint) : std::string();
    if (!heard.empty()) {
      return {FindingCode::kMasterOutOfSight,
              name,
              "the agent of master " + name + " does not answer, but its server is heard by " + heard +
                  ": nothing is done",
              {Source::kPeers}};
    }
    if (const std::string promised = PromisedBy(snapshot); !promised.empty()) {
      return {FindingCode::kMasterOutOfSight,
              name,
              "the agent of master " + name +
                  " does not answer the controller, but goes on by the promise of " + promised +
                  ": nothing is done",
              {Source::kPeers}};
    }
    if (snapshot.master_probe.value_or(false)) {
      return {FindingCode::kMasterOutOfSight,
              name,
              "the agent of master " + name +
                  " does not answer, but its server answers the controller: nothing is done; start the agent",
              {Source::kProbe}};
    }
    std::vector<Source> rests_on = {Source::kPeers};
    if (snapshot.master_probe) rests_on.push_back(Source::kProbe);
    return {FindingCode::kMasterUnreachable, name,
            "neither the agent nor the server of master " + name + " is heard by anybody",
            std::move(rests_on)};
  }
  switch (report->process) {
    case ProcessState::kDown:
      return {FindingCode::kMasterProcessDown,
              name,
              "the server process of master " + name + " is down",
              {Source::kOwnAgent}};
    case ProcessState::kHung:
    case ProcessState::kUnknown:
      return {FindingCode::kMasterProcessHung,
              name,
              "the server of master " + name + " does not answer its agent; it may still hold writes",
              {Source::kOwnAgent}};
    case ProcessState::kUp:
      break;
  }
  return {FindingCode::kMasterParked,
          name,
          "master " + name + " is read-only: it came back, or its lease ran out",
          {Source::kOwnAgent}};
}

std::optional<Finding> NodeFinding(const GroupSnapshot& snapshot, const NodeView& view) {
  const Report* report = view.Fresh();
  if (report == nullptr) {
    return Finding{FindingCode::kNodeUnreachable, view.node,
                   "the agent of " + view.node + " does not answer"};
  }
  if (report->process == ProcessState::kDown) {
    return Finding{FindingCode::kNodeDown,
                   view.node,
                   "the server process of " + view.node + " is down",
                   {Source::kOwnAgent}};
  }
  if (report->process != ProcessState::kUp) {
    return Finding{FindingCode::kNodeWaiting,
                   view.node,
                   "the server of " + view.node + " does not answer its agent",
                   {Source::kOwnAgent}};
  }
  if (view.full_sync_open) {
    return Finding{FindingCode::kFullSyncRunning, view.node, "a full sync of " + view.node + " is under way"};
  }
  if (Loading(*report)) {
    if (view.durations.loading_ms >= snapshot.settings.loading_ms) {
      return Finding{FindingCode::kNodeLoadingLong,
                     view.node,
                     view.node + " has been loading its data for " +
                         std::to_string(view.durations.loading_ms / 1000) + " s: look at its log",
                     {Source::kOwnAgent}};
    }
    return Finding{
        FindingCode::kNodeWaiting, view.node, view.node + " is loading its data", {Source::kOwnAgent}};
  }
  if (InService(snapshot, view)) {
    if (snapshot.LiveMaster() != nullptr && view.durations.stuck_ms >= snapshot.settings.stuck_feed_ms) {
      return Finding{FindingCode::kFeedStuck,
                     view.node,
                     view.node + " follows " + snapshot.state.master + ", but stands still for " +
                         std::to_string(view.durations.stuck_ms / 1000) +
                         " s while its master is ahead: it is taken off and rejoined",
                     {Source::kOwnAgent}};
    }
    return std::nullopt;
  }
  // A master that nobody made one is parked, whether there is another or not: beside it nobody is promoted.
  const bool suspect = snapshot.state.suspects.contains(view.node);
  if (snapshot.LiveMaster() == nullptr && (report->role != Role::kMaster || suspect))
    return std::nullopt;  // nobody to rejoin to; the master's finding says so
  if (report->role == Role::kMaster) {
    return Finding{FindingCode::kSecondMaster,
                   view.node,
                   view.node + " accepts writes, but " + snapshot.state.master + " is the master of epoch " +
                       std::to_string(snapshot.state.epoch) + ": it will be parked and rejoined",
                   {Source::kOwnAgent}};
  }
  // A link that broke within an epoch is the relay's own to mend: it asks for exactly the next sequence,
  // and parks with an error if it is refused.
  if (report->leaving) {
    return Finding{FindingCode::kNodeWaiting,
                   view.node,
                   view.node + " is about to be stopped: it is rejoined when it is back",
                   {Source::kOwnAgent}};
  }
  if (FollowsMaster(snapshot, view)) {
    return Finding{FindingCode::kNodeWaiting, view.node,
                   view.node + " and its relay are reconnecting" +
                       (report->relay.error.empty() ? "" : ": " + report->relay.error)};
  }
  return Finding{
      FindingCode::kNodeToRejoin, view.node,
      view.node + " does not follow master " + snapshot.state.master + ": its rejoin will be decided"};
}

// The living master cannot write: its disk, or the server's own word.
std::optional<Finding> RefusesWrites(const GroupSnapshot& snapshot) {
  const NodeView* master = snapshot.LiveMaster();
  if (master == nullptr) return std::nullopt;
  const Report& report = *master->report;
  const bool read_only = report.disk && report.disk->read_only;
  if (report.writes_refused.empty() && !read_only) return std::nullopt;
  return Finding{FindingCode::kMasterRefusesWrites,
                 master->node,
                 "master " + master->node +
                     " cannot write: " + (read_only ? "its file system is read-only" : report.writes_refused),
                 {Source::kOwnAgent}};
}

std::optional<Finding> MasterLeaving(const GroupSnapshot& snapshot) {
  const NodeView* master = snapshot.LiveMaster();
  if (master == nullptr || !master->report->leaving) return std::nullopt;
  return Finding{FindingCode::kMasterLeaving,
                 master->node,
                 "master " + master->node + " is about to be stopped: another node takes over before",
                 {Source::kOwnAgent}};
}

// Of a node that is down, too: the operator is to know how long there is time to start it.
Finding ResumePointEndangered(const GroupSnapshot& snapshot, const NodeView& view) {
  const std::string until =
      *view.resume_left_ms == 0
          ? " is no longer in the WAL of " + snapshot.state.master +
                ", or may be purged at any moment: unless another node lends what is "
                "between, only a full sync brings it back"
          : " may be purged from the WAL of " + snapshot.state.master + " in " +
                std::to_string(*view.resume_left_ms / 1000) +
                " s: after that, unless another node lends what is between, only a full "
                "sync brings it back";
  const Report* report = view.Fresh();
  const bool away = report == nullptr || report->process != ProcessState::kUp;
  return {FindingCode::kResumePointEndangered,
          view.node,
          "the next sequence of " + view.node + until + (away ? "; it is away: start it before" : ""),
          {Source::kOwnAgent}};
}

void AddWarnings(const GroupSnapshot& snapshot, std::vector<Finding>& findings) {
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* report = view.Fresh();
    if (report != nullptr && report->disk && report->disk->free_bytes < snapshot.settings.disk_low_bytes) {
      findings.push_back({FindingCode::kDiskLow,
                          name,
                          name + " has " + std::to_string(report->disk->free_bytes >> 20) +
                              " MiB left on its disk: make room, or it will refuse writes",
                          {Source::kOwnAgent}});
    }
    if (IsEndangered(snapshot, view)) findings.push_back(ResumePointEndangered(snapshot, view));
  }
}

}  // namespace

std::string_view ToString(Source source) {
  switch (source) {
    case Source::kOwnAgent:
      return "own-agent";
    case Source::kPeers:
      return "peers";
    case Source::kProbe:
      return "probe";
  }
  return "";
}

std::span<const FindingCode> AllFindings() {
  static constexpr FindingCode kAll[] = {
      FindingCode::kNewGroup,         FindingCode::kNodesMissing,        FindingCode::kStoreLost,
      FindingCode::kAdoptableGroup,   FindingCode::kGroupReleased,       FindingCode::kMasterProcessDown,
      FindingCode::kMasterParked,     FindingCode::kMasterProcessHung,   FindingCode::kMasterUnreachable,
      FindingCode::kMasterOutOfSight, FindingCode::kMasterRefusesWrites, FindingCode::kMasterLeaving,
      FindingCode::kSecondMaster,     FindingCode::kNodeToRejoin,        FindingCode::kFeedStuck,
      FindingCode::kNodeWaiting,      FindingCode::kNodeLoadingLong,     FindingCode::kNodeDown,
      FindingCode::kNodeUnreachable,  FindingCode::kFullSyncRunning,     FindingCode::kResumePointEndangered,
      FindingCode::kDiskLow};
  static_assert(std::size(kAll) == static_cast<std::size_t>(FindingCode::kDiskLow) + 1);
  return kAll;
}

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
    case FindingCode::kMasterOutOfSight:
      return "MasterOutOfSight";
    case FindingCode::kMasterRefusesWrites:
      return "MasterRefusesWrites";
    case FindingCode::kMasterLeaving:
      return "MasterLeaving";
    case FindingCode::kFeedStuck:
      return "FeedStuck";
    case FindingCode::kNodeLoadingLong:
      return "NodeLoadingLong";
    case FindingCode::kResumePointEndangered:
      return "ResumePointEndangered";
    case FindingCode::kDiskLow:
      return "DiskLow";
    case FindingCode::kFullSyncRunning:
      return "FullSyncRunning";
  }
  return "";
}

bool InService(const GroupSnapshot& snapshot, const NodeView& view) {
  return FollowsMaster(snapshot, view) && view.report->relay.node_attached &&
         view.report->relay.upstream_connected;
}

std::string_view ToString(Place place) {
  switch (place) {
    case Place::kMaster:
      return "master";
    case Place::kReplica:
      return "replica";
    case Place::kParked:
      return "parked";
  }
  return "";
}

std::optional<Place> PlaceOf(const GroupSnapshot& snapshot, const NodeView& view) {
  const Report* report = view.Fresh();
  // Whose promotion is on record is the master, whatever its predecessor's silent agent would say.
  const bool replaced =
      snapshot.state.management == Management::kManaged && view.node != snapshot.state.master;
  if (report == nullptr) {
    const bool seen_replica = view.node == snapshot.state.master && snapshot.seen_replica.has_value();
    return seen_replica ? std::optional(Place::kParked) : std::nullopt;
  }
  switch (report->process) {
    case ProcessState::kUnknown:
    case ProcessState::kHung:
      return std::nullopt;
    case ProcessState::kDown:
      return Place::kParked;
    case ProcessState::kUp:
      break;
  }
  if (Loading(*report)) return Place::kParked;
  if (report->role == Role::kMaster) {
    if (replaced || (report->leased && !report->lease_left_ms)) return Place::kParked;
    return Place::kMaster;
  }
  if (report->role != Role::kReplica) return std::nullopt;
  if (!report->upstream_is_relay) return report->link_up ? Place::kReplica : Place::kParked;
  return InService(snapshot, view) && !view.rejoining ? Place::kReplica : Place::kParked;
}

std::optional<Finding> FindMasterTrouble(const GroupSnapshot& snapshot) {
  if (snapshot.LiveMaster() != nullptr) return std::nullopt;
  return MasterFinding(snapshot);
}

std::vector<std::string> NodesThatHear(const GroupSnapshot& snapshot, const Endpoint& server) {
  std::vector<std::string> names;
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* report = view.Fresh();
    if (report == nullptr || name == snapshot.state.master) continue;
    const RelayReport& relay = report->relay;
    if (relay.state != RelayState::kFollowing || relay.upstream != server || !relay.upstream_connected)
      continue;
    if (relay.upstream_silent_ms && *relay.upstream_silent_ms <= kPeerSilenceMs) names.push_back(name);
  }
  return names;
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
  if (auto trouble = FindMasterTrouble(snapshot)) findings.push_back(std::move(*trouble));
  if (auto refuses = RefusesWrites(snapshot)) findings.push_back(std::move(*refuses));
  if (auto leaving = MasterLeaving(snapshot)) findings.push_back(std::move(*leaving));
  for (const auto& [name, view] : snapshot.nodes) {
    if (name == state.master) continue;
    if (auto finding = NodeFinding(snapshot, view)) findings.push_back(std::move(*finding));
  }
  AddWarnings(snapshot, findings);
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
  if (report->relay.state == RelayState::kFollowing && view.rejoining) {
    return {"comparing", "follows " + snapshot.state.master +
                             "; what it holds is compared, and made equal, before it is in service"};
  }
  if (report->relay.state == RelayState::kFollowing) {
    return {"following", "follows " + (report->relay.upstream ? report->relay.upstream->ToString() : "?") +
                             (report->relay.upstream_connected ? "" : ", reconnecting")};
  }
  if (report->relay.state == RelayState::kSplicing) {
    const std::string from = report->relay.upstream ? report->relay.upstream->ToString() : "its master";
    return {"splicing", "what " + from + " wrote since the fork is replayed to it"};
  }
  return {"parked",
          report->relay.error.empty() ? "read-only, fed by its agent's relay only" : report->relay.error};
}

}  // namespace walstitch::core
