// What objects the fake API server takes: field by field for the kinds that the product writes, by the schema
// of its CRD for a custom one. Stricter than a real server, which drops unknown fields unless it is asked to
// refuse them. Throws FakeFailure.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

namespace walstitch::test {

struct FakeResource {
  std::string group;
  std::string version;
  std::string plural;
  std::string kind;
  bool has_status = false;            // the subresource
  bool has_generation = false;        // counts changes of the spec
  bool needs_version_to_put = false;  // a PUT must carry the resourceVersion
  bool put_creates = false;
  bool custom = false;
  std::optional<boost::json::object> schema{};  // openAPIV3Schema of a custom one

  [[nodiscard]] std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
  // "leases.coordination.k8s.io"
  [[nodiscard]] std::string Qualified() const { return group.empty() ? plural : plural + "." + group; }
};

bool IsDnsSubdomain(const std::string& name);

// apiVersion, kind, metadata and every known field.
void CheckFields(const FakeResource& resource, const boost::json::object& object);
// What a stored object has to fulfil.
void CheckValues(const FakeResource& resource, const boost::json::object& object,
                 const std::string& namespace_name);

// The resources of the CRD; throws std::runtime_error where it is none that can be used.
FakeResource ResourceOfCrd(const boost::json::object& crd);

// YAML as JSON; one value for each document.
std::vector<boost::json::value> JsonOfYaml(const std::string& yaml);

}  // namespace walstitch::test
