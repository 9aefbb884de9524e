#include "controller/cli/policy_commands.h"

#include <boost/json.hpp>

#include "controller/cli/policy_explain.h"
#include "controller/cli/policy_files.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/evaluate.h"
#include "policies/loader.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"
#include "policies/quantity.h"

namespace walstitch::cli {
namespace {

// kInvalid is the policy's fault; anything else is that of the command line.
ExitCode CodeOf(const Error& error, ExitCode when_invalid) {
  return error.Code() == ErrorCode::kInvalid ? when_invalid : ExitCode::kUsage;
}

std::string DescribeFailover(const FailoverRules& rules) {
  std::string out = "a failover: promotes ";
  out += rules.max_lag ? "who lacks at most " + Count(*rules.max_lag, "record")
                       : "the most advanced, whatever it lacks";
  if (rules.rescue_bytes == 0) return out + "; rescues nothing";
  return out + "; rescues up to " + HumanBytes(rules.rescue_bytes) + " within " +
         DurationText(rules.rescue_timeout_ms);
}

std::string Summary(const PolicyOfFiles& checked) {
  const TolerancePolicy& policy = checked.policy;
  std::string out = "ok: " + Count(policy.keyspaces.size(), "keyspace") + ", default " +
                    std::string(ToString(policy.default_tolerance)) + ", for " +
                    (policy.groups.empty() ? "all groups" : "groups " + Join(policy.groups)) + ", policy " +
                    (policy.name.empty() ? "(no name)" : policy.name) + ", content " +
                    policy.content_hash.substr(0, 12) + "\n";
  Table table({{"KEYSPACE"}, {"SAYS"}, {"MATCHES"}, {"LIMITS"}, {"RULE"}});
  for (const auto& rule : policy.keyspaces) {
    table.AddRow({rule.name, std::string(ToString(rule.on_divergence)), DescribeMatch(rule.match),
                  DescribeLimits(rule.limits), rule.source});
  }
  return out + table.Render(2) + "  " + DescribeFailover(policy.failover) + "\n";
}

boost::json::value SummaryJson(const PolicyOfFiles& checked) {
  const TolerancePolicy& policy = checked.policy;
  boost::json::object json;
  json["files"] = Clean(checked.files);
  json["name"] = Clean(policy.name);
  json["hash"] = policy.content_hash;
  boost::json::array groups;
  for (const auto& group : policy.groups) groups.emplace_back(Clean(group));
  json["groups"] = std::move(groups);
  json["default"] = ToString(policy.default_tolerance);
  boost::json::object failover{{"rescue_timeout_ms", policy.failover.rescue_timeout_ms},
                               {"rescue_bytes", policy.failover.rescue_bytes}};
  if (policy.failover.max_lag) failover["max_lag"] = *policy.failover.max_lag;
  json["failover"] = std::move(failover);
  boost::json::array keyspaces;
  for (const auto& rule : policy.keyspaces) {
    keyspaces.push_back({{"keyspace", Clean(rule.name)},
                         {"rule", Clean(rule.source)},
                         {"tolerance", ToString(rule.on_divergence)},
                         {"match", Clean(DescribeMatch(rule.match))},
                         {"limits", DescribeLimits(rule.limits)}});
  }
  json["keyspaces"] = std::move(keyspaces);
  return json;
}

}  // namespace

Result<std::string> BytesFromTyped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c >= 0x20 && c <= 0x7e) {
      escaped += c;
    } else {
      escaped += "\\x" + ToHex(std::string_view(&c, 1));
    }
  }
  return FromPrintable(escaped);
}

ExitCode CheckPolicyCommand(const Console& console, const std::vector<std::string>& paths,
                            const std::string& group) {
  auto loaded = LoadPolicies(paths, group);
  if (!loaded) {
    if (console.json) console.PrintJson({{"ok", false}, {"error", Clean(loaded.error().Message())}});
    return console.Complain(CodeOf(loaded.error(), ExitCode::kNo), loaded.error().Message());
  }
  if (console.json) {
    boost::json::array policies;
    for (const auto& checked : *loaded) policies.push_back(SummaryJson(checked));
    console.PrintJson({{"ok", true}, {"policies", std::move(policies)}});
    return ExitCode::kDone;
  }
  if (!group.empty() && loaded->front().files.empty()) {
    console.Print("no file is for group " + Clean(group) + ": the default policy holds for it\n");
  }
  bool first = true;
  for (const auto& checked : *loaded) {
    if (!first) console.Print("\n");
    first = false;
    if (loaded->size() > 1) console.Print(checked.files + "\n");
    console.Print(Summary(checked));
  }
  return ExitCode::kDone;
}

ExitCode ExplainPolicyCommand(const Console& console, const ExplainOptions& options) {
  auto key = BytesFromTyped(options.key);
  if (!key) return console.Complain(ExitCode::kUsage, "--key: " + key.error().Message());
  auto name_space = BytesFromTyped(options.name_space);
  if (!name_space) return console.Complain(ExitCode::kUsage, "--namespace: " + name_space.error().Message());
  TouchedKey touched;
  touched.key = *key;
  touched.name_space = *name_space == "default" ? std::string(kDefaultNamespace) : *name_space;
  if (!options.type.empty()) {
    auto type = CanonicalTypeName(options.type);
    if (!type) {
      std::vector<std::string> names;
      for (const auto name : KvrocksTypeNames()) names.emplace_back(name);
      return console.Complain(
          ExitCode::kUsage,
          "--type: '" + options.type + "' is no type of Kvrocks; one of " + Join(names) + " is expected");
    }
    touched.types.emplace_back(*type);
  }
  auto loaded = LoadPolicies(options.paths, options.group);
  if (!loaded) return console.Complain(CodeOf(loaded.error(), ExitCode::kUsage), loaded.error().Message());
  if (loaded->size() > 1) {
    return console.Complain(
        ExitCode::kUsage, "the files are for different groups: say which with --group, or name fewer files");
  }
  const TolerancePolicy& policy = loaded->front().policy;
  const Explanation explanation = ExplainKey(policy, touched);
  if (console.json) {
    console.PrintJson(ToJson(policy, touched, explanation));
    return ExitCode::kDone;
  }
  if (loaded->front().files.empty()) {
    console.Print("no file is for group " + Clean(options.group) + ": the default policy holds for it\n");
  }
  console.Print(RenderExplanation(policy, touched, explanation));
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
