#include "controller/shell/policy_store.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "policies/evaluate.h"
#include "policies/model/bytes.h"

namespace walstitch::shell {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxPolicyBytes = 1 << 20;

bool IsYaml(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

Result<PolicyFile> ReadFile(const fs::path& path) {
  std::error_code problem;
  const auto size = fs::file_size(path, problem);
  if (problem) return Fail(ErrorCode::kIo, "policy " + path.string() + ": " + problem.message());
  if (size > kMaxPolicyBytes)
    return Fail(ErrorCode::kInvalid, "policy " + path.string() + ": larger than 1 MiB");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return Fail(ErrorCode::kIo, "policy " + path.string() + ": cannot be read");
  return PolicyFile{path.string(), content.str()};
}

}  // namespace

PolicyStore::PolicyStore(std::vector<std::string> paths) : paths_(std::move(paths)) {}

Result<std::vector<PolicyFile>> PolicyStore::ReadFiles() const {
  std::vector<fs::path> found;
  for (const auto& path : paths_) {
    std::error_code problem;
    if (!fs::is_directory(path, problem)) {
      found.emplace_back(path);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(path, problem)) {
      if (IsYaml(entry.path()) && entry.is_regular_file(problem)) found.push_back(entry.path());
    }
    if (problem) return Fail(ErrorCode::kIo, "policies in " + path + ": " + problem.message());
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.filename() < b.filename(); });
  std::vector<PolicyFile> files;
  for (const auto& path : found) {
    auto file = ReadFile(path);
    if (!file) return Fail(file.error());
    files.push_back(std::move(*file));
  }
  return files;
}

bool PolicyStore::Refresh() {
  auto files = ReadFiles();
  if (!files) {
    problem_ = files.error().Message();
    return false;
  }
  std::string all;
  for (const auto& file : *files) {
    all += std::to_string(file.path.size()) + ":" + file.path + std::to_string(file.content.size()) + ":" +
           file.content;
  }
  std::string fingerprint = Sha256Hex(all);
  if (fingerprint == fingerprint_) return false;
  fingerprint_ = std::move(fingerprint);
  // Each alone, so that its error names it; merging is per group, and only files of that group may clash.
  for (const auto& file : *files) {
    if (auto policy = ParsePolicy({file}); !policy) {
      problem_ = policy.error().Message();
      return false;
    }
  }
  problem_.clear();
  in_force_ = std::move(*files);
  merged_.clear();
  return true;
}

const TolerancePolicy& PolicyStore::For(const std::string& group) {
  auto found = merged_.find(group);
  if (found != merged_.end()) return found->second;
  std::vector<PolicyFile> files;
  for (const auto& file : in_force_) {
    auto policy = ParsePolicy({file});
    if (policy && AppliesToGroup(*policy, group)) files.push_back(file);
  }
  TolerancePolicy policy = DefaultPolicy();
  if (!files.empty()) {
    if (auto merged = ParsePolicy(std::move(files))) {
      policy = std::move(*merged);
    } else {
      // Nothing may be skipped on the strength of files that contradict each other.
      problem_ =
          "group " + group + ": " + merged.error().Message() + "; the default policy (fullsync) is in force";
    }
  }
  return merged_.emplace(group, std::move(policy)).first->second;
}

}  // namespace walstitch::shell
