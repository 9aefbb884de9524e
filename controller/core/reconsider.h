// What another policy would have decided on the evidence of recorded rejoins. Pure: the evidence is on
// record, so the answer is the same for ever.
//
// What the evidence does not have no policy can weigh: of a tail that was longer than the limit then in force
// nothing was listed, and a policy with a larger limit still says full.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/decision.h"
#include "policies/model/policy.h"
#include "policies/model/result.h"

namespace walstitch::core {

// kInvalid for what no policy judges: any decision but a rejoin with its evidence.
Result<VerdictDecision> Reconsider(const Decision& decision, const TolerancePolicy& policy);

// One rejoin, as it was decided and as it would be.
struct Reconsidered {
  std::string id;
  std::int64_t time_ms = 0;  // unix time
  std::string group;
  std::string node;
  std::string survivor;
  Verdict recorded = Verdict::kHold;
  // The recorded hold was no policy's: a full sync waited for its turn, for room, or for another copy.
  bool waited = false;
  std::string recorded_policy;       // its name
  std::string recorded_policy_hash;  // of its content
  VerdictDecision now;
  // The keys on which the nodes may differ after a partial sync, and the bytes of the records on them.
  struct Divergent {
    std::uint64_t keys = 0;
    bool truncated = false;  // there are more
    std::uint64_t bytes = 0;
  };
  Divergent padded;
  Divergent spliced;                  // by which nothing is missed
  std::optional<Outcome> outcome;     // absent: still open
  std::uint64_t full_sync_bytes = 0;  // that went to the node, of a full sync that was carried out

  // A hold that only waited is none of the policy's.
  [[nodiscard]] bool Changed() const {
    return recorded != now.verdict && !(waited && now.verdict == Verdict::kFull);
  }
};

// What one of the two policies costs, over all rejoins that did not fail.
struct PolicyCost {
  std::map<Verdict, std::uint64_t> verdicts;
  std::uint64_t full_syncs = 0;
  std::uint64_t measured_bytes = 0;  // of those of them that were carried out
  std::uint64_t estimated = 0;       // of the others, so many: by the mean of the group's measured ones
  std::uint64_t estimated_bytes = 0;
  std::uint64_t unknown = 0;  // full syncs of groups that never had a measured one
  std::uint64_t keys = 0;     // on which nodes may differ after partial syncs, over all rejoins
  bool keys_truncated = false;
  std::uint64_t bytes = 0;  // of the records on them
};

struct Trial {
  std::vector<Reconsidered> rejoins;  // oldest first
  std::uint64_t failed = 0;           // of these: not carried out, decided anew, and in neither cost
  PolicyCost recorded;
  PolicyCost now;

  [[nodiscard]] std::uint64_t Changed() const;
};

// Reads the decision log line by line, in order (log_chain.h), and keeps of each rejoin only what is above.
class PolicyTrial {
 public:
  // The policy for a group, which must stand as long as the trial; nullptr: its decisions are passed over.
  using PolicyFor = std::function<Result<const TolerancePolicy*>(const std::string& group)>;
  explicit PolicyTrial(PolicyFor policy_for) : policy_for_(std::move(policy_for)) {}

  // kDamaged for what is no line of the log, or the Error of the policy. Other decisions than rejoins are
  // passed over.
  Result<void> Add(std::string_view line);
  [[nodiscard]] Trial Finish() const;

 private:
  PolicyFor policy_for_;
  std::vector<Reconsidered> rejoins_;
  std::map<std::string, std::size_t, std::less<>> at_;  // by id
};

// Of one record.
Result<Reconsidered> ReconsiderRecord(const DecisionRecord& record, const TolerancePolicy& policy);

}  // namespace walstitch::core
