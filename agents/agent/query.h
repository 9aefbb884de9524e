// Parameters of a request to the agent's HTTP API. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agents/http/http_server.h"
#include "policies/model/result.h"

namespace walstitch::agent {

// A query parameter that is a whole number within bounds. Where it is missing: `otherwise`, or kInvalid.
Result<std::uint64_t> NumberOf(const http::Request& request, const std::string& name, std::uint64_t low,
                               std::uint64_t high, std::optional<std::uint64_t> otherwise = std::nullopt);

}  // namespace walstitch::agent
