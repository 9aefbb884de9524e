// One simulated run from its beginning to its end: a world drawn from a seed, faults drawn from it or given,
// then everything is healed, and the group must come to rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/checkers.h"
#include "tests/simulation/world.h"

namespace walstitch::simulation {

enum class FaultKind {
  kKillServer,    // kill -9; it is started again after `lasts_us`
  kCrashMachine,  // with its agent; a part of what was not synced is lost
  kPauseServer,   // SIGSTOP for so long
  kKillAgent,
  kCutLink,    // between node and other (which may be the controller), both ways
  kCutOneWay,  // from node to other
  kIsolate,    // node from everybody
  kKillController,
  kEndController,  // at the `number`-th fault point or side of a durable write from now on
  kLoseMessages,   // of `number` in a thousand
  kSlowNetwork,    // everything takes up to 400 ms longer
  kSwitchover,     // ordered
  kFailover,       // ordered
  kStoreFails,     // half of its writes
  kRefuseWrites,   // the node's server, while it is a master
  kPurgeWal,       // of the node, all but the last batches
  kLeave,          // the node's server says that it is about to be stopped, and is after so long
};
std::string ToString(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::kKillServer;
  std::int64_t at_us = 0;
  std::int64_t lasts_us = 0;
  std::size_t node = 0;
  std::size_t other = 0;
  std::uint64_t number = 0;
};

struct Setup {
  std::size_t nodes = 3;
  core::FailoverSettings failover;
  NetworkSettings network;
  std::int64_t feed_lag_us = 0;
  std::vector<Clock> clocks;  // of the nodes' machines, then of the controller's
  std::int64_t write_interval_us = 40'000;
  int ignored_permille = 700;
  bool splices = true;  // the policy prefers spliced to padded
  std::int64_t heal_us = 10'000'000;
  int only = 0;  // the invariant that is watched; 0: all
  std::vector<Fault> faults;
  // Between these the run is counted, see RunResult.
  std::int64_t count_from_us = 0;
  std::int64_t count_to_us = 0;
};

struct DrawOptions {
  std::size_t nodes = 0;   // 0: drawn
  std::size_t faults = 0;  // at most; 0: drawn
  int only = 0;
};

Setup DrawSetup(std::uint64_t seed, const DrawOptions& options);

// A fault at an exact place of a run that is the same every time up to there.
struct Strike {
  enum class Where { kEvent, kControllerStep, kMessage };
  Where where = Where::kEvent;
  std::uint64_t number = 0;
  FaultKind kind = FaultKind::kKillServer;  // at an event
  std::size_t node = 0;
  std::int64_t lasts_us = 0;  // of a message: how late it is, 0: lost
};

struct RunResult {
  std::optional<Violation> violation;
  std::int64_t rested_us = 0;  // how long it took after everything was healed
  bool operator_needed = false;
  std::uint64_t decisions = 0;
  std::uint64_t promotions = 0;
  std::uint64_t full_syncs = 0;
  std::uint64_t pads = 0;
  std::uint64_t splices = 0;  // that were done
  std::uint64_t broken_splices = 0;
  std::uint64_t rescues = 0;
  std::uint64_t borrows = 0;
  std::uint64_t events = 0;
  // What could be struck between count_from_us and count_to_us: [from, to) of each.
  struct Places {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  Places event_places;
  Places controller_places;
  Places message_places;
  std::vector<World::TraceLine> trace;
};

RunResult Run(const Setup& setup, std::uint64_t seed, bool tracing, const std::vector<Strike>& strikes = {});

}  // namespace walstitch::simulation
