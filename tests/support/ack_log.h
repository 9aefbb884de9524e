// What writers were told: every write, when it was sent, and whether it was acknowledged. What a group must
// still hold after everything that was done to it is computed from here (ack_check.h).
//
// A register is one thing that a write sets: a key, or a field of a hash ("key" + kFieldMark + "field"). A
// counter is a key that is only ever incremented by one. Times are microseconds of this process's monotonic
// clock, so those of different writers compare.
//
// Thread-safe: each writer calls Begin() before it sends, and End() when it knows how it went. Not for
// reading while writers run, except the counts.
//
// What no check can ask for any more is forgotten: a write to a register that was over before an acknowledged
// one to the same register was sent can never be the last one.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace walstitch::test {

inline constexpr char kFieldMark = '\x1f';

enum class WriteState {
  kUnknown,       // the connection was lost, or nobody answered in time: it may have happened, or happen yet
  kAcknowledged,  // +OK
  kRefused,       // an error: it did not happen, and never will
};

struct Write {
  std::string node;  // whom it was sent to
  std::string value;
  int64_t sent_us = 0;
  int64_t done_us = 0;
  WriteState state = WriteState::kUnknown;
};

// An acknowledged write's times, without what it wrote.
struct Ack {
  int64_t sent_us = 0;
  int64_t done_us = 0;
};

class AckLog {
 public:
  using Registers = std::vector<std::pair<std::string, std::string>>;  // register, value

  // The clock of all times here.
  static int64_t NowMicros();

  // One write that sets all of `registers`, or increments `counter`. The number is for End().
  uint64_t Begin(const std::string& node, Registers registers, const std::string& counter = "");
  // `done_us` is when the answer was read.
  void End(uint64_t write, WriteState state, int64_t done_us);
  // For tests of checks: both, with times of one's own.
  void Add(const std::string& node, Registers registers, WriteState state, int64_t sent_us, int64_t done_us);

  uint64_t acknowledged() const;
  uint64_t refused() const;
  uint64_t unknown() const;
  uint64_t AcknowledgedBy(const std::string& node) const;
  uint64_t RefusedBy(const std::string& node) const;
  uint64_t UnknownOf(const std::string& node) const;
  // When that node last acknowledged a write; 0: never.
  int64_t LastAckOf(const std::string& node) const;
  // The longest time between two writes that it acknowledged, from that moment to the last of them.
  int64_t LongestPauseOf(const std::string& node, int64_t since_us) const;
  // The first write that was sent at or after that moment and acknowledged, by whichever node but one.
  std::optional<std::pair<std::string, Ack>> FirstAckSince(int64_t since_us, const std::string& but) const;

  struct Counter {
    uint64_t acknowledged = 0;
    uint64_t unknown = 0;
  };
  // In order of the writes' ends; those that never ended stand last.
  const std::map<std::string, std::vector<Write>>& registers() const { return registers_; }
  const std::map<std::string, Counter>& counters() const { return counters_; }
  // By node, in order of `done_us` as good as writers report it.
  const std::map<std::string, std::vector<Ack>>& acks() const { return acks_; }

 private:
  struct Pending {
    std::string node;
    Registers registers;
    std::string counter;
    int64_t sent_us = 0;
  };

  void Record(const Pending& pending, WriteState state, int64_t done_us);

  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  std::map<uint64_t, Pending> pending_;
  std::map<std::string, std::vector<Write>> registers_;
  std::map<std::string, Counter> counters_;
  std::map<std::string, std::vector<Ack>> acks_;
  uint64_t acknowledged_ = 0;
  std::map<std::string, uint64_t> refused_;  // by node
  std::map<std::string, uint64_t> unknown_;
};

}  // namespace walstitch::test
