#include "tests/support/ack_log.h"

#include <algorithm>
#include <chrono>

namespace walstitch::test {

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
    ++refused_;
    return;
  }
  ++(is_acknowledged ? acknowledged_ : unknown_);
  if (is_acknowledged) acks_[pending.node].push_back({pending.sent_us, done_us});
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
  return refused_;
}

uint64_t AckLog::unknown() const {
  std::lock_guard lock(mutex_);
  return unknown_;
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

}  // namespace walstitch::test
