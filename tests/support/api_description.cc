#include "tests/support/api_description.h"

#include <algorithm>
#include <boost/json.hpp>
#include <regex>
#include <set>

namespace walstitch::test {
namespace {

namespace json = boost::json;

std::string Text(const json::value& value) { return std::string(value.as_string()); }
std::string Name(const json::key_value_pair& entry) { return std::string(entry.key()); }

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> segments;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at + 1), path.size());
    segments.push_back(path.substr(at + 1, end - at - 1));
    at = end;
  }
  return segments;
}

// How many segments are the pattern's own; -1: the path is another one.
int Matches(const std::string& pattern, const std::string& path) {
  const auto wanted = Split(pattern);
  const auto given = Split(path);
  if (wanted.size() != given.size()) return -1;
  int own = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].starts_with('{')) continue;
    if (wanted[i] != given[i]) return -1;
    ++own;
  }
  return own;
}

bool IsOfType(const json::value& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  return false;
}

// Boost keeps whole numbers as unsigned only where they do not fit a signed one.
bool Less(const json::value& left, const json::value& right) {
  if (left.is_uint64()) return right.is_uint64() && left.as_uint64() < right.as_uint64();
  return right.is_uint64() || left.as_int64() < right.as_int64();
}

}  // namespace

ApiDescription::ApiDescription(const std::string& text) : document_(json::parse(text)) {}

const json::value* ApiDescription::Resolve(const std::string& reference) const {
  if (!reference.starts_with("#/")) return nullptr;
  const json::value* at = &document_;
  for (const std::string& name : Split(reference.substr(1))) {
    if (!at->is_object()) return nullptr;
    at = at->as_object().if_contains(name);
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::vector<std::string> ApiDescription::ProblemsOf(const json::value& value,
                                                    const json::value& schema) const {
  std::vector<std::string> problems;
  Check(value, schema, "", &problems);
  return problems;
}

void ApiDescription::Check(const json::value& value, const json::value& schema, const std::string& at,
                           std::vector<std::string>* problems) const {
  const auto& words = schema.as_object();
  const auto complain = [&](const std::string& what) {
    problems->push_back((at.empty() ? "the whole" : at) + ": " + what);
  };
  if (const auto* reference = words.if_contains("$ref")) {
    return Check(value, *Resolve(Text(*reference)), at, problems);
  }
  if (const auto* type = words.if_contains("type"); type != nullptr && !IsOfType(value, Text(*type))) {
    return complain("expected " + Text(*type) + ", got " + json::serialize(value).substr(0, 80));
  }
  if (const auto* only = words.if_contains("const"); only != nullptr && value != *only) {
    complain("expected " + json::serialize(*only) + ", got " + json::serialize(value).substr(0, 80));
  }
  if (const auto* some = words.if_contains("enum")) {
    const auto& list = some->as_array();
    if (std::find(list.begin(), list.end(), value) == list.end()) {
      complain(json::serialize(value).substr(0, 80) + " is none of " + json::serialize(*some));
    }
  }
  if (const auto* low = words.if_contains("minimum"); low != nullptr && Less(value, *low)) {
    complain(json::serialize(value) + " is less than " + json::serialize(*low));
  }
  if (const auto* high = words.if_contains("maximum"); high != nullptr && Less(*high, value)) {
    complain(json::serialize(value) + " is more than " + json::serialize(*high));
  }
  if (const auto* pattern = words.if_contains("pattern")) {
    if (!std::regex_search(Text(value), std::regex(Text(*pattern)))) {
      complain(Text(value) + " does not match " + Text(*pattern));
    }
  }
  if (const auto* one_of = words.if_contains("oneOf")) {
    if (const auto* discriminator = words.if_contains("discriminator")) {
      const std::string property = Text(discriminator->at("propertyName"));
      const auto* name = value.is_object() ? value.as_object().if_contains(property) : nullptr;
      const auto* mapped =
          name == nullptr ? nullptr : discriminator->at("mapping").as_object().if_contains(Text(*name));
      if (mapped == nullptr) return complain("'" + property + "' says none of the alternatives");
      return Check(value, *Resolve(Text(*mapped)), at, problems);
    }
    const auto& alternatives = one_of->as_array();
    const auto fitting =
        std::count_if(alternatives.begin(), alternatives.end(),
                      [&](const json::value& each) { return ProblemsOf(value, each).empty(); });
    if (fitting != 1) complain("fits " + std::to_string(fitting) + " of the alternatives, and not one");
  }
  if (value.is_array() && words.contains("items")) {
    for (std::size_t i = 0; i < value.as_array().size(); ++i) {
      Check(value.as_array()[i], words.at("items"), at + "[" + std::to_string(i) + "]", problems);
    }
  }
  if (!value.is_object() || !words.contains("type")) return;
  const auto* required = words.if_contains("required");
  if (required != nullptr) {
    for (const auto& name : required->as_array()) {
      if (!value.as_object().contains(Text(name))) complain("'" + Text(name) + "' is missing");
    }
  }
  const auto* properties = words.if_contains("properties");
  const auto* others = words.if_contains("additionalProperties");
  for (const auto& field : value.as_object()) {
    const std::string name = Name(field);
    const auto* described = properties == nullptr ? nullptr : properties->as_object().if_contains(name);
    if (described != nullptr) {
      Check(field.value(), *described, at + "." + name, problems);
    } else if (others == nullptr || *others == json::value(false)) {
      complain("'" + name + "' is not described");
    } else if (others->is_object()) {
      Check(field.value(), *others, at + "." + name, problems);
    }
  }
}

std::vector<std::string> ApiDescription::ProblemsOfAnswer(const std::string& method,
                                                          const std::string& target, int status,
                                                          const std::string& body) const {
  const std::string path = target.substr(0, target.find('?'));
  const json::object* operations = nullptr;
  int best = -1;
  for (const auto& entry : document_.at("paths").as_object()) {
    const int own = Matches(Name(entry), path);
    if (own > best) {
      best = own;
      operations = &entry.value().as_object();
    }
  }
  std::string verb = method;
  std::transform(verb.begin(), verb.end(), verb.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto* operation = operations == nullptr ? nullptr : operations->if_contains(verb);
  if (operation == nullptr) {
    if (status == 404 || status == 405) return {};
    return {method + " " + path + " is not described, and was answered with " + std::to_string(status)};
  }
  const auto* response = operation->at("responses").as_object().if_contains(std::to_string(status));
  if (response == nullptr) {
    return {method + " " + path + " was answered with " + std::to_string(status) +
            ", which is not described: " + body.substr(0, 200)};
  }
  if (const auto* reference = response->as_object().if_contains("$ref")) response = Resolve(Text(*reference));
  const auto* content = response->as_object().if_contains("content");
  if (content == nullptr) return {};
  const auto* as_json = content->as_object().if_contains("application/json");
  if (as_json == nullptr) return {};
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (error) return {method + " " + path + " was answered with what is no JSON: " + body.substr(0, 200)};
  auto problems = ProblemsOf(value, as_json->at("schema"));
  for (std::string& problem : problems) {
    problem = method + " " + path + " " + std::to_string(status) + ": " + problem;
  }
  return problems;
}

void ApiDescription::CheckSchema(const json::value& schema, const std::string& at, bool described,
                                 std::vector<std::string>* problems) const {
  static const std::set<std::string> known = {
      "$ref",    "type",          "enum",        "const",
      "oneOf",   "discriminator", "properties",  "required",
      "items",   "minimum",       "maximum",     "pattern",
      "default", "maxLength",     "description", "additionalProperties"};
  const auto& words = schema.as_object();
  for (const auto& word : words) {
    if (!known.contains(Name(word))) problems->push_back(at + ": '" + Name(word) + "' is not known here");
  }
  if (described && !words.contains("description")) problems->push_back(at + ": is not described");
  if (const auto* reference = words.if_contains("$ref")) {
    if (Resolve(Text(*reference)) == nullptr)
      problems->push_back(at + ": " + Text(*reference) + " is not there");
  }
  if (const auto* properties = words.if_contains("properties")) {
    for (const auto& property : properties->as_object()) {
      CheckSchema(property.value(), at + "." + Name(property), true, problems);
    }
    if (const auto* required = words.if_contains("required")) {
      for (const auto& name : required->as_array()) {
        if (!properties->as_object().contains(Text(name))) {
          problems->push_back(at + ": requires '" + Text(name) + "', which it does not have");
        }
      }
    }
  }
  if (const auto* items = words.if_contains("items")) CheckSchema(*items, at + "[]", false, problems);
  if (const auto* one_of = words.if_contains("oneOf")) {
    for (const auto& each : one_of->as_array()) CheckSchema(each, at, false, problems);
  }
}

void ApiDescription::CheckOperation(const std::string& path, const std::string& method,
                                    const json::object& operation, std::vector<std::string>* problems) const {
  const std::string at = method + " " + path;
  for (const char* word : {"operationId", "summary", "tags", "responses"}) {
    if (!operation.contains(word)) problems->push_back(at + ": has no " + word);
  }
  std::set<std::string> in_path;
  if (const auto* parameters = operation.if_contains("parameters")) {
    for (const auto& parameter : parameters->as_array()) {
      const auto& words = parameter.as_object();
      const std::string name = Text(words.at("name"));
      const std::string place = Text(words.at("in"));
      if (place != "path" && place != "query") problems->push_back(at + ": a parameter is in " + place);
      if (!words.contains("description")) problems->push_back(at + ": '" + name + "' is not described");
      CheckSchema(words.at("schema"), at + " " + name, false, problems);
      if (place != "path") continue;
      in_path.insert("{" + name + "}");
      if (words.at("required") != json::value(true))
        problems->push_back(at + ": '" + name + "' must be required");
    }
  }
  std::set<std::string> of_path;
  for (const std::string& segment : Split(path)) {
    if (segment.starts_with('{')) of_path.insert(segment);
  }
  if (of_path != in_path) problems->push_back(at + ": its path and its parameters do not agree");
  if (const auto* body = operation.if_contains("requestBody")) {
    for (const auto& content : body->at("content").as_object()) {
      CheckSchema(content.value().at("schema"), at + " body", false, problems);
    }
  }
  bool good = false;
  for (const auto& entry : operation.at("responses").as_object()) {
    const json::value* response = &entry.value();
    good = good || Name(entry) == "200" || Name(entry) == "101";
    if (const auto* reference = response->as_object().if_contains("$ref")) {
      response = Resolve(Text(*reference));
      if (response == nullptr) {
        problems->push_back(at + ": " + Text(*reference) + " is not there");
        continue;
      }
    }
    if (!response->as_object().contains("description")) {
      problems->push_back(at + " " + Name(entry) + ": is not described");
    }
    if (const auto* content = response->as_object().if_contains("content")) {
      for (const auto& each : content->as_object()) {
        CheckSchema(each.value().at("schema"), at + " " + Name(entry), false, problems);
      }
    }
  }
  if (!good) problems->push_back(at + ": says nothing of success");
}

std::vector<std::string> ApiDescription::ProblemsOfDocument() const {
  std::vector<std::string> problems;
  const auto& root = document_.as_object();
  if (!Text(root.at("openapi")).starts_with("3.1.")) problems.emplace_back("openapi is not 3.1");
  static const std::set<std::string> known = {"openapi", "info",  "servers",   "security",
                                              "tags",    "paths", "components"};
  for (const auto& entry : root) {
    if (!known.contains(Name(entry))) problems.push_back("'" + Name(entry) + "' is not known here");
  }
  for (const char* word : {"title", "version", "description"}) {
    if (!root.at("info").as_object().contains(word)) problems.push_back(std::string("info has no ") + word);
  }
  const auto& components = root.at("components").as_object();
  const auto& schemes = components.at("securitySchemes").as_object();
  for (const auto& alternative : root.at("security").as_array()) {
    for (const auto& scheme : alternative.as_object()) {
      if (!schemes.contains(scheme.key())) problems.push_back("no security scheme " + Name(scheme));
    }
  }
  std::set<std::string> tags;
  for (const auto& tag : root.at("tags").as_array()) tags.insert(Text(tag.at("name")));
  std::set<std::string> ids;
  for (const auto& path : root.at("paths").as_object()) {
    if (!path.key().starts_with('/')) problems.push_back(Name(path) + " does not begin with a slash");
    for (const auto& operation : path.value().as_object()) {
      const auto& words = operation.value().as_object();
      CheckOperation(Name(path), Name(operation), words, &problems);
      if (!ids.insert(Text(words.at("operationId"))).second) {
        problems.push_back("the operationId " + Text(words.at("operationId")) + " stands twice");
      }
      for (const auto& tag : words.at("tags").as_array()) {
        if (!tags.contains(Text(tag))) problems.push_back("the tag " + Text(tag) + " is not described");
      }
    }
  }
  for (const auto& schema : components.at("schemas").as_object()) {
    CheckSchema(schema.value(), Name(schema), true, &problems);
  }
  return problems;
}

}  // namespace walstitch::test
