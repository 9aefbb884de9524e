// Lines of the audit: who changed something, or tried to, by an HTTP request. Pure. Never a body, a query or
// a secret.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace walstitch::http {

struct AuditEntry {
  std::string token;    // the name of the token that was shown; empty: none, or one that is nobody's
  std::string subject;  // of the certificate that was shown; empty: none
  std::string from;     // "10.0.0.5:41234"
  std::string method;
  std::string path;  // decoded, without the query
  int status = 0;    // of the answer; 101: a stream was opened; 0: the other side was gone before
  std::chrono::milliseconds took{0};
};

// "audit: token ops, certificate CN=ops, from 10.0.0.5:41234: POST /v1/groups/shop/failover: 200 after 132
// ms". One line whatever is in it.
std::string AuditLine(const AuditEntry& entry);

// Whoever is refused may ask again at once, and must not fill the disk with it. Time is an argument.
class RefusalLimit {
 public:
  // Whether one more refusal may be written. `now_ms` of any clock that goes forward.
  bool Take(std::int64_t now_ms);

 private:
  std::int64_t second_ms_ = 0;
  int taken_ = 0;
};

}  // namespace walstitch::http
