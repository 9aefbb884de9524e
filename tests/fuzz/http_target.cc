// What strangers send to an HTTP API before anybody is asked who they are, and what operators write in token
// files.
#include <algorithm>
#include <string>

#include "agents/http/access_config.h"
#include "agents/http/audit.h"
#include "agents/http/http_client.h"
#include "agents/http/http_text.h"
#include "agents/http/tokens.h"
#include "policies/model/result.h"
#include "tests/fuzz/targets.h"

namespace walstitch::wal {
namespace {

bool IsVisible(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void CheckTarget(std::string_view bytes) {
  const auto target = http::ParseTarget(bytes);
  if (!target) {
    WALSTITCH_CHECK(target.error().Code() == ErrorCode::kInvalid);
    return;
  }
  WALSTITCH_CHECK(target->path.starts_with('/'));
  WALSTITCH_CHECK(target->path.find('\0') == std::string::npos);
  // What was understood can be said again, and is the same.
  std::string again;
  for (const std::string& segment : target->segments) again += "/" + http::PercentEncode(segment);
  if (again.empty()) again = "/";
  char separator = '?';
  for (const auto& [name, value] : target->query) {
    again += separator + http::PercentEncode(name) + "=" + http::PercentEncode(value);
    separator = '&';
  }
  const auto twice = http::ParseTarget(again);
  WALSTITCH_CHECK(twice && twice->segments == target->segments && twice->query == target->query);
}

void CheckTokens(std::string_view bytes) {
  const auto tokens = http::ParseTokens(bytes);
  if (!tokens) return;
  std::string again;
  for (const std::string& token : *tokens) {
    WALSTITCH_CHECK(IsVisible(token));
    again += token + "\n";
    // What a client sends of it is what a server hears.
    WALSTITCH_CHECK(http::BearerToken("Bearer " + token) == token);
  }
  const auto twice = http::ParseTokens(again);
  WALSTITCH_CHECK(twice && *twice == *tokens);
}

void CheckUrl(std::string_view bytes) {
  const auto url = http::ParseUrl(bytes);
  if (!url) return;
  const auto twice = http::ParseUrl(http::ToString(*url));
  WALSTITCH_CHECK(twice && twice->host == url->host && twice->port == url->port && twice->tls == url->tls);
}

}  // namespace

void FuzzHttpText(std::string_view bytes) {
  CheckTarget(bytes);
  CheckTokens(bytes);
  CheckUrl(bytes);
  (void)http::BearerToken(bytes);
  (void)http::IsLoopback(bytes);
  http::AuditEntry entry;
  entry.subject = entry.path = entry.method = std::string(bytes);
  entry.from = "127.0.0.1:1";
  const std::string line = http::AuditLine(entry);
  WALSTITCH_CHECK(std::all_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
  }));
  WALSTITCH_CHECK(line.size() < 4096);
}

}  // namespace walstitch::wal
