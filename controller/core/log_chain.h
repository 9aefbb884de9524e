// The decision log's chain of hashes. Pure.
//
// An entry is one line of JSON: {"index":N,"previous":"<64 hex>","kind":"decision"|"step"|"outcome",
// "decision":"<id>","time_ms":N,"body":{...}}. Its hash is SHA-256 over exactly these bytes; the next
// entry carries it as `previous`. The first entry's index is 1, its previous is 64 zeroes. The head is
// (index, hash) of the newest entry, stored beside the log: a log cut off at its end shows, too.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::core {

struct LogHead {
  std::uint64_t index = 0;  // 0: an empty log
  std::string hash = std::string(64, '0');
  bool operator==(const LogHead&) const = default;
};

enum class EntryKind { kDecision, kStep, kOutcome };  // "decision", "step", "outcome"

struct LogEntry {
  std::uint64_t index = 0;
  std::string previous;
  EntryKind kind = EntryKind::kDecision;
  std::string decision;  // the decision's id
  std::int64_t time_ms = 0;
};

// The line to append behind `head`, and the head that it makes.
struct SealedEntry {
  std::string line;
  LogHead head;
};
SealedEntry Seal(const LogHead& head, EntryKind kind, std::string_view decision, std::int64_t time_ms,
                 const boost::json::value& body);

// The envelope, and the body as it stands.
Result<LogEntry> ParseEntry(std::string_view line, boost::json::value* body);

// Walks a chain piece by piece: Add() each line in order, then Finish() with the stored head. The first
// thing that does not fit is an Error (kDamaged) that names the entry's index.
class ChainVerifier {
 public:
  // `begin`: the last entry that was forgotten, if the log's beginning is not kept.
  explicit ChainVerifier(LogHead begin = {}) : head_(std::move(begin)) {}
  Result<void> Add(std::string_view line);
  Result<void> Finish(const LogHead& stored) const;
  [[nodiscard]] const LogHead& Head() const { return head_; }

 private:
  LogHead head_;
};

// Folds entries into records, oldest first. Entries must be in order.
class RecordFolder {
 public:
  Result<void> Add(std::string_view line);
  [[nodiscard]] const std::vector<DecisionRecord>& Records() const { return records_; }
  // Adds a step or an outcome of that very record.
  static Result<void> Continue(std::string_view line, DecisionRecord* record);

 private:
  static Result<void> Continue(const LogEntry& entry, const boost::json::value& body, DecisionRecord* record);

  std::vector<DecisionRecord> records_;
};

}  // namespace walstitch::core
