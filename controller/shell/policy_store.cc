#include "controller/shell/policy_store.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "policies/evaluate.h"
#include "policies/model/bytes.h"

namespace walstitch::shell {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxPolicyBytes = 1 << 20;

bool IsYaml(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

// `path` is what it is called, `at` where it is read.
Result<PolicyFile> ReadFile(const fs::path& path, const fs::path& at) {
  std::error_code problem;
  const auto size = fs::file_size(at, problem);
  if (problem) return Fail(ErrorCode::kIo, "policy " + path.string() + ": " + problem.message());
  if (size > kMaxPolicyBytes)
    return Fail(ErrorCode::kInvalid, "policy " + path.string() + ": larger than 1 MiB");
  std::ifstream file(at, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return Fail(ErrorCode::kIo, "policy " + path.string() + ": cannot be read");
  return PolicyFile{path.string(), content.str()};
}

// Of a directory that a kubelet exchanges: where its files are now. Of any other: itself.
fs::path PlaceOf(const fs::path& directory) {
  std::error_code problem;
  const fs::path now = fs::read_symlink(directory / "..data", problem);
  return problem ? directory : directory / now;
}

Result<void> ReadDirectory(const fs::path& directory, const fs::path& place, std::vector<PolicyFile>& files) {
  std::error_code problem;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(place, problem)) {
    if (IsYaml(entry.path()) && entry.is_regular_file(problem)) found.push_back(entry.path());
  }
  if (problem) return Fail(ErrorCode::kIo, "policies in " + directory.string() + ": " + problem.message());
  for (const auto& path : found) {
    auto file = ReadFile(directory / path.filename(), path);
    if (!file) return Fail(file.error());
    files.push_back(std::move(*file));
  }
  return {};
}

// 1. Half of the files is read. 2. The directory is exchanged, and the rest is of the new one. 3. What was
// read is what nobody wrote. So it is read again then.
Result<void> ReadWhole(const fs::path& directory, std::vector<PolicyFile>& files) {
  constexpr int kMostTries = 5;
  for (int tries = 1;; ++tries) {
    const fs::path place = PlaceOf(directory);
    std::vector<PolicyFile> read;
    auto done = ReadDirectory(directory, place, read);
    if (PlaceOf(directory) != place && tries < kMostTries) continue;
    if (!done) return done;
    std::move(read.begin(), read.end(), std::back_inserter(files));
    return {};
  }
}

}  // namespace

PolicyStore::PolicyStore(std::vector<std::string> paths) : paths_(std::move(paths)) {}

Result<std::vector<PolicyFile>> PolicyStore::ReadFiles() const {
  std::vector<PolicyFile> files;
  for (const auto& path : paths_) {
    std::error_code problem;
    if (fs::is_directory(path, problem)) {
      if (auto read = ReadWhole(path, files); !read) return Fail(read.error());
      continue;
    }
    auto file = ReadFile(path, path);
    if (!file) return Fail(file.error());
    files.push_back(std::move(*file));
  }
  std::sort(files.begin(), files.end(), [](const PolicyFile& a, const PolicyFile& b) {
    return fs::path(a.path).filename() < fs::path(b.path).filename();
  });
  return files;
}

Result<TolerancePolicy> PolicyStore::Merge(const std::vector<PolicyFile>& files, const std::string& group) {
  std::vector<PolicyFile> of_group;
  for (const auto& file : files) {
    auto policy = ParsePolicy({file});
    if (policy && AppliesToGroup(*policy, group)) of_group.push_back(file);
  }
  if (of_group.empty()) return DefaultPolicy();
  return ParsePolicy(std::move(of_group));
}

bool PolicyStore::Refresh() {
  auto files = ReadFiles();
  if (!files) {
    problem_ = files.error().Message();
    fingerprint_ = "not read";  // what is read next is looked at whole, though it be what is in force
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
  for (const auto& [group, policy] : merged_) {
    if (auto merged = Merge(*files, group); !merged) {
      problem_ = "group " + group + ": " + merged.error().Message();
      return false;
    }
  }
  problem_.clear();
  in_force_ = std::move(*files);
  for (auto& [group, policy] : merged_) {
    if (auto merged = Merge(in_force_, group)) policy = std::move(*merged);
  }
  return true;
}

const TolerancePolicy& PolicyStore::For(const std::string& group) {
  auto found = merged_.find(group);
  if (found != merged_.end()) return found->second;
  TolerancePolicy policy = DefaultPolicy();
  if (auto merged = Merge(in_force_, group)) {
    policy = std::move(*merged);
  } else {
    // Nothing may be skipped on the strength of files that contradict each other.
    problem_ =
        "group " + group + ": " + merged.error().Message() + "; the default policy (fullsync) is in force";
  }
  return merged_.emplace(group, std::move(policy)).first->second;
}

}  // namespace walstitch::shell
