#include "agents/http/route.h"

namespace walstitch::http {
namespace {

bool IsParameter(std::string_view segment) { return segment.starts_with('{'); }

// How many segments match by their own words; nullopt: the path is another one.
std::optional<std::size_t> MatchedWords(std::string_view pattern, const std::vector<std::string>& segments) {
  std::size_t words = 0;
  std::size_t at = 0;
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // the slash
    const std::string_view segment = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(segment.size());
    if (at == segments.size()) return std::nullopt;
    if (!IsParameter(segment)) {
      if (segment != segments[at]) return std::nullopt;
      ++words;
    }
    ++at;
  }
  if (at != segments.size()) return std::nullopt;
  return words;
}

}  // namespace

RouteMatch FindRoute(std::span<const Route> routes, std::string_view method,
                     const std::vector<std::string>& segments) {
  RouteMatch match;
  std::size_t best = 0;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const auto words = MatchedWords(routes[i].pattern, segments);
    if (!words) continue;
    if (routes[i].method != method) {
      if (match.allowed.find(routes[i].method) == std::string::npos) {
        match.allowed += (match.allowed.empty() ? "" : " or ") + std::string(routes[i].method);
      }
    } else if (!match.route || *words > best) {
      match.route = i;
      best = *words;
    }
  }
  if (match.route) match.allowed.clear();
  return match;
}

Need NeedByRoutes(std::span<const Route> routes, std::string_view method,
                  const std::vector<std::string>& segments) {
  const bool reads = method == "GET" || method == "HEAD";
  if (const RouteMatch match = FindRoute(routes, reads ? "GET" : method, segments); match.route) {
    return {routes[*match.route].role, routes[*match.route].changes};
  }
  const RouteMatch read = FindRoute(routes, "GET", segments);
  if (read.route && !routes[*read.route].role) return {std::nullopt, false};
  return {AccessRole::kOperate, !reads};
}

}  // namespace walstitch::http
