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
  bool operator==(const NodeSeen&) const = default;
};

struct GroupSeen {
  std::string name;
  std::uint64_t epoch = 0;
  // The master that may be used; or else the one that was, until there is another; empty: none was ever.
  std::string master;
  bool changing = false;  // its master is being replaced
  // Where clients were last told that writes may be sent, in this view or one before it; nullopt: nowhere
  // yet. Not where the master is shown: a node may come back elsewhere, and take no writes there for a while.
  std::optional<Endpoint> told{};
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
  // Of groups that are not in it, and were in one before: see GroupSeen.
  std::map<std::string, Endpoint> told_of_gone{};

  // Where clients were last told that the group's master is.
  [[nodiscard]] std::optional<Endpoint> ToldOf(const std::string& group) const;
};

// From the status of one group. kInvalid: it is none.
Result<GroupSeen> ReadGroup(const boost::json::value& status);
// From the answer of /v1/status.
Result<View> ReadStatus(const boost::json::value& answer, std::int64_t now_ms);

// What the new view does not say, and the one before it did: the old master while there is no new one, where
// a node was whose agent just began anew, where clients were told that the master is, and since when things
// are as they are. `before` null: it is the first.
void CarryOver(const GroupSeen* before, GroupSeen* now, std::int64_t now_ms);
void CarryOver(const View* before, View* now);

}  // namespace walstitch::sentinel
