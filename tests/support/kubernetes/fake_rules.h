// Who may do what, as the fake API server sees it: RBAC rules of Roles.
#pragma once

#include <string>
#include <vector>

namespace walstitch::test {

struct AccessRule {
  std::vector<std::string> api_groups;
  std::vector<std::string> resources;  // "pods", "pods/status", "*"
  std::vector<std::string> verbs;
  std::vector<std::string> resource_names;  // empty: all
};

struct AccessQuestion {
  std::string api_group;
  std::string resource;  // with its subresource
  std::string verb;
  std::string name;  // empty where the request names none
};

// The rules of every Role and ClusterRole among the YAML documents, e.g. a rendered chart. Throws
// std::runtime_error.
std::vector<AccessRule> RulesFromYaml(const std::string& yaml);

bool Allowed(const std::vector<AccessRule>& rules, const AccessQuestion& question);

}  // namespace walstitch::test
