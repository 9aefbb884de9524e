#include "agents/relay/sequencer.h"

#include <string>

namespace walstitch::relay {

Result<void> Sequencer::Accept(Sequence first, std::uint32_t count) {
  if (first != next_) {
    return Fail(ErrorCode::kDamaged, "out of sequence: a batch at " + first.ToString() + " where " +
                                         next_.ToString() + " was expected");
  }
  if (kMaxSequence.Value() - next_.Value() < count) {
    return Fail(ErrorCode::kDamaged, "out of sequence: a batch at " + first.ToString() + " of " +
                                         std::to_string(count) + " records, past the greatest sequence");
  }
  next_ = next_ + count;
  return {};
}

Result<void> CheckResume(Sequence from, Sequence given, Sequence asks) {
  if (asks > given) {
    return Fail(ErrorCode::kConflict, "the node asks for " + asks.ToString() + ", but was only given up to " +
                                          given.ToString() + ": something else wrote to it");
  }
  if (asks < from) {
    return Fail(ErrorCode::kConflict, "the node asks for " + asks.ToString() +
                                          ", but has followed this upstream only from " + from.ToString() +
                                          " on: it lost records of an earlier history");
  }
  return {};
}

}  // namespace walstitch::relay
