#include "agents/http/audit.h"

#include <string_view>

#include "policies/model/bytes.h"

namespace walstitch::http {

namespace {

constexpr std::size_t kMaxText = 200;
constexpr int kRefusalsPerSecond = 10;

std::string Short(const std::string& text) {
  return ToPrintable(std::string_view(text).substr(0, kMaxText)) + (text.size() > kMaxText ? "…" : "");
}

}  // namespace

std::string AuditLine(const AuditEntry& entry) {
  std::string who = entry.token.empty() ? std::string() : "token " + Short(entry.token) + ", ";
  if (!entry.subject.empty()) who += "certificate " + Short(entry.subject) + ", ";
  if (who.empty()) who = "no token, ";
  return "audit: " + who + "from " + entry.from + ": " + Short(entry.method) + " " + Short(entry.path) +
         ": " + (entry.status == 0 ? "gone before the answer" : std::to_string(entry.status)) + " after " +
         std::to_string(entry.took.count()) + " ms";
}

bool RefusalLimit::Take(std::int64_t now_ms) {
  if (now_ms - second_ms_ >= 1000 || now_ms < second_ms_) {
    second_ms_ = now_ms;
    taken_ = 0;
  }
  return taken_ < kRefusalsPerSecond && ++taken_ > 0;
}

}  // namespace walstitch::http
