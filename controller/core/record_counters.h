// What is counted of decisions and their outcomes since this controller began to look after its groups. Pure:
// a record in, counts change.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "policies/model/decision.h"

namespace walstitch::core {

// How many durations were at most so long, in seconds.
class DurationCounts {
 public:
  static constexpr std::array<double, 13> kBounds = {0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 30, 60, 300, 1800};

  void Add(std::int64_t ms);
  [[nodiscard]] const std::array<std::uint64_t, kBounds.size()>& UpTo() const { return up_to_; }
  [[nodiscard]] std::uint64_t Count() const { return count_; }
  [[nodiscard]] double SumSeconds() const { return static_cast<double>(sum_ms_) / 1000; }

 private:
  std::array<std::uint64_t, kBounds.size()> up_to_{};  // cumulative
  std::uint64_t count_ = 0;
  std::int64_t sum_ms_ = 0;
};

struct GroupCounts {
  using Kind = std::pair<DecisionKind, std::string>;              // with its verdict: "padded"; "none"
  std::map<Kind, std::uint64_t> decisions;                        // when they were opened
  std::map<std::pair<Kind, std::string>, std::uint64_t> reasons;  // of these, every reason of each
  std::map<std::pair<DecisionKind, Outcome>, std::uint64_t> outcomes;

  // Rejoins, as a Kvrocks server counts partial syncs. Ok: the node went on in its master's stream, aligned
  // or spliced. Padding: it did after a pad. Err: it could not go on, and was copied; or the attempt failed.
  std::uint64_t partial_ok = 0;
  std::uint64_t partial_padding = 0;
  std::uint64_t partial_err = 0;
  std::uint64_t full_syncs = 0;  // that were done

  // Keys that a rejoin let differ, by what the policy wants done about them.
  std::map<Tolerance, std::uint64_t> divergent_keys;
  std::uint64_t keys_repaired = 0;
  std::uint64_t keys_evicted = 0;
  std::uint64_t keys_not_mended = 0;  // that should have been, and could not, or differed all the same

  std::uint64_t salvages = 0;
  std::uint64_t salvaged_records = 0;

  // Failovers that were done, from the loss that was noticed, or the order, to the promotion.
  DurationCounts failover;
  // Without a writable master, as the outcome says, of failovers and switchovers that were done.
  std::map<DecisionKind, DurationCounts> without_master;
};

class RecordCounters {
 public:
  // A group that there is: its counts begin at zero, so that the first of anything is seen as a change.
  void Know(const std::string& group);
  void Opened(const Decision& decision);
  void Closed(const DecisionRecord& record);

  [[nodiscard]] const std::map<std::string, GroupCounts>& Groups() const { return groups_; }

 private:
  GroupCounts& Of(const std::string& group);

  std::map<std::string, GroupCounts> groups_;
};

}  // namespace walstitch::core
