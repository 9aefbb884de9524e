// One HTTP request and its answer, for tests: blocking, with a deadline, a connection of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace walstitch::test {

struct HttpAnswer {
  int status = 0;  // 0: no answer; then `body` says why
  std::string body;
};

HttpAnswer HttpCall(uint16_t port, const std::string& method, const std::string& target,
                    const std::string& body = "", const std::map<std::string, std::string>& headers = {},
                    std::chrono::milliseconds timeout = std::chrono::seconds(60));

}  // namespace walstitch::test
