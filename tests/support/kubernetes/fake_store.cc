#include "tests/support/kubernetes/fake_store.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <ctime>

namespace walstitch::test {

namespace json = boost::json;

namespace {

std::string Text(json::string_view text) { return {text.data(), text.size()}; }

json::object& Metadata(json::object& object) { return object["metadata"].as_object(); }
const json::object& Metadata(const json::object& object) { return object.at("metadata").as_object(); }

std::string MetadataText(const json::object& object, const char* field) {
  const auto* metadata = object.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) return {};
  const auto* value = metadata->get_object().if_contains(field);
  return value != nullptr && value->is_string() ? Text(value->get_string()) : std::string();
}

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

json::object Details(const FakeResource& resource, const std::string& name) {
  json::object details;
  details["name"] = name;
  if (!resource.group.empty()) details["group"] = resource.group;
  details["kind"] = resource.plural;
  return details;
}

FakeFailure NotFound(const FakeResource& resource, const std::string& name) {
  return {404, "NotFound", resource.Qualified() + " \"" + name + "\" not found", Details(resource, name)};
}

FakeFailure Conflict(const FakeResource& resource, const std::string& name, const std::string& why) {
  return {409, "Conflict",
          "Operation cannot be fulfilled on " + resource.Qualified() + " \"" + name + "\": " + why,
          Details(resource, name)};
}

constexpr const char* kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

// A field of `to` becomes what it is in `from`.
void Keep(json::object* to, const json::object& from, const char* field) {
  if (const auto* value = from.if_contains(field)) {
    (*to)[field] = *value;
  } else {
    to->erase(field);
  }
}

// The field by which the elements of such a list are told apart, or nullptr.
const char* MergeKey(std::string_view field) {
  if (field == "conditions") return "type";
  if (field == "containers" || field == "initContainers" || field == "volumes" || field == "env")
    return "name";
  return nullptr;
}

void StrategicMerge(json::object* target, const json::object& patch) {
  for (const auto& [name, value] : patch) {
    if (!name.empty() && name.front() == '$')
      throw FakeFailure{400, "BadRequest", "directives of strategic merge patches are not known here"};
    if (value.is_null()) {
      target->erase(name);
      continue;
    }
    auto* present = target->if_contains(name);
    const char* key = MergeKey({name.data(), name.size()});
    if (value.is_object()) {
      if (present == nullptr || !present->is_object()) (*target)[name] = json::object();
      StrategicMerge(&(*target)[name].get_object(), value.get_object());
    } else if (value.is_array() && key != nullptr) {
      if (present == nullptr || !present->is_array()) (*target)[name] = json::array();
      auto& list = (*target)[name].get_array();
      for (const auto& item : value.get_array()) {
        if (!item.is_object() || !item.get_object().contains(key)) {
          throw FakeFailure{400, "BadRequest",
                            "map: " + json::serialize(item) + " does not contain declared merge key: " + key};
        }
        const auto same = std::find_if(list.begin(), list.end(), [&](const json::value& other) {
          const auto* found = other.is_object() ? other.get_object().if_contains(key) : nullptr;
          return found != nullptr && *found == item.get_object().at(key);
        });
        if (same == list.end()) {
          list.push_back(item);
        } else {
          StrategicMerge(&same->get_object(), item.get_object());
        }
      }
    } else {
      (*target)[name] = value;
    }
  }
}

}  // namespace

void MergePatch(json::value* target, const json::value& patch) {
  if (!patch.is_object()) {
    *target = patch;
    return;
  }
  if (!target->is_object()) *target = json::object();
  auto& object = target->get_object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      object.erase(name);
    } else {
      MergePatch(&object[name], value);
    }
  }
}

Selector::Selector(const std::string& text, bool of_fields) : of_fields_(of_fields) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string term = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t equal = term.find('=');
    if (term.empty() || term.find(' ') != std::string::npos || term.find('(') != std::string::npos)
      throw FakeFailure{400, "BadRequest", "unable to parse requirement: " + term};
    if (equal == std::string::npos) {
      const bool missing = term.front() == '!';
      terms_.push_back({missing ? Test::kMissing : Test::kExists, missing ? term.substr(1) : term, ""});
      continue;
    }
    const bool unequal = equal > 0 && term[equal - 1] == '!';
    const bool doubled = equal + 1 < term.size() && term[equal + 1] == '=';
    terms_.push_back({unequal ? Test::kUnequal : Test::kEqual, term.substr(0, unequal ? equal - 1 : equal),
                      term.substr(equal + (doubled ? 2 : 1))});
  }
  if (!of_fields_) return;
  for (const auto& term : terms_) {
    if (term.key != "metadata.name" && term.key != "metadata.namespace")
      throw FakeFailure{400, "BadRequest", "field label not supported: " + term.key};
  }
}

std::string Selector::Name() const {
  for (const auto& term : terms_) {
    if (of_fields_ && term.key == "metadata.name" && term.test == Test::kEqual) return term.value;
  }
  return {};
}

bool Selector::Matches(const json::object& object) const {
  for (const auto& term : terms_) {
    std::optional<std::string> value;
    if (of_fields_) {
      value = MetadataText(object, term.key == "metadata.name" ? "name" : "namespace");
    } else if (const auto* labels = Metadata(object).if_contains("labels");
               labels != nullptr && labels->is_object()) {
      if (const auto* label = labels->get_object().if_contains(term.key);
          label != nullptr && label->is_string())
        value = Text(label->get_string());
    }
    switch (term.test) {
      case Test::kEqual:
        if (value != term.value) return false;
        break;
      case Test::kUnequal:
        if (value == term.value) return false;
        break;
      case Test::kExists:
        if (!value) return false;
        break;
      case Test::kMissing:
        if (value) return false;
        break;
    }
  }
  return true;
}

json::object FakeStore::Get(const FakeResource& resource, const Place& place, const std::string& name) const {
  const auto objects = objects_.find(place);
  if (objects != objects_.end()) {
    const auto found = objects->second.find(name);
    if (found != objects->second.end()) return found->second;
  }
  throw NotFound(resource, name);
}

std::vector<json::object> FakeStore::All(const Place& place) const {
  std::vector<json::object> all;
  const auto objects = objects_.find(place);
  if (objects == objects_.end()) return all;
  for (const auto& [name, object] : objects->second) all.push_back(object);
  return all;
}

void FakeStore::Remember(Event event) {
  history_.push_back(std::move(event));
  while (history_.size() > most_history_) {
    forgotten_ = history_.front().version;
    history_.pop_front();
  }
}

json::object FakeStore::Store(const Place& place, const std::string& name, json::object object) {
  Event event;
  event.version = ++version_;
  event.place = place;
  Metadata(object)["resourceVersion"] = std::to_string(version_);
  auto& objects = objects_[place];
  const auto before = objects.find(name);
  if (before != objects.end()) event.before = before->second;
  event.after = object;
  objects[name] = object;
  Remember(std::move(event));
  return object;
}

json::object FakeStore::Create(const FakeResource& resource, const Place& place, json::object object) {
  CheckFields(resource, object);
  auto& metadata = Metadata(object);
  const std::string given = MetadataText(object, "namespace");
  if (!given.empty() && given != place.namespace_name) {
    throw FakeFailure{
        400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request"};
  }
  if (!MetadataText(object, "resourceVersion").empty())
    throw FakeFailure{500, "", "resourceVersion should not be set on objects to be created"};
  std::string name = MetadataText(object, "name");
  const std::string stem = MetadataText(object, "generateName");
  if (name.empty() && !stem.empty()) {
    char suffix[16];
    std::snprintf(suffix, sizeof suffix, "%05llx", static_cast<unsigned long long>(++uid_ * 7919 % 0xfffff));
    name = stem + suffix;
    metadata["name"] = name;
  }
  metadata["namespace"] = place.namespace_name;
  if (resource.kind == "Pod") object.erase("status");
  if (resource.has_status && resource.kind != "Pod") object.erase("status");
  CheckValues(resource, object, place.namespace_name);
  if (objects_[place].count(name) != 0) {
    throw FakeFailure{409, "AlreadyExists", resource.Qualified() + " \"" + name + "\" already exists",
                      Details(resource, name)};
  }
  char uid[48];
  std::snprintf(uid, sizeof uid, "00000000-0000-4000-8000-%012llx", static_cast<unsigned long long>(++uid_));
  metadata["uid"] = uid;
  metadata["creationTimestamp"] = Now();
  metadata.erase("deletionTimestamp");
  metadata.erase("managedFields");
  if (resource.has_generation) {
    metadata["generation"] = 1;
  } else {
    metadata.erase("generation");
  }
  if (resource.kind == "Pod")
    object["status"] = json::object{{"phase", "Pending"}, {"qosClass", "BestEffort"}};
  return Store(place, name, std::move(object));
}

json::object FakeStore::Replace(const FakeResource& resource, const Place& place, const std::string& name,
                                const std::string& subresource, json::object object) {
  CheckFields(resource, object);
  if (MetadataText(object, "name") != name) {
    throw FakeFailure{400, "BadRequest",
                      "the name of the object (" + MetadataText(object, "name") +
                          ") does not match the name on the URL (" + name + ")"};
  }
  const bool there = objects_[place].count(name) != 0;
  if (!there && resource.put_creates && !MetadataText(object, "uid").empty()) {
    throw Conflict(resource, name,
                   "StorageError: invalid object, Code: 4, Precondition failed: UID in precondition: " +
                       MetadataText(object, "uid") + ", UID in object meta: ");
  }
  if (!there && resource.put_creates && subresource.empty()) {
    // Whatever version it is at: that is how a real server does it.
    object["metadata"].as_object().erase("resourceVersion");
    return Create(resource, place, std::move(object));
  }
  (void)Get(resource, place, name);
  if (resource.needs_version_to_put && MetadataText(object, "resourceVersion").empty()) {
    throw FakeFailure{
        422, "Invalid",
        resource.Qualified() + " \"" + name +
            "\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
        Details(resource, name)};
  }
  return Update(resource, place, name, subresource, std::move(object));
}

json::object FakeStore::Patch(const FakeResource& resource, const Place& place, const std::string& name,
                              const std::string& subresource, const json::object& patch, PatchForm form) {
  json::value merged = Get(resource, place, name);
  switch (form) {
    case PatchForm::kMerge:
      MergePatch(&merged, patch);
      break;
    case PatchForm::kStrategicMerge:
      StrategicMerge(&merged.get_object(), patch);
      break;
  }
  json::object object = std::move(merged.get_object());
  CheckFields(resource, object);
  if (MetadataText(object, "name") != name)
    throw FakeFailure{400, "BadRequest", "the name of the object does not match the name on the URL"};
  return Update(resource, place, name, subresource, std::move(object));
}

json::object FakeStore::Update(const FakeResource& resource, const Place& place, const std::string& name,
                               const std::string& subresource, json::object object) {
  const json::object before = Get(resource, place, name);
  const json::object& known = Metadata(before);
  auto& metadata = Metadata(object);
  const std::string given = MetadataText(object, "namespace");
  if (!given.empty() && given != place.namespace_name) {
    throw FakeFailure{
        400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request"};
  }
  const std::string uid = MetadataText(object, "uid");
  if (!uid.empty() && uid != MetadataText(before, "uid")) {
    throw Conflict(resource, name,
                   "Precondition failed: UID in precondition: " + uid +
                       ", UID in object meta: " + MetadataText(before, "uid"));
  }
  const std::string version = MetadataText(object, "resourceVersion");
  if (!version.empty() && version.find_first_not_of("0123456789") != std::string::npos) {
    throw FakeFailure{
        422, "Invalid",
        resource.Qualified() + " \"" + name + "\" is invalid: metadata.resourceVersion: Invalid value"};
  }
  if (!version.empty() && version != MetadataText(before, "resourceVersion"))
    throw Conflict(resource, name, kModified);
  for (const char* field : {"uid", "creationTimestamp", "namespace", "generation", "deletionTimestamp",
                            "selfLink", "managedFields", "resourceVersion"})
    Keep(&metadata, known, field);

  if (subresource == "status") {
    json::object changed = before;
    Keep(&changed, object, "status");
    object = std::move(changed);
  } else {
    if (resource.has_status) Keep(&object, before, "status");
    if (resource.kind == "Pod" && before.contains("spec") && object["spec"] != before.at("spec")) {
      throw FakeFailure{422, "Invalid",
                        "Pod \"" + name +
                            "\" is invalid: spec: Forbidden: pod updates may not change fields "
                            "other than those of its metadata",
                        Details(resource, name)};
    }
  }
  CheckValues(resource, object, place.namespace_name);
  if (resource.has_generation) {
    json::object now = object;
    json::object then = before;
    for (auto* one : {&now, &then}) {
      one->erase("metadata");
      if (resource.has_status) one->erase("status");
    }
    if (now != then) Metadata(object)["generation"] = known.at("generation").as_int64() + 1;
  }
  // What changes nothing is not written, and nobody is told.
  if (object == before) return before;
  return Store(place, name, std::move(object));
}

json::object FakeStore::Delete(const FakeResource& resource, const Place& place, const std::string& name,
                               const json::object& options) {
  const json::object before = Get(resource, place, name);
  if (const auto* conditions = options.if_contains("preconditions");
      conditions != nullptr && conditions->is_object()) {
    for (const char* field : {"uid", "resourceVersion"}) {
      const auto* wanted = conditions->get_object().if_contains(field);
      if (wanted != nullptr && wanted->is_string() &&
          Text(wanted->get_string()) != MetadataText(before, field)) {
        throw Conflict(resource, name,
                       "Precondition failed: " + std::string(field) + " in precondition: " +
                           Text(wanted->get_string()) + ", in object meta: " + MetadataText(before, field));
      }
    }
  }
  Event event;
  event.version = ++version_;
  event.place = place;
  event.before = before;
  event.after = before;
  Metadata(event.after)["resourceVersion"] = std::to_string(version_);
  event.deleted = true;
  objects_[place].erase(name);
  Remember(std::move(event));
  json::object status;
  status["kind"] = "Status";
  status["apiVersion"] = "v1";
  status["metadata"] = json::object();
  status["status"] = "Success";
  json::object details = Details(resource, name);
  details["uid"] = MetadataText(before, "uid");
  status["details"] = std::move(details);
  return status;
}

FakeStore::Page FakeStore::List(const FakeResource& resource, const Place& place, const Selector& labels,
                                const Selector& fields, std::size_t limit, const std::string& next) {
  Rest rest;
  if (next.empty()) {
    rest.version = version_;
    for (auto& object : All(place)) {
      if (!labels.Matches(object) || !fields.Matches(object)) continue;
      // A real server leaves these out in a list, whose kind says it.
      if (!resource.custom) {
        object.erase("apiVersion");
        object.erase("kind");
      }
      rest.items.push_back(std::move(object));
    }
  } else {
    const auto found = pages_.find(next);
    if (found == pages_.end()) {
      throw FakeFailure{410, "Expired",
                        "The provided continue parameter is too old to display a consistent list result. You "
                        "must start a new list without the continue parameter."};
    }
    rest = std::move(found->second);
    pages_.erase(found);
  }
  Page page;
  page.version = rest.version;
  const std::size_t take = limit == 0 ? rest.items.size() : std::min(limit, rest.items.size());
  const auto end = rest.items.begin() + static_cast<std::ptrdiff_t>(take);
  page.items.assign(rest.items.begin(), end);
  rest.items.erase(rest.items.begin(), end);
  page.left = rest.items.size();
  if (!rest.items.empty()) {
    page.next = "page-" + std::to_string(++page_) + "+/=";  // not fit for a URL as it is
    pages_[page.next] = std::move(rest);
  }
  return page;
}

std::uint64_t FakeStore::CheckHistory(std::uint64_t version) const {
  if (version < forgotten_) {
    throw FakeFailure{
        410, "Expired",
        "too old resource version: " + std::to_string(version) + " (" + std::to_string(version_) + ")"};
  }
  return version;
}

void FakeStore::Compact() {
  history_.clear();
  pages_.clear();
  // As time goes on without us: what was read last is too old as well.
  forgotten_ = ++version_;
}

}  // namespace walstitch::test
