// One HTTPS request and its answer, for tests: blocking, a connection of its own, the server checked against
// the authority; plain HTTP where there is none.
#pragma once

#include <cstdint>
#include <string>

namespace walstitch::test {

struct HttpsAnswer {
  int status = 0;  // 0: no answer; then `body` says why
  std::string body;
};

HttpsAnswer HttpsCall(std::uint16_t port, const std::string& ca_pem, const std::string& method,
                      const std::string& target, const std::string& token, const std::string& body = "",
                      const std::string& content_type = "application/json");

}  // namespace walstitch::test
