#include "controller/cli/decision_replay.h"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "controller/cli/decision_log.h"
#include "controller/cli/policy_files.h"
#include "controller/cli/render_decision.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

constexpr Verdict kVerdicts[] = {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull,
                                 Verdict::kHold};

std::string VerdictText(const core::Reconsidered& rejoin) {
  return std::string(ToString(rejoin.recorded)) + (rejoin.waited ? ", waiting for a full sync" : "");
}

std::string FirstReason(const VerdictDecision& verdict) {
  return verdict.reasons.empty() ? std::string() : verdict.reasons.front().sentence;
}

// "3: 2.1 GiB measured, and some 700.0 MiB by the mean of these"
std::string FullSyncs(const core::PolicyCost& cost) {
  std::string text = std::to_string(cost.full_syncs);
  std::vector<std::string> parts;
  if (cost.measured_bytes > 0) parts.push_back(HumanBytes(cost.measured_bytes) + " measured");
  if (cost.estimated > 0) {
    parts.push_back("some " + HumanBytes(cost.estimated_bytes) + " for " + std::to_string(cost.estimated) +
                    " by the group's mean");
  }
  if (cost.unknown > 0) parts.push_back(std::to_string(cost.unknown) + " of unknown size");
  return text + (parts.empty() ? "" : ": " + Join(parts));
}

std::string Keys(const core::PolicyCost& cost) {
  return (cost.keys_truncated ? "at least " : "") + Count(cost.keys, "key") + ", records of " +
         HumanBytes(cost.bytes);
}

std::uint64_t Of(const core::PolicyCost& cost, Verdict verdict) {
  const auto found = cost.verdicts.find(verdict);
  return found == cost.verdicts.end() ? 0 : found->second;
}

boost::json::object CostJson(const core::PolicyCost& cost) {
  boost::json::object verdicts;
  for (const Verdict verdict : kVerdicts) verdicts[ToString(verdict)] = Of(cost, verdict);
  return {{"verdicts", std::move(verdicts)},
          {"full_syncs", cost.full_syncs},
          {"full_sync_bytes_measured", cost.measured_bytes},
          {"full_syncs_estimated", cost.estimated},
          {"full_sync_bytes_estimated", cost.estimated_bytes},
          {"full_syncs_of_unknown_size", cost.unknown},
          {"keys", cost.keys},
          {"keys_truncated", cost.keys_truncated},
          {"bytes", cost.bytes}};
}

boost::json::object ToJson(const core::Reconsidered& rejoin, const TolerancePolicy& policy) {
  boost::json::object json{{"decision", rejoin.id},
                           {"time_ms", rejoin.time_ms},
                           {"group", Clean(rejoin.group)},
                           {"node", Clean(rejoin.node)},
                           {"recorded", ToString(rejoin.recorded)},
                           {"recorded_policy", Clean(rejoin.recorded_policy)},
                           {"recorded_policy_hash", Clean(rejoin.recorded_policy_hash)},
                           {"waited", rejoin.waited},
                           {"policy", Clean(policy.name)},
                           {"policy_hash", policy.content_hash},
                           {"changed", rejoin.Changed()}};
  json["verdict"] = walstitch::ToJson(rejoin.now);
  return json;
}

// The policy for each group, read once.
class Policies {
 public:
  explicit Policies(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  // An Error if the files for this group contradict each other, or cannot be read.
  Result<const TolerancePolicy*> For(const std::string& group) {
    if (const auto known = by_group_.find(group); known != by_group_.end()) return &known->second;
    auto loaded = LoadPolicies(paths_, group);
    if (!loaded) return Fail(loaded.error());
    if (loaded->front().files.empty()) unnamed_.insert(group);
    return &by_group_.emplace(group, std::move(loaded->front().policy)).first->second;
  }
  // Groups that no file is for.
  [[nodiscard]] const std::set<std::string>& Unnamed() const { return unnamed_; }

 private:
  std::vector<std::string> paths_;
  std::map<std::string, TolerancePolicy> by_group_;
  std::set<std::string> unnamed_;
};

ExitCode CodeOf(const core::Trial& trial, bool check) {
  return check && trial.Changed() > 0 ? ExitCode::kNo : ExitCode::kDone;
}

ExitCode ReplayOne(const Console& console, const ControllerClient& controller,
                   const DecisionReplayOptions& options) {
  auto json = FindRecord(controller, options.id);
  if (!json) return Complain(console, json.error());
  auto record = DecisionRecordFromJson(*json);
  if (!record) return Complain(console, NotUnderstood(record.error().Message()));
  Policies policies(options.policies);
  const auto policy_of_group = policies.For(record->decision.group);
  if (!policy_of_group) return console.Complain(ExitCode::kUsage, policy_of_group.error().Message());
  const TolerancePolicy& policy = **policy_of_group;
  auto rejoin = core::ReconsiderRecord(*record, policy);
  if (!rejoin) return console.Complain(ExitCode::kUsage, rejoin.error().Message());
  if (console.json) {
    console.PrintJson(ToJson(*rejoin, policy));
  } else {
    if (!policies.Unnamed().empty()) {
      console.Print("no file is for group " + Clean(record->decision.group) +
                    ": the default policy holds for it\n");
    }
    console.Print(RenderReconsidered(*rejoin, policy));
  }
  return options.check && rejoin->Changed() ? ExitCode::kNo : ExitCode::kDone;
}

ExitCode ReplayAll(const Console& console, const ControllerClient& controller,
                   const DecisionReplayOptions& options) {
  Policies policies(options.policies);
  bool bad_policy = false;
  core::PolicyTrial reading([&](const std::string& group) -> Result<const TolerancePolicy*> {
    if (!options.group.empty() && group != options.group) return nullptr;
    auto policy = policies.For(group);
    bad_policy = !policy;
    return policy;
  });
  Result<void> read;
  const auto take = [&](std::string_view line) {
    read = reading.Add(line);
    return read.has_value();
  };
  if (options.file.empty()) {
    auto head = WalkLog(controller, take);
    if (!head) return Complain(console, head.error());
  } else {
    std::ifstream file(options.file, std::ios::binary);
    if (!file) return console.Complain(ExitCode::kUsage, "--file " + options.file + ": cannot be read");
    std::string line;
    const auto no_entry = [](const std::string& text) {
      return text.starts_with("{\"head\":") || text.starts_with("{\"trimmed\":");
    };
    while (std::getline(file, line) && (no_entry(line) || take(line))) {
    }
    if (file.bad()) return console.Complain(ExitCode::kUsage, "--file " + options.file + ": cannot be read");
  }
  if (!read) {
    return console.Complain(bad_policy ? ExitCode::kUsage : ExitCode::kNo, read.error().Message());
  }
  const core::Trial trial = reading.Finish();
  if (console.json) {
    boost::json::array rejoins;
    for (const core::Reconsidered& rejoin : trial.rejoins)
      rejoins.push_back(ToJson(rejoin, **policies.For(rejoin.group)));
    console.PrintJson({{"rejoins", std::move(rejoins)},
                       {"changed", trial.Changed()},
                       {"failed", trial.failed},
                       {"recorded", CostJson(trial.recorded)},
                       {"replayed", CostJson(trial.now)}});
    return CodeOf(trial, options.check);
  }
  for (const std::string& group : policies.Unnamed())
    console.Print("no file is for group " + Clean(group) + ": the default policy holds for it\n");
  console.Print(RenderTrial(trial));
  return CodeOf(trial, options.check);
}

}  // namespace

std::string RenderReconsidered(const core::Reconsidered& rejoin, const TolerancePolicy& policy) {
  std::string out = "rejoin of " + Clean(rejoin.node) + " to " + Clean(rejoin.survivor) + ", group " +
                    Clean(rejoin.group) + "\ndecision " + Clean(rejoin.id) + ", " +
                    FormatTime(rejoin.time_ms) + "\n\n";
  out += "  recorded: " + VerdictText(rejoin) + ", by " +
         NamePolicy(rejoin.recorded_policy, rejoin.recorded_policy_hash) + "\n";
  out += "  replayed: " + std::string(ToString(rejoin.now.verdict)) + ", by " +
         NamePolicy(policy.name, policy.content_hash) + (rejoin.Changed() ? "" : ": the same") + "\n";
  out += RenderReasons(rejoin.now.reasons);
  const std::string keyspaces = RenderKeyspaceTable(rejoin.now.keyspaces);
  if (!keyspaces.empty()) out += "\nKeyspaces touched\n" + keyspaces;
  return out;
}

std::string RenderTrial(const core::Trial& trial) {
  if (trial.rejoins.empty()) return "no rejoin is on record\n";
  const std::uint64_t changed = trial.Changed();
  std::string out =
      Count(trial.rejoins.size(), "rejoin") + " on record, from " +
      FormatTime(trial.rejoins.front().time_ms) + " to " + FormatTime(trial.rejoins.back().time_ms) + ": " +
      (changed == 0 ? "every verdict is the same"
                    : Count(changed, "verdict") + (changed == 1 ? " is" : " are") + " another") +
      "\n";
  if (trial.failed > 0) {
    out += Count(trial.failed, "rejoin") + " failed and was decided anew: not counted below\n";
  }
  Table table({{""}, {"RECORDED"}, {"REPLAYED"}});
  for (const Verdict verdict : kVerdicts) {
    const std::uint64_t recorded = Of(trial.recorded, verdict);
    const std::uint64_t replayed = Of(trial.now, verdict);
    if (recorded + replayed == 0) continue;
    table.AddRow({std::string(ToString(verdict)), std::to_string(recorded), std::to_string(replayed)});
  }
  table.AddRow({"full syncs", FullSyncs(trial.recorded), FullSyncs(trial.now)});
  table.AddRow({"may differ", Keys(trial.recorded), Keys(trial.now)});
  out += "\n" + table.Render(2);
  if (changed == 0) return out;
  Table rows({{"TIME"}, {"DECISION"}, {"GROUP"}, {"NODE"}, {"RECORDED"}, {"REPLAYED"}, {"WHY"}});
  for (const core::Reconsidered& rejoin : trial.rejoins) {
    if (!rejoin.Changed()) continue;
    rows.AddRow({FormatTime(rejoin.time_ms), rejoin.id, rejoin.group, rejoin.node, VerdictText(rejoin),
                 std::string(ToString(rejoin.now.verdict)), FirstReason(rejoin.now)});
  }
  return out + "\nOther verdicts\n" + rows.Render(2);
}

ExitCode ReplayDecisionsCommand(const Console& console, const ControllerClient& controller,
                                const DecisionReplayOptions& options) {
  if (options.id.empty()) return ReplayAll(console, controller, options);
  if (!options.file.empty()) {
    return console.Complain(ExitCode::kUsage,
                            "--file replays every decision of the file: leave out the id, or the file");
  }
  return ReplayOne(console, controller, options);
}

}  // namespace walstitch::cli
