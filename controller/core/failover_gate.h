// Whether a failover that a finding asks for may be carried out now. Pure: a snapshot and a few facts in, an
// answer with its reason out; what stands against it becomes a record, once per change of its code.
//
// | what stands against it                                        | code                | answer |
// |---------------------------------------------------------------|---------------------|--------|
// | others see the master alive                                   | master-out-of-sight | no     |
// | the configuration says that nothing is done by itself         | not-automatic       | no     |
// | the group is paused                                           | paused              | no     |
// | the master is in maintenance                                  | in-maintenance      | no     |
// | another node is a master, or may be one                       | other-master        | wait   |
// | the last failover was too short ago                           | blocked             | wait   |
// | nobody is eligible                                            | not-eligible        | no     |
// | a node that was last known to hold more than the best does not answer | better-missing | wait, for a
// lease | | what the dead master holds on its disk is being looked for    | reading-tail        | wait   | |
// the server has not been hung, or the agent silent, for long enough | (none: too early to say) | wait | |
// the lease, or a promise, still runs                           | lease-runs          | wait   | | too many
// groups are being failed over                         | too-many-at-once    | wait   |
//
// Safety needs only `lease-runs`, `other-master` and `master-out-of-sight`; the others are the operator's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controller/core/candidate.h"
#include "controller/core/finding.h"
#include "controller/core/snapshot.h"

namespace walstitch::core {

struct FailoverFacts {
  std::int64_t now_ms = 0;                       // steady
  std::int64_t unix_ms = 0;                      // for what is written with unix time
  std::int64_t lease_until_ms = 0;               // steady: no lease that was ever given runs beyond it
  std::int64_t since_ms = 0;                     // steady: since when the finding stands
  std::int64_t failing_over = 0;                 // groups that are being failed over now
  std::optional<std::string> nobody_eligible{};  // why, if so
  std::optional<Sequence> best_last{};           // else: where the best candidate stands
};

enum class Gate { kGo, kWait, kNo };

struct GateAnswer {
  Gate gate = Gate::kNo;
  std::string_view code;  // reason_codes.h; empty with kGo, and where it is too early to say anything
  std::string sentence;   // what it waits for, or why not and what would have to happen
  std::int64_t wait_ms = 0;
  // The old master is known to take no writes (KnownFenced), and not only because its lease has run out.
  bool holder_fenced = false;
};

// `trouble` is FindMasterTrouble(snapshot).
GateAnswer JudgeFailover(const GroupSnapshot& snapshot, const Finding& trouble, const FailoverFacts& facts);

// Why nobody would be promoted by itself. Codes beside those of reason_codes.h: kNotManaged, kStoreProblem.
inline constexpr std::string_view kNotManaged = "not-managed";
inline constexpr std::string_view kStoreProblem = "store-problem";
struct NoFailover {
  std::string_view code;
  std::string sentence;
};

// Why the master would not be replaced by itself, were it lost for good at this moment; nullopt: it would be.
// What only takes its time (a lease that runs, other groups that come first) does not count.
// `store_problem`: why decisions cannot be written, or empty. `rules`: those of a failover that starts by
// itself.
std::optional<NoFailover> WhyNoFailover(const GroupSnapshot& snapshot, std::int64_t unix_ms,
                                        const std::string& store_problem, const CandidateRules& rules);

// How long any node's promise to the master, that nobody is promoted, still runs; 0: there is none.
std::int64_t PromisedLeft(const GroupSnapshot& snapshot);

// The master is known to take no writes: its own agent says that its process is down, or that it is held; or,
// of an agent that does not answer, its server was seen to be a replica.
bool KnownFenced(const GroupSnapshot& snapshot);

}  // namespace walstitch::core
