#include "tests/support/ack_log.h"

#include <algorithm>
#include <chrono>

namespace walstitch::test {
namespace {

uint64_t Sum(const std::map<std::string, uint64_t>& by_node) {
  uint64_t sum = 0;
  for (const auto& [node, count] : by_node) sum += count;
  return sum;
}

}  // namespace

int64_t AckLog::NowMicros() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

uint64_t AckLog::Begin(const std::string& node, Registers registers, const std::string& counter) {
  std::lock_guard lock(mutex_);
  const uint64_t number = next_++;
  // Last, so that the clock is read as late as can be, and yet before anything is sent.
  pending_.emplace(number, Pending{node, std::move(registers), counter, NowMicros()});
  return number;
}

void AckLog::End(uint64_t write, WriteState state, int64_t done_us) {
  std::lock_guard lock(mutex_);
  const auto found = pending_.find(write);
  if (found == pending_.end()) return;
  Record(found->second, state, done_us);
  pending_.erase(found);
}

void AckLog::Add(const std::string& node, Registers registers, WriteState state, int64_t sent_us,
                 int64_t done_us) {
  std::lock_guard lock(mutex_);
  Record({node, std::move(registers), "", sent_us}, state, done_us);
}

void AckLog::Record(const Pending& pending, WriteState state, int64_t done_us) {
  const bool is_acknowledged = state == WriteState::kAcknowledged;
  if (state == WriteState::kRefused) {
    ++refused_[pending.node];
    return;
  }
  if (is_acknowledged) {
    ++acknowledged_;
    acks_[pending.node].push_back({pending.sent_us, done_us});
  } else {
    ++unknown_[pending.node];
  }
  if (!pending.counter.empty()) {
    Counter& counter = counters_[pending.counter];
    ++(is_acknowledged ? counter.acknowledged : counter.unknown);
  }
  for (const auto& [name, value] : pending.registers) {
    std::vector<Write>& writes = registers_[name];
    if (is_acknowledged) {
      writes.erase(std::remove_if(writes.begin(), writes.end(),
                                  [&](const Write& write) {
                                    return write.state == WriteState::kAcknowledged &&
                                           write.done_us < pending.sent_us;
                                  }),
                   writes.end());
    }
    writes.push_back({pending.node, value, pending.sent_us, done_us, state});
  }
}

uint64_t AckLog::acknowledged() const {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

uint64_t AckLog::refused() const {
  std::lock_guard lock(mutex_);
  return Sum(refused_);
}

uint64_t AckLog::unknown() const {
  std::lock_guard lock(mutex_);
  return Sum(unknown_);
}

uint64_t AckLog::RefusedBy(const std::string& node) const {
  std::lock_guard lock(mutex_);
  const auto found = refused_.find(node);
  return found == refused_.end() ? 0 : found->second;
}

uint64_t AckLog::UnknownOf(const std::string& node) const {
  std::lock_guard lock(mutex_);
  const auto found = unknown_.find(node);
  return found == unknown_.end() ? 0 : found->second;
}

uint64_t AckLog::AcknowledgedBy(const std::string& node) const {
  std::lock_guard lock(mutex_);
  const auto found = acks_.find(node);
  return found == acks_.end() ? 0 : found->second.size();
}

int64_t AckLog::LastAckOf(const std::string& node) const {
  std::lock_guard lock(mutex_);
  const auto found = acks_.find(node);
  return found == acks_.end() || found->second.empty() ? 0 : found->second.back().done_us;
}

int64_t AckLog::LongestPauseOf(const std::string& node, int64_t since_us) const {
  std::lock_guard lock(mutex_);
  const auto found = acks_.find(node);
  if (found == acks_.end()) return 0;
  // Several writers report, so the list is ordered as good as they do it.
  std::vector<int64_t> done = {since_us};
  for (auto ack = found->second.rbegin(); ack != found->second.rend(); ++ack) {
    if (ack->done_us < since_us - 1'000'000) break;
    if (ack->done_us >= since_us) done.push_back(ack->done_us);
  }
  std::sort(done.begin(), done.end());
  int64_t longest = 0;
  for (size_t i = 1; i < done.size(); ++i) longest = std::max(longest, done[i] - done[i - 1]);
  return longest;
}

std::optional<std::pair<std::string, Ack>> AckLog::FirstAckSince(int64_t since_us,
                                                                 const std::string& but) const {
  std::lock_guard lock(mutex_);
  std::optional<std::pair<std::string, Ack>> first;
  for (const auto& [node, acks] : acks_) {
    if (node == but) continue;
    // One writer sends one write after the other.
    const auto found =
        std::lower_bound(acks.begin(), acks.end(), since_us,
                         [](const Ack& ack, int64_t time_us) { return ack.sent_us < time_us; });
    if (found != acks.end() && (!first || found->done_us < first->second.done_us)) first = {node, *found};
  }
  return first;
}

}  // namespace walstitch::test
