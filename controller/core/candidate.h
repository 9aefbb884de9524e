// Who may be promoted, and in which order. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/snapshot.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

struct Candidate {
  std::string node;
  bool eligible = false;
  std::string reason;       // why not, one sentence; for an eligible one: what it is ranked by
  std::uint64_t epoch = 0;  // the stream that it is a member of; 0: not known
  Sequence last;
  // What it is ranked by: its last, or what it held before a splice or pad that has not ended well.
  Sequence intact_last;
};

struct CandidateRules {
  // A replica that lacks more records than this of what the master was last known to hold is not eligible.
  std::optional<std::uint64_t> max_lag{};
  std::optional<Sequence> master_last{};
  // Nobody who did not follow the old master in its last epoch: what such a node would give up, an operator
  // must want. The old master itself is one of them.
  bool members_only = false;
  // Nobody whose server is about to be stopped. Not for a failover: there such a node may hold what no other
  // has.
  bool not_leaving = false;
};

// Every node but `except`: the eligible ones first, best first (stream, then last, then priority, then zone:
// the old master's is preferred, then name), then the others. Eligible: agent connected, process up, not
// loading, not in or after an unfinished full sync, not being rejoined, its last known, held by its relay,
// not excluded by the configuration or for maintenance, and within the rules.
//
// Why the stream comes first: 1. n1 is master and dies with a tail at 1050. 2. n2 is promoted at 1000
// and writes up to 1040; n3 follows. 3. n1 returns and is parked, not yet rejoined. 4. n2 dies. By
// sequence alone n1 would win, and everything written since its death would be given up.
// And why what a broken splice left counts for nothing: it holds a part of another history, not its end.
std::vector<Candidate> RankCandidates(const GroupSnapshot& snapshot, const std::string& except,
                                      const CandidateRules& rules = {});

// Held by its own relay, which sends nothing: it takes no writes.
bool Fenced(const Report& report);

// Why nobody may be promoted now: a node beside the recorded master that is a master, or may become one yet
// (a suspect that was not seen fenced long enough). nullopt: no such node.
// `except`: the node that is to be promoted.
std::optional<std::string> OtherMaster(const GroupSnapshot& snapshot, std::int64_t now_ms,
                                       const std::string& except);

// The one to promote: `to` if given, else the best. Refused, with every node's reason, if nobody is
// eligible, and for a `to` that is not eligible or is behind another eligible one.
Result<Candidate> ChooseCandidate(const std::vector<Candidate>& ranked, const std::optional<std::string>& to);

}  // namespace walstitch::core
