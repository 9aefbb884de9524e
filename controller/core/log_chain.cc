#include "controller/core/log_chain.h"

#include <boost/json.hpp>

#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::core {
namespace {

std::string_view KindName(EntryKind kind) {
  switch (kind) {
    case EntryKind::kDecision:
      return "decision";
    case EntryKind::kStep:
      return "step";
    case EntryKind::kOutcome:
      return "outcome";
  }
  return "";
}

Error Damaged(std::uint64_t index, std::string_view what) {
  return {ErrorCode::kDamaged, "decision log: entry " + std::to_string(index) + ": " + std::string(what)};
}

}  // namespace

SealedEntry Seal(const LogHead& head, EntryKind kind, std::string_view decision, std::int64_t time_ms,
                 const boost::json::value& body) {
  boost::json::object entry;
  entry["index"] = head.index + 1;
  entry["previous"] = head.hash;
  entry["kind"] = KindName(kind);
  entry["decision"] = decision;
  entry["time_ms"] = time_ms;
  entry["body"] = body;
  SealedEntry sealed;
  sealed.line = Dump(entry);
  sealed.head = {head.index + 1, Sha256Hex(sealed.line)};
  return sealed;
}

Result<LogEntry> ParseEntry(std::string_view line, boost::json::value* body) {
  auto json = ParseJson(line);
  if (!json) return Fail(json.error(), "decision log entry");
  const auto* object = json->if_object();
  if (object == nullptr) return Fail(ErrorCode::kDamaged, "decision log entry: not a JSON object");
  LogEntry entry;
  const auto* index = object->if_contains("index");
  const auto* previous = object->if_contains("previous");
  const auto* kind = object->if_contains("kind");
  const auto* decision = object->if_contains("decision");
  const auto* time = object->if_contains("time_ms");
  const auto* content = object->if_contains("body");
  const bool complete = index != nullptr && index->is_number() && previous != nullptr &&
                        previous->is_string() && kind != nullptr && kind->is_string() &&
                        decision != nullptr && decision->is_string() && time != nullptr &&
                        time->is_number() && content != nullptr && content->is_object();
  if (!complete)
    return Fail(ErrorCode::kDamaged, "decision log entry: a field is missing or of a wrong type");
  boost::system::error_code bad_number;
  entry.index = index->to_number<std::uint64_t>(bad_number);
  if (!bad_number) entry.time_ms = time->to_number<std::int64_t>(bad_number);
  if (bad_number) return Fail(ErrorCode::kDamaged, "decision log entry: index or time_ms is no whole number");
  entry.previous = std::string_view(previous->get_string());
  entry.decision = std::string_view(decision->get_string());
  const std::string_view name = kind->get_string();
  if (name == "decision") {
    entry.kind = EntryKind::kDecision;
  } else if (name == "step") {
    entry.kind = EntryKind::kStep;
  } else if (name == "outcome") {
    entry.kind = EntryKind::kOutcome;
  } else {
    return Fail(ErrorCode::kDamaged, "decision log entry: unknown kind '" + ToPrintable(name) + "'");
  }
  if (body != nullptr) *body = *content;
  return entry;
}

Result<void> ChainVerifier::Add(std::string_view line) {
  const std::uint64_t expected = head_.index + 1;
  auto entry = ParseEntry(line, nullptr);
  if (!entry) return Fail(Damaged(expected, entry.error().Message()));
  if (entry->index != expected) {
    return Fail(
        Damaged(expected, "is missing: entry " + std::to_string(entry->index) + " stands in its place"));
  }
  if (entry->previous != head_.hash) {
    return Fail(Damaged(expected, "does not follow the entry before it: one of the two was changed"));
  }
  head_ = {expected, Sha256Hex(line)};
  return {};
}

Result<void> ChainVerifier::Finish(const LogHead& stored) const {
  if (head_ == stored) return {};
  if (head_.index != stored.index) {
    return Fail(Damaged(head_.index, "is the last one found, but the log was written up to entry " +
                                         std::to_string(stored.index)));
  }
  return Fail(Damaged(head_.index, "was changed: its hash is not the one that was stored"));
}

Result<void> RecordFolder::Add(std::string_view line) {
  boost::json::value body;
  auto entry = ParseEntry(line, &body);
  if (!entry) return Fail(entry.error());
  if (entry->kind == EntryKind::kDecision) {
    auto decision = DecisionFromJson(body);
    if (!decision) return Fail(Damaged(entry->index, decision.error().Message()));
    records_.push_back({std::move(*decision), {}, std::nullopt});
    return {};
  }
  // Newest first: steps and outcomes nearly always belong to the newest decisions.
  for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
    if (record->decision.id == entry->decision) return Continue(*entry, body, &*record);
  }
  return Fail(
      Damaged(entry->index, "belongs to decision " + ToPrintable(entry->decision) + ", which is not there"));
}

Result<void> RecordFolder::Continue(std::string_view line, DecisionRecord* record) {
  boost::json::value body;
  auto entry = ParseEntry(line, &body);
  if (!entry) return Fail(entry.error());
  if (entry->decision != record->decision.id || entry->kind == EntryKind::kDecision) {
    return Fail(Damaged(entry->index, "does not go on with decision " + record->decision.id));
  }
  return Continue(*entry, body, record);
}

Result<void> RecordFolder::Continue(const LogEntry& entry, const boost::json::value& body,
                                    DecisionRecord* record) {
  if (entry.kind == EntryKind::kStep) {
    auto step = StepRecordFromJson(body);
    if (!step) return Fail(Damaged(entry.index, step.error().Message()));
    record->steps.push_back(std::move(*step));
    return {};
  }
  auto outcome = OutcomeRecordFromJson(body);
  if (!outcome) return Fail(Damaged(entry.index, outcome.error().Message()));
  record->outcome = std::move(*outcome);
  return {};
}

}  // namespace walstitch::core
