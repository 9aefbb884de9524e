// What is still to be delivered to one receiver of notices, and when it is tried. Pure: time and chance are
// arguments. What is signed, and how, is here, too.
//
// The notices of one group go one after the other, in order: the next is tried when the one before was taken
// or given up. Groups do not wait for each other. One that was not taken is tried again after a time that
// doubles, up to a bound, each time shortened by chance, so that many senders do not come back at once. The
// queue is bounded: when it is full, the oldest that is not being sent is dropped, for what is newest matters
// most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/notice.h"

namespace walstitch::core {

struct DeliveryTerms {
  std::int64_t first_retry_ms = 1000;
  std::int64_t last_retry_ms = 60000;
  std::int64_t longest_wait_ms = 300000;  // that a receiver may ask for
  std::int64_t give_up_ms = 3600000;      // a notice that is older, and was not taken when tried, is given up
  std::size_t max_waiting = 1000;
  std::size_t max_bytes = 8U << 20;  // of the waiting ones' bodies
  std::size_t max_at_once = 4;       // requests to the receiver
};

// How an attempt ended.
enum class Taking {
  kTaken,
  kAgain,    // not taken, or nobody knows
  kRefused,  // it will never be taken
};

// Of an HTTP status. 2xx: taken. 400, 410, 413, 415, 422: this notice will never be. Any other, a redirection
// among them: again.
Taking JudgeStatus(int status);

// The seconds that a Retry-After field asks for; nullopt: it is empty, or a date.
std::optional<std::int64_t> RetryAfterMs(std::string_view field);

struct DeliveryCounts {
  std::uint64_t sent = 0;     // notices that were taken
  std::uint64_t failed = 0;   // attempts that were not
  std::uint64_t dropped = 0;  // notices that never will be: the queue was full, or they were given up
  std::size_t waiting = 0;    // now, those that are being sent included
  std::string problem;        // of the last attempt, while it failed; empty: it did not
  bool operator==(const DeliveryCounts&) const = default;
};

class Deliveries {
 public:
  explicit Deliveries(DeliveryTerms terms = {}) : terms_(terms) {}

  // One whose id waits already is left out.
  void Put(Notice notice, std::int64_t now_ms);

  struct Attempt {
    std::string id;
    NoticeKind kind = NoticeKind::kDecision;
    std::string body;
    std::uint64_t number = 1;  // from 1
  };
  // The next to send now; it is on its way until Ended. nullopt: none, see NextMs.
  std::optional<Attempt> Next(std::int64_t now_ms);
  // When Next has one, if nothing else happens before; nullopt: only when something does.
  [[nodiscard]] std::optional<std::int64_t> NextMs() const;
  // Of an attempt that Next gave. `problem`: why it was not taken. `chance`: from 0 to 1.
  void Ended(const std::string& id, Taking taking, std::string problem,
             std::optional<std::int64_t> retry_after_ms, std::int64_t now_ms, double chance);

  [[nodiscard]] DeliveryCounts Counts() const;

 private:
  struct Waiting {
    Notice notice;
    std::uint64_t number = 0;  // attempts
    std::int64_t put_ms = 0;
    std::uint64_t order = 0;  // over all groups
  };
  struct Line {  // of one group
    std::deque<Waiting> waiting;
    bool sending = false;  // its first
    std::int64_t next_ms = 0;
  };

  void DropOldest();
  void Take(Line* line, bool sent);

  DeliveryTerms terms_;
  std::map<std::string, Line> lines_;  // none of them empty
  std::uint64_t order_ = 0;
  std::size_t waiting_ = 0;
  std::size_t bytes_ = 0;
  std::size_t sending_ = 0;
  DeliveryCounts counts_;
};

// The signature of a body that is sent at `unix_s`: "t=<unix_s>,v1=<64 hex digits>", with one v1 for each
// secret, in their order. Each is HMAC-SHA256 under the secret over "<unix_s>.<body>".
std::string SignatureField(const std::vector<std::string>& secrets, std::int64_t unix_s,
                           std::string_view body);

}  // namespace walstitch::core
