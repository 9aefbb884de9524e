#include "controller/cli/policy_files.h"

#include <filesystem>
#include <set>

#include "controller/cli/text.h"
#include "policies/evaluate.h"
#include "policies/loader.h"

namespace walstitch::cli {

namespace {

// The files that the paths stand for, in name order; the same ones that LoadPolicyPaths takes. What is no
// directory is left to the loader, which knows what to say of it.
std::vector<std::string> ExpandDirectories(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::set<std::string> files;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.insert(path);
      continue;
    }
    std::size_t found = 0;
    fs::directory_iterator entry(path, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
      const fs::path& name = entry->path();
      std::error_code ignored;
      const bool yaml = name.extension() == ".yaml" || name.extension() == ".yml";
      if (!yaml || name.filename().string().starts_with(".") || !fs::is_regular_file(name, ignored)) continue;
      files.insert(name.string());
      ++found;
    }
    if (error || found == 0) files.insert(path);  // the loader says what is wrong
  }
  return {files.begin(), files.end()};
}

}  // namespace

Result<std::vector<PolicyOfFiles>> LoadPolicies(const std::vector<std::string>& paths,
                                                const std::string& group) {
  std::vector<std::string> files;
  std::vector<PolicyOfFiles> single;
  bool same_groups = true;
  for (const auto& file : ExpandDirectories(paths)) {
    auto policy = LoadPolicyPaths({file});
    if (!policy) return Fail(policy.error());
    if (!group.empty() && !AppliesToGroup(*policy, group)) continue;
    same_groups = same_groups && (single.empty() || single.front().policy.groups == policy->groups);
    files.push_back(file);
    single.push_back({file, std::move(*policy)});
  }
  if (files.empty()) return std::vector<PolicyOfFiles>{{"", DefaultPolicy()}};
  if (files.size() == 1 || (group.empty() && !same_groups)) return single;
  auto merged = LoadPolicyPaths(files);
  if (!merged) return Fail(merged.error());
  return std::vector<PolicyOfFiles>{{Join(files), std::move(*merged)}};
}

}  // namespace walstitch::cli
