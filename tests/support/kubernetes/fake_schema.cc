#include "tests/support/kubernetes/fake_schema.h"

#include <yaml-cpp/yaml.h>

#include <boost/json.hpp>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/support/kubernetes/fake_failure.h"

namespace walstitch::test {

namespace json = boost::json;

json::object FakeFailure::Status() const {
  json::object status;
  status["kind"] = "Status";
  status["apiVersion"] = "v1";
  status["metadata"] = json::object();
  status["status"] = "Failure";
  status["message"] = message;
  status["reason"] = reason;
  if (!details.empty()) status["details"] = details;
  status["code"] = code;
  return status;
}

namespace {

using Names = std::set<std::string>;

std::string Text(json::string_view text) { return {text.data(), text.size()}; }

[[noreturn]] void BadRequest(const std::string& message) { throw FakeFailure{400, "BadRequest", message}; }

std::string NameOf(const json::object& object) {
  const auto* metadata = object.if_contains("metadata");
  const auto* name =
      metadata != nullptr && metadata->is_object() ? metadata->get_object().if_contains("name") : nullptr;
  return name != nullptr && name->is_string() ? Text(name->get_string()) : std::string();
}

[[noreturn]] void Invalid(const FakeResource& resource, const std::string& name, const std::string& what) {
  json::object details;
  details["name"] = name;
  details["group"] = resource.group;
  details["kind"] = resource.kind;
  const std::string kind = resource.group.empty() ? resource.kind : resource.kind + "." + resource.group;
  throw FakeFailure{422, "Invalid", kind + " \"" + name + "\" is invalid: " + what, details};
}

[[noreturn]] void CannotHandle(const FakeResource& resource, const std::string& why) {
  BadRequest(resource.kind + " in version \"" + resource.version + "\" cannot be handled as a " +
             resource.kind + ": " + why);
}

void OnlyFields(const FakeResource& resource, const json::object& object, const std::string& at,
                const Names& names) {
  for (const auto& [name, value] : object) {
    const std::string field = at + Text(name);
    if (names.count(Text(name)) == 0)
      CannotHandle(resource, "strict decoding error: unknown field \"" + field + "\"");
  }
}

enum class Type { kText, kInteger, kBoolean, kObject, kArray, kTime, kMicroTime, kTexts };

void CheckType(const FakeResource& resource, const json::value& value, const std::string& at, Type type) {
  auto refuse = [&](const std::string& wanted) {
    CannotHandle(resource, "json: cannot unmarshal " + json::serialize(value).substr(0, 100) +
                               " into Go struct field " + resource.kind + "." + at + " of type " + wanted);
  };
  if (value.is_null()) return;
  static const std::regex kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))");
  static const std::regex kMicroTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d))");
  switch (type) {
    case Type::kText:
      if (!value.is_string()) refuse("string");
      break;
    case Type::kInteger:
      if (!value.is_int64()) refuse("int32");
      break;
    case Type::kBoolean:
      if (!value.is_bool()) refuse("bool");
      break;
    case Type::kObject:
      if (!value.is_object()) refuse("object");
      break;
    case Type::kArray:
      if (!value.is_array()) refuse("array");
      break;
    case Type::kTime:
      if (!value.is_string() || !std::regex_match(Text(value.get_string()), kTime)) refuse("v1.Time");
      break;
    case Type::kMicroTime:
      if (!value.is_string() || !std::regex_match(Text(value.get_string()), kMicroTime))
        refuse("v1.MicroTime");
      break;
    case Type::kTexts:
      if (!value.is_object()) refuse("map[string]string");
      for (const auto& [name, text] : value.get_object()) {
        if (!text.is_string()) CheckType(resource, text, at + "." + Text(name), Type::kText);
      }
      break;
  }
}

void CheckObject(const FakeResource& resource, const json::object& object, const std::string& at,
                 const std::map<std::string, Type>& fields) {
  Names names;
  for (const auto& [name, type] : fields) names.insert(name);
  OnlyFields(resource, object, at, names);
  for (const auto& [name, type] : fields) {
    if (const auto* value = object.if_contains(name)) CheckType(resource, *value, at + name, type);
  }
}

const std::map<std::string, Type> kMetadata = {{"name", Type::kText},
                                               {"generateName", Type::kText},
                                               {"namespace", Type::kText},
                                               {"selfLink", Type::kText},
                                               {"uid", Type::kText},
                                               {"resourceVersion", Type::kText},
                                               {"generation", Type::kInteger},
                                               {"creationTimestamp", Type::kTime},
                                               {"deletionTimestamp", Type::kTime},
                                               {"deletionGracePeriodSeconds", Type::kInteger},
                                               {"labels", Type::kTexts},
                                               {"annotations", Type::kTexts},
                                               {"ownerReferences", Type::kArray},
                                               {"finalizers", Type::kArray},
                                               {"managedFields", Type::kArray}};

const std::map<std::string, Type> kReference = {{"kind", Type::kText},       {"namespace", Type::kText},
                                                {"name", Type::kText},       {"uid", Type::kText},
                                                {"apiVersion", Type::kText}, {"resourceVersion", Type::kText},
                                                {"fieldPath", Type::kText}};

std::map<std::string, Type> WithCommon(std::map<std::string, Type> fields) {
  fields.emplace("apiVersion", Type::kText);
  fields.emplace("kind", Type::kText);
  fields.emplace("metadata", Type::kObject);
  return fields;
}

void CheckBuiltIn(const FakeResource& resource, const json::object& object) {
  static const std::map<std::string, std::map<std::string, Type>> kFields = {
      {"Pod", WithCommon({{"spec", Type::kObject}, {"status", Type::kObject}})},
      {"StatefulSet", WithCommon({{"spec", Type::kObject}, {"status", Type::kObject}})},
      {"Lease", WithCommon({{"spec", Type::kObject}})},
      {"ConfigMap",
       WithCommon({{"data", Type::kTexts}, {"binaryData", Type::kTexts}, {"immutable", Type::kBoolean}})},
      {"Event", WithCommon({{"involvedObject", Type::kObject},
                            {"reason", Type::kText},
                            {"message", Type::kText},
                            {"source", Type::kObject},
                            {"firstTimestamp", Type::kTime},
                            {"lastTimestamp", Type::kTime},
                            {"count", Type::kInteger},
                            {"type", Type::kText},
                            {"eventTime", Type::kMicroTime},
                            {"series", Type::kObject},
                            {"action", Type::kText},
                            {"related", Type::kObject},
                            {"reportingComponent", Type::kText},
                            {"reportingInstance", Type::kText}})}};
  CheckObject(resource, object, "", kFields.at(resource.kind));
  auto inner = [&](const char* name, const std::map<std::string, Type>& fields) {
    const auto* value = object.if_contains(name);
    if (value != nullptr && value->is_object())
      CheckObject(resource, value->get_object(), std::string(name) + ".", fields);
  };
  if (resource.kind == "Lease") {
    inner("spec", {{"holderIdentity", Type::kText},
                   {"leaseDurationSeconds", Type::kInteger},
                   {"acquireTime", Type::kMicroTime},
                   {"renewTime", Type::kMicroTime},
                   {"leaseTransitions", Type::kInteger},
                   {"strategy", Type::kText},
                   {"preferredHolder", Type::kText}});
  }
  if (resource.kind == "Event") {
    inner("involvedObject", kReference);
    inner("related", kReference);
    inner("source", {{"component", Type::kText}, {"host", Type::kText}});
    inner("series", {{"count", Type::kInteger}, {"lastObservedTime", Type::kMicroTime}});
  }
  if (resource.kind == "Pod") {
    const auto* status = object.if_contains("status");
    const auto* conditions =
        status != nullptr && status->is_object() ? status->get_object().if_contains("conditions") : nullptr;
    if (conditions != nullptr && conditions->is_array()) {
      for (const auto& condition : conditions->get_array()) {
        CheckType(resource, condition, "status.conditions", Type::kObject);
        CheckObject(resource, condition.get_object(), "status.conditions[].",
                    {{"type", Type::kText},
                     {"status", Type::kText},
                     {"lastProbeTime", Type::kTime},
                     {"lastTransitionTime", Type::kTime},
                     {"reason", Type::kText},
                     {"message", Type::kText},
                     {"observedGeneration", Type::kInteger}});
      }
    }
  }
}

// The part of OpenAPI v3 that structural schemas use.
void CheckBySchema(const FakeResource& resource, const std::string& name, const json::value& value,
                   const json::object& schema, const std::string& at) {
  const auto* type = schema.if_contains("type");
  const std::string wanted = type == nullptr ? "" : Text(type->get_string());
  const auto* open = schema.if_contains("x-kubernetes-preserve-unknown-fields");
  const bool any_fields = open != nullptr && open->is_bool() && open->get_bool();
  const auto* nullable = schema.if_contains("nullable");
  if (value.is_null() && nullable != nullptr && nullable->get_bool()) return;
  auto refuse = [&] {
    Invalid(resource, name,
            at + ": Invalid value: " + json::serialize(value).substr(0, 100) + ": " + at +
                " in body must be of type " + wanted);
  };
  if ((wanted == "string" && !value.is_string()) || (wanted == "boolean" && !value.is_bool()) ||
      (wanted == "integer" && !value.is_int64() && !value.is_uint64()) ||
      (wanted == "number" && !value.is_number()) || (wanted == "array" && !value.is_array()) ||
      (wanted == "object" && !value.is_object()))
    refuse();
  if (const auto* choices = schema.if_contains("enum")) {
    bool found = false;
    for (const auto& choice : choices->get_array()) found = found || choice == value;
    if (!found) Invalid(resource, name, at + ": Unsupported value: " + json::serialize(value));
  }
  if (const auto* format = schema.if_contains("format"); format != nullptr && value.is_string()) {
    if (format->get_string() == "date-time") {
      static const std::regex kTime(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))");
      if (!std::regex_match(Text(value.get_string()), kTime))
        Invalid(resource, name, at + ": Invalid value: must be of type date-time");
    }
  }
  if (value.is_array()) {
    if (const auto* items = schema.if_contains("items")) {
      for (const auto& item : value.get_array())
        CheckBySchema(resource, name, item, items->get_object(), at + "[]");
    }
  }
  if (!value.is_object()) return;
  if (const auto* required = schema.if_contains("required")) {
    for (const auto& field : required->get_array()) {
      if (!value.get_object().contains(field.get_string()))
        Invalid(resource, name, at + "." + Text(field.get_string()) + ": Required value");
    }
  }
  const auto* properties = schema.if_contains("properties");
  const auto* additional = schema.if_contains("additionalProperties");
  for (const auto& [field, inner] : value.get_object()) {
    const std::string path = (at.empty() ? "" : at + ".") + Text(field);
    if (at.empty() && (path == "apiVersion" || path == "kind" || path == "metadata")) continue;
    const auto* known = properties == nullptr ? nullptr : properties->get_object().if_contains(field);
    if (known != nullptr) {
      CheckBySchema(resource, name, inner, known->get_object(), path);
    } else if (additional != nullptr && additional->is_object()) {
      CheckBySchema(resource, name, inner, additional->get_object(), path);
    } else if (!any_fields) {
      CannotHandle(resource, "strict decoding error: unknown field \"" + path + "\"");
    }
  }
}

void CheckLabels(const FakeResource& resource, const std::string& object_name, const json::object& metadata) {
  static const std::regex kKey(
      R"(([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)");
  static const std::regex kValue(R"(([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?)");
  for (const char* field : {"labels", "annotations"}) {
    const auto* texts = metadata.if_contains(field);
    if (texts == nullptr || !texts->is_object()) continue;
    std::size_t bytes = 0;
    for (const auto& [name, value] : texts->get_object()) {
      if (!std::regex_match(Text(name), kKey))
        Invalid(resource, object_name,
                "metadata." + std::string(field) + ": Invalid value: \"" + Text(name) + "\"");
      if (std::string_view(field) == "labels" && !std::regex_match(Text(value.get_string()), kValue)) {
        Invalid(resource, object_name,
                "metadata.labels: Invalid value: \"" + Text(value.get_string()) +
                    "\": a valid label must be an empty string or consist of alphanumeric "
                    "characters, '-', '_' or '.'");
      }
      bytes += name.size() + value.get_string().size();
    }
    if (bytes > 256U * 1024)
      Invalid(resource, object_name, "metadata.annotations: Too long: may not be more than 262144 bytes");
  }
}

std::int64_t IntegerAt(const json::object& object, const char* field, std::int64_t otherwise) {
  const auto* value = object.if_contains(field);
  return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
}

std::string TextAt(const json::object& object, const char* field) {
  const auto* value = object.if_contains(field);
  return value != nullptr && value->is_string() ? Text(value->get_string()) : std::string();
}

const json::object& ObjectAt(const json::object& object, const char* field) {
  static const json::object kNone;
  const auto* value = object.if_contains(field);
  return value != nullptr && value->is_object() ? value->get_object() : kNone;
}

json::value FromYaml(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return nullptr;
    case YAML::NodeType::Sequence: {
      json::array array;
      for (const auto& item : node) array.push_back(FromYaml(item));
      return array;
    }
    case YAML::NodeType::Map: {
      json::object object;
      for (const auto& field : node) object[field.first.as<std::string>()] = FromYaml(field.second);
      return object;
    }
    case YAML::NodeType::Scalar:
      break;
  }
  const auto text = node.as<std::string>();
  if (node.Tag() == "!") return json::value(text);  // quoted
  static const std::regex kInteger("-?(0|[1-9][0-9]{0,17})");
  if (text == "true" || text == "false") return text == "true";
  if (text == "null" || text == "~" || text.empty()) return nullptr;
  if (std::regex_match(text, kInteger)) return std::int64_t{std::stoll(text)};
  return json::value(text);
}

}  // namespace

bool IsDnsSubdomain(const std::string& name) {
  static const std::regex kName(R"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)");
  return name.size() <= 253 && std::regex_match(name, kName);
}

void CheckFields(const FakeResource& resource, const json::object& object) {
  const std::string version = TextAt(object, "apiVersion");
  const std::string kind = TextAt(object, "kind");
  if (version.empty() || kind.empty())
    BadRequest("Object 'Kind' or 'apiVersion' is missing in '" + json::serialize(object).substr(0, 200) +
               "'");
  if (version != resource.ApiVersion()) {
    BadRequest("the API version in the data (" + version + ") does not match the expected API version (" +
               resource.ApiVersion() + ")");
  }
  if (kind != resource.kind) {
    BadRequest(kind + " in version \"" + resource.version + "\" cannot be handled as a " + resource.kind +
               ": converting (" + kind + ") to (" + resource.kind + "): unknown conversion");
  }
  const auto* metadata = object.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) BadRequest("metadata is missing");
  CheckObject(resource, metadata->get_object(), "metadata.", kMetadata);
  if (!resource.custom) {
    CheckBuiltIn(resource, object);
  } else if (resource.schema) {
    CheckBySchema(resource, NameOf(object), object, *resource.schema, "");
  }
}

void CheckValues(const FakeResource& resource, const json::object& object,
                 const std::string& namespace_name) {
  const std::string name = NameOf(object);
  if (!IsDnsSubdomain(name)) {
    Invalid(resource, name,
            "metadata.name: Invalid value: \"" + name +
                "\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                "characters, '-' or '.', and must start and end with an alphanumeric character");
  }
  CheckLabels(resource, name, ObjectAt(object, "metadata"));
  if (resource.kind == "Lease") {
    const auto& spec = ObjectAt(object, "spec");
    if (IntegerAt(spec, "leaseDurationSeconds", 1) <= 0)
      Invalid(resource, name, "spec.leaseDurationSeconds: Invalid value: must be greater than 0");
    if (IntegerAt(spec, "leaseTransitions", 0) < 0)
      Invalid(resource, name, "spec.leaseTransitions: Invalid value: must be greater than or equal to 0");
  }
  if (resource.kind == "Event") {
    const auto& about = ObjectAt(object, "involvedObject");
    if (TextAt(about, "namespace") != namespace_name) {
      Invalid(resource, name,
              "involvedObject.namespace: Invalid value: \"" + TextAt(about, "namespace") +
                  "\": does not match event.namespace");
    }
    const auto* time = object.if_contains("eventTime");
    if (time != nullptr && !time->is_null()) {
      for (const char* needed : {"reportingComponent", "reportingInstance", "action", "reason"}) {
        if (TextAt(object, needed).empty()) Invalid(resource, name, std::string(needed) + ": Required value");
      }
      if (TextAt(object, "reportingInstance").size() > 128)
        Invalid(resource, name, "reportingInstance: Invalid value: can have at most 128 characters");
      if (TextAt(object, "reason").size() > 128)
        Invalid(resource, name, "reason: Invalid value: can have at most 128 characters");
      if (TextAt(object, "message").size() > 1024)
        Invalid(resource, name, "message: Invalid value: can have at most 1024 characters");
      const std::string type = TextAt(object, "type");
      if (type != "Normal" && type != "Warning")
        Invalid(resource, name, "type: Invalid value: \"" + type + "\": must be Normal or Warning");
    }
  }
  if (resource.kind == "Pod") {
    const auto* containers = ObjectAt(object, "spec").if_contains("containers");
    if (containers == nullptr || !containers->is_array() || containers->get_array().empty())
      Invalid(resource, name, "spec.containers: Required value");
    const auto* conditions = ObjectAt(object, "status").if_contains("conditions");
    if (conditions != nullptr && conditions->is_array()) {
      for (const auto& condition : conditions->get_array()) {
        const std::string status = TextAt(condition.get_object(), "status");
        if (TextAt(condition.get_object(), "type").empty() ||
            (status != "True" && status != "False" && status != "Unknown"))
          Invalid(resource, name, "status.conditions: Invalid value: a type, and True, False or Unknown");
      }
    }
  }
}

FakeResource ResourceOfCrd(const json::object& crd) {
  const auto& spec = ObjectAt(crd, "spec");
  const auto& names = ObjectAt(spec, "names");
  FakeResource resource;
  resource.group = TextAt(spec, "group");
  resource.plural = TextAt(names, "plural");
  resource.kind = TextAt(names, "kind");
  resource.custom = true;
  resource.has_generation = true;
  resource.needs_version_to_put = true;
  const auto* versions = spec.if_contains("versions");
  if (versions == nullptr || !versions->is_array() || versions->get_array().empty())
    throw std::runtime_error("the CRD has no versions");
  const auto& version = versions->get_array().front().as_object();
  resource.version = TextAt(version, "name");
  resource.has_status = ObjectAt(version, "subresources").contains("status");
  const auto& schema = ObjectAt(ObjectAt(version, "schema"), "openAPIV3Schema");
  if (schema.empty()) throw std::runtime_error("the CRD has no schema");
  resource.schema = schema;
  if (resource.group.empty() || resource.plural.empty() || resource.kind.empty() || resource.version.empty())
    throw std::runtime_error("the CRD lacks a group, a plural, a kind or a version");
  if (TextAt(ObjectAt(crd, "metadata"), "name") != resource.Qualified())
    throw std::runtime_error("the CRD must be named " + resource.Qualified());
  if (TextAt(spec, "scope") != "Namespaced") throw std::runtime_error("the CRD must be Namespaced");
  return resource;
}

std::vector<json::value> JsonOfYaml(const std::string& yaml) {
  std::vector<json::value> documents;
  for (const YAML::Node& document : YAML::LoadAll(yaml)) documents.push_back(FromYaml(document));
  return documents;
}

}  // namespace walstitch::test
