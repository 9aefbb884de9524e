// Commands: what the controller asks of an agent. Each carries an id and an epoch; an agent refuses
// an epoch lower than the highest it has seen, and answers a repeated id with the recorded result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "policies/model/batch.h"
#include "policies/model/lease.h"
#include "policies/model/report.h"
#include "policies/model/sequence.h"
#include "policies/model/user_key.h"
#include "policies/model/values.h"

namespace walstitch {

// Hold the node read-only as the replica of its own relay, which sends nothing but heartbeats.
// Result: `last` = where it stands, once the node is attached and still.
struct ParkAction {};

// SLAVEOF NO ONE. Refused unless the node's last is at least `require_last`, if given.
// Result: `last` before the promotion (the fork point), `last_after` after it.
//
// With a lease, also refused when the lease's time is over by the agent's own clock, or while the node has
// promised a master not to be promoted, unless `holder_fenced`.
struct PromoteAction {
  std::optional<Sequence> require_last;
  std::optional<LeaseGrant> lease{};  // its first; without one, nothing parks it when the controller is gone
  // The master that it replaces is known to take no writes, or there is none: promises to it are void.
  bool holder_fenced = false;
  std::string replaces{};  // that master; promises to any other stand. Empty: not told, and none stands
};

// Move a parked node from expected_next forward by no-op records up to `target`, marked with the
// decision's id. target == expected_next (pad 0) writes nothing and succeeds. Result: `last` read back.
struct PadAction {
  Sequence expected_next;
  Sequence target;
  std::string decision;
  std::string replication_id;  // use-rsid-psync: the survivor's id at target - 1; else empty
};

// Follow the upstream's stream from the node's next. A node that is not yet the relay's replica is
// made so (adoption). Done when the upstream answered +OK, has sent the last batch if one is given, and the
// node is attached; if the upstream refuses, or what it sends is another batch, the node stays parked and the
// command has failed.
struct FollowAction {
  Endpoint upstream;
  std::optional<Sequence> expected_next;  // refuse unless the node's next is this
  // The batch that ends right before expected_next in the upstream's history, as it was when this was
  // decided: the upstream must send the very same one first. Absent: its WAL did not hold one.
  std::optional<BatchInfo> last_batch{};
};

// What another node's WAL holds, the batches from the node's next to the target, as if its master had sent
// them. That node's agent serves them: before a promotion, of the dead master's disk; before a node follows a
// master whose WAL no longer holds its next, of a node that is in service. The node is parked first, if it is
// not, and stays parked. Done when the node's last is target - 1. Result: `last` read back. Nothing happens,
// and it is done, if the node is there already.
struct RescueAction {
  std::string source;           // that node's name
  std::string source_url;       // its agent, "http://host:port"
  Sequence target;              // one past the last record that is taken
  std::uint64_t max_bytes = 0;  // more than this is not taken, and the command fails; 0: any number
  bool alive = false;           // it is in service, and lends; else its server must be dead
  // The batch that ends right before the target, as it was when this was decided: another one is not taken.
  std::optional<BatchInfo> last_batch{};
};

// Before a tail is given up: keep all that it holds in a salvage on the agent's disk
// (agents/agent/salvage_format.h has its files). The node is parked, and stands still. Done when the salvage
// is durable, or was before; a node whose salvage failed stays as it is. Result: `salvage`.
struct SalvageAction {
  SequenceRange range;   // the records. What of them the WAL no longer holds is named in the salvage
  Sequence fork;         // since then a key counts as changed on the survivor
  std::string decision;  // names the salvage
  std::string survivor;  // for whose history the tail is given up
  // False: what of the WAL cannot be read just now is left out, too, and named; and the tail is given up
  // even if nothing can be kept.
  bool required = true;
};

// On the master: write `count` no-op records, a filler marked with the decision's id, by which the numbers of
// a splice meet. Refused unless the node is a master whose lease, if it was given one, holds. What it holds
// of this filler already, from `from` on in its own WAL, is counted and not written again. Done when the
// filler stands there in full. Result: `last` read back.
struct AdvanceAction {
  Sequence from;  // the master's next when this was decided
  std::uint64_t count = 0;
  std::string decision;
};

// Replay to a parked node all that the upstream wrote after the fork, under the node's own numbers, without
// the decision's filler; where that ends the two count alike, and the node follows. Before that the tail is
// taken back as far as an undo plan of the node's agent says. Nothing happens unless the node stands at
// expected_next, and the agent still has that very plan. Done when the node was read back at exactly that
// place. Result: `last`, the last sequence before it: from `last` + 1 on both are in one stream. Whatever is
// not as computed, or breaks on the way, parks the node, and the command has failed: it holds a part of the
// replay then, as a longer tail.
struct SpliceAction {
  Endpoint upstream;
  Sequence fork;
  Sequence expected_next;
  // How many records the node holds after the fork, and is given to take them back; so many the filler has.
  std::uint64_t shift = 0;
  std::string decision;  // whose filler
  // The upstream's batch that ends at the fork, as it was when this was decided: the upstream must send the
  // very same one first. Absent: its WAL did not hold one.
  std::optional<BatchInfo> last_common{};
  std::string undo{};              // the plan's digest (UndoEvidence); empty: nothing is taken back
  std::uint64_t undo_records = 0;  // that it has
};

// Let the node make a full sync from the upstream, once. Done when it has begun; the report tells how
// it goes on (relay: full sync, then following).
struct FullSyncAction {
  Endpoint upstream;
  std::uint64_t bytes_per_second = 0;  // at most, on the average; 0: as fast as it goes
};

// Take note of the epoch; the node must be a master, and is left alone (adoption of a master).
struct AdoptMasterAction {
  std::optional<LeaseGrant> lease{};
};

// Direct replication again: SLAVEOF upstream (none for a master); the relay goes idle.
struct ReleaseAction {
  std::optional<Endpoint> upstream;
};

// What of a keyspace differs is made equal again on the master, key by key; replication carries it to every
// replica. A repaired key is rewritten with its own value and time to live, an evicted one is deleted; one
// that the master does not have is made and deleted at once, so that a delete reaches the replicas. Either
// way nothing of what a replica held of that key stays in sight. Done when every key was; a key that fails
// ends nothing, and the command has failed. Result: `repair`.
struct RepairAction {
  std::string decision;
  std::string keyspace;  // for people
  std::vector<UserKeyName> repair;
  std::vector<UserKeyName> evict;
  std::uint64_t max_bytes = 0;  // of values that are rewritten, together; 0: any number
};

// On a node that follows: read the keys here and on the survivor, at one sequence, until each was seen not to
// change in between. Done when that is known of every key, whatever it is. Result: `comparison`.
struct CompareAction {
  std::string survivor;      // its name
  std::string survivor_url;  // its agent, "http://host:port"
  std::vector<UserKeyName> keys;
  bool must_equal = true;  // else it only is to be known which differ
  // They were rewritten on the survivor since the node follows it: one that never stands still for long
  // enough is equal by that.
  bool rewritten = false;
};

// On the master, whose server can pad a replica by itself: switch that on, or off again
// (replication-enable-sequence-padding).
struct OfferPaddingAction {
  bool on = false;
};

using Action = std::variant<ParkAction, PromoteAction, PadAction, FollowAction, RescueAction, SalvageAction,
                            FullSyncAction, AdoptMasterAction, ReleaseAction, AdvanceAction, SpliceAction,
                            RepairAction, CompareAction, OfferPaddingAction>;

// "park", "promote", "pad", "follow", "rescue", "salvage", "full_sync", "adopt_master", "release", "advance",
// "splice", "repair", "compare", "offer_padding"
std::string_view ActionName(const Action& action);

struct Command {
  std::string id;  // unique per intended effect; a retry repeats it
  std::uint64_t epoch = 0;
  std::string group;
  std::string node;
  Action action;
  std::int64_t deadline_ms = 10000;  // how long the agent may take before it says unknown/failed
};

enum class Outcome { kDone, kFailed, kUnknown };  // "done", "failed", "unknown"

// Where a salvage is, and how much it keeps.
struct SalvageRef {
  std::string id;    // of the decision that it was made for
  std::string node;  // whose agent has it
  std::string path;  // its directory there
  SequenceRange range;
  std::uint64_t records = 0;  // of the tail that it holds
  std::uint64_t keys = 0;     // that they touch
  std::uint64_t bytes = 0;    // of its files
  std::string lacks;          // what it lacks of the range, and why; empty: nothing
};

struct CommandResult {
  std::string id;
  Outcome outcome = Outcome::kUnknown;
  std::string error;  // one sentence, when not done
  std::optional<Sequence> last;
  std::optional<Sequence> last_after;
  std::int64_t took_us = 0;
  std::optional<SalvageRef> salvage{};
  std::optional<RepairReport> repair{};
  std::optional<Comparison> comparison{};
};

std::string_view ToString(Outcome outcome);

}  // namespace walstitch
