// How long a replica is behind its master, from what the master's reports said and when. Pure: time is an
// argument.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policies/model/sequence.h"

namespace walstitch::core {

class LagClock {
 public:
  // The master of that epoch was seen to hold `last`. Another epoch begins anew.
  void Note(std::uint64_t epoch, std::int64_t now_ms, Sequence last);

  // How long ago the master was first seen with a record that a node which holds `last` lacks; 0: it lacks
  // nothing. For one that lacks more than is remembered it is at least that. nullopt: nothing is known.
  [[nodiscard]] std::optional<std::int64_t> BehindMs(std::int64_t now_ms, Sequence last) const;

 private:
  struct Seen {
    std::int64_t time_ms = 0;
    Sequence last;
  };
  std::uint64_t epoch_ = 0;
  std::vector<Seen> seen_;  // both ascend
};

}  // namespace walstitch::core
