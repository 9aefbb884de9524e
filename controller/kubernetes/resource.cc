#include "controller/kubernetes/resource.h"

#include <algorithm>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>

#include "agents/http/http_client.h"

namespace walstitch::kubernetes {
namespace {

constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxQuoted = 60;

boost::json::string_view Json(std::string_view text) { return {text.data(), text.size()}; }

// The beginning of some text, fit for a sentence.
std::string Quoted(std::string_view text) {
  std::string quoted;
  for (const char c : text.substr(0, kMaxQuoted)) quoted.push_back(c < ' ' || c >= '\x7f' ? ' ' : c);
  return "'" + quoted + (text.size() > kMaxQuoted ? "…'" : "'");
}

std::map<std::string, std::string> TextsAt(const Object& object, std::string_view field) {
  std::map<std::string, std::string> texts;
  const Object* metadata = ObjectAt(object, "metadata");
  const Object* found = metadata == nullptr ? nullptr : ObjectAt(*metadata, field);
  if (found == nullptr) return texts;
  for (const auto& [name, value] : *found) {
    if (value.is_string()) texts.emplace(std::string(name), std::string(value.get_string()));
  }
  return texts;
}

std::string MetadataAt(const Object& object, std::string_view field) {
  const Object* metadata = ObjectAt(object, "metadata");
  return metadata == nullptr ? std::string() : TextAt(*metadata, field);
}

}  // namespace

ResourceType Pods() { return {"", "v1", "pods", "Pod"}; }
ResourceType Events() { return {"", "v1", "events", "Event"}; }
ResourceType ConfigMaps() { return {"", "v1", "configmaps", "ConfigMap"}; }
ResourceType StatefulSets() { return {"apps", "v1", "statefulsets", "StatefulSet"}; }
ResourceType Leases() { return {"coordination.k8s.io", "v1", "leases", "Lease"}; }
ResourceType Decisions() { return {"walstitch.io", "v1alpha1", "decisions", "Decision"}; }
ResourceType DecisionLogs() { return {"walstitch.io", "v1alpha1", "decisionlogs", "DecisionLog"}; }
ResourceType ReplicationGroups() {
  return {"walstitch.io", "v1alpha1", "replicationgroups", "ReplicationGroup"};
}

std::string ResourcePath(const ResourceType& type, std::string_view namespace_name, std::string_view name,
                         std::string_view subresource) {
  std::string path = type.group.empty() ? "/api/" : "/apis/" + http::PercentEncode(type.group) + "/";
  path += http::PercentEncode(type.version);
  if (!namespace_name.empty()) path += "/namespaces/" + http::PercentEncode(namespace_name);
  path += "/" + http::PercentEncode(type.plural);
  if (!name.empty()) path += "/" + http::PercentEncode(name);
  if (!subresource.empty()) path += "/" + http::PercentEncode(subresource);
  return path;
}

const Object* ObjectAt(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(Json(field));
  return value == nullptr ? nullptr : value->if_object();
}

std::string TextAt(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(Json(field));
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::string NameOf(const Object& object) { return MetadataAt(object, "name"); }
std::string UidOf(const Object& object) { return MetadataAt(object, "uid"); }
std::string ResourceVersionOf(const Object& object) { return MetadataAt(object, "resourceVersion"); }
std::map<std::string, std::string> LabelsOf(const Object& object) { return TextsAt(object, "labels"); }
std::map<std::string, std::string> AnnotationsOf(const Object& object) {
  return TextsAt(object, "annotations");
}

Object MakeObject(const ResourceType& type, std::string_view name) {
  Object metadata;
  metadata["name"] = Json(name);
  Object object;
  object["apiVersion"] = type.ApiVersion();
  object["kind"] = type.kind;
  object["metadata"] = std::move(metadata);
  return object;
}

Result<Object> ParseObject(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::parser parser({}, options);
  boost::json::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size() && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    error = boost::json::error::extra_data;
  if (text.empty()) return Fail(ErrorCode::kInvalid, "expected a JSON object, found nothing");
  if (error == boost::json::error::incomplete) {
    return Fail(ErrorCode::kInvalid,
                "the JSON ends too early, after " + std::to_string(text.size()) + " bytes: " + Quoted(text));
  }
  if (error) {
    return Fail(ErrorCode::kInvalid, "this is no JSON, at byte " +
                                         std::to_string(std::min(used, text.size())) + ": " +
                                         error.message() + ": " + Quoted(text));
  }
  boost::json::value value = parser.release();
  if (!value.is_object()) return Fail(ErrorCode::kInvalid, "expected a JSON object, found " + Quoted(text));
  return std::move(value.get_object());
}

}  // namespace walstitch::kubernetes
