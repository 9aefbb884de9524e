// Findings: what is the matter with a group, in a closed vocabulary. Pure: a snapshot in, findings out.
//
// | finding                | what follows from it                                                      |
// |------------------------|---------------------------------------------------------------------------|
// | NewGroup               | the first master is chosen, without being asked                            |
// | NodesMissing           | nothing; a new group waits until every node has reported                   |
// | StoreLost              | nothing; the agents know a later epoch than the controller; an operator decides
// | | AdoptableGroup         | nothing; an operator runs `walstitch adopt`                                |
// | GroupReleased          | nothing; the same                                                          |
// | MasterUnreachable      | nothing; the agent does not answer, the server may well be alive           |
// | MasterProcessDown      | nothing; an operator runs `walstitch failover`                             |
// | MasterProcessHung      | nothing; the same, with --force                                            |
// | MasterParked           | nothing; the master came back read-only; `walstitch failover`              |
// | SecondMaster           | the node is parked, then rejoined                                          |
// | NodeToRejoin           | a verdict is decided and carried out, without being asked                  |
// | NodeWaiting            | nothing; the node is starting, loading, or its agent is                    |
// | NodeDown, NodeUnreachable | nothing                                                                |
// | FullSyncRunning        | its end is waited for                                                      |
#pragma once

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
  kMasterUnreachable,
  kMasterProcessDown,
  kMasterProcessHung,
  kMasterParked,
  kSecondMaster,
  kNodeToRejoin,
  kNodeWaiting,
  kNodeDown,
  kNodeUnreachable,
  kFullSyncRunning,
};

std::string_view ToString(FindingCode code);

struct Finding {
  FindingCode code = FindingCode::kNodeWaiting;
  std::string node;      // empty: the group
  std::string sentence;  // what, what it rests on, and what to do about it
};

std::vector<Finding> FindIn(const GroupSnapshot& snapshot);

// One word for a node's state, for tables, and one sentence that explains it.
struct Condition {
  std::string word;  // master, following, parked, full sync, down, hung, unreachable, loading, direct
  std::string sentence;
};
Condition ConditionOf(const GroupSnapshot& snapshot, const NodeView& view);

// The node follows the present master's stream through its relay, in the present epoch's order.
bool InService(const GroupSnapshot& snapshot, const NodeView& view);

}  // namespace walstitch::core
