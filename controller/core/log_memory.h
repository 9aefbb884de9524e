// The decision log held in memory: for a store that keeps it where it can only be read as a whole, and
// written entry by entry (shell/shared_store.h). Pure. The chain is that of log_chain.h.
//
// The oldest decisions may be forgotten: the log begins behind `Trimmed()` then.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/log_chain.h"
#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::core {

class LogMemory {
 public:
  LogMemory() = default;
  // What is kept begins behind `trimmed`, and was written up to `head`.
  LogMemory(LogHead trimmed, LogHead head) : trimmed_(std::move(trimmed)), head_(std::move(head)) {}

  // A line that is kept, in any order, each once or more often. Lines that were trimmed, or are behind the
  // head, are not taken. An Error: it is no entry.
  Result<void> Load(const std::string& line);
  // After the last Load: folds what was loaded. Gives what is missing or does not fit, one sentence each.
  std::vector<std::string> Loaded();

  // The line that was appended.
  std::string Append(EntryKind kind, const std::string& decision, std::int64_t time_ms,
                     const boost::json::value& body);

  [[nodiscard]] const LogHead& Head() const { return head_; }
  [[nodiscard]] const LogHead& Trimmed() const { return trimmed_; }
  // From `from` on, at most `max`.
  [[nodiscard]] std::vector<std::string> Lines(std::uint64_t from, std::size_t max) const;
  // All lines of one decision, in order.
  [[nodiscard]] std::vector<std::string> LinesOf(const std::string& decision) const;
  [[nodiscard]] const DecisionRecord* Find(const std::string& decision) const;
  // Decisions by their ids, which sort by time.
  [[nodiscard]] const std::map<std::string, DecisionRecord>& Records() const { return records_; }
  [[nodiscard]] const std::set<std::string>& Open() const { return open_; }

  // What may be forgotten so that about `keep` decisions stay: the oldest that are closed, as far as no entry
  // of one that stays lies before theirs. nullopt: nothing.
  struct Trimming {
    LogHead trimmed;
    std::vector<std::string> decisions;
  };
  [[nodiscard]] std::optional<Trimming> Excess(std::size_t keep) const;
  void Trim(const Trimming& trimming);

 private:
  struct Kept {
    std::string line;
    std::string decision;
  };
  Result<void> Fold(const std::string& line, const std::string& decision);

  LogHead trimmed_;
  LogHead head_;
  std::map<std::uint64_t, Kept> entries_;                      // by index
  std::map<std::string, std::vector<std::uint64_t>> indexes_;  // by decision
  std::map<std::string, DecisionRecord> records_;
  std::set<std::string> open_;
};

// Where the log ends that these lines are of, in any order; and the entry before its first, which is not
// kept.
struct LogEnds {
  LogHead trimmed;
  LogHead head;  // index 0: there is no entry
};
LogEnds EndsOf(const std::vector<std::string>& lines);

// Of many records, those that an id, or its beginning or end, of 4 characters or more, names.
Result<std::string> ResolveDecision(const std::vector<std::string>& ids, const std::string& part);

}  // namespace walstitch::core
