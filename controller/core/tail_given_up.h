// What of the rejoiner's history a verdict gives up: what is salvaged before it is carried out. Pure.
//
// The tail is what follows the fork. Where the fork is not known, the recorded promotion of the survivor
// stands for it: whatever the rejoiner holds beyond that, it did not get from the survivor. Where there is no
// such record either, there is nothing that could be called a tail. What of it the rejoiner's WAL no longer
// holds can be kept by nobody, and no waiting brings it back: it is named among the decision's reasons, and
// holds nobody up.
#pragma once

#include <optional>

#include "policies/model/decision.h"
#include "policies/model/evidence.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

struct TailGivenUp {
  std::optional<SequenceRange> range;  // to be salvaged, never empty; none: nothing is, see `remark`
  Sequence fork;                       // the last sequence before the tail, as far as it is known
  std::optional<Reason> remark;        // what of the tail cannot be kept, and why; none: nothing
};

TailGivenUp FindTailGivenUp(Verdict verdict, const Evidence& evidence);

}  // namespace walstitch::core
