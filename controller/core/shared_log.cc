#include "controller/core/shared_log.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

namespace walstitch::core {
namespace {

boost::json::value HeadJson(const LogHead& head) { return {{"index", head.index}, {"hash", head.hash}}; }

std::size_t SizeOf(const SharedEntry& entry) {
  return entry.line.size() + (entry.state ? boost::json::serialize(*entry.state).size() : 0);
}

Error Damaged(std::string_view what) {
  return {ErrorCode::kDamaged,
          "the shared decision log: " + std::string(what) + " is missing or of a wrong type"};
}

bool ReadText(const boost::json::object& object, std::string_view name, std::string* text) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return false;
  *text = std::string(value->get_string());
  return true;
}

bool ReadNumber(const boost::json::object& object, std::string_view name, std::uint64_t* number) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return false;
  boost::system::error_code problem;
  *number = value->to_number<std::uint64_t>(problem);
  return !problem;
}

bool ReadHead(const boost::json::object& object, std::string_view name, LogHead* head) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_object()) return false;
  return ReadNumber(value->get_object(), "index", &head->index) &&
         ReadText(value->get_object(), "hash", &head->hash);
}

}  // namespace

boost::json::value ToJson(const SharedLog& log) {
  boost::json::array pending;
  for (const SharedEntry& entry : log.pending) {
    boost::json::object item{{"index", entry.index}, {"decision", entry.decision}, {"line", entry.line}};
    if (entry.state) {
      item["group"] = entry.group;
      item["state"] = *entry.state;
    }
    pending.push_back(std::move(item));
  }
  boost::json::object object;
  object["holder"] = log.holder;
  object["term"] = log.term;
  object["head"] = HeadJson(log.head);
  object["trimmed"] = HeadJson(log.trimmed);
  object["pending"] = std::move(pending);
  return object;
}

Result<SharedLog> SharedLogFromJson(const boost::json::value& json) {
  const auto* object = json.if_object();
  if (object == nullptr) return Fail(Damaged("it all"));
  SharedLog log;
  if (!ReadText(*object, "holder", &log.holder)) return Fail(Damaged("holder"));
  if (!ReadNumber(*object, "term", &log.term)) return Fail(Damaged("term"));
  if (!ReadHead(*object, "head", &log.head)) return Fail(Damaged("head"));
  if (!ReadHead(*object, "trimmed", &log.trimmed)) return Fail(Damaged("trimmed"));
  const auto* pending = object->if_contains("pending");
  if (pending == nullptr || !pending->is_array()) return Fail(Damaged("pending"));
  for (const auto& item : pending->get_array()) {
    SharedEntry entry;
    if (!item.is_object() || !ReadNumber(item.get_object(), "index", &entry.index) ||
        !ReadText(item.get_object(), "decision", &entry.decision) ||
        !ReadText(item.get_object(), "line", &entry.line)) {
      return Fail(Damaged("an entry"));
    }
    if (const auto* state = item.get_object().if_contains("state")) {
      if (!ReadText(item.get_object(), "group", &entry.group)) return Fail(Damaged("an entry's group"));
      entry.state = *state;
    }
    log.pending.push_back(std::move(entry));
  }
  return log;
}

LogJournal::LogJournal(SharedLog taken) : written_(std::move(taken)) {
  spread_ = written_.pending.empty() ? written_.head.index : written_.pending.front().index - 1;
}

void LogJournal::Append(SharedEntry entry, LogHead head) {
  queue_.push_back({std::move(entry), std::move(head)});
}

void LogJournal::Trim(LogHead trimmed) { trim_ = std::move(trimmed); }

std::optional<SharedLog> LogJournal::Next() {
  if (fenced_ || under_way_) return std::nullopt;
  SharedLog next = written_;
  std::erase_if(next.pending, [this](const SharedEntry& entry) { return entry.index <= spread_; });
  std::size_t bytes = 0;
  for (const SharedEntry& entry : next.pending) bytes += SizeOf(entry);
  bool more = next.pending.size() < written_.pending.size();
  for (const Queued& queued : queue_) {
    bytes += SizeOf(queued.entry);
    // One goes always, if nothing is before it: it is no longer than is allowed.
    if (bytes > kMaxPendingBytes && !next.pending.empty()) break;
    next.pending.push_back(queued.entry);
    next.head = queued.head;
    more = true;
  }
  if (trim_) {
    next.trimmed = *trim_;
    more = true;
  }
  if (!more) return std::nullopt;
  under_way_ = next;
  return next;
}

void LogJournal::Wrote() {
  written_ = std::move(*under_way_);
  under_way_.reset();
  while (!queue_.empty() && queue_.front().entry.index <= written_.head.index) queue_.pop_front();
  if (trim_ == written_.trimmed) trim_.reset();
}

void LogJournal::NotWritten() { under_way_.reset(); }

LogJournal::Fate LogJournal::Saw(const SharedLog& stored) {
  const auto as = [&stored](const SharedLog& log) {
    return stored.holder == log.holder && stored.term == log.term && stored.head == log.head &&
           stored.trimmed == log.trimmed && stored.pending.size() == log.pending.size();
  };
  if (under_way_ && as(*under_way_)) {
    Wrote();
    return Fate::kWritten;
  }
  if (as(written_)) {
    NotWritten();
    return Fate::kNotWritten;
  }
  under_way_.reset();
  fenced_ = true;
  return Fate::kFenced;
}

std::vector<SharedEntry> LogJournal::ToSpread() const {
  std::vector<SharedEntry> entries;
  for (const SharedEntry& entry : written_.pending) {
    if (entry.index > spread_) entries.push_back(entry);
  }
  return entries;
}

void LogJournal::Spread(std::uint64_t up_to) {
  spread_ = std::max(spread_, std::min(up_to, written_.head.index));
}

}  // namespace walstitch::core
