// Controls a fake API server from another process: plain HTTP on loopback, JSON in, JSON out.
//
//   POST   /control/fault          {"action", "verb", "resource", "name", "user", "times", "delay_ms",
//   "status",
//                                   "reason", "retry_after_seconds", "in_stream", "body", "content_type"};
//                                   actions: delay-before, delay-after, close-before, close-after, status,
//                                   body, hang
//   DELETE /control/fault          clears the faults, and lets go on what hangs
//   POST   /control/watches        {"close": true}, {"silent": true|false}
//   POST   /control/connections    {"close": true}, {"accept": true|false}
//   POST   /control/listening      {"on": true|false}   refuses connections, on the same port later
//   POST   /control/history        {"expire": true}
//   POST   /control/token          {"token", "user"}, or {"token", "remove": true}
//   POST   /control/rules          {"user", "yaml"}      the Roles in it
//   POST   /control/crd            {"yaml"}
//   GET    /control/requests?from=N   {"requests": [...], "next": N}
#pragma once

#include <cstdint>
#include <memory>

#include "tests/support/kubernetes/fake_apiserver.h"

namespace walstitch::test {

class FakeControl {
 public:
  // Serves until the destructor, from a thread of its own. Port 0: a free one. Throws.
  FakeControl(FakeApiServer& server, std::uint16_t port);
  ~FakeControl();
  FakeControl(const FakeControl&) = delete;
  FakeControl& operator=(const FakeControl&) = delete;

  [[nodiscard]] std::uint16_t Port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::test
