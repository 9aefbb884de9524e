// Plans: the commands that a decision will give, in order. Pure. A command's id is made of the
// decision's id and the step's place, so that a controller that starts again repeats the same ids and
// every agent answers with what it did already.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/core/snapshot.h"
#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::core {

// The steps of a verdict; none for kHold. The evidence must have what the verdict rests on. A tail that is
// given up is salvaged first: if that fails, nothing else is done.
// The master's server gives the pad itself: the policy wants it, the server offers it, and there is one.
bool PadsNatively(const Evidence& evidence, Padding padding);

std::vector<PlanStep> PlanRejoin(const std::string& decision, Verdict verdict, const Evidence& evidence,
                                 const Endpoint& survivor, Padding padding = Padding::kRelay);

// The survivor past a rejoiner that is ahead of it.
std::vector<PlanStep> PlanAdvance(const std::string& decision, const Evidence& evidence);

// First what the dead master has on its disk, up to `target` (not more than max_bytes of it), then nothing
// less is promoted.
std::vector<PlanStep> PlanRescue(const std::string& source, const std::string& source_url,
                                 const std::string& promote, Sequence target, std::uint64_t max_bytes);

// Park (a switchover, or a master that is back), then promote.
std::vector<PlanStep> PlanPromotion(const std::optional<std::string>& park, const std::string& promote,
                                    std::optional<Sequence> require_last);

// Each running replica onto its relay, then the master gets to know the epoch.
Result<std::vector<PlanStep>> PlanAdopt(const GroupSnapshot& snapshot, std::string* master);
// Each replica directly onto the master.
Result<std::vector<PlanStep>> PlanRelease(const GroupSnapshot& snapshot);

Command CommandOf(const Decision& decision, std::size_t step);

// Whether the promotion that a record plans may have been commanded, by whoever left the record open. Behind
// a rescue it is only once the record says that the rescue is done; else even where no step is on record.
bool MayHavePromoted(const DecisionRecord& record);

}  // namespace walstitch::core
