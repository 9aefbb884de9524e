#include "controller/core/deliveries.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "policies/model/hmac.h"
#include "policies/model/result.h"

namespace walstitch::core {

namespace {

constexpr int kMostDoublings = 30;

}  // namespace

Taking JudgeStatus(int status) {
  if (status >= 200 && status < 300) return Taking::kTaken;
  if (status == 400 || status == 410 || status == 413 || status == 415 || status == 422)
    return Taking::kRefused;
  return Taking::kAgain;
}

std::optional<std::int64_t> RetryAfterMs(std::string_view field) {
  std::int64_t seconds = 0;
  const auto [end, problem] = std::from_chars(field.data(), field.data() + field.size(), seconds);
  constexpr std::int64_t kMost = 1000000;
  if (problem != std::errc() || end != field.data() + field.size() || seconds < 0) return std::nullopt;
  return std::min(seconds, kMost) * 1000;
}

void Deliveries::Put(Notice notice, std::int64_t now_ms) {
  Line& line = lines_[notice.group];
  const bool known = std::any_of(line.waiting.begin(), line.waiting.end(),
                                 [&](const Waiting& each) { return each.notice.id == notice.id; });
  if (known) return;
  if (line.waiting.empty()) line.next_ms = now_ms;
  ++waiting_;
  bytes_ += notice.body.size();
  Waiting waiting;
  waiting.notice = std::move(notice);
  waiting.put_ms = now_ms;
  waiting.order = ++order_;
  line.waiting.push_back(std::move(waiting));
  while (waiting_ > terms_.max_waiting || (bytes_ > terms_.max_bytes && waiting_ > 1)) {
    const std::size_t before = waiting_;
    DropOldest();
    if (waiting_ == before) break;  // all of them are being sent
  }
}

void Deliveries::DropOldest() {
  Line* oldest = nullptr;
  std::size_t at = 0;
  for (auto& [group, line] : lines_) {
    const std::size_t index = line.sending ? 1 : 0;
    if (index >= line.waiting.size()) continue;
    if (oldest != nullptr && oldest->waiting[at].order < line.waiting[index].order) continue;
    oldest = &line;
    at = index;
  }
  if (oldest == nullptr) return;
  const auto dropped = oldest->waiting.begin() + static_cast<std::ptrdiff_t>(at);
  const std::string group = dropped->notice.group;
  --waiting_;
  bytes_ -= dropped->notice.body.size();
  ++counts_.dropped;
  oldest->waiting.erase(dropped);
  if (oldest->waiting.empty()) lines_.erase(group);
}

std::optional<Deliveries::Attempt> Deliveries::Next(std::int64_t now_ms) {
  if (sending_ >= terms_.max_at_once) return std::nullopt;
  Line* next = nullptr;
  for (auto& [group, line] : lines_) {
    if (line.sending || line.next_ms > now_ms) continue;
    if (next == nullptr || line.waiting.front().order < next->waiting.front().order) next = &line;
  }
  if (next == nullptr) return std::nullopt;
  next->sending = true;
  ++sending_;
  Waiting& first = next->waiting.front();
  Attempt attempt;
  attempt.id = first.notice.id;
  attempt.kind = first.notice.kind;
  attempt.body = first.notice.body;
  attempt.number = ++first.number;
  return attempt;
}

std::optional<std::int64_t> Deliveries::NextMs() const {
  if (sending_ >= terms_.max_at_once) return std::nullopt;
  std::optional<std::int64_t> next;
  for (const auto& [group, line] : lines_) {
    if (line.sending) continue;
    if (!next || line.next_ms < *next) next = line.next_ms;
  }
  return next;
}

void Deliveries::Take(Line* line, bool sent) {
  ++(sent ? counts_.sent : counts_.dropped);
  --waiting_;
  bytes_ -= line->waiting.front().notice.body.size();
  const std::string group = line->waiting.front().notice.group;
  line->waiting.pop_front();
  if (line->waiting.empty()) lines_.erase(group);
}

void Deliveries::Ended(const std::string& id, Taking taking, std::string problem,
                       std::optional<std::int64_t> retry_after_ms, std::int64_t now_ms, double chance) {
  const auto found = std::find_if(lines_.begin(), lines_.end(), [&](const auto& item) {
    return item.second.sending && item.second.waiting.front().notice.id == id;
  });
  WALSTITCH_CHECK(found != lines_.end());
  Line& line = found->second;
  const Waiting& first = line.waiting.front();
  line.sending = false;
  --sending_;
  if (taking == Taking::kTaken) {
    counts_.problem.clear();
    line.next_ms = now_ms;
    return Take(&line, true);
  }
  ++counts_.failed;
  counts_.problem = std::move(problem);
  const int doublings = static_cast<int>(std::min<std::uint64_t>(first.number - 1, kMostDoublings));
  const std::int64_t longest = std::min(terms_.last_retry_ms, terms_.first_retry_ms << doublings);
  const auto shortened = static_cast<std::int64_t>(static_cast<double>(longest) * (0.5 + 0.5 * chance));
  const std::int64_t asked = std::min(retry_after_ms.value_or(0), terms_.longest_wait_ms);
  if (taking == Taking::kRefused || now_ms - first.put_ms >= terms_.give_up_ms) {
    line.next_ms = now_ms;
    return Take(&line, false);
  }
  line.next_ms = now_ms + std::max({shortened, asked, std::int64_t{1}});
}

DeliveryCounts Deliveries::Counts() const {
  DeliveryCounts counts = counts_;
  counts.waiting = waiting_;
  return counts;
}

std::string SignatureField(const std::vector<std::string>& secrets, std::int64_t unix_s,
                           std::string_view body) {
  const std::string time = std::to_string(unix_s);
  const std::string input = time + "." + std::string(body);
  std::string field = "t=" + time;
  for (const std::string& secret : secrets) field += ",v1=" + HmacSha256Hex(secret, input);
  return field;
}

}  // namespace walstitch::core
