#include "policies/openapi.h"

#include <boost/json.hpp>
#include <vector>

#include "policies/model/json.h"
#include "policies/model/result.h"

namespace walstitch {
namespace {

constexpr std::string_view kPlace = "#/components/schemas/";

// The names of the schemas that `json` refers to.
void CollectNames(const boost::json::value& json, std::vector<std::string>* names) {
  if (const auto* object = json.if_object()) {
    for (const auto& [key, value] : *object) CollectNames(value, names);
  } else if (const auto* array = json.if_array()) {
    for (const auto& value : *array) CollectNames(value, names);
  } else if (const auto* text = json.if_string()) {
    const std::string_view reference(*text);
    if (reference.starts_with(kPlace)) names->emplace_back(reference.substr(kPlace.size()));
  }
}

}  // namespace

std::string OpenApiDocument(std::string_view own) {
  boost::json::value document = boost::json::parse({own.data(), own.size()});
  const boost::json::value shared = boost::json::parse({kSharedSchemas.data(), kSharedSchemas.size()});
  auto& schemas = document.at("components").at("schemas").as_object();
  std::vector<std::string> names;
  CollectNames(document, &names);
  while (!names.empty()) {
    const std::string name = std::move(names.back());
    names.pop_back();
    if (schemas.contains(name)) continue;
    const boost::json::value* schema = shared.as_object().if_contains(name);
    WALSTITCH_CHECK(schema != nullptr);
    schemas[name] = *schema;
    CollectNames(*schema, &names);
  }
  return DumpPretty(document) + "\n";
}

}  // namespace walstitch
