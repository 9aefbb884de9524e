// The text side of HTTP that Beast leaves to its user: request targets, queries and percent-encoding.
// Pure, and total on any bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::http {

// A request target, decoded. Segments are decoded one by one, so an encoded slash stays in its segment.
struct Target {
  std::string path;
  std::vector<std::string> segments;
  std::map<std::string, std::string> query;
};

// Takes origin-form targets ("/v1/report?fresh=1") only. kInvalid for anything else, for a bad percent
// code, a NUL byte, or a query field that is given twice.
Result<Target> ParseTarget(std::string_view text);

// Undoes PercentEncode. With plus_is_space, '+' becomes a space (query values).
Result<std::string> PercentDecode(std::string_view text, bool plus_is_space);

// The token of "Bearer <token>" (the scheme in any case), or empty.
std::string BearerToken(std::string_view authorization);

}  // namespace walstitch::http
