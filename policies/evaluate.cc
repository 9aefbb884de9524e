#include "policies/evaluate.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "policies/loader.h"
#include "policies/model/types.h"

namespace walstitch {
namespace {

// The word that people write for the default namespace.
constexpr std::string_view kDefaultNamespaceWord = "default";

KeyDecision ByDefault(const TolerancePolicy& policy) {
  return {"default", "default", policy.default_tolerance};
}

KeyDecision ByRule(const KeyspaceRule& rule) { return {rule.name, rule.source, rule.on_divergence}; }

bool AnyOrNone(const std::vector<std::string>& patterns, const auto& matches) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), matches);
}

bool MatchesNamespaceAndKey(const KeyspaceMatch& match, const TouchedKey& key) {
  return NamespaceMatches(match, key.name_space) && KeyMatches(match, key.key);
}

void TakeStricter(std::optional<KeyDecision>* best, KeyDecision candidate) {
  if (!*best || candidate.tolerance > (*best)->tolerance) *best = std::move(candidate);
}

// The key if it is of this one type, which is known.
KeyDecision DecideForType(const TolerancePolicy& policy, const TouchedKey& key, std::string_view type) {
  for (const KeyspaceRule& rule : policy.keyspaces) {
    if (MatchesNamespaceAndKey(rule.match, key) && TypeMatches(rule.match, type)) return ByRule(rule);
  }
  return ByDefault(policy);
}

// The key may be of any type. Every rule limited to types, down to the first that is not, may be the one
// that decides; only a rule that is stricter than what decides without them is taken, because not
// knowing must never make it milder.
KeyDecision DecideForUnknownType(const TolerancePolicy& policy, const TouchedKey& key) {
  KeyDecision certain = ByDefault(policy);
  std::optional<KeyDecision> possible;
  for (const KeyspaceRule& rule : policy.keyspaces) {
    if (!MatchesNamespaceAndKey(rule.match, key)) continue;
    if (rule.match.types.empty()) {
      certain = ByRule(rule);
      break;
    }
    TakeStricter(&possible, ByRule(rule));
  }
  if (possible && possible->tolerance > certain.tolerance) return *possible;
  return certain;
}

KeyDecision DecideInternal(const TolerancePolicy& policy, const std::string& internal) {
  KeyDecision decision{"internal/" + internal, "default", Tolerance::kFullSync};
  if (internal == "pubsub") {
    decision.tolerance = policy.internal.pubsub;
  } else if (internal == "propagate") {
    decision.tolerance = policy.internal.propagate;
  } else if (internal == "search") {
    decision.tolerance = policy.internal.search;
  }
  // Anything else is not understood, so nothing can be said of what it does: fullsync.
  return decision;
}

// A DeleteRange may cover keys of every keyspace, and scripts and indexes too.
KeyDecision DecideFlush(const TolerancePolicy& policy) {
  KeyDecision strictest{"internal/flush", "default", policy.default_tolerance};
  for (Tolerance tolerance : {policy.internal.pubsub, policy.internal.propagate, policy.internal.search}) {
    strictest.tolerance = std::max(strictest.tolerance, tolerance);
  }
  for (const KeyspaceRule& rule : policy.keyspaces) {
    if (rule.on_divergence > strictest.tolerance) {
      strictest.tolerance = rule.on_divergence;
      strictest.rule = rule.source;
    }
  }
  return strictest;
}

// Counts what tail and missed touch, keyspace by keyspace.
class Tally {
 public:
  explicit Tally(const TolerancePolicy& policy) : policy_(policy) {
    for (std::size_t i = 0; i < policy.keyspaces.size(); ++i) order_.try_emplace(policy.keyspaces[i].name, i);
  }

  void Add(const Touched& touched, std::uint64_t KeyspaceFinding::*records) {
    for (const TouchedKey& key : touched.keys) {
      Entry& entry = At(DecideKey(policy_, key));
      entry.finding.*records += key.records;
      entry.finding.bytes += key.bytes;
      // A key that both ranges touch is one divergent key.
      if (key.internal.empty()) entry.keys.emplace(key.name_space, key.key);
    }
    if (touched.range_deletes > 0) At(DecideFlush(policy_)).finding.*records += touched.range_deletes;
    if (touched.truncated) At({"internal/truncated", "default", Tolerance::kFullSync});
  }

  PolicyFindings Finish() {
    PolicyFindings findings;
    for (auto& [position, entry] : entries_) {
      entry.finding.keys = entry.keys.size();
      const std::size_t rule = std::get<0>(position);
      if (rule < policy_.keyspaces.size()) CheckLimits(policy_.keyspaces[rule].limits, &entry.finding);
      findings.strictest = std::max(findings.strictest, entry.finding.tolerance);
      findings.limit_passed = findings.limit_passed || !entry.finding.limits_passed.empty();
      findings.keyspaces.push_back(std::move(entry.finding));
    }
    return findings;
  }

 private:
  // Rules in their order, then the default, then the internal ones by name.
  using Position = std::pair<std::size_t, std::string>;
  struct Entry {
    KeyspaceFinding finding;
    std::set<std::pair<std::string_view, std::string_view>> keys;  // views into what Add was given
  };

  Entry& At(const KeyDecision& decision) {
    std::size_t rule = policy_.keyspaces.size() + (decision.keyspace == "default" ? 0 : 1);
    if (auto it = order_.find(decision.keyspace); it != order_.end()) rule = it->second;
    auto [it, added] = entries_.try_emplace(Position(rule, decision.keyspace));
    if (added) {
      it->second.finding.keyspace = decision.keyspace;
      it->second.finding.rule = decision.rule;
      it->second.finding.tolerance = decision.tolerance;
    }
    return it->second;
  }

  static void CheckLimits(const KeyspaceLimits& limits, KeyspaceFinding* finding) {
    auto check = [finding](const std::optional<std::uint64_t>& limit, std::uint64_t count, const char* what) {
      if (!limit || count <= *limit) return;
      finding->limits_passed.push_back("keyspace " + finding->keyspace + ": " + std::to_string(count) + " " +
                                       what + " differ, its limit is " + std::to_string(*limit));
    };
    check(limits.records, finding->tail_records + finding->missed_records, "records");
    check(limits.keys, finding->keys, "keys");
    check(limits.bytes, finding->bytes, "bytes");
  }

  const TolerancePolicy& policy_;
  std::map<std::string, std::size_t, std::less<>> order_;
  std::map<Position, Entry> entries_;
};

}  // namespace

bool NamespaceMatches(const KeyspaceMatch& match, std::string_view name_space) {
  return AnyOrNone(match.namespaces, [name_space](const std::string& pattern) {
    if (pattern == kDefaultNamespaceWord) return name_space == kDefaultNamespace;
    return GlobMatches(pattern, name_space);
  });
}

bool KeyMatches(const KeyspaceMatch& match, std::string_view key) {
  return AnyOrNone(match.keys, [key](const std::string& pattern) { return GlobMatches(pattern, key); });
}

bool TypeMatches(const KeyspaceMatch& match, std::string_view type) {
  return AnyOrNone(match.types, [type](const std::string& name) {
    return CanonicalTypeName(name).value_or(name) == type;
  });
}

KeyDecision DecideKey(const TolerancePolicy& policy, const TouchedKey& key) {
  if (!key.internal.empty()) return DecideInternal(policy, key.internal);
  std::optional<KeyDecision> strictest;
  for (const std::string& type : key.types) {
    // A type that this version has no name for is as good as unknown.
    auto known = CanonicalTypeName(type);
    TakeStricter(&strictest, known ? DecideForType(policy, key, *known) : DecideForUnknownType(policy, key));
  }
  return strictest ? *strictest : DecideForUnknownType(policy, key);
}

PolicyFindings EvaluateTouched(const TolerancePolicy& policy, const Touched& tail, const Touched& missed) {
  Tally tally(policy);
  tally.Add(tail, &KeyspaceFinding::tail_records);
  tally.Add(missed, &KeyspaceFinding::missed_records);
  return tally.Finish();
}

bool AppliesToGroup(const TolerancePolicy& policy, std::string_view group) {
  return policy.groups.empty() || std::any_of(policy.groups.begin(), policy.groups.end(),
                                              [group](const auto& glob) { return GlobMatches(glob, group); });
}

}  // namespace walstitch
