// The kinds of objects that the controller reads and writes in Kubernetes' API, where each of them is, and
// what every object has. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::kubernetes {

using Object = boost::json::object;

struct ObjectList {
  std::vector<Object> items;
  std::string resource_version;  // from which a watch goes on
};

struct ResourceType {
  std::string group;  // empty: the core group
  std::string version;
  std::string plural;  // as in paths: "pods"
  std::string kind;    // as in objects: "Pod"

  [[nodiscard]] std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }

  friend bool operator==(const ResourceType&, const ResourceType&) = default;
};

ResourceType Pods();
ResourceType Events();  // of the core group
ResourceType ConfigMaps();
ResourceType StatefulSets();
ResourceType Leases();
ResourceType Decisions();
ResourceType DecisionLogs();
ResourceType ReplicationGroups();

// "/apis/coordination.k8s.io/v1/namespaces/default/leases/walstitch". Without a name: the collection. Without
// a namespace: of a resource that has none. Parts are percent-encoded, so none can change the path.
std::string ResourcePath(const ResourceType& type, std::string_view namespace_name,
                         std::string_view name = {}, std::string_view subresource = {});

// What an object says of itself; empty where it says nothing, or not with the right type.
std::string NameOf(const Object& object);
std::string UidOf(const Object& object);
std::string ResourceVersionOf(const Object& object);
std::map<std::string, std::string> LabelsOf(const Object& object);
std::map<std::string, std::string> AnnotationsOf(const Object& object);

// A step into an object: nullptr where there is no such field or it is of another type.
const Object* ObjectAt(const Object& object, std::string_view field);
std::string TextAt(const Object& object, std::string_view field);

// An object of the type, with its name, that can be created.
Object MakeObject(const ResourceType& type, std::string_view name);

// Bounded (nesting at most 100 deep: managedFields go deep). The Error says where it breaks, in one sentence
// for people, with the beginning of what stands there instead.
Result<Object> ParseObject(std::string_view text);

}  // namespace walstitch::kubernetes
