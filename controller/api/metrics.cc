#include "controller/api/metrics.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <string_view>

#include "controller/core/finding.h"
#include "policies/model/names.h"
#include "policies/model/reason_codes.h"

namespace walstitch::api {
namespace {

using metrics::MetricInfo;
using metrics::MetricSet;
using metrics::MetricType;

constexpr MetricType kGauge = MetricType::kGauge;
constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kHistogram = MetricType::kHistogram;

constexpr MetricInfo kTable[] = {
    {"walstitch_leader", kGauge, "",
     "1 while this controller looks after the groups and can write down what it decides, 0 while it stands "
     "by."},

    {"walstitch_group_managed", kGauge, "group", "1 while the group is managed, and not new or released."},
    {"walstitch_group_master_present", kGauge, "group",
     "1 while the group has a master that is alive, by its agent or in the sight of others."},
    {"walstitch_group_without_master_seconds", kGauge, "group",
     "How long the group has been without a living master; 0 while it has one."},
    {"walstitch_group_epoch", kGauge, "group", "The epoch; it grows with each change of the master."},
    {"walstitch_group_paused", kGauge, "group", "1 while an operator has paused the group."},
    {"walstitch_group_paused_seconds", kGauge, "group",
     "How long ago an operator paused the group; 0 if it is not paused."},
    {"walstitch_group_failover_blocked_seconds", kGauge, "group",
     "How long no failover begins by itself yet, after the last one; 0 if one may."},
    {"walstitch_group_lease_age_seconds", kGauge, "group",
     "How long ago the controller last gave the master a lease; no sample if it never did."},
    {"walstitch_failover_held", kGauge, "group, reason",
     "1 for the reason for which a failover that is due does not begin, 0 for each of the others."},
    {"walstitch_findings_open", kGauge, "group, finding", "Findings of that kind that stand now."},
    {"walstitch_decisions_open", kGauge, "group", "Decisions that are being carried out."},
    {"walstitch_decision_open_oldest_seconds", kGauge, "group, full_sync",
     "How long the oldest open decision has been so, of those for a full sync (yes) and of the others (no); "
     "0 if "
     "none is open."},
    {"walstitch_full_syncs_running", kGauge, "group", "Nodes that are being copied afresh."},
    {"walstitch_full_syncs_queued", kGauge, "group", "Nodes that wait for their turn to be copied afresh."},
    {"walstitch_store_failing", kGauge, "group",
     "1 while decisions cannot be written down, so that nothing is done."},
    {"walstitch_policy_refused", kGauge, "group",
     "1 while the policy files as they are now are refused, and older ones are in force."},
    {"walstitch_policy_info", kGauge, "group, name, hash",
     "The policy in force, by its name and the beginning of its hash; always 1."},

    {"walstitch_node_healthy", kGauge, "group, node", "1 while no finding is about the node."},
    {"walstitch_node_connected", kGauge, "group, node", "1 while the node's agent answers the controller."},
    {"walstitch_node_condition", kGauge, "group, node, condition",
     "1 for the node's condition, as status names it, 0 for each of the others."},
    {"walstitch_node_role", kGauge, "group, node, role",
     "1 for the role that the node's server has, 0 for each of the others."},
    {"walstitch_node_maintenance", kGauge, "group, node", "1 while an operator has the node in maintenance."},
    {"walstitch_node_last_sequence", kGauge, "group, node", "The last sequence that the node holds."},
    {"walstitch_node_lag_sequences", kGauge, "group, node",
     "How many records a node in service lacks of its master's."},
    {"walstitch_node_lag_seconds", kGauge, "group, node",
     "How long ago the master wrote the first record that a node in service lacks; 0: it lacks none."},
    {"walstitch_resume_point_left_seconds", kGauge, "group, node",
     "How long the master's WAL will still hold what the node needs next, at the present rate; no sample: it "
     "lacks nothing, or nothing is known that would purge it."},
    {"walstitch_node_lease_left_seconds", kGauge, "group, node",
     "How long the node may go on as master by its lease; no sample: it holds none."},
    {"walstitch_node_relay_state", kGauge, "group, node, state",
     "1 for what the node's relay does, 0 for each of the others."},
    {"walstitch_node_relay_forwarded_bytes_total", kCounter, "group, node",
     "Bytes of the replication stream that the node's relay gave it since its agent started."},
    {"walstitch_node_relay_forwarded_frames_total", kCounter, "group, node",
     "Batches that the node's relay gave it since its agent started."},
    {"walstitch_node_full_sync_bytes_total", kCounter, "group, node",
     "Bytes of full syncs that came to the node through its relay since its agent started."},
    {"walstitch_node_disk_free_bytes", kGauge, "group, node", "Free bytes where the node's data are."},

    {"walstitch_decisions_total", kCounter, "group, kind, verdict",
     "Decisions; the verdict is none for all but rejoins."},
    {"walstitch_decision_reasons_total", kCounter, "group, kind, verdict, reason",
     "The reasons of these decisions; one may have several."},
    {"walstitch_outcomes_total", kCounter, "group, kind, outcome",
     "Decisions that were closed, by what came of them."},
    {"walstitch_sync_partial_ok_total", kCounter, "group",
     "Nodes that went on in their master's stream without a copy: aligned, or spliced."},
    {"walstitch_sync_partial_err_total", kCounter, "group",
     "Nodes that could not go on in their master's stream: verdict full, or an attempt that failed."},
    {"walstitch_sync_partial_padding_total", kCounter, "group",
     "Nodes that went on in their master's stream after a pad."},
    {"walstitch_full_syncs_total", kCounter, "group", "Full syncs that were done."},
    {"walstitch_failover_duration_seconds", kHistogram, "group",
     "Failovers that were done, from the loss that was noticed, or the order, to the promotion."},
    {"walstitch_without_master_seconds", kHistogram, "group, kind",
     "How long writes stood still while the master was changed, as the outcomes say."},
    {"walstitch_divergent_keys_total", kCounter, "group, tolerance",
     "Keys that rejoins let differ from the master's, by what the policy wants done: ignore, evict, repair."},
    {"walstitch_keys_repaired_total", kCounter, "group", "Keys that were rewritten to be equal everywhere."},
    {"walstitch_keys_evicted_total", kCounter, "group", "Keys that were deleted to be equal everywhere."},
    {"walstitch_keys_not_mended_total", kCounter, "group",
     "Keys that were to be repaired or evicted, and were not, or differed all the same."},
    {"walstitch_salvages_total", kCounter, "group", "Tails that were kept before they were given up."},
    {"walstitch_salvaged_records_total", kCounter, "group", "Records of these tails."},

    {"walstitch_webhooks_total", kCounter, "webhook, result",
     "Messages to a webhook: sent, failed attempts, dropped for good."},
    {"walstitch_webhooks_waiting", kGauge, "webhook", "Messages to a webhook that wait to be sent."},
};

// What stands against a failover (failover_gate.h); empty: it is too early to say, or it waits for its turn.
constexpr std::string_view kHeldFor[] = {
    reason::kMasterOutOfSight, reason::kNotAutomatic, reason::kPaused,        reason::kInMaintenance,
    reason::kOtherMaster,      reason::kBlocked,      reason::kNotEligible,   reason::kBetterMissing,
    reason::kReadingTail,      reason::kLeaseRuns,    reason::kTooManyAtOnce, "other"};

using Labels = std::vector<std::string>;

Labels With(Labels labels, std::string_view more) {
  labels.emplace_back(more);
  return labels;
}

double Seconds(const boost::json::value& ms) { return ms.to_number<double>() / 1000; }

std::string TextOf(const boost::json::value& value) { return std::string(value.as_string()); }

void TellStates(MetricSet* set, std::string_view name, const Labels& labels,
                std::span<const std::string_view> states, std::string_view is) {
  for (const std::string_view state : states) set->Set(name, With(labels, state), state == is);
}

void TellReport(const boost::json::object& report, const Labels& node, MetricSet* set) {
  const auto role = FromString<Role>(TextOf(report.at("role"))).value_or(Role::kUnknown);
  set->SetState("walstitch_node_role", node, AllValues<Role>(), role);
  const auto tell = [&](std::string_view name, const boost::json::object& of, std::string_view key,
                        double factor = 1) {
    const auto* value = of.if_contains(key);
    if (value != nullptr && value->is_number()) set->Set(name, node, value->to_number<double>() * factor);
  };
  tell("walstitch_node_last_sequence", report, "last");
  tell("walstitch_node_lease_left_seconds", report, "lease_left_ms", 0.001);
  const auto& relay = report.at("relay").as_object();
  const auto state = FromString<RelayState>(TextOf(relay.at("state"))).value_or(RelayState::kIdle);
  set->SetState("walstitch_node_relay_state", node, AllValues<RelayState>(), state);
  tell("walstitch_node_relay_forwarded_bytes_total", relay, "bytes_forwarded");
  tell("walstitch_node_relay_forwarded_frames_total", relay, "frames_forwarded");
  tell("walstitch_node_full_sync_bytes_total", relay, "full_sync_bytes");
  if (const auto* disk = report.if_contains("disk"); disk != nullptr && disk->is_object())
    tell("walstitch_node_disk_free_bytes", disk->get_object(), "free_bytes");
}

void TellNode(const boost::json::object& status, const Labels& node, bool healthy, MetricSet* set) {
  const bool connected = status.at("connected").as_bool();
  set->Set("walstitch_node_healthy", node, healthy);
  set->Set("walstitch_node_connected", node, connected);
  TellStates(set, "walstitch_node_condition", node, core::kConditions, TextOf(status.at("condition")));
  set->Set("walstitch_node_maintenance", node, status.contains("maintenance"));
  if (const auto* lag = status.if_contains("lag"))
    set->Set("walstitch_node_lag_sequences", node, lag->to_number<double>());
  if (const auto* lag = status.if_contains("lag_ms"))
    set->Set("walstitch_node_lag_seconds", node, Seconds(*lag));
  if (const auto* left = status.if_contains("resume_left_ms"))
    set->Set("walstitch_resume_point_left_seconds", node, Seconds(*left));
  // What an agent said before it was lost is not so any more.
  const auto* report = status.if_contains("report");
  if (connected && report != nullptr) TellReport(report->as_object(), node, set);
}

void TellGroup(const boost::json::object& status, std::int64_t unix_ms, MetricSet* set) {
  const std::string group = TextOf(status.at("group"));
  const Labels labels = {group};
  const auto seconds = [&](std::string_view name, std::string_view key) {
    const auto* ms = status.if_contains(key);
    set->Set(name, labels, ms == nullptr ? 0.0 : Seconds(*ms));
  };
  set->Set("walstitch_group_managed", labels, TextOf(status.at("managed")) == "managed");
  set->Set("walstitch_group_master_present", labels, status.at("has_master").as_bool());
  seconds("walstitch_group_without_master_seconds", "without_master_ms");
  set->Set("walstitch_group_epoch", labels, status.at("epoch").to_number<double>());
  const auto* paused = status.if_contains("paused");
  set->Set("walstitch_group_paused", labels, paused != nullptr);
  // A pause outlives the controller that began it, whose clock may have been ahead.
  const std::int64_t paused_ms =
      paused == nullptr ? 0 : unix_ms - paused->at("since_ms").to_number<std::int64_t>();
  set->Set("walstitch_group_paused_seconds", labels,
           static_cast<double>(std::max<std::int64_t>(paused_ms, 0)) / 1000);
  seconds("walstitch_group_failover_blocked_seconds", "blocked_left_ms");
  if (status.contains("lease_age_ms")) seconds("walstitch_group_lease_age_seconds", "lease_age_ms");

  std::string held;
  if (const auto* code = status.if_contains("waits_code")) {
    held = TextOf(*code);
    const bool known = std::find(std::begin(kHeldFor), std::end(kHeldFor), held) != std::end(kHeldFor);
    if (!held.empty() && !known) held = "other";
  }
  TellStates(set, "walstitch_failover_held", labels, kHeldFor, held);

  std::map<std::string, std::uint64_t> findings;
  std::map<std::string, std::uint64_t> about;
  for (const auto& finding : status.at("findings").as_array()) {
    ++findings[TextOf(finding.at("code"))];
    ++about[TextOf(finding.at("node"))];
  }
  for (const core::FindingCode code : core::AllFindings()) {
    const std::string name(ToString(code));
    set->Set("walstitch_findings_open", {group, name}, findings[name]);
  }

  set->Set("walstitch_decisions_open", labels, status.at("open_decisions").as_array().size());
  const auto& longest = status.at("open_longest").as_object();
  set->Set("walstitch_decision_open_oldest_seconds", {group, "yes"}, Seconds(longest.at("full_sync_ms")));
  set->Set("walstitch_decision_open_oldest_seconds", {group, "no"}, Seconds(longest.at("other_ms")));
  set->Set("walstitch_store_failing", labels, status.contains("error"));
  const auto& policy = status.at("policy").as_object();
  set->Set("walstitch_policy_refused", labels, policy.contains("error"));
  set->Set("walstitch_policy_info",
           {group, TextOf(policy.at("name")), TextOf(policy.at("hash")).substr(0, 12)}, true);

  std::uint64_t running = 0;
  std::uint64_t queued = 0;
  for (const auto& each : status.at("nodes").as_array()) {
    const auto& node = each.as_object();
    const std::string name = TextOf(node.at("node"));
    running += node.contains("full_sync") ? 1 : 0;
    queued += node.contains("full_sync_queued") ? 1 : 0;
    TellNode(node, {group, name}, about[name] == 0, set);
  }
  set->Set("walstitch_full_syncs_running", labels, running);
  set->Set("walstitch_full_syncs_queued", labels, queued);
}

metrics::HistogramView ViewOf(const core::DurationCounts& counts) {
  return {core::DurationCounts::kBounds, counts.UpTo(), counts.Count(), counts.SumSeconds()};
}

void TellRecords(const std::string& group, const core::GroupCounts& counts, MetricSet* set) {
  const Labels labels = {group};
  const auto of_kind = [&](const core::GroupCounts::Kind& kind) {
    return Labels{group, std::string(ToString(kind.first)), kind.second};
  };
  for (const auto& [kind, count] : counts.decisions)
    set->Set("walstitch_decisions_total", of_kind(kind), count);
  for (const auto& [reason, count] : counts.reasons)
    set->Set("walstitch_decision_reasons_total", With(of_kind(reason.first), reason.second), count);
  for (const auto& [outcome, count] : counts.outcomes) {
    set->Set("walstitch_outcomes_total",
             {group, std::string(ToString(outcome.first)), std::string(ToString(outcome.second))}, count);
  }
  set->Set("walstitch_sync_partial_ok_total", labels, counts.partial_ok);
  set->Set("walstitch_sync_partial_err_total", labels, counts.partial_err);
  set->Set("walstitch_sync_partial_padding_total", labels, counts.partial_padding);
  set->Set("walstitch_full_syncs_total", labels, counts.full_syncs);
  set->SetHistogram("walstitch_failover_duration_seconds", labels, ViewOf(counts.failover));
  for (const auto& [kind, times] : counts.without_master)
    set->SetHistogram("walstitch_without_master_seconds", {group, std::string(ToString(kind))},
                      ViewOf(times));
  for (const auto& [tolerance, keys] : counts.divergent_keys)
    set->Set("walstitch_divergent_keys_total", {group, std::string(ToString(tolerance))}, keys);
  set->Set("walstitch_keys_repaired_total", labels, counts.keys_repaired);
  set->Set("walstitch_keys_evicted_total", labels, counts.keys_evicted);
  set->Set("walstitch_keys_not_mended_total", labels, counts.keys_not_mended);
  set->Set("walstitch_salvages_total", labels, counts.salvages);
  set->Set("walstitch_salvaged_records_total", labels, counts.salvaged_records);
}

}  // namespace

std::span<const MetricInfo> ControllerMetrics() {
  static const std::vector<MetricInfo> table = metrics::WithProcessMetrics(kTable);
  return table;
}

std::string MetricsText(const ControllerNumbers& numbers) {
  MetricSet set(ControllerMetrics());
  metrics::Fill(numbers.process, &set);
  set.Set("walstitch_leader", {}, numbers.leads);
  for (const auto& status : numbers.statuses) TellGroup(status.as_object(), numbers.unix_ms, &set);
  if (numbers.records != nullptr) {
    for (const auto& [group, counts] : numbers.records->Groups()) TellRecords(group, counts, &set);
  }
  for (const WebhookNumbers& hook : numbers.webhooks) {
    set.Set("walstitch_webhooks_total", {hook.webhook, "sent"}, hook.sent);
    set.Set("walstitch_webhooks_total", {hook.webhook, "failed"}, hook.failed);
    set.Set("walstitch_webhooks_total", {hook.webhook, "dropped"}, hook.dropped);
    set.Set("walstitch_webhooks_waiting", {hook.webhook}, hook.waiting);
  }
  return set.Text();
}

}  // namespace walstitch::api
