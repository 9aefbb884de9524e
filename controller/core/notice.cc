#include "controller/core/notice.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "policies/model/json.h"
#include "policies/model/names.h"

namespace walstitch::core {

namespace {

// Of each of a decision's lists. A policy may have many rules, and a plan many steps.
constexpr std::size_t kMostListed = 50;
// Of a sentence: it may quote what an agent or a server said.
constexpr std::size_t kMostBytes = 2000;

std::string Cut(std::string text) {
  if (text.size() <= kMostBytes) return text;
  std::size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + "…";
}

// Whether its sentences speak of nodes and sequences alone.
bool NamesNoKeys(const Decision& decision) {
  switch (decision.kind) {
    case DecisionKind::kRejoin:
    case DecisionKind::kReplay:
      return false;
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover:
    case DecisionKind::kBootstrap:
    case DecisionKind::kAdopt:
    case DecisionKind::kRelease:
    case DecisionKind::kPause:
    case DecisionKind::kResume:
    case DecisionKind::kMaintenance:
    case DecisionKind::kUnblock:
    case DecisionKind::kRefusal:
      return true;
  }
  return false;
}

// "failover to n2", "rejoin of n1 (padded)"
std::string What(const Decision& decision) {
  std::string what(ToString(decision.kind));
  switch (decision.kind) {
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover:
    case DecisionKind::kBootstrap:
    case DecisionKind::kAdopt:
      if (!decision.node.empty()) what += " to " + decision.node;
      break;
    case DecisionKind::kRejoin:
    case DecisionKind::kRelease:
    case DecisionKind::kPause:
    case DecisionKind::kResume:
    case DecisionKind::kMaintenance:
    case DecisionKind::kUnblock:
    case DecisionKind::kReplay:
    case DecisionKind::kRefusal:
      if (!decision.node.empty()) what += " of " + decision.node;
      break;
  }
  if (decision.verdict) what += " (" + std::string(ToString(decision.verdict->verdict)) + ")";
  return what;
}

boost::json::array ReasonsOf(const std::vector<Reason>& reasons, bool with_sentences) {
  boost::json::array list;
  for (const Reason& reason : reasons) {
    if (list.size() == kMostListed) break;
    boost::json::object item{{"code", reason.code}};
    if (with_sentences) item["sentence"] = Cut(reason.sentence);
    list.push_back(std::move(item));
  }
  return list;
}

boost::json::object SummaryOf(const Decision& decision) {
  const bool with_sentences = NamesNoKeys(decision);
  boost::json::object summary{
      {"id", decision.id},       {"time_ms", decision.time_ms}, {"kind", ToString(decision.kind)},
      {"epoch", decision.epoch}, {"node", decision.node},       {"survivor", decision.survivor}};
  if (with_sentences) summary["finding"] = Cut(decision.finding);
  summary["policy"] = {{"name", decision.policy_name}, {"hash", decision.policy_hash}};
  summary["reasons"] =
      ReasonsOf(decision.verdict ? decision.verdict->reasons : decision.reasons, with_sentences);
  if (decision.verdict) {
    summary["verdict"] = ToString(decision.verdict->verdict);
    boost::json::array keyspaces;
    for (const KeyspaceFinding& keyspace : decision.verdict->keyspaces) {
      if (keyspaces.size() == kMostListed) break;
      keyspaces.push_back({{"keyspace", keyspace.keyspace},
                           {"tolerance", ToString(keyspace.tolerance)},
                           {"tail_records", keyspace.tail_records},
                           {"missed_records", keyspace.missed_records},
                           {"keys", keyspace.keys},
                           {"bytes", keyspace.bytes}});
    }
    summary["keyspaces"] = std::move(keyspaces);
  }
  boost::json::array plan;
  for (const PlanStep& step : decision.plan) {
    if (plan.size() == kMostListed) break;
    plan.push_back({{"node", step.node}, {"action", ActionName(step.action)}});
  }
  summary["plan"] = std::move(plan);
  return summary;
}

boost::json::object SummaryOf(const KeysMended& keys) {
  const auto counts = [](const Comparison& of) {
    return boost::json::object{
        {"equal", of.equal}, {"differ", of.differ}, {"unreadable", of.unreadable}, {"restless", of.restless}};
  };
  return {{"before", counts(keys.before)},
          {"repaired", keys.repair.repaired},
          {"evicted", keys.repair.evicted},
          {"failed", keys.repair.failed},
          {"after", counts(keys.after)}};
}

boost::json::object SummaryOf(const OutcomeRecord& outcome, bool with_sentences) {
  boost::json::object summary{{"outcome", ToString(outcome.outcome)},
                              {"time_ms", outcome.time_ms},
                              {"took_ms", outcome.took_ms},
                              {"bytes_to_node", outcome.bytes_to_node}};
  if (with_sentences) summary["sentence"] = Cut(outcome.sentence);
  if (outcome.without_master_ms) summary["without_master_ms"] = *outcome.without_master_ms;
  if (outcome.salvage) {
    summary["salvage"] = {
        {"id", outcome.salvage->id}, {"records", outcome.salvage->records}, {"keys", outcome.salvage->keys}};
  }
  if (outcome.keys) summary["keys"] = SummaryOf(*outcome.keys);
  return summary;
}

Notice Sealed(Notice notice, std::int64_t time_ms, std::string text, boost::json::object more) {
  boost::json::object body{{"id", notice.id},
                           {"event", ToString(notice.kind)},
                           {"group", notice.group},
                           {"time_ms", time_ms},
                           {"text", Cut(std::move(text))}};
  for (auto& [key, value] : more) body[key] = std::move(value);
  notice.body = Dump(body);
  return notice;
}

std::string Seconds(std::int64_t ms) {
  return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
}

// It says that the group has no master that takes writes, as far as anybody can know.
bool MeansNoMaster(FindingCode code) {
  return code == FindingCode::kMasterProcessDown || code == FindingCode::kMasterParked ||
         code == FindingCode::kMasterProcessHung || code == FindingCode::kMasterUnreachable;
}

}  // namespace

std::string_view ToString(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::kDecision:
      return "decision";
    case NoticeKind::kOutcome:
      return "outcome";
    case NoticeKind::kWithoutMaster:
      return "without_master";
    case NoticeKind::kFinding:
      return "finding";
  }
  return "";
}

std::optional<NoticeKind> NoticeKindOf(std::string_view name) {
  for (const NoticeKind kind :
       {NoticeKind::kDecision, NoticeKind::kOutcome, NoticeKind::kWithoutMaster, NoticeKind::kFinding}) {
    if (ToString(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string_view ToString(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kCritical:
      return "critical";
  }
  return "";
}

std::optional<Severity> SeverityNamed(std::string_view name) {
  for (const Severity severity : {Severity::kInfo, Severity::kWarning, Severity::kCritical}) {
    if (ToString(severity) == name) return severity;
  }
  return std::nullopt;
}

Severity SeverityOf(FindingCode code) {
  switch (code) {
    case FindingCode::kMasterProcessDown:
    case FindingCode::kMasterParked:
    case FindingCode::kMasterProcessHung:
    case FindingCode::kMasterUnreachable:
    case FindingCode::kMasterRefusesWrites:
    case FindingCode::kSecondMaster:
    case FindingCode::kStoreLost:
      return Severity::kCritical;
    case FindingCode::kMasterOutOfSight:
    case FindingCode::kNodesMissing:
    case FindingCode::kNodeToRejoin:
    case FindingCode::kFeedStuck:
    case FindingCode::kNodeLoadingLong:
    case FindingCode::kNodeDown:
    case FindingCode::kNodeUnreachable:
    case FindingCode::kResumePointEndangered:
    case FindingCode::kDiskLow:
      return Severity::kWarning;
    case FindingCode::kNewGroup:
    case FindingCode::kAdoptableGroup:
    case FindingCode::kGroupReleased:
    case FindingCode::kMasterLeaving:
    case FindingCode::kNodeWaiting:
    case FindingCode::kFullSyncRunning:
      return Severity::kInfo;
  }
  return Severity::kInfo;
}

Notice NoticeOfDecision(const Decision& decision) {
  Notice notice;
  notice.id = decision.id + "/decision";
  notice.kind = NoticeKind::kDecision;
  notice.group = decision.group;
  std::string text = decision.group + ": " + What(decision) + " was decided";
  if (decision.kind == DecisionKind::kRefusal) {
    text = decision.group + ": not done";
    if (!decision.reasons.empty()) text += ": " + decision.reasons.front().sentence;
  } else if (NamesNoKeys(decision) && !decision.finding.empty()) {
    text += ": " + decision.finding;
  }
  return Sealed(std::move(notice), decision.time_ms, std::move(text), {{"decision", SummaryOf(decision)}});
}

Notice NoticeOfOutcome(const DecisionRecord& closed) {
  const Decision& decision = closed.decision;
  const OutcomeRecord outcome = closed.outcome.value_or(OutcomeRecord());
  Notice notice;
  notice.id = decision.id + "/outcome";
  notice.kind = NoticeKind::kOutcome;
  notice.group = decision.group;
  const bool with_sentences = NamesNoKeys(decision);
  std::string text = decision.group + ": " + What(decision) + ": " + std::string(ToString(outcome.outcome));
  if (with_sentences && !outcome.sentence.empty()) text += ": " + outcome.sentence;
  return Sealed(std::move(notice), outcome.time_ms, std::move(text),
                {{"decision", SummaryOf(decision)}, {"outcome", SummaryOf(outcome, with_sentences)}});
}

std::vector<Notice> NoticesSince(const std::vector<DecisionRecord>& records, std::int64_t unix_ms,
                                 std::int64_t window_ms) {
  std::vector<std::pair<std::int64_t, Notice>> found;
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (record->decision.time_ms >= unix_ms - window_ms)
      found.emplace_back(record->decision.time_ms, NoticeOfDecision(record->decision));
    if (record->outcome && record->outcome->time_ms >= unix_ms - window_ms)
      found.emplace_back(record->outcome->time_ms, NoticeOfOutcome(*record));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  std::vector<Notice> notices;
  notices.reserve(found.size());
  for (auto& [time, notice] : found) notices.push_back(std::move(notice));
  return notices;
}

std::vector<Notice> GroupWatch::Look(const GroupLook& look) {
  std::vector<Notice> notices;
  LookForMaster(look, &notices);
  LookAtFindings(look, &notices);
  return notices;
}

void GroupWatch::LookForMaster(const GroupLook& look, std::vector<Notice>* notices) {
  const auto trouble = std::find_if(look.findings.begin(), look.findings.end(),
                                    [](const Finding& finding) { return MeansNoMaster(finding.code); });
  const auto tell = [&](std::string_view state, std::int64_t since_unix_ms, std::string text,
                        boost::json::object more) {
    Notice notice;
    notice.kind = NoticeKind::kWithoutMaster;
    notice.severity = Severity::kCritical;
    notice.group = group_;
    notice.id = group_ + "/" + std::to_string(since_unix_ms) + "/without_master/" + std::string(state);
    more["state"] = state;
    more["epoch"] = look.epoch;
    notices->push_back(Sealed(std::move(notice), look.unix_ms, std::move(text), std::move(more)));
  };
  if (!look.managed) {
    // Nobody looks after it any more, so nobody waits for its master either.
    if (without_ && without_->told) {
      tell("end", without_->since_unix_ms, group_ + " is not looked after any more",
           {{"lasted_ms", look.now_ms - without_->since_ms}});
    }
    without_.reset();
    return;
  }
  if (!first_ms_) first_ms_ = look.now_ms;
  if (trouble == look.findings.end()) {
    const bool first = !std::exchange(seen_master_, true);
    if (without_ && without_->told) {
      const std::int64_t lasted_ms = look.now_ms - without_->since_ms;
      tell("end", without_->since_unix_ms,
           group_ + " has a master again after " + Seconds(lasted_ms) + ": " + look.master,
           {{"master", look.master}, {"lasted_ms", lasted_ms}});
    } else if (first) {
      // 1. A controller tells that the group has no master, and goes. 2. The next one finds one. 3. Whoever
      // was told would wait for the end for ever.
      tell("end", look.unix_ms, group_ + " has a master: " + look.master, {{"master", look.master}});
    }
    without_.reset();
    return;
  }
  if (!without_) {
    Standing standing;
    standing.since_ms = look.now_ms;
    standing.since_unix_ms = look.unix_ms;
    without_ = std::move(standing);
  }
  const bool long_enough = look.now_ms - without_->since_ms >= kWithoutMasterMs;
  if (without_->told || !long_enough) return;
  if (!seen_master_ && look.now_ms - *first_ms_ < kFirstSightMs) return;
  without_->told = true;
  tell("begin", without_->since_unix_ms, group_ + " has no master: " + trouble->sentence,
       {{"finding",
         {{"code", ToString(trouble->code)}, {"node", trouble->node}, {"sentence", Cut(trouble->sentence)}}},
        {"since_ms", without_->since_unix_ms}});
}

void GroupWatch::LookAtFindings(const GroupLook& look, std::vector<Notice>* notices) {
  const auto tell = [&](std::string_view state, const std::pair<FindingCode, std::string>& what,
                        const Standing& standing) {
    const auto& [code, node] = what;
    Notice notice;
    notice.kind = NoticeKind::kFinding;
    notice.severity = SeverityOf(code);
    notice.group = group_;
    notice.id = group_ + "/" + std::to_string(standing.since_unix_ms) + "/" + std::string(ToString(code)) +
                "/" + node + (node.empty() ? "" : "/") + std::string(state);
    boost::json::object finding{{"code", ToString(code)},
                                {"node", node},
                                {"severity", ToString(notice.severity)},
                                {"sentence", Cut(standing.sentence)}};
    const std::string text = group_ + (state == "end" ? ": over: " : ": ") + standing.sentence;
    notices->push_back(
        Sealed(std::move(notice), look.unix_ms, text,
               {{"state", state}, {"finding", std::move(finding)}, {"since_ms", standing.since_unix_ms}}));
  };
  for (const Finding& finding : look.findings) {
    const std::pair what(finding.code, finding.node);
    auto [found, fresh] = findings_.try_emplace(what);
    Standing& standing = found->second;
    if (fresh) {
      standing.since_ms = look.now_ms;
      standing.since_unix_ms = look.unix_ms;
    }
    standing.seen_ms = look.now_ms;
    standing.sentence = finding.sentence;
    if (standing.told || look.now_ms - standing.since_ms < kFindingMs) continue;
    standing.told = true;
    tell("begin", what, standing);
  }
  for (auto entry = findings_.begin(); entry != findings_.end();) {
    const Standing& standing = entry->second;
    const std::int64_t gone_ms = look.now_ms - standing.seen_ms;
    if (gone_ms > 0 && !standing.told) {
      entry = findings_.erase(entry);
    } else if (gone_ms >= kFindingMs) {
      tell("end", entry->first, standing);
      entry = findings_.erase(entry);
    } else {
      ++entry;
    }
  }
}

}  // namespace walstitch::core
