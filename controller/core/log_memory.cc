#include "controller/core/log_memory.h"

#include <algorithm>
#include <boost/json.hpp>

#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::core {

Result<void> LogMemory::Load(const std::string& line) {
  auto entry = ParseEntry(line, nullptr);
  if (!entry) return Fail(entry.error());
  if (entry->index <= trimmed_.index || entry->index > head_.index) return {};
  entries_.try_emplace(entry->index, Kept{line, entry->decision});
  return {};
}

std::vector<std::string> LogMemory::Loaded() {
  std::vector<std::string> problems;
  std::uint64_t next = trimmed_.index + 1;
  const auto missing = [&](std::uint64_t until) {
    if (next == until) return;
    problems.push_back("decision log: entries " + std::to_string(next) + " to " + std::to_string(until - 1) +
                       " are missing");
  };
  for (const auto& [index, kept] : entries_) {
    missing(index);
    next = index + 1;
    indexes_[kept.decision].push_back(index);
    if (auto folded = Fold(kept.line, kept.decision); !folded) problems.push_back(folded.error().Message());
  }
  missing(head_.index + 1);
  const auto last = entries_.find(head_.index);
  if (last != entries_.end() && Sha256Hex(last->second.line) != head_.hash) {
    problems.push_back("decision log: entry " + std::to_string(head_.index) +
                       " is not the one that was written");
  }
  return problems;
}

Result<void> LogMemory::Fold(const std::string& line, const std::string& decision) {
  RecordFolder folder;
  const auto found = records_.find(decision);
  if (found == records_.end()) {
    if (auto added = folder.Add(line); !added) return added;
    records_.emplace(decision, folder.Records().front());
    open_.insert(decision);
    return {};
  }
  if (auto continued = RecordFolder::Continue(line, &found->second); !continued) return continued;
  if (found->second.outcome) open_.erase(decision);
  return {};
}

std::string LogMemory::Append(EntryKind kind, const std::string& decision, std::int64_t time_ms,
                              const boost::json::value& body) {
  SealedEntry sealed = Seal(head_, kind, decision, time_ms, body);
  head_ = sealed.head;
  entries_.emplace(head_.index, Kept{sealed.line, decision});
  indexes_[decision].push_back(head_.index);
  const auto folded = Fold(sealed.line, decision);
  WALSTITCH_CHECK(folded.has_value() || kind != EntryKind::kDecision);
  return std::move(sealed.line);
}

std::vector<std::string> LogMemory::Lines(std::uint64_t from, std::size_t max) const {
  std::vector<std::string> lines;
  for (auto entry = entries_.lower_bound(from); entry != entries_.end() && lines.size() < max; ++entry) {
    lines.push_back(entry->second.line);
  }
  return lines;
}

std::vector<std::string> LogMemory::LinesOf(const std::string& decision) const {
  std::vector<std::string> lines;
  const auto found = indexes_.find(decision);
  if (found == indexes_.end()) return lines;
  for (const std::uint64_t index : found->second) lines.push_back(entries_.at(index).line);
  return lines;
}

const DecisionRecord* LogMemory::Find(const std::string& decision) const {
  const auto found = records_.find(decision);
  return found == records_.end() ? nullptr : &found->second;
}

std::optional<LogMemory::Trimming> LogMemory::Excess(std::size_t keep) const {
  if (records_.size() <= keep) return std::nullopt;
  // The newest `keep`, and all that are open, stay; nothing behind the first entry of any of them goes.
  std::uint64_t first_kept = head_.index + 1;
  std::size_t newest = 0;
  for (auto record = records_.rbegin(); record != records_.rend(); ++record, ++newest) {
    if (newest >= keep && !open_.contains(record->first)) continue;
    first_kept = std::min(first_kept, indexes_.at(record->first).front());
  }
  Trimming trimming;
  std::uint64_t begin = trimmed_.index;
  // Of one that begins before that place and ends behind it, everything stays.
  for (bool again = true; again;) {
    again = false;
    for (const auto& [decision, indexes] : indexes_) {
      if (indexes.front() >= first_kept || indexes.back() < first_kept) continue;
      first_kept = indexes.front();
      again = true;
    }
  }
  for (const auto& [decision, indexes] : indexes_) {
    if (indexes.back() >= first_kept) continue;
    trimming.decisions.push_back(decision);
    begin = std::max(begin, indexes.back());
  }
  if (trimming.decisions.empty()) return std::nullopt;
  trimming.trimmed = {begin, Sha256Hex(entries_.at(begin).line)};
  return trimming;
}

void LogMemory::Trim(const Trimming& trimming) {
  for (const auto& decision : trimming.decisions) {
    for (const std::uint64_t index : indexes_[decision]) entries_.erase(index);
    indexes_.erase(decision);
    records_.erase(decision);
    open_.erase(decision);
  }
  trimmed_ = trimming.trimmed;
}

LogEnds EndsOf(const std::vector<std::string>& lines) {
  LogEnds ends;
  std::uint64_t first = UINT64_MAX;
  for (const std::string& line : lines) {
    const auto entry = ParseEntry(line, nullptr);
    if (!entry || entry->index == 0) continue;
    if (entry->index > ends.head.index) ends.head = {entry->index, Sha256Hex(line)};
    if (entry->index >= first) continue;
    first = entry->index;
    ends.trimmed = {entry->index - 1, entry->previous};
  }
  return ends;
}

Result<std::string> ResolveDecision(const std::vector<std::string>& ids, const std::string& part) {
  std::vector<std::string> matches;
  if (part.size() >= 4) {
    for (const auto& id : ids) {
      if (id.starts_with(part) || id.ends_with(part)) matches.push_back(id);
    }
  }
  if (matches.empty()) {
    return Fail(ErrorCode::kNotFound,
                "no decision '" + part + "' (give its id, or 4 or more of its first or last characters)");
  }
  if (matches.size() > 1) {
    return Fail(ErrorCode::kInvalid,
                "'" + part + "' fits " + std::to_string(matches.size()) + " decisions: give more of the id");
  }
  return matches.front();
}

}  // namespace walstitch::core
