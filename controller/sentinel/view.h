// What clients are told of the groups: who is the master, who are the replicas, and which of them may be
// used. Made from the status that the controller's API gives (core::GroupRunner::Status), by the one that
// leads and by those that stand by alike, so that all answer alike. Pure; time is an argument, in
// milliseconds of a steady clock.
//
// A node may be used for what it is: the master for writes, a replica for reads. Whatever else a server does
// at the moment (parked, held for repair, loading, copied afresh, not heard of), clients are kept away from
// it; above all, no node is called the master that is not known to be the only one that takes writes.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::sentinel {

struct NodeSeen {
  std::string name;
  Endpoint endpoint;              // of its server, for clients; port 0: it was never told
  bool usable = false;            // as the master, if it is the group's, or else as a replica
  bool heard = false;             // its agent answers, and its server is up
  bool ever_heard = false;        // its agent has reported to whoever gave the status
  Role role = Role::kUnknown;     // as last reported
  std::uint64_t last = 0;         // the last sequence that it holds
  bool candidate = true;          // it may be promoted
  std::int64_t silent_ms = 0;     // since its agent was last heard, at the moment of the view
  std::int64_t usable_since = 0;  // or not, since when
  std::int64_t role_since = 0;    // when it was first seen in the role
  std::int64_t known_ms = 0;      // when a status last told of it that its agent had been heard
  bool operator==(const NodeSeen&) const = default;
};

struct GroupSeen {
  std::string name;
  std::uint64_t epoch = 0;
  // The master that may be used; or else the one that was, until there is another; empty: none was ever.
  std::string master;
  std::string recorded;   // the master by the controller's records; empty: none
  bool changing = false;  // its master is being replaced
  // Where clients were last told that writes may be sent, in this view or one before it; nullopt: nowhere
  // yet. Not where the master is shown: a node may come back elsewhere, and take no writes there for a while.
  std::optional<Endpoint> told{};
  // Why the master would not be replaced by itself, were it lost now; empty: it would be.
  std::string no_failover;
  std::string no_failover_code;
  std::map<std::string, NodeSeen> nodes;

  [[nodiscard]] const NodeSeen* Master() const;
  // The master, if writes may be sent to it.
  [[nodiscard]] const NodeSeen* UsableMaster() const;
  // How many nodes are not the master, and have an address.
  [[nodiscard]] std::size_t ReplicaCount() const;
  bool operator==(const GroupSeen&) const = default;
};

struct View {
  std::map<std::string, GroupSeen> groups;  // by name
  std::int64_t at_ms = 0;                   // when it was made
  // Groups that whoever gave the status knows nothing of yet, because it has just begun.
  struct Unknown {
    std::int64_t since_ms = 0;
    std::optional<GroupSeen> before{};  // as they were last known
  };
  std::map<std::string, Unknown> unknown{};
  // Since when nobody that was heard is told of for a group, with something still known of it or not.
  std::map<std::string, std::int64_t> unheard_since{};
  // Of groups that are not there any more: see GroupSeen.
  std::map<std::string, Endpoint> told_of_gone{};

  // As it is, or as it was last known; null: it is not there.
  [[nodiscard]] const GroupSeen* Find(const std::string& group) const;
  // Where clients were last told that the group's master is.
  [[nodiscard]] std::optional<Endpoint> ToldOf(const std::string& group) const;
};

// From the status of one group. kInvalid: it is none.
Result<GroupSeen> ReadGroup(const boost::json::value& status);
// What was heard longer ago counts no more.
inline constexpr std::int64_t kFreshMs = 2000;

// From the answer of /v1/status. kUnavailable: whoever gave it has not found its groups yet.
Result<View> ReadStatus(const boost::json::value& answer, std::int64_t now_ms);

// 1. A controller begins to lead. 2. It has not heard of any node yet. 3. Taken for what it seems, every
// master would be down, and so would every replica. So what is known of them stands, as long as it may; and a
// group of which nothing is known that still counts is unknown for a moment. Before CarryOver.
void AwaitReports(const View* before, View* now);

// What the new view does not say, and the one before it did: the old master while there is no new one, where
// a node was whose agent just began anew, where clients were told that the master is, and since when things
// are as they are. `before` null: it is the first.
void CarryOver(const GroupSeen* before, GroupSeen* now, std::int64_t now_ms);
void CarryOver(const View* before, View* now);

}  // namespace walstitch::sentinel
