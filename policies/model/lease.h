// Leases: for how long a master may take writes, and for how long nobody else may be promoted. Pure; the same
// arithmetic on both sides. All times are milliseconds of the clock of whoever counts: an agent counts on its
// boot clock (CLOCK_BOOTTIME, which also runs while the machine sleeps), a controller on its steady clock.
// Nothing is ever compared between two clocks; only durations are.
//
// The holder counts from a moment that lies before the grant: its own clock reading, which the report that
// the grant answers carried (`anchor_ms`). The grantor counts from the moment of the grant. So however long a
// message was under way, and as long as no clock gains or loses more than `drift_permille` against true time:
//
//   holder:   anchor ----------- duration * (1 - drift) - park ---> begins to park, has parked by duration
//   grantor:      grant ------------ duration * (1 + drift) ----------------> may promote another
//
// A promise is the same thing from node to node, while the controller is silent: the holder asks every other
// agent of its group to refuse promotions, and counts from before it asked; each of them counts from its
// answer. It counts only if all have promised. An agent that is not running can promise nothing, but it
// cannot promote either, and refuses to for one duration after it starts (see agents/agent/lease_keeper.h);
// so a connection that is refused by its machine counts as a promise, and silence does not. That holds only
// for an address that is the machine's own for good (GroupMember::own_address).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policies/model/result.h"

namespace walstitch {

struct LeaseTerms {
  std::int64_t duration_ms = 3000;
  std::int64_t drift_permille = 10;  // how much any clock of the group may gain or lose, in thousandths
  std::int64_t park_ms = 300;        // how long before the end its holder begins to park
  bool operator==(const LeaseTerms&) const = default;
};

// Until when the holder may take writes: it begins to park then. Never before the anchor.
std::int64_t HolderDeadline(std::int64_t anchor_ms, const LeaseTerms& terms);
// From when on the grantor may promote another.
std::int64_t GrantorDeadline(std::int64_t granted_ms, const LeaseTerms& terms);
// How often the holder wants to hear: three renewals may be lost before it must park.
std::int64_t RenewInterval(const LeaseTerms& terms);

// kInvalid, with one sentence, for terms that could not be kept: a duration below 500 ms or beyond 10
// minutes, a drift beyond 10%, a park time that leaves less than half of the duration.
Result<void> CheckTerms(const LeaseTerms& terms);

struct GroupMember {
  std::string node;
  std::string agent;  // its agent, "http://host:port"
  // False: tomorrow it may be another program's address, as that of a pod in Kubernetes. 1. n2's pod is gone,
  // and comes back under another address. 2. The old one is given to a pod in which nothing listens at that
  // port, so the connection is refused. 3. That is no word about n2's agent, which runs.
  bool own_address = true;
  bool operator==(const GroupMember&) const = default;
};

// Given by the controller, with a promotion and then again and again on the stream that brings the reports.
struct LeaseGrant {
  std::string group;
  std::string node;  // the holder
  std::uint64_t epoch = 0;
  std::string boot_id;         // of the report that it answers: another boot's clock says nothing
  std::int64_t anchor_ms = 0;  // boot_ms of that report
  LeaseTerms terms;
  std::vector<GroupMember> others;  // the group's other agents, to be asked when the controller is silent
  bool operator==(const LeaseGrant&) const = default;
};

// POST /v1/promise, from the agent of the master to another agent of its group.
struct PromiseRequest {
  std::string group;
  std::string holder;       // the node that would go on as master
  std::string node;         // the node that is asked
  std::uint64_t epoch = 0;  // of the holder's lease
  LeaseTerms terms;
  bool operator==(const PromiseRequest&) const = default;
};

struct PromiseAnswer {
  bool promised = false;
  std::uint64_t epoch = 0;  // the highest that the asked agent has seen
  std::string reason;       // why not, one sentence
  bool operator==(const PromiseAnswer&) const = default;
};

}  // namespace walstitch
