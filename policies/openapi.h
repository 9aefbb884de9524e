// The description of an API (OpenAPI 3.1), made of its own part and the schemas of the shared words
// (policies/openapi/schemas.json), of which it gets those that it refers to. Pure.
#pragma once

#include <string>
#include <string_view>

namespace walstitch {

// policies/openapi/schemas.json: an object of schemas by name.
extern const std::string_view kSharedSchemas;

// `own` is a document whose #/components/schemas lacks the shared ones. Both are parts of this program: what
// is no such document aborts.
std::string OpenApiDocument(std::string_view own);

}  // namespace walstitch
