#include "controller/core/replay.h"

#include <algorithm>
#include <utility>

#include "policies/evaluate.h"
#include "policies/model/bytes.h"

namespace walstitch::core {

namespace {

constexpr std::string_view kDefaultKeyspace = "default";

std::string Listed(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + ToPrintable(word);
  return text;
}

std::string WordOf(ReplayResult result, bool dry_run) {
  switch (result) {
    case ReplayResult::kWritten:
      return dry_run ? "would be written" : "written";
    case ReplayResult::kDeleted:
      return dry_run ? "would be deleted" : "deleted";
    case ReplayResult::kEqual:
      return "equal already";
    case ReplayResult::kChanged:
      return "left alone, changed since";
    case ReplayResult::kExpired:
      return "expired";
    case ReplayResult::kAbsent:
      return "deleted by the tail, and left alone";
    case ReplayResult::kNotReplayable:
      return "not replayable";
    case ReplayResult::kFailed:
      return "failed";
    case ReplayResult::kUnknown:
      return "perhaps written";
  }
  return "?";
}

}  // namespace

void ReplaySummary::Add(ReplayedKey key) {
  ++counts[key.result];
  if (keys.size() < kMaxListed) keys.push_back(std::move(key));
}

std::uint64_t ReplaySummary::Of(ReplayResult result) const {
  const auto found = counts.find(result);
  return found == counts.end() ? 0 : found->second;
}

std::string ReplaySummary::Sentence(bool dry_run) const {
  std::string text;
  for (const auto& [result, count] : counts) {
    text += (text.empty() ? "" : "; ") + std::to_string(count) + (count == 1 ? " key " : " keys ") +
            WordOf(result, dry_run);
  }
  if (text.empty()) text = "no key was chosen";
  if (!ended_early.empty()) text += "; it ended early: " + ended_early;
  return text;
}

Result<void> CheckChoice(const ReplayChoice& choice, const TolerancePolicy& policy) {
  for (const std::string& name : choice.keyspaces) {
    if (name == kDefaultKeyspace) continue;
    const bool known = std::any_of(policy.keyspaces.begin(), policy.keyspaces.end(),
                                   [&](const KeyspaceRule& rule) { return rule.name == name; });
    if (known) continue;
    std::vector<std::string> names;
    for (const KeyspaceRule& rule : policy.keyspaces) names.push_back(rule.name);
    names.emplace_back(kDefaultKeyspace);
    return Fail(ErrorCode::kNotFound, "no keyspace '" + ToPrintable(name) +
                                          "' in the policy in force; there are: " + Listed(names));
  }
  return {};
}

bool IsChosen(const ReplayChoice& choice, const TolerancePolicy& policy, const SalvagedKey& key) {
  KeyspaceMatch match;
  match.namespaces = choice.namespaces;
  match.keys = choice.keys;
  if (!NamespaceMatches(match, key.name_space) || !KeyMatches(match, key.key)) return false;
  if (choice.keyspaces.empty()) return true;
  TouchedKey touched;
  touched.name_space = key.name_space;
  touched.key = key.key;
  if (!key.type.empty()) touched.types = {key.type};
  const std::string keyspace = DecideKey(policy, touched).keyspace;
  return std::find(choice.keyspaces.begin(), choice.keyspaces.end(), keyspace) != choice.keyspaces.end();
}

std::string Describe(const ReplayChoice& choice) {
  std::string text = choice.keys.empty() ? "all keys" : "keys " + Listed(choice.keys);
  if (!choice.namespaces.empty()) text += " of namespace " + Listed(choice.namespaces);
  if (!choice.keyspaces.empty()) text += " of keyspace " + Listed(choice.keyspaces);
  return text;
}

}  // namespace walstitch::core
