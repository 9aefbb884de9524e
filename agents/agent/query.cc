#include "agents/agent/query.h"

#include <string_view>

#include "agents/node/info.h"
#include "policies/model/bytes.h"

namespace walstitch::agent {

Result<std::uint64_t> NumberOf(const http::Request& request, const std::string& name, std::uint64_t low,
                               std::uint64_t high, std::optional<std::uint64_t> otherwise) {
  auto found = request.query.find(name);
  if (found == request.query.end()) {
    if (otherwise) return *otherwise;
    return Fail(ErrorCode::kInvalid, "the query parameter '" + name + "' is missing");
  }
  auto number = node::ParseNumber(found->second);
  if (!number || *number < low || *number > high) {
    return Fail(ErrorCode::kInvalid, "the query parameter '" + name + "' must be a number from " +
                                         std::to_string(low) + " to " + std::to_string(high) + ", and not '" +
                                         ToPrintable(std::string_view(found->second).substr(0, 40)) + "'");
  }
  return *number;
}

}  // namespace walstitch::agent
