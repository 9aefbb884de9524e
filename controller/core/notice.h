// Notices: what others are told of a group, as webhooks carry it (shell/webhooks.h). Pure: decisions,
// outcomes and findings in, JSON texts out. docs/webhooks.md describes the texts for those who receive them.
//
// No key and no value of a user stands in a notice: of keys, their number and their keyspaces. Free sentences
// of rejoins and replays can name keys, so of these there are codes and counts only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/finding.h"
#include "policies/model/decision.h"

namespace walstitch::core {

enum class NoticeKind {
  kDecision,       // "decision": it was made, and is durable
  kOutcome,        // "outcome": of a decision
  kWithoutMaster,  // "without_master": the group has no master, or has one again
  kFinding,        // "finding": one stands, or is over
};

std::string_view ToString(NoticeKind kind);
std::optional<NoticeKind> NoticeKindOf(std::string_view name);

// How much somebody should care. Ascending.
enum class Severity { kInfo, kWarning, kCritical };  // "info", "warning", "critical"

std::string_view ToString(Severity severity);
std::optional<Severity> SeverityNamed(std::string_view name);
Severity SeverityOf(FindingCode code);

struct Notice {
  // The same for the same thing, whoever tells it and however often: who receives it tells doubles by it.
  // Printable, no spaces.
  std::string id;
  NoticeKind kind = NoticeKind::kDecision;
  Severity severity = Severity::kInfo;  // of a finding
  std::string group;
  std::string body;  // JSON, one line
};

Notice NoticeOfDecision(const Decision& decision);
// `closed` has its outcome.
Notice NoticeOfOutcome(const DecisionRecord& closed);

// Those of decisions and outcomes that were made within the last `window_ms`, in the order in which they
// were: what an earlier run may not have told. `records` are newest first.
std::vector<Notice> NoticesSince(const std::vector<DecisionRecord>& records, std::int64_t unix_ms,
                                 std::int64_t window_ms);

// What a look at a group shows.
struct GroupLook {
  bool managed = false;
  std::uint64_t epoch = 0;
  std::string master;  // of the epoch
  std::vector<Finding> findings;
  std::int64_t now_ms = 0;   // of a clock that never goes back
  std::int64_t unix_ms = 0;  // for people, and for ids
};

// Watches one group, and says when its master is gone or back, and which findings stand or are over. What is
// over in a moment is not told.
class GroupWatch {
 public:
  // A group without a master for that long.
  static constexpr std::int64_t kWithoutMasterMs = 1000;
  // The same while this run has not seen a master yet: agents have to be heard first.
  static constexpr std::int64_t kFirstSightMs = 5000;
  // A finding that stands for that long, or does not stand for that long any more.
  static constexpr std::int64_t kFindingMs = 5000;

  explicit GroupWatch(std::string group) : group_(std::move(group)) {}

  // To be called several times a second.
  std::vector<Notice> Look(const GroupLook& look);

 private:
  struct Standing {
    std::string sentence;
    std::int64_t since_ms = 0;
    std::int64_t since_unix_ms = 0;
    std::int64_t seen_ms = 0;
    bool told = false;
  };

  void LookForMaster(const GroupLook& look, std::vector<Notice>* notices);
  void LookAtFindings(const GroupLook& look, std::vector<Notice>* notices);

  std::string group_;
  std::optional<std::int64_t> first_ms_;  // of the first look at the group as a managed one
  bool seen_master_ = false;              // in this run
  std::optional<Standing> without_;
  std::map<std::pair<FindingCode, std::string>, Standing> findings_;  // by code and node
};

}  // namespace walstitch::core
