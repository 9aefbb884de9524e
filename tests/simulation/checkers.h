// The eight invariants, watched from outside: what they know is the truth of the world (whose WAL holds what,
// who takes writes, what is in the store), never what the schedule wanted, and nothing of what the core
// believes but its durable store.
//
// 1. At most one node of a group accepts writes at any instant, while agents run and clocks drift less than
//    the bound. A master whose agent's process is dead does not count, nor one whose agent has just started
//    and has not had its first look, its one round of asking, and the time to park.
// 2. No node is padded, or resumed over a divergence, that touches a keyspace whose policy says `fullsync`:
//    where a node is accepted by an upstream, each key of such a keyspace was last written by the same batch.
// 3. Every action was preceded by a durable decision; every decision ends with a durable outcome.
// 4. No full sync starts that the controller did not decide.
// 5. When things are quiet again, every key outside `ignore` keyspaces has the same value on every node.
// 6. If the crashed master's WAL is readable, no acknowledged write is lost by the failover. Readable: its
//    process alone is gone, its agent runs, and nothing was wrong with the network since.
// 7. No candidate is promoted that is loading, in a full sync, or behind another eligible one.
// 8. With one eligible node and a controller up, a group has a master again within a bounded time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policies/model/command.h"

namespace walstitch::simulation {

class World;
class ServerModel;

struct Violation {
  int invariant = 0;  // 1 to 8; 0: it does not come to rest
  std::string sentence;
};

class Checkers {
 public:
  explicit Checkers(World& world);

  [[nodiscard]] bool Broken() const { return violation_.has_value(); }
  [[nodiscard]] const std::optional<Violation>& Found() const { return violation_; }

  int only = 0;  // the invariant that is watched; 0: all

  // ---- what happens
  void AfterEvent();
  void Acknowledged(std::size_t node);
  // The node, which stood at `last`, was spliced at the fork, and follows from `met` on.
  void Spliced(std::size_t node, std::size_t upstream, std::uint64_t met, std::uint64_t fork,
               std::uint64_t last);
  void Resumed(std::size_t node, std::size_t upstream, std::uint64_t next);
  void CommandSent(const Command& command);
  void CommandBegins(const Command& command);
  void FencedDirectly(std::size_t node);
  void FullSyncBegins(std::size_t node);
  void Promoted(std::size_t node, const std::string& command);  // just before its server becomes a master

  // ---- at the end
  // Somebody is the master, everybody else follows it and holds the same, and no decision is open. A node
  // that only an operator can bring back may be missing.
  [[nodiscard]] bool Quiet();
  void CheckQuiet();
  // How long there has been no master, now that everything runs and is reachable.
  void CheckMasterless(std::int64_t healed_us, std::int64_t bound_us);
  void CheckRest(std::int64_t bound_us);  // it has not become quiet
  [[nodiscard]] bool OperatorNeeded() const { return operator_needed_; }
  [[nodiscard]] bool HasMaster() const;

 private:
  void Report(int invariant, std::string sentence);
  [[nodiscard]] bool Exempt(std::size_t node) const;
  [[nodiscard]] bool Healthy(std::size_t node) const;
  void CheckCandidate(std::size_t node, std::int64_t decided_us);
  void CheckRescued(std::size_t node, const std::string& replaced);
  [[nodiscard]] bool HeldForOperator(std::size_t node) const;

  World& world_;
  std::optional<Violation> violation_;
  std::vector<std::int64_t> healthy_since_us_;  // -1: it is not
  std::vector<std::uint64_t> resumed_at_;       // its next when an upstream last accepted it
  std::vector<std::size_t> resumed_from_;
  std::int64_t without_master_since_us_ = 0;
  bool operator_needed_ = false;
};

}  // namespace walstitch::simulation
