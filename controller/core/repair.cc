#include "controller/core/repair.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "controller/core/cost.h"
#include "policies/evaluate.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::core {
namespace {

// A command stands in one message: agents/http/http_server.h has what an agent takes.
constexpr std::size_t kMostNameBytesInStep = std::size_t{128} << 10;

std::size_t Printed(const UserKeyName& name) {
  return ToPrintable(name.name_space).size() + ToPrintable(name.key).size() + 40;
}

// The list in parts that each fit into a step.
std::vector<std::vector<UserKeyName>> PartsOf(const std::vector<UserKeyName>& keys) {
  std::vector<std::vector<UserKeyName>> parts;
  std::size_t bytes = 0;
  for (const UserKeyName& key : keys) {
    const std::size_t more = Printed(key);
    if (parts.empty() || parts.back().size() >= kMostKeysInStep || bytes + more > kMostNameBytesInStep) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += more;
    parts.back().push_back(key);
  }
  return parts;
}

// What may differ after the verdict.
std::vector<const Touched*> MayDiffer(Verdict verdict, const Evidence& evidence,
                                      const std::optional<Touched>& left) {
  std::vector<const Touched*> touched;
  if (verdict == Verdict::kSpliced && left) touched.push_back(&*left);
  if (verdict == Verdict::kPadded && evidence.tail) touched.push_back(&*evidence.tail);
  if (verdict == Verdict::kPadded && evidence.missed) touched.push_back(&*evidence.missed);
  return touched;
}

std::string NameOf(const UserKeyName& name) {
  const std::string space = name.name_space == kDefaultNamespace ? "" : ToPrintable(name.name_space) + ":";
  return space + ToPrintable(name.key);
}

constexpr std::size_t kMostTold = 5;

std::string NamesOf(const std::vector<UserKeyName>& names, std::uint64_t all) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostTold); ++i) {
    text += (i == 0 ? "" : ", ") + NameOf(names[i]);
  }
  if (all > kMostTold) text += ", ...";
  return text;
}

std::string ProblemsOf(const std::vector<KeyProblem>& problems, std::uint64_t all) {
  std::string text;
  for (std::size_t i = 0; i < std::min(problems.size(), kMostTold); ++i) {
    text += (i == 0 ? "" : "; ") + NameOf(problems[i].name) + ": " + problems[i].why;
  }
  if (all > kMostTold) text += "; ...";
  return text;
}

// Empty: none does.
std::string Differing(const Comparison& comparison) {
  if (comparison.differ == 0) return "";
  return Count(comparison.differ, "key") + (comparison.differ == 1 ? " differs: " : " differ: ") +
         NamesOf(comparison.differing, comparison.differ);
}

std::string Restless(const Comparison& comparison) {
  return Count(comparison.restless, "key") +
         " changed whenever it was compared: " + NamesOf(comparison.never_still, comparison.restless);
}

template <typename T>
void Append(const std::vector<T>& more, std::vector<T>* all) {
  for (const T& one : more) {
    if (all->size() >= kMostNamed) return;
    all->push_back(one);
  }
}

}  // namespace

std::optional<Touched> LeftBySplice(const Evidence& evidence) {
  if (!evidence.undo) return evidence.OwnTail();
  Touched left = evidence.undo->left;
  if (!evidence.own_last || !evidence.own_tail || evidence.own_tail->truncated) return left;
  std::set<std::tuple<std::string_view, std::string_view, std::string_view>> own;
  for (const auto& key : evidence.own_tail->keys) own.emplace(key.internal, key.name_space, key.key);
  std::erase_if(left.keys, [&own](const TouchedKey& key) {
    return !own.contains({key.internal, key.name_space, key.key});
  });
  return left;
}

std::vector<RepairKeys> FindRepairs(Verdict verdict, const Evidence& evidence,
                                    const TolerancePolicy& policy) {
  // The strictest word for a key that both ranges touch, under whichever types.
  std::map<UserKeyName, KeyDecision> decided;
  const std::optional<Touched> left = LeftBySplice(evidence);
  for (const Touched* touched : MayDiffer(verdict, evidence, left)) {
    for (const TouchedKey& key : touched->keys) {
      if (!key.internal.empty()) continue;
      KeyDecision decision = DecideKey(policy, key);
      auto [at, added] = decided.try_emplace({key.name_space, key.key}, decision);
      if (!added && decision.tolerance > at->second.tolerance) at->second = std::move(decision);
    }
  }
  std::vector<RepairKeys> repairs;
  std::map<std::string, std::size_t> places;
  for (const KeyspaceRule& rule : policy.keyspaces) {
    if (rule.on_divergence != Tolerance::kEvict && rule.on_divergence != Tolerance::kRepair) continue;
    places.try_emplace(rule.name, repairs.size());
    repairs.push_back({rule.name, rule.on_divergence, rule.limits.bytes.value_or(0), {}});
  }
  for (const auto& [name, decision] : decided) {
    if (decision.tolerance != Tolerance::kEvict && decision.tolerance != Tolerance::kRepair) continue;
    auto [at, added] = places.try_emplace(decision.keyspace, repairs.size());
    if (added) repairs.push_back({decision.keyspace, decision.tolerance, 0, {}});
    repairs[at->second].keys.push_back(name);
  }
  std::erase_if(repairs, [](const RepairKeys& each) { return each.keys.empty(); });
  return repairs;
}

std::vector<UserKeyName> KeysToMend(const TolerancePolicy& policy, const Evidence& evidence) {
  std::set<UserKeyName> names;
  for (const auto* touched : {&evidence.tail, &evidence.missed}) {
    if (!*touched) continue;
    for (const TouchedKey& key : (*touched)->keys) {
      const Tolerance tolerance = DecideKey(policy, key).tolerance;
      const bool mended = tolerance == Tolerance::kRepair || tolerance == Tolerance::kEvict;
      if (mended && key.internal.empty()) names.insert({key.name_space, key.key});
    }
  }
  return {names.begin(), names.end()};
}

void NoteTypes(const std::vector<UserKeyName>& keys, const std::vector<std::string>& types,
               Evidence* evidence) {
  std::map<UserKeyName, std::string> has;
  for (std::size_t i = 0; i < std::min(keys.size(), types.size()); ++i) {
    if (!types[i].empty()) has.emplace(keys[i], types[i]);
  }
  const auto note = [&has](Touched* touched) {
    for (TouchedKey& key : touched->keys) {
      const auto found = has.find({key.name_space, key.key});
      if (found == has.end() || !key.internal.empty() || key.types.empty()) continue;
      const auto at = std::lower_bound(key.types.begin(), key.types.end(), found->second);
      if (at == key.types.end() || *at != found->second) key.types.insert(at, found->second);
    }
  };
  for (auto* touched : {&evidence->tail, &evidence->missed, &evidence->own_tail}) {
    if (*touched) note(&**touched);
  }
  if (evidence->undo) note(&evidence->undo->left);
}

std::vector<PlanStep> PlanRepairs(const std::string& decision, Verdict verdict, const Evidence& evidence,
                                  const TolerancePolicy& policy, const std::string& survivor_url) {
  const std::string& node = evidence.rejoiner.node;
  const std::string& master = evidence.survivor.node;
  std::vector<PlanStep> steps;
  const auto compare = [&](const std::vector<UserKeyName>& keys, bool must_equal, bool rewritten,
                           const std::string& why) {
    for (auto& part : PartsOf(keys)) {
      const std::string count = Count(part.size(), "key");
      steps.push_back({node, CompareAction{master, survivor_url, std::move(part), must_equal, rewritten},
                       "compare " + count + " with " + master + ": " + why});
    }
  };
  const std::vector<RepairKeys> repairs = FindRepairs(verdict, evidence, policy);
  std::vector<UserKeyName> repaired;
  for (const RepairKeys& each : repairs) repaired.insert(repaired.end(), each.keys.begin(), each.keys.end());
  std::sort(repaired.begin(), repaired.end());
  if (verdict == Verdict::kSpliced && evidence.undo) {
    // First: what was taken back and differs all the same is found before anything is written.
    std::vector<UserKeyName> undone = evidence.undo->undone;
    std::erase_if(undone, [&](const UserKeyName& name) {
      TouchedKey key;
      key.name_space = name.name_space;
      key.key = name.key;
      return DecideKey(policy, key).tolerance == Tolerance::kIgnore;
    });
    compare(undone, true, false, "what was taken back must be as it is there");
  }
  compare(repaired, false, false, "to know which differ before they are made equal");
  for (const RepairKeys& each : repairs) {
    const bool evict = each.how == Tolerance::kEvict;
    for (auto& part : PartsOf(each.keys)) {
      RepairAction action{decision, each.keyspace, {}, {}, each.max_bytes};
      const std::string count = Count(part.size(), "key");
      (evict ? action.evict : action.repair) = std::move(part);
      steps.push_back({master, std::move(action),
                       (evict ? "delete " : "rewrite ") + count + " of " + each.keyspace +
                           (evict ? "" : ", each with its own value") + ", so that " + node +
                           " has the same, or nothing"});
    }
  }
  compare(repaired, true, true, "it must be equal before " + node + " is in service");
  return steps;
}

std::optional<std::string> WhyNot(const CompareAction& action, const Comparison& comparison) {
  if (!action.must_equal) return std::nullopt;
  std::string why = Differing(comparison);
  if (comparison.restless > 0 && !action.rewritten) why += (why.empty() ? "" : "; ") + Restless(comparison);
  if (why.empty()) return std::nullopt;
  return why;
}

std::string Describe(const Comparison& comparison) {
  std::string text = Count(comparison.equal, "key") + (comparison.equal == 1 ? " is equal" : " are equal");
  if (comparison.differ > 0) text += "; " + Differing(comparison);
  if (comparison.restless > 0) text += "; " + Restless(comparison);
  if (comparison.unreadable > 0) {
    text += "; " + Count(comparison.unreadable, "key") +
            " could not be compared: " + ProblemsOf(comparison.unread, comparison.unreadable);
  }
  return text;
}

std::string Describe(const RepairReport& report) {
  std::string text;
  if (report.repaired > 0) text = Count(report.repaired, "key") + " rewritten";
  if (report.evicted > 0) text += (text.empty() ? "" : ", ") + Count(report.evicted, "key") + " deleted";
  if (report.failed > 0) {
    text += (text.empty() ? "" : "; ") + Count(report.failed, "key") +
            " could not be made equal: " + ProblemsOf(report.failures, report.failed);
  }
  return text.empty() ? "no key" : text;
}

std::string Describe(const KeysMended& keys) {
  std::string text;
  const bool mended = keys.repair.repaired + keys.repair.evicted + keys.repair.failed > 0;
  if (mended) {
    const std::uint64_t looked =
        keys.before.equal + keys.before.differ + keys.before.restless + keys.before.unreadable;
    text = "of " + Count(looked, "divergent key") + ", " + std::to_string(keys.before.differ) +
           " differed; " + Describe(keys.repair) + "; ";
  }
  return text + Describe(keys.after);
}

void Add(const Comparison& more, Comparison* all) {
  all->equal += more.equal;
  all->differ += more.differ;
  all->unreadable += more.unreadable;
  all->restless += more.restless;
  Append(more.differing, &all->differing);
  Append(more.unread, &all->unread);
  Append(more.never_still, &all->never_still);
}

void Add(const RepairReport& more, RepairReport* all) {
  all->repaired += more.repaired;
  all->evicted += more.evicted;
  all->failed += more.failed;
  Append(more.failures, &all->failures);
}

}  // namespace walstitch::core
