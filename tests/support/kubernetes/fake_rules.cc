#include "tests/support/kubernetes/fake_rules.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <stdexcept>

namespace walstitch::test {
namespace {

std::vector<std::string> Texts(const YAML::Node& node) {
  std::vector<std::string> texts;
  if (node) {
    for (const auto& item : node) texts.push_back(item.as<std::string>());
  }
  return texts;
}

bool Has(const std::vector<std::string>& list, const std::string& wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end() ||
         std::find(list.begin(), list.end(), "*") != list.end();
}

}  // namespace

std::vector<AccessRule> RulesFromYaml(const std::string& yaml) {
  std::vector<AccessRule> rules;
  for (const YAML::Node& document : YAML::LoadAll(yaml)) {
    if (!document.IsMap() || !document["kind"]) continue;
    const auto kind = document["kind"].as<std::string>();
    if (kind != "Role" && kind != "ClusterRole") continue;
    for (const auto& rule : document["rules"]) {
      for (const auto& field : rule) {
        const auto name = field.first.as<std::string>();
        if (name != "apiGroups" && name != "resources" && name != "verbs" && name != "resourceNames")
          throw std::runtime_error("a Role's rule has the unknown field " + name);
      }
      AccessRule read{Texts(rule["apiGroups"]), Texts(rule["resources"]), Texts(rule["verbs"]),
                      Texts(rule["resourceNames"])};
      if (read.api_groups.empty() || read.resources.empty() || read.verbs.empty())
        throw std::runtime_error("a Role's rule has no apiGroups, resources or verbs");
      rules.push_back(std::move(read));
    }
  }
  return rules;
}

bool Allowed(const std::vector<AccessRule>& rules, const AccessQuestion& question) {
  return std::any_of(rules.begin(), rules.end(), [&](const AccessRule& rule) {
    if (!Has(rule.api_groups, question.api_group) || !Has(rule.resources, question.resource) ||
        !Has(rule.verbs, question.verb))
      return false;
    // A create, and a list without a field selector for the name, names no object: such a rule never fits.
    return rule.resource_names.empty() || (!question.name.empty() && Has(rule.resource_names, question.name));
  });
}

}  // namespace walstitch::test
