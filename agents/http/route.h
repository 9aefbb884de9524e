// The paths of an API as a list: what is answered, and who may ask. What is not in the list reaches no
// handler. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/http_server.h"

namespace walstitch::http {

struct Route {
  std::string_view method;   // "GET", "POST"
  std::string_view pattern;  // "/v1/groups/{group}/plan": a word in braces stands for any one segment
  std::optional<AccessRole> role = AccessRole::kOperate;  // nullopt: open to all, for probes carry no token
  bool changes = false;                                   // it changes something, or may
};

struct RouteMatch {
  std::optional<std::size_t> route;  // its place in the list; segments without braces win
  std::string allowed;  // without a route: the methods that the path takes, "GET"; empty: no such path
};

RouteMatch FindRoute(std::span<const Route> routes, std::string_view method,
                     const std::vector<std::string>& segments);

// What the list says of a request. Of what is not in it the most is asked: it may be one day. HEAD is as GET;
// a path that is open is so for every method.
Need NeedByRoutes(std::span<const Route> routes, std::string_view method,
                  const std::vector<std::string>& segments);

}  // namespace walstitch::http
