// What a node is sent while it is spliced: the upstream's batches after the fork, under the node's own
// numbers, without one decision's filler. Pure.
//
// The node stands `shift` records behind the fork with records of its own, and the upstream was given a
// filler of as many. So the node's number of a record is the upstream's number, plus what of the filler is
// still to come. Where nothing of it is left to come, the numbers have met, and from there on both count
// alike.
//
// Nothing that is sent here may be wrong: RocksDB numbers it by the node's own counter, and nobody would ever
// know. So whatever is not exactly as computed is an Error, after which nothing more may be taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::relay {

class Splicer {
 public:
  // The node's next is fork + 1 + shift. `marker`: of the filler that is left out (wal::FillerMarker).
  Splicer(Sequence fork, std::uint64_t shift, std::string marker)
      : upstream_next_(fork + 1), remaining_(shift), marker_(std::move(marker)) {}

  // The next batch of the upstream, whole; gives it as the node shall get it, or nothing where nothing is
  // left of it. An Error (kDamaged): it is not the next one, does not decode, or has more of the filler than
  // is left.
  Result<std::optional<std::string>> Take(std::string_view batch);

  // The same of a batch too great to be held whole, by its header: gives the node's first sequence, to be put
  // in the place of its own. Its records are not looked at: RocksDB joins no writer's batch to one that is
  // greater than a mebibyte, and a filler's batches are small, so there is none in it; were there one, the
  // numbers would never meet, and the splice would fail.
  Result<Sequence> TakeGreat(Sequence first, std::uint32_t count);

  [[nodiscard]] Sequence UpstreamNext() const { return upstream_next_; }
  [[nodiscard]] Sequence NodeNext() const { return upstream_next_ + remaining_; }
  // How much of the filler is still to come.
  [[nodiscard]] std::uint64_t Remaining() const { return remaining_; }
  // Both count alike from UpstreamNext() on.
  [[nodiscard]] bool Met() const { return remaining_ == 0; }

 private:
  [[nodiscard]] Result<void> Check(Sequence first, std::uint32_t count) const;

  Sequence upstream_next_;
  std::uint64_t remaining_;
  std::string marker_;
};

}  // namespace walstitch::relay
