// A real Redis Sentinel, where Debian's redis-tools is installed: one program, which is a Sentinel when it is
// called so. The package redis-sentinel would start a service, which nobody needs here.
//
// Not thread-safe; see Process for which thread should start it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "tests/support/environment.h"
#include "tests/support/process.h"

namespace walstitch::test {

class RedisSentinel {
 public:
  RedisSentinel() : port_(PickFreePort()) {}

  // Empty if there is none.
  static std::string Binary();

  // Watches these masters, by name: their ports on loopback. Down after 1 s, quorum 1. The text of the error,
  // if any.
  std::optional<std::string> Start(const std::map<std::string, uint16_t>& masters);
  void Kill() { process_.Kill(); }
  uint16_t Port() const { return port_; }
  std::string Log() const;

 private:
  TempDirectory directory_;
  uint16_t port_;
  Process process_;
};

}  // namespace walstitch::test
