// The fork of two WALs at hand: core::ForkSearch, asked and answered in one process. For `walstitch wal diff`
// and the benchmarks; the controller asks the same questions of two agents (shell/evidence_collector.h).
//
// As thread-safe as the sources; blocks while they read.
#pragma once

#include <cstdint>
#include <string>

#include "agents/wal/wal_source.h"
#include "controller/core/fork.h"
#include "policies/model/result.h"

namespace walstitch::cli {

struct ForkSide {
  std::string name;  // that its errors begin with
  wal::WalSource& source;
  WalExtent extent;
};

struct FoundFork {
  core::ForkSearch::Answer answer;
  int rounds = 0;
  std::uint64_t answer_bytes = 0;  // of both sides' answers, as an agent would send them
};

// Reads no more for one answer than an agent does. An Error is a side's (WalSource), "NAME: ..."; kNotFound
// if its WAL was purged meanwhile.
Result<FoundFork> FindFork(const ForkSide& rejoiner, const ForkSide& survivor,
                           const core::KnownHistory& known);

}  // namespace walstitch::cli
