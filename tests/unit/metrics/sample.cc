#include "tests/unit/metrics/sample.h"

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "agents/metrics/http_numbers.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::test {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;

Report ReportOf(const std::string& node, Role role, std::uint64_t last) {
  Report report;
  report.group = "shop";
  report.node = node;
  report.process = ProcessState::kUp;
  report.role = role;
  report.last = Sequence(last);
  report.relay.state = role == Role::kMaster ? RelayState::kIdle : RelayState::kFollowing;
  report.disk = DiskReport{50'000'000'000, 100'000'000'000, false};
  return report;
}

boost::json::object NodeOf(const Report& report, const std::string& condition) {
  return {{"node", report.node}, {"connected", true}, {"condition", condition}, {"report", ToJson(report)}};
}

boost::json::object FindingOf(const std::string& code, const std::string& node) {
  return {{"code", code}, {"node", node}};
}

Decision DecisionOf(DecisionKind kind, const std::string& reason) {
  Decision decision;
  decision.group = "shop";
  decision.kind = kind;
  decision.time_ms = 10'000;
  decision.reasons = {{reason, "because"}};
  return decision;
}

DecisionRecord RecordOf(Decision decision, Outcome outcome) {
  DecisionRecord record;
  record.decision = std::move(decision);
  record.outcome.emplace();
  record.outcome->outcome = outcome;
  record.outcome->time_ms = record.decision.time_ms + 900;
  return record;
}

DecisionRecord RejoinOf(Verdict verdict, const std::string& reason, Outcome outcome,
                        std::vector<KeyspaceFinding> keyspaces = {}) {
  Decision decision = DecisionOf(DecisionKind::kRejoin, reason);
  decision.reasons.clear();
  decision.verdict.emplace();
  decision.verdict->verdict = verdict;
  decision.verdict->reasons = {{reason, "because"}};
  decision.verdict->keyspaces = std::move(keyspaces);
  return RecordOf(std::move(decision), outcome);
}

KeyspaceFinding KeyspaceOf(Tolerance tolerance, std::uint64_t keys) {
  KeyspaceFinding keyspace;
  keyspace.tolerance = tolerance;
  keyspace.keys = keys;
  return keyspace;
}

metrics::ProcessNumbers Quiet(std::string program) {
  metrics::ProcessNumbers process;
  process.program = std::move(program);
  http::ServerCounts counts;
  counts.accepted = 4;
  counts.open = 1;
  counts.requests = 100;
  counts.certificate_seconds_left = 864'000;
  metrics::AddServer("api", counts, kNow, &process);
  return process;
}

metrics::ProcessNumbers Beset(std::string program) {
  metrics::ProcessNumbers process;
  process.program = std::move(program);
  http::ServerCounts counts;
  counts.accepted = 40;
  counts.open = 30;
  counts.requests = 900;
  counts.refused.fill(2);
  counts.certificate_seconds_left = -60;
  metrics::AddServer("api", counts, kNow, &process);
  return process;
}

}  // namespace

api::ControllerNumbers CalmController(const core::RecordCounters& records) {
  api::ControllerNumbers numbers;
  numbers.process = Quiet("walstitch-controller");
  numbers.leads = true;
  numbers.unix_ms = kNow * 1000;
  Report master = ReportOf("n1", Role::kMaster, 120);
  master.lease_left_ms = 2500;
  boost::json::object replica = NodeOf(ReportOf("n2", Role::kReplica, 120), "following");
  replica["lag"] = 0;
  replica["lag_ms"] = 0;
  numbers.statuses = {{{"group", "shop"},
                       {"managed", "managed"},
                       {"has_master", true},
                       {"epoch", 1},
                       {"policy", {{"name", "strict"}, {"hash", "0123456789abcdef"}}},
                       {"findings", boost::json::array()},
                       {"nodes", boost::json::array{NodeOf(master, "master"), std::move(replica)}},
                       {"open_decisions", boost::json::array()},
                       {"open_longest", {{"full_sync_ms", 0}, {"other_ms", 0}}},
                       {"lease_age_ms", 400}}};
  numbers.records = &records;
  numbers.webhooks = {{"chat", 3, 0, 0, 0}};
  return numbers;
}

api::ControllerNumbers TroubledController(const core::RecordCounters& records) {
  api::ControllerNumbers numbers;
  numbers.process = Beset("walstitch-controller");
  numbers.leads = true;
  numbers.unix_ms = kNow * 1000;
  Report old_master = ReportOf("n1", Role::kMaster, 150);
  Report replica = ReportOf("n2", Role::kReplica, 130);
  replica.relay.state = RelayState::kFullSync;
  replica.relay.bytes_forwarded = 1000;
  replica.relay.frames_forwarded = 10;
  replica.relay.full_sync_bytes = 5'000'000;
  replica.disk->free_bytes = 1000;
  boost::json::object lost = NodeOf(old_master, "unreachable");
  lost["connected"] = false;
  boost::json::object copied = NodeOf(replica, "full sync");
  copied["full_sync"] = boost::json::object{{"bytes", 5'000'000}};
  copied["lag"] = 20;
  copied["lag_ms"] = 31'500;
  copied["resume_left_ms"] = 1500;
  boost::json::object waits = NodeOf(ReportOf("n3", Role::kReplica, 90), "parked");
  waits["full_sync_queued"] = true;
  waits["maintenance"] = "a new disk";
  numbers.statuses = {
      {{"group", "shop"},
       {"managed", "released"},
       {"has_master", false},
       {"without_master_ms", 7000},
       {"epoch", 2},
       {"policy", {{"name", "loose"}, {"hash", "fedcba9876543210"}, {"error", "policy.yaml:1:1: no"}}},
       {"findings", boost::json::array{FindingOf("MasterUnreachable", "n1"), FindingOf("NodeToRejoin", "n2"),
                                       FindingOf("DiskLow", "n2"), FindingOf("FullSyncRunning", "n2")}},
       {"nodes", boost::json::array{std::move(lost), std::move(copied), std::move(waits)}},
       {"open_decisions", boost::json::array{"01A", "01B"}},
       {"open_longest", {{"full_sync_ms", 60'000}, {"other_ms", 3000}}},
       {"waits", "no failover yet: the group is paused"},
       {"waits_code", "paused"},
       {"lease_age_ms", 9000},
       {"paused", {{"since_ms", kNow * 1000 - 43'200'500}}},
       {"blocked_left_ms", 30'000},
       {"error", "the disk is full"}}};
  numbers.records = &records;
  numbers.webhooks = {{"chat", 4, 9, 1, 17}};
  return numbers;
}

core::RecordCounters NothingDecided() {
  core::RecordCounters records;
  records.Know("shop");
  return records;
}

core::RecordCounters MuchDecided() {
  core::RecordCounters records = NothingDecided();
  const auto take = [&](const DecisionRecord& record) {
    records.Opened(record.decision);
    records.Closed(record);
  };
  Decision failover = DecisionOf(DecisionKind::kFailover, std::string(reason::kMasterDown));
  failover.noticed_ms = 9'800;
  DecisionRecord done = RecordOf(failover, Outcome::kDone);
  done.steps.push_back({"n2", "promote", "01C", 10'100, 10'400, Outcome::kDone, ""});
  done.outcome->without_master_ms = 700;
  take(done);
  DecisionRecord switchover =
      RecordOf(DecisionOf(DecisionKind::kSwitchover, "operator-asked"), Outcome::kDone);
  switchover.outcome->without_master_ms = 40;
  take(switchover);
  take(RejoinOf(Verdict::kAligned, "prefix-of-survivor", Outcome::kDone));
  DecisionRecord padded = RejoinOf(Verdict::kPadded, "within-policy", Outcome::kDone,
                                   {KeyspaceOf(Tolerance::kIgnore, 3), KeyspaceOf(Tolerance::kRepair, 5),
                                    KeyspaceOf(Tolerance::kEvict, 2)});
  padded.outcome->salvage.emplace();
  padded.outcome->salvage->records = 11;
  padded.outcome->keys.emplace();
  padded.outcome->keys->repair = {4, 2, 1, {}};
  take(padded);
  take(RejoinOf(Verdict::kSpliced, "within-policy", Outcome::kFailed));
  take(RejoinOf(Verdict::kFull, "keyspace-fullsync", Outcome::kDone));
  return records;
}

agent::AgentNumbers CalmAgent() {
  agent::AgentNumbers numbers;
  numbers.process = Quiet("walstitch-agent");
  numbers.report = ReportOf("n2", Role::kMaster, 120);
  numbers.report.epoch = 1;
  numbers.report.lease_left_ms = 2500;
  numbers.report.leased = true;
  numbers.wal = WalExtent{Sequence(1), Sequence(120), 1, 4096, "files"};
  numbers.salvages.emplace();
  numbers.state_disk = DiskReport{5'000'000'000, 10'000'000'000, false};
  return numbers;
}

agent::AgentNumbers TroubledAgent() {
  agent::AgentNumbers numbers;
  numbers.process = Beset("walstitch-agent");
  Report& report = numbers.report;
  report = ReportOf("n2", Role::kReplica, 130);
  report.process = ProcessState::kHung;
  report.loading = true;
  report.epoch = 2;
  report.promised_left_ms = 1000;
  report.relay.node_attached = true;
  report.relay.upstream_connected = true;
  report.relay.upstream_silent_ms = 1500;
  report.relay.bytes_forwarded = 1000;
  report.relay.frames_forwarded = 10;
  report.relay.full_sync_bytes = 5'000'000;
  report.relay.full_syncs_refused = 1;
  report.disk = DiskReport{1000, 50'000'000'000, true};
  numbers.relay = {2, 1, 1};
  numbers.leases = {30, 4, 1};
  numbers.commands = {{{"park", "done"}, 2}, {{"pad", "failed"}, 1}};
  numbers.found_parked = 1;
  numbers.wal = WalExtent{Sequence(50), Sequence(130), 3, 9000, "files"};
  numbers.wal_bytes_read = 777;
  numbers.salvages = agent::SalvageNumbers{2, 1, 2048};
  numbers.salvage_limits.keep_bytes = 1;
  numbers.salvage_limits.disk_floor = 2;
  numbers.state_disk = DiskReport{1'000'000, 10'000'000'000, false};
  return numbers;
}

}  // namespace walstitch::test
