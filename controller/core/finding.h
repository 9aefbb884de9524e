// Findings: what is the matter with a group, in a closed vocabulary. Pure: a snapshot in, findings out.
//
// | finding                | what follows from it                                                      |
// |------------------------|---------------------------------------------------------------------------|
// | NewGroup               | the first master is chosen, without being asked                            |
// | NodesMissing           | nothing; a new group waits until every node has reported                   |
// | StoreLost              | nothing; the agents know a later epoch than the controller; an operator    |
// | AdoptableGroup         | nothing; an operator runs `walstitch adopt`                                |
// | GroupReleased          | nothing; the same                                                          |
// | MasterProcessDown      | a failover, at once                                                        |
// | MasterParked           | a failover, at once; the master came back read-only, and may win it; or    |
// |                        | its agent is silent, and its server was seen to be a replica               |
// | MasterProcessHung      | a failover, once its lease has run out                                     |
// | MasterUnreachable      | a failover, once it was fenced directly or its lease has run out           |
// | MasterOutOfSight       | nothing; others see the server alive, the controller alone does not, or    |
// |                        | only the agent is gone; it is asked through them whether it is parked      |
// | MasterRefusesWrites    | a switchover to a replica that does not                                    |
// | MasterLeaving          | a switchover; its server is about to be stopped                            |
// | SecondMaster           | the node is parked, then rejoined                                          |
// | NodeToRejoin           | a verdict is decided and carried out, without being asked                  |
// | FeedStuck              | the node is parked, then rejoined                                          |
// | NodeWaiting            | nothing; the node is starting, loading, or its agent is                    |
// | NodeLoadingLong        | nothing; an operator looks at it                                           |
// | NodeDown, NodeUnreachable | nothing                                                                 |
// | FullSyncRunning        | its end is waited for                                                      |
// | ResumePointEndangered  | a full sync while the group is calm, where the policy wants it (endangered.h); |
// |                        | else nothing; an operator starts the node, or lengthens its master's WAL   |
// | DiskLow                | nothing; an operator makes room                                            |
//
// Whether a failover follows, and when, is said by failover_gate.h: leases, pauses, blocks.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/snapshot.h"

namespace walstitch::core {

enum class FindingCode {
  kNewGroup,
  kNodesMissing,
  kStoreLost,
  kAdoptableGroup,
  kGroupReleased,
  kMasterProcessDown,
  kMasterParked,
  kMasterProcessHung,
  kMasterUnreachable,
  kMasterOutOfSight,
  kMasterRefusesWrites,
  kMasterLeaving,
  kSecondMaster,
  kNodeToRejoin,
  kFeedStuck,
  kNodeWaiting,
  kNodeLoadingLong,
  kNodeDown,
  kNodeUnreachable,
  kFullSyncRunning,
  kResumePointEndangered,
  kDiskLow,
};

std::string_view ToString(FindingCode code);
// In the order of their declaration.
std::span<const FindingCode> AllFindings();

// Whose word a finding is.
enum class Source {
  kOwnAgent,  // "own-agent": the agent beside the node
  kPeers,     // "peers": what other nodes' agents see of their link to it
  kProbe,     // "probe": the controller's own connection
};

std::string_view ToString(Source source);

struct Finding {
  FindingCode code = FindingCode::kNodeWaiting;
  std::string node;                // empty: the group
  std::string sentence;            // what, and what to do about it
  std::vector<Source> rests_on{};  // empty: the controller's own records
};

// The master itself is the matter: it is down, hung, parked or not heard of. nullopt: there is a living
// master.
std::optional<Finding> FindMasterTrouble(const GroupSnapshot& snapshot);

// A replica's agent whose relay heard the server of that node within this time sees it alive: an idle Kvrocks
// sends a heartbeat every two seconds.
inline constexpr std::int64_t kPeerSilenceMs = 2500;

// The replicas whose agents hear that server.
std::vector<std::string> NodesThatHear(const GroupSnapshot& snapshot, const Endpoint& server);

std::vector<Finding> FindIn(const GroupSnapshot& snapshot);

inline constexpr std::string_view kConditions[] = {"master", "following", "comparing",   "splicing",
                                                   "parked", "full sync", "loading",     "down",
                                                   "hung",   "direct",    "unreachable", "unknown"};

// One word for a node's state, for tables, and one sentence that explains it.
struct Condition {
  std::string word;  // of kConditions
  std::string sentence;
};
Condition ConditionOf(const GroupSnapshot& snapshot, const NodeView& view);

// What clients may use a node for.
enum class Place { kMaster, kReplica, kParked };  // "master", "replica", "parked"
std::string_view ToString(Place place);

// nullopt: it is not known now, and what was known last stands: a master whose agent alone is silent is still
// one.
std::optional<Place> PlaceOf(const GroupSnapshot& snapshot, const NodeView& view);

// The node follows the present master's stream through its relay, in the present epoch's order.
bool InService(const GroupSnapshot& snapshot, const NodeView& view);

}  // namespace walstitch::core
