// Which sequence the node expects next, and whether a batch, or the node itself, fits that.
//
// Kvrocks' replica looks at no sequence: RocksDB numbers what it is given by its own counter. A batch
// that was left out or came twice would be applied under wrong numbers, and nobody would ever know. So
// the relay accepts a batch only at exactly the expected sequence.
//
// Pure value types.
#pragma once

#include <cstdint>

#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::relay {

// RocksDB keeps 56 bits of sequence.
inline constexpr Sequence kMaxSequence{(std::uint64_t{1} << 56) - 1};

class Sequencer {
 public:
  explicit Sequencer(Sequence next) : next_(next) {}

  [[nodiscard]] Sequence Next() const { return next_; }

  // A batch of no records carries the sequence of the batch behind it, and moves nothing.
  // Error (kDamaged): the batch does not begin at Next(), which stays as it was.
  Result<void> Accept(Sequence first, std::uint32_t count);

 private:
  Sequence next_;
};

// A node that follows lost its connection and is back, asking for `asks`. It was given [from, given)
// of the upstream's stream. An Error (kConflict) says why the stream cannot just go on:
//
// 1. asks > given: somebody else wrote to the node meanwhile (it was a master, or was fed past us).
// 2. asks < from: it lost records of before it followed this upstream; there nobody compared the two
//    histories, and a number that fits proves nothing.
//
// Anything in between is what a broken connection leaves (frames that were in a socket's buffer), or a
// crash: those records came from this upstream, and come again.
Result<void> CheckResume(Sequence from, Sequence given, Sequence asks);

}  // namespace walstitch::relay
