#include "agents/agent/metrics.h"

#include <array>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agents/agent/readiness.h"
#include "policies/model/command.h"
#include "policies/model/names.h"

namespace walstitch::agent {
namespace {

using metrics::MetricInfo;
using metrics::MetricSet;
using metrics::MetricType;

constexpr MetricType kGauge = MetricType::kGauge;
constexpr MetricType kCounter = MetricType::kCounter;

constexpr MetricInfo kTable[] = {
    {"walstitch_agent_server_state", kGauge, "group, node, state",
     "1 for what the server's process does, 0 for each of the others."},
    {"walstitch_agent_server_loading", kGauge, "group, node", "1 while the server is loading its data."},
    {"walstitch_agent_role", kGauge, "group, node, role",
     "1 for the role that the server has, 0 for each of the others."},
    {"walstitch_agent_ready", kGauge, "group, node", "1 while the node serves what its group stands for."},
    {"walstitch_agent_epoch", kGauge, "group, node", "The highest epoch that the agent has seen."},
    {"walstitch_agent_last_sequence", kGauge, "group, node", "The last sequence that the node holds."},

    {"walstitch_agent_relay_state", kGauge, "group, node, state",
     "1 for what the relay does, 0 for each of the others."},
    {"walstitch_agent_relay_attached", kGauge, "group, node",
     "1 while the node's connection to its relay stands."},
    {"walstitch_agent_relay_upstream_connected", kGauge, "group, node",
     "1 while the relay's connection to the server that it follows stands."},
    {"walstitch_agent_relay_upstream_silent_seconds", kGauge, "group, node",
     "How long ago anything came from the server that the relay follows; no sample: it follows none, or "
     "nothing "
     "came yet."},
    {"walstitch_agent_relay_forwarded_bytes_total", kCounter, "group, node",
     "Bytes of the replication stream that the relay gave the node."},
    {"walstitch_agent_relay_forwarded_frames_total", kCounter, "group, node",
     "Batches that the relay gave the node."},
    {"walstitch_agent_relay_full_sync_bytes_total", kCounter, "group, node",
     "Bytes of full syncs that the relay gave the node."},
    {"walstitch_agent_relay_reconnects_total", kCounter, "group, node",
     "Connections to a server that was followed, made again after the one before broke."},
    {"walstitch_agent_relay_batches_refused_total", kCounter, "group, node",
     "Batches that the relay did not give the node: damaged, out of sequence, or of another history."},
    {"walstitch_agent_relay_full_syncs_refused_total", kCounter, "group, node",
     "Full syncs that the node began and nobody had decided."},

    {"walstitch_agent_leased", kGauge, "group, node",
     "1 if the node was given a lease, without which it parks."},
    {"walstitch_agent_lease_left_seconds", kGauge, "group, node",
     "How long the node may go on as master; no sample: it holds no lease."},
    {"walstitch_agent_promise_left_seconds", kGauge, "group, node",
     "How long the agent refuses promotions yet; no sample: it does not."},
    {"walstitch_agent_lease_renewals_total", kCounter, "group, node, source",
     "Leases and their renewals, by whoever gave them: the controller, or the promises of all others."},
    {"walstitch_agent_parks_total", kCounter, "group, node, reason",
     "Times that the node was parked: command, lease-over, relay (it could not go on), found (it was its "
     "relay's "
     "replica when it was looked at)."},
    {"walstitch_agent_commands_total", kCounter, "group, node, action, result",
     "Commands that were carried out, or refused."},

    {"walstitch_agent_wal_oldest_sequence", kGauge, "group, node",
     "The oldest sequence in the node's WAL files."},
    {"walstitch_agent_wal_newest_sequence", kGauge, "group, node",
     "The newest sequence in the node's WAL files."},
    {"walstitch_agent_wal_files", kGauge, "group, node", "The node's WAL files."},
    {"walstitch_agent_wal_bytes", kGauge, "group, node", "Bytes of the node's WAL files."},
    {"walstitch_agent_wal_read_bytes_total", kCounter, "group, node",
     "Bytes that the agent read of WAL files."},

    {"walstitch_agent_salvages", kGauge, "group, node", "Salvages that are kept."},
    {"walstitch_agent_salvages_damaged", kGauge, "group, node", "Salvages that cannot be relied on."},
    {"walstitch_agent_salvage_bytes", kGauge, "group, node", "Bytes of the salvages that are kept."},
    {"walstitch_agent_salvage_limit_bytes", kGauge, "group, node",
     "How much of salvages is kept: salvage.keepBytes. Beyond it the oldest ones are removed."},
    {"walstitch_agent_salvage_disk_floor_bytes", kGauge, "group, node",
     "With less free space no salvage is written: salvage.diskFloor."},
    {"walstitch_agent_state_disk_free_bytes", kGauge, "group, node", "Free bytes where the salvages are."},
    {"walstitch_agent_disk_free_bytes", kGauge, "group, node", "Free bytes where the node's data are."},
    {"walstitch_agent_disk_bytes", kGauge, "group, node", "The size of the file system of the node's data."},
    {"walstitch_agent_disk_read_only", kGauge, "group, node", "1 while that file system is read-only."},
};

constexpr std::string_view kResults[] = {"done", "failed", "unknown", "refused"};

std::vector<std::string> AllActions() {
  std::vector<std::string> names;
  const auto add = [&]<std::size_t... I>(std::index_sequence<I...>) {
    (names.emplace_back(ActionName(std::variant_alternative_t<I, Action>{})), ...);
  };
  add(std::make_index_sequence<std::variant_size_v<Action>>{});
  return names;
}

class Teller {
 public:
  Teller(const Report& report, MetricSet* set) : labels_{report.group, report.node}, set_(set) {}

  template <typename T>
  void Tell(std::string_view name, T value) const {
    set_->Set(std::string("walstitch_agent_").append(name), labels_, value);
  }
  template <typename T>
  void Tell(std::string_view name, const std::vector<std::string>& more, T value) const {
    std::vector<std::string> labels = labels_;
    labels.insert(labels.end(), more.begin(), more.end());
    set_->Set(std::string("walstitch_agent_").append(name), labels, value);
  }
  void TellSeconds(std::string_view name, const std::optional<std::int64_t>& ms) const {
    if (ms) Tell(name, static_cast<double>(*ms) / 1000);
  }
  template <typename Enum>
  void TellState(std::string_view name, Enum is) const {
    set_->SetState(std::string("walstitch_agent_").append(name), labels_, AllValues<Enum>(), is);
  }

 private:
  std::vector<std::string> labels_;
  MetricSet* set_;
};

void TellRelay(const AgentNumbers& numbers, const Teller& teller) {
  const RelayReport& relay = numbers.report.relay;
  teller.TellState("relay_state", relay.state);
  teller.Tell("relay_attached", relay.node_attached);
  teller.Tell("relay_upstream_connected", relay.upstream_connected);
  teller.TellSeconds("relay_upstream_silent_seconds", relay.upstream_silent_ms);
  teller.Tell("relay_forwarded_bytes_total", relay.bytes_forwarded);
  teller.Tell("relay_forwarded_frames_total", relay.frames_forwarded);
  teller.Tell("relay_full_sync_bytes_total", relay.full_sync_bytes);
  teller.Tell("relay_reconnects_total", numbers.relay.reconnects);
  teller.Tell("relay_batches_refused_total", numbers.relay.batches_refused);
  teller.Tell("relay_full_syncs_refused_total", relay.full_syncs_refused);
}

void TellCommands(const AgentNumbers& numbers, const Teller& teller) {
  const auto count = [&](const std::string& action, std::string_view result) -> std::uint64_t {
    const auto found = numbers.commands.find({action, std::string(result)});
    return found == numbers.commands.end() ? 0 : found->second;
  };
  for (const std::string& action : AllActions()) {
    for (const std::string_view result : kResults)
      teller.Tell("commands_total", {action, std::string(result)}, count(action, result));
  }
  const std::string park(ActionName(ParkAction{}));
  teller.Tell("parks_total", {"command"}, count(park, ToString(Outcome::kDone)));
  teller.Tell("parks_total", {"lease-over"}, numbers.leases.ran_out);
  teller.Tell("parks_total", {"relay"}, numbers.relay.parked_itself);
  teller.Tell("parks_total", {"found"}, numbers.found_parked);
}

void TellDisks(const AgentNumbers& numbers, const Teller& teller) {
  if (numbers.wal) {
    if (numbers.wal->oldest) teller.Tell("wal_oldest_sequence", numbers.wal->oldest->Value());
    if (numbers.wal->last) teller.Tell("wal_newest_sequence", numbers.wal->last->Value());
    teller.Tell("wal_files", numbers.wal->files);
    teller.Tell("wal_bytes", numbers.wal->bytes);
  }
  teller.Tell("wal_read_bytes_total", numbers.wal_bytes_read);
  if (numbers.salvages) {
    teller.Tell("salvages", numbers.salvages->kept);
    teller.Tell("salvages_damaged", numbers.salvages->damaged);
    teller.Tell("salvage_bytes", numbers.salvages->bytes);
  }
  teller.Tell("salvage_limit_bytes", numbers.salvage_limits.keep_bytes);
  teller.Tell("salvage_disk_floor_bytes", numbers.salvage_limits.disk_floor);
  if (numbers.state_disk) teller.Tell("state_disk_free_bytes", numbers.state_disk->free_bytes);
  if (const auto& disk = numbers.report.disk) {
    teller.Tell("disk_free_bytes", disk->free_bytes);
    teller.Tell("disk_bytes", disk->total_bytes);
    teller.Tell("disk_read_only", disk->read_only);
  }
}

}  // namespace

std::span<const MetricInfo> AgentMetrics() {
  static const std::vector<MetricInfo> table = metrics::WithProcessMetrics(kTable);
  return table;
}

void AddListener(const std::string& listener, const relay::ListenerCounts& counts,
                 metrics::ProcessNumbers* numbers) {
  metrics::ListenerNumbers told;
  told.listener = listener;
  told.accepted = counts.accepted;
  told.open = counts.open;
  for (std::size_t i = 0; i < relay::kRefusedCount; ++i)
    told.refused[std::string(ToString(static_cast<relay::Refused>(i)))] = counts.refused[i];
  numbers->listeners.push_back(std::move(told));
}

std::string MetricsText(const AgentNumbers& numbers) {
  MetricSet set(AgentMetrics());
  metrics::Fill(numbers.process, &set);
  const Report& report = numbers.report;
  const Teller teller(report, &set);
  teller.TellState("server_state", report.process);
  teller.Tell("server_loading", report.loading);
  teller.TellState("role", report.role);
  teller.Tell("ready", ReadinessOf(report).ready);
  teller.Tell("epoch", report.epoch);
  if (report.last) teller.Tell("last_sequence", report.last->Value());
  TellRelay(numbers, teller);
  teller.Tell("leased", report.leased);
  teller.TellSeconds("lease_left_seconds", report.lease_left_ms);
  teller.TellSeconds("promise_left_seconds", report.promised_left_ms);
  teller.Tell("lease_renewals_total", {"controller"}, numbers.leases.by_controller);
  teller.Tell("lease_renewals_total", {"promises"}, numbers.leases.by_promises);
  TellCommands(numbers, teller);
  TellDisks(numbers, teller);
  return set.Text();
}

}  // namespace walstitch::agent
