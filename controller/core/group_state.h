// What the controller remembers of a group across restarts: its epoch, who was promoted when, and
// which stream each node joined where. Data and pure functions; the store keeps it (shell/store.h).
//
// A stream is the history that the master of one epoch writes. Streams form a tree: the stream of an
// epoch continues the stream that its master followed before, up to the sequence of its promotion.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/fork.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

enum class Management { kNew, kManaged, kReleased };  // "new", "managed", "released"

std::string_view ToString(Management management);

// A splice or a pad of a node that was begun, and has not ended in a join yet.
struct Begun {
  Sequence intact_to;  // the lowest last that it had before one: what it holds behind that may be anything
  std::uint64_t epoch = 0;  // of the master that the latest was begun for
  Sequence own_last;        // its last before the first one for that master: the rest is that master's
  bool operator==(const Begun&) const = default;
};

// A node's place in the tree: since `from`, its history is that of the stream of `epoch`. Epoch 0: not
// known to be in any.
struct Membership {
  std::uint64_t epoch = 0;
  Sequence from;
  std::optional<Begun> begun{};  // absent: all that it holds is its stream's, or its own
  bool operator==(const Membership&) const = default;
};

struct Promotion {
  std::uint64_t epoch = 0;
  std::string node;
  Sequence at;        // the node's last before the promotion: the stream's first own record is at + 1
  Membership before;  // where the node was until then
  bool operator==(const Promotion&) const = default;
};

// A promotion whose answer was lost: the node may be a master, or become one yet.
struct Suspect {
  std::uint64_t epoch = 0;
  Sequence at;                // its last before the promotion, as far as known
  std::int64_t since_ms = 0;  // unix time of the command's end
  bool operator==(const Suspect&) const = default;
};

// The operator's word that the group, or a node, is to be left alone.
struct Hold {
  std::int64_t since_ms = 0;  // unix time
  std::string reason;         // the operator's; may be empty
  bool operator==(const Hold&) const = default;
};

struct GroupState {
  std::string group;
  Management management = Management::kNew;
  std::uint64_t epoch = 0;            // the highest epoch ever used in a decision
  std::string master;                 // the node promoted last; empty: none
  std::vector<Promotion> promotions;  // ascending epochs; the oldest may have been forgotten
  std::map<std::string, Membership> nodes;
  std::map<std::string, Suspect> suspects;  // by node
  std::optional<Hold> paused;               // nothing is done by itself
  std::map<std::string, Hold> maintenance;  // by node: it is neither promoted nor failed over
  std::int64_t blocked_until_ms = 0;        // unix time: no failover by itself before
  bool operator==(const GroupState&) const = default;
};

// How many promotions are remembered: a node that was away for longer is compared without the records.
inline constexpr std::size_t kRememberedPromotions = 256;

// The node became master of the epoch, its last having been `at`.
void ApplyPromotion(GroupState& state, const std::string& node, std::uint64_t epoch, Sequence at);
// A splice or a pad of the node, whose last is `last`, begins; ApplyJoin is its good end.
void ApplyBegun(GroupState& state, const std::string& node, Sequence last);
// The node follows the present master since `from`.
void ApplyJoin(GroupState& state, const std::string& node, Sequence from);

// A suspect may still turn out to be a master: it was not seen fenced since its command can have ended.
// A server may hold SLAVEOF NO ONE back while it joins its replication thread, for some ten seconds.
inline constexpr std::int64_t kSuspicionMs = 30000;

// What the records say about the common history of two nodes.
KnownHistory KnownBetween(const GroupState& state, const std::string& rejoiner, const std::string& survivor);

boost::json::value ToJson(const GroupState& state);
Result<GroupState> GroupStateFromJson(const boost::json::value& json);

}  // namespace walstitch::core
