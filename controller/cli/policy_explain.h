// Why a policy says what it says of one key: every rule in order, and why it matches or does not. Pure.
// The answer itself is DecideKey's (policies/evaluate.h); what stands here only explains it.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "policies/evaluate.h"
#include "policies/model/policy.h"

namespace walstitch::cli {

enum class RuleMatch { kNo, kMaybe, kYes, kNotTried };  // "no", "maybe", "yes", "not tried"

std::string_view ToString(RuleMatch match);

struct RuleTrial {
  std::string keyspace;
  std::string source;
  Tolerance tolerance = Tolerance::kFullSync;
  RuleMatch match = RuleMatch::kNo;
  std::string why;
};

struct Explanation {
  std::vector<RuleTrial> trials;  // in the policy's order
  KeyDecision decision;
  std::string limits;  // of the rule that decides: "at most 1000 records, 64 MiB"; or empty
};

// `key.types` holds one type name as Kvrocks' TYPE says it, or none: not known.
Explanation ExplainKey(const TolerancePolicy& policy, const TouchedKey& key);

std::string RenderExplanation(const TolerancePolicy& policy, const TouchedKey& key,
                              const Explanation& explanation);
boost::json::value ToJson(const TolerancePolicy& policy, const TouchedKey& key,
                          const Explanation& explanation);

// "namespaces default; keys sess:*; types hash", "everything".
std::string DescribeMatch(const KeyspaceMatch& match);
// "at most 1000 records, 64 MiB"; empty: none.
std::string DescribeLimits(const KeyspaceLimits& limits);
// What a tolerance means, in a few words.
std::string_view Meaning(Tolerance tolerance);

}  // namespace walstitch::cli
