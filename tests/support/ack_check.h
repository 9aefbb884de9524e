// What a group owes to its writers, checked when things are quiet again. Pure: the writers' log, the nodes'
// keyspaces and the decision records in, findings out. By the invariants of the design:
//
// 1. At most one node takes writes. Acknowledgements alone cannot show an instant, but they show an order:
// once a
//    node has acknowledged a write, nothing may be acknowledged by another that was sent later, unless the
//    records tell that this one was promoted again meanwhile.
// 3. Every decision has an outcome.
// 4. No full sync that was not decided.
// 5. Every key has the same value on every node, unless a rejoin's record names it as divergent.
// 6. Every acknowledged write is there, or a later one to the same register, unless a record names its key:
// in the
//    tail of a rejoin, as left behind by a failover, or as missed by a node that was padded, and is the
//    master now. Then it is counted as given up. Nothing is there that was refused, or half of a batch.
//
// And what a rejoin gave up of a node's tail was salvaged before, all of it, unless its record says why not.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policies/model/decision.h"
#include "tests/support/ack_log.h"

namespace walstitch::test {

struct Observed {
  std::map<std::string, std::map<std::string, std::string>> keyspaces;  // by node, as DumpKeyspace tells it
  std::vector<std::string> masters;                                     // nodes that say so of themselves
  std::vector<DecisionRecord> decisions;
  uint64_t full_syncs = 0;  // that the nodes counted
};

// A time in which a node may take writes though another is master already: it was stopped, goes on, and
// nobody but itself could have kept it from doing so before it is parked.
struct Excuse {
  std::string node;
  int64_t from_us = 0;
  int64_t until_us = 0;
};

struct AckFindings {
  // One sentence each.
  std::vector<std::string> lost;
  std::vector<std::string> different;
  std::vector<std::string> overlapping;
  std::vector<std::string> full_syncs;
  std::vector<std::string> open;
  std::vector<std::string> not_salvaged;
  std::vector<std::string> other;

  uint64_t given_up = 0;           // registers and counters whose acknowledged write a record names
  uint64_t excused = 0;            // acknowledged writes under an excuse
  int64_t longest_excused_us = 0;  // from the excuse's beginning to the last of them

  bool IsClean() const { return Sentences().empty(); }
  std::vector<std::string> Sentences() const;
};

// Reads `decisions` for the promotions; in any order.
std::vector<std::string> FindOverlaps(const AckLog& log, const std::vector<DecisionRecord>& decisions,
                                      const std::vector<Excuse>& excuses, AckFindings* findings = nullptr);

AckFindings Check(const AckLog& log, const Observed& observed, const std::vector<Excuse>& excuses = {});

}  // namespace walstitch::test
