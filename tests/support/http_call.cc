#include "tests/support/http_call.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "tests/support/replication_peer.h"

namespace walstitch::test {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

HttpAnswer HttpCall(uint16_t port, const std::string& method, const std::string& target,
                    const std::string& body, const std::map<std::string, std::string>& headers,
                    std::chrono::milliseconds timeout) {
  RawConnection connection(port);
  if (!connection.IsOpen()) return {0, "nobody listens on port " + std::to_string(port)};
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
  if (!body.empty()) request += "Content-Type: application/json\r\n";
  if (!body.empty() || method != "GET") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : headers) request += name + ": " + value + "\r\n";
  if (!connection.Send(request + "\r\n" + body)) return {0, "the request was not taken"};

  // "HTTP/1.1 200 OK"
  const std::optional<std::string> first = connection.ReadLine(timeout);
  if (!first || first->size() < 12) return {0, "no answer"};
  HttpAnswer answer{std::atoi(first->c_str() + 9), ""};
  size_t length = 0;
  while (true) {
    const std::optional<std::string> line = connection.ReadLine(timeout);
    if (!line) return {0, "the answer's headers end early"};
    if (line->empty()) break;
    const size_t colon = line->find(':');
    if (colon != std::string::npos && Lower(line->substr(0, colon)) == "content-length") {
      length = std::strtoull(line->c_str() + colon + 1, nullptr, 10);
    }
  }
  const std::optional<std::string> content = connection.ReadBytes(length, timeout);
  if (!content) return {0, "the answer's body ends early"};
  answer.body = *content;
  return answer;
}

}  // namespace walstitch::test
