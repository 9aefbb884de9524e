#include "controller/cli/policy_explain.h"

#include <boost/json.hpp>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/evaluate.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::cli {
namespace {

std::string Patterns(const std::vector<std::string>& patterns) {
  std::vector<std::string> shown;
  shown.reserve(patterns.size());
  for (const auto& pattern : patterns) shown.push_back(Clean(pattern));
  return Join(shown);
}

RuleTrial Try(const KeyspaceRule& rule, const TouchedKey& key) {
  RuleTrial trial{rule.name, rule.source, rule.on_divergence, RuleMatch::kNo, ""};
  if (!NamespaceMatches(rule.match, key.name_space)) {
    trial.why =
        "namespace " + ShowNamespace(key.name_space) + " is none of: " + Patterns(rule.match.namespaces);
  } else if (!KeyMatches(rule.match, key.key)) {
    trial.why = "the key is none of: " + Patterns(rule.match.keys);
  } else if (rule.match.types.empty()) {
    trial.match = RuleMatch::kYes;
    trial.why = "matches " + DescribeMatch(rule.match);
  } else if (key.types.empty()) {
    trial.match = RuleMatch::kMaybe;
    trial.why = "only for types " + Join(rule.match.types) + ", and the type is not known";
  } else if (TypeMatches(rule.match, key.types.front())) {
    trial.match = RuleMatch::kYes;
    trial.why = "matches " + DescribeMatch(rule.match);
  } else {
    trial.why = "type " + key.types.front() + " is none of: " + Join(rule.match.types);
  }
  return trial;
}

}  // namespace

std::string_view ToString(RuleMatch match) {
  switch (match) {
    case RuleMatch::kNo:
      return "no";
    case RuleMatch::kMaybe:
      return "maybe";
    case RuleMatch::kYes:
      return "yes";
    case RuleMatch::kNotTried:
      return "not tried";
  }
  return "";
}

std::string_view Meaning(Tolerance tolerance) {
  switch (tolerance) {
    case Tolerance::kIgnore:
      return "the key may differ from then on";
    case Tolerance::kEvict:
      return "the key is deleted on the master once the node follows";
    case Tolerance::kRepair:
      return "the key is made equal again and verified once the node follows";
    case Tolerance::kFullSync:
      return "if this key differs, the node is copied afresh";
  }
  return "";
}

std::string DescribeMatch(const KeyspaceMatch& match) {
  std::vector<std::string> parts;
  if (!match.namespaces.empty()) parts.push_back("namespaces " + Patterns(match.namespaces));
  if (!match.keys.empty()) parts.push_back("keys " + Patterns(match.keys));
  if (!match.types.empty()) parts.push_back("types " + Join(match.types));
  return parts.empty() ? "everything" : Join(parts, "; ");
}

std::string DescribeLimits(const KeyspaceLimits& limits) {
  std::vector<std::string> parts;
  if (limits.records) parts.push_back(Count(*limits.records, "record"));
  if (limits.keys) parts.push_back(Count(*limits.keys, "key"));
  if (limits.bytes) parts.push_back(HumanBytes(*limits.bytes));
  return parts.empty() ? "" : "at most " + Join(parts);
}

Explanation ExplainKey(const TolerancePolicy& policy, const TouchedKey& key) {
  Explanation explanation;
  explanation.decision = DecideKey(policy, key);
  std::string decided;
  for (const auto& rule : policy.keyspaces) {
    if (!decided.empty()) {
      explanation.trials.push_back(
          {rule.name, rule.source, rule.on_divergence, RuleMatch::kNotTried, decided + " stands before it"});
      continue;
    }
    explanation.trials.push_back(Try(rule, key));
    if (explanation.trials.back().match == RuleMatch::kYes) decided = rule.name;
  }
  for (std::size_t i = 0; i < policy.keyspaces.size(); ++i) {
    const auto& rule = policy.keyspaces[i];
    auto& trial = explanation.trials[i];
    const bool decides =
        rule.name == explanation.decision.keyspace && rule.source == explanation.decision.rule;
    if (decides) explanation.limits = DescribeLimits(rule.limits);
    if (trial.match == RuleMatch::kMaybe) {
      trial.why += decides ? "; taken, because it is the strictest that may match"
                           : "; not taken, because not knowing must not make it milder";
    } else if (trial.match == RuleMatch::kYes && !decides) {
      trial.why += "; but a stricter one may match";
    }
  }
  return explanation;
}

std::string RenderExplanation(const TolerancePolicy& policy, const TouchedKey& key,
                              const Explanation& explanation) {
  std::string out = "key " + ToPrintable(key.key) + " in namespace " + ShowNamespace(key.name_space) + ", " +
                    (key.types.empty() ? "of unknown type" : "type " + Clean(key.types.front()));
  out += ", policy " + Clean(policy.name.empty() ? "(no name)" : policy.name) + "\n\n";
  Table table({{"KEYSPACE"}, {"SAYS"}, {"RULE"}, {"MATCHES"}, {"WHY"}});
  for (const auto& trial : explanation.trials) {
    table.AddRow({trial.keyspace, std::string(ToString(trial.tolerance)), trial.source,
                  std::string(ToString(trial.match)), trial.why});
  }
  out += table.Empty() ? "  the policy has no keyspace rules\n" : table.Render(2);
  const KeyDecision& decision = explanation.decision;
  out += "\ndecided by " + Clean(decision.keyspace);
  if (decision.rule != decision.keyspace) out += " (" + Clean(decision.rule) + ")";
  if (decision.keyspace == "default" && !explanation.trials.empty()) {
    const bool maybe = std::any_of(explanation.trials.begin(), explanation.trials.end(),
                                   [](const auto& trial) { return trial.match == RuleMatch::kMaybe; });
    out += maybe ? ", as no rule matches for certain" : ", as no rule matches";
  }
  out += ": " + std::string(ToString(decision.tolerance)) + ", " + std::string(Meaning(decision.tolerance));
  if (!explanation.limits.empty()) out += ", within its limits: " + explanation.limits;
  return out + "\n";
}

boost::json::value ToJson(const TolerancePolicy& policy, const TouchedKey& key,
                          const Explanation& explanation) {
  boost::json::object json;
  json["policy"] = Clean(policy.name);
  json["hash"] = policy.content_hash;
  json["namespace"] = ToPrintable(key.name_space);
  json["key"] = ToPrintable(key.key);
  if (!key.types.empty()) json["type"] = key.types.front();
  boost::json::array trials;
  for (const auto& trial : explanation.trials) {
    trials.push_back({{"keyspace", Clean(trial.keyspace)},
                      {"rule", Clean(trial.source)},
                      {"tolerance", ToString(trial.tolerance)},
                      {"matches", ToString(trial.match)},
                      {"why", Clean(trial.why)}});
  }
  json["rules"] = std::move(trials);
  json["keyspace"] = Clean(explanation.decision.keyspace);
  json["rule"] = Clean(explanation.decision.rule);
  json["tolerance"] = ToString(explanation.decision.tolerance);
  return json;
}

}  // namespace walstitch::cli
