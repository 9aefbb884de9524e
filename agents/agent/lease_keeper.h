// What an agent knows of leases: of the one that its node holds as master, and of the promises that it gave
// to another master. The rules of policies/model/lease.h, from the agents' side. Pure: it knows no clock;
// each call is given the time of the boot clock in milliseconds, and what is to be kept is text that the
// caller writes to disk.
//
// Holder. A grant moves the deadline, never back. When the deadline has passed and the node is a master, it
// must park; a node that was never given a lease (a group of an older version, or one adopted by hand) is
// left alone. While the controller is silent, the holder asks every other agent of its group to promise not
// to be promoted. If all of them do, the lease goes on from the moment before they were asked.
//
// Promising. While a promise stands, no promotion. It is on disk before it is given. The numbered story:
//
// 1. n1 is master, the controller is silent, and n1 asks n2, whose agent has just crashed: its machine
// refuses the connection. An agent that is not running promotes nobody, so that counts as a promise. 2. n2's
// agent starts, and the controller is back and commands n2's promotion. 3. If n2 obeyed, there were two
// masters. So for one duration after its start an agent promotes nobody: the start quarantine. It counts from
// when the agent can be reached, for until then it is refusing connections.
//
// 1. n1's lease has run out while its agent was away. 2. n2 was promoted, and then its agent crashed: the
// connection is refused. So behind a lease that has run out, a refused connection says nothing, and only
// promises count: who has promised is no master, and will be none.
//
// Not thread-safe. Deterministic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/command.h"
#include "policies/model/lease.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class LeaseKeeper {
 public:
  static constexpr std::int64_t kFirstRoundMs = 250;  // see FirstLook
  static constexpr std::size_t kMaxOthers = 64;

  LeaseKeeper(std::string node, std::string group, std::string boot_id);

  // From Save()'s text. kDamaged if it is none; kConflict if it is that of another node or group. What was
  // saved on another boot holds no lease any more, and its promises stand in full from Start() on.
  static Result<LeaseKeeper> Restore(std::string_view text, std::string node, std::string group,
                                     std::string boot_id);
  [[nodiscard]] std::string Save() const;

  // The agent can be reached from now on: the start quarantine begins.
  void Start(std::int64_t now_ms);

  // The first look at the node has told whether it is a master. A master whose lease has run out while the
  // agent was away has kFirstRoundMs for one round of asking before it must park.
  void FirstLook(bool is_master, std::int64_t now_ms);

  // ---- holder

  // A grant from the controller's stream. An Error says why it is of no use: kConflict (another node, group
  // or boot, an anchor in the future or before the end of the last lease), kStale (its epoch), kInvalid
  // (terms).
  Result<void> Grant(const LeaseGrant& grant, std::uint64_t agent_epoch, std::int64_t now_ms);

  // The lease is over: the node is parked, or about to be, or its process is gone. A grant that answers a
  // report from before this moment does not bring it back.
  void End(std::int64_t now_ms);

  // The group was released: leases are no more this node's matter.
  void Forget();

  // It has been given a lease once: without one, as a master, it parks.
  [[nodiscard]] bool Leased() const { return leased_; }
  // Nobody else was in its group when the last lease was given.
  [[nodiscard]] bool Alone() const { return others_.empty(); }
  // How long it may go on as master; nullopt: it holds no lease, or one that has run out.
  [[nodiscard]] std::optional<std::int64_t> LeftMs(std::int64_t now_ms) const;
  [[nodiscard]] bool MustPark(bool is_master, std::int64_t now_ms) const;
  // When MustPark will be true of a master, if nothing happens; nullopt: never.
  [[nodiscard]] std::optional<std::int64_t> ParkAt() const;
  // Of the last lease; nullopt: there was none.
  [[nodiscard]] const std::optional<LeaseTerms>& Terms() const { return terms_; }

  // ---- asking for promises

  struct Question {
    GroupMember member;
    PromiseRequest request;
  };
  struct Round {
    std::uint64_t number = 0;
    std::vector<Question> questions;
    std::int64_t timeout_ms = 0;  // an answer that comes later is of no use
  };
  // What came of one question.
  enum class Heard {
    kPromised,
    kRefusedByMachine,  // ECONNREFUSED: no agent runs there
    kNothing,           // anything else: silence, no route, a refusal of the agent
  };

  // When to begin the next round; nullopt: there is nothing to ask for. In the past: now.
  [[nodiscard]] std::optional<std::int64_t> AskAt() const;
  // Only the latest round counts. One without questions (nobody else is in the group) is won at once.
  Round BeginRound(std::int64_t now_ms);
  // `epoch`: the highest that the other agent has seen, 0 if it said nothing. A higher one than the lease's
  // ends the lease. True: the lease was extended, or has ended; to be saved.
  bool Answer(std::uint64_t round, const std::string& node, Heard heard, std::uint64_t epoch,
              std::int64_t now_ms);

  // ---- promising

  // What is promised counts from now on, but may be answered only once it is on disk.
  PromiseAnswer Promise(const PromiseRequest& request, std::uint64_t agent_epoch, bool is_master,
                        bool promotion_under_way, std::int64_t now_ms);
  // How long it refuses promotions yet, for a promise or since it has just started; nullopt: not at all.
  [[nodiscard]] std::optional<std::int64_t> PromisedLeftMs(std::int64_t now_ms) const;

  // ---- commands

  // kConflict, with one sentence, unless the node may be promoted now; changes nothing.
  [[nodiscard]] Result<void> MayPromote(const PromoteAction& action, std::uint64_t agent_epoch,
                                        std::int64_t now_ms) const;
  // After the last check, before SLAVEOF NO ONE: takes the command's lease. Without one, nothing parks it.
  void Promoting(const PromoteAction& action, std::int64_t now_ms);
  // A master is taken over. The check, and then its effect.
  [[nodiscard]] Result<void> MayAdopt(const AdoptMasterAction& action, std::uint64_t agent_epoch,
                                      std::int64_t now_ms) const;
  void Adopting(const AdoptMasterAction& action, std::int64_t now_ms);

 private:
  [[nodiscard]] Result<void> Check(const LeaseGrant& grant, std::uint64_t agent_epoch,
                                   std::int64_t now_ms) const;
  // Whether its time is not yet over, nor nearly.
  [[nodiscard]] Result<void> CheckTime(const LeaseGrant& lease, std::int64_t now_ms) const;
  void Install(const LeaseGrant& grant);
  [[nodiscard]] bool Holds(std::int64_t now_ms) const { return leased_ && deadline_ms_ > now_ms; }
  // Until when nobody is promoted, since the agent has just started.
  [[nodiscard]] std::int64_t QuarantineEnd(const std::optional<LeaseTerms>& more) const;

  std::string node_;
  std::string group_;
  std::string boot_id_;

  // The holder's.
  bool leased_ = false;
  std::uint64_t epoch_ = 0;  // of the lease
  std::optional<LeaseTerms> terms_;
  std::vector<GroupMember> others_;
  std::int64_t deadline_ms_ = 0;   // it may go on until then
  std::int64_t ended_ms_ = -1;     // when the last one ended before its time
  std::int64_t grace_end_ms_ = 0;  // see FirstLook; 0: no grace

  // The round under way, or the last one.
  std::uint64_t round_ = 0;
  std::int64_t round_begun_ms_ = 0;
  bool round_lapsed_ = false;      // begun behind the deadline
  std::set<std::string> awaited_;  // nodes whose answer is missing; empty: it is over
  bool asking_ = false;            // there was a round since the last grant

  // The promise.
  std::int64_t promised_until_ms_ = 0;
  std::optional<LeaseTerms> promised_terms_;
  std::string promised_to_;
  bool promise_of_other_boot_ = false;  // restored: counts from Start() on

  std::uint64_t seen_epoch_ = 0;  // the highest that another agent has told of
  std::optional<std::int64_t> started_ms_;
};

}  // namespace walstitch::agent
