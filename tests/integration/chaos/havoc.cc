#include "tests/integration/chaos/havoc.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kAnswer{500};

// Nobody waits for a server that is stopped.
std::string QuickInfo(NodeServer& server, const std::string& section, const std::string& field) {
  RedisClient client(server.port(), "127.0.0.1", kAnswer);
  return client.IsConnected() ? InfoField(client, section, field) : "";
}

}  // namespace

ClusterOptions ChaosOptions(milliseconds lease) {
  const auto part = [&](int64_t percent) { return std::to_string(lease.count() * percent / 100) + "ms"; };
  ClusterOptions options;
  options.nodes = {"n1", "n2", "n3"};
  options.proxied = true;
  options.controller_config = "lease: {duration: " + part(100) + ", drift: 1%, park: " + part(10) +
                              "}\nfailover: {blockAfter: " + part(110) + ", unreachableAfter: " + part(50) +
                              ", hungAfter: " + part(50) + "}\n";
  return options;
}

Havoc::Havoc(ClusterOptions options) : cluster_(std::move(options)) {}

// The writers first: they would only write into the void.
Havoc::~Havoc() { writers_.clear(); }

std::optional<std::string> Havoc::Start() {
  if (auto error = cluster_.Start()) return error;
  for (const std::string& node : cluster_.Nodes()) {
    writers_[node] = std::make_unique<AckWriter>(log_, node, cluster_.Node(node).port());
  }
  const std::string master = Master();
  if (!WaitForWrites(master)) return "the master, " + master + ", acknowledges no write";
  return std::nullopt;
}

std::string Havoc::Master() {
  std::string master;
  cluster_.WaitUntil([&] {
    master = cluster_.Master();
    return !master.empty() && cluster_.Condition(master) == "master";
  });
  return master;
}

void Havoc::NoteFullSyncs(const std::string& node) {
  full_syncs_before_ +=
      std::strtoull(QuickInfo(cluster_.Node(node), "stats", "sync_full").c_str(), nullptr, 10);
}

void Havoc::KillServer(const std::string& node) {
  NoteFullSyncs(node);
  cluster_.KillNode(node);
}

std::optional<std::string> Havoc::StartServer(const std::string& node) { return cluster_.RestartNode(node); }

void Havoc::Stop(const std::string& node, bool with_agent) {
  if (with_agent) cluster_.PauseAgent(node);
  cluster_.Node(node).Pause();
}

bool Havoc::Continue(const std::string& node, bool with_agent, bool is_replaced) {
  Excuse excuse{node, AckLog::NowMicros(), 0};
  cluster_.Node(node).Resume();
  if (with_agent) cluster_.ResumeAgent(node);
  if (!is_replaced) return true;
  const bool is_parked = Eventually(
      seconds(20), [&] { return QuickInfo(cluster_.Node(node), "replication", "role") == "slave"; });
  excuse.until_us = AckLog::NowMicros();
  excuses_.push_back(excuse);
  return is_parked;
}

bool Havoc::WaitForWrites(const std::string& node, uint64_t count) {
  const uint64_t so_far = log_.AcknowledgedBy(node);
  return Eventually(seconds(20), [&] { return log_.AcknowledgedBy(node) >= so_far + count; });
}

std::optional<Takeover> Havoc::WaitTakeover(const std::string& from, int64_t since_us, milliseconds timeout) {
  std::optional<Takeover> takeover;
  Eventually(timeout, [&] {
    const auto first = log_.FirstAckSince(since_us, from);
    if (first) takeover = Takeover{first->first, first->second.done_us - since_us};
    return takeover.has_value();
  });
  return takeover;
}

bool Havoc::WritesGoOn(const std::string& node, milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  const uint64_t refused = log_.RefusedBy(node);
  const uint64_t unknown = log_.UnknownOf(node);
  while (std::chrono::steady_clock::now() < until) {
    if (!WaitForWrites(node, 1)) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return log_.RefusedBy(node) == refused && log_.UnknownOf(node) == unknown;
}

bool Havoc::WaitSettled(milliseconds timeout) { return cluster_.WaitSettled(timeout); }

const std::map<std::string, DecisionRecord>& Havoc::CollectDecisions() {
  for (DecisionRecord& record : cluster_.Decisions()) decisions_[record.decision.id] = std::move(record);
  return decisions_;
}

uint64_t Havoc::Failovers() {
  const auto& records = CollectDecisions();
  return static_cast<uint64_t>(std::count_if(records.begin(), records.end(), [](const auto& item) {
    const DecisionRecord& record = item.second;
    return record.decision.kind == DecisionKind::kFailover && record.outcome &&
           record.outcome->outcome == Outcome::kDone;
  }));
}

AckFindings Havoc::CheckNow() {
  for (const auto& [node, writer] : writers_) writer->Pause();
  Observed observed;
  const bool is_settled = WaitSettled();
  for (const auto& [id, record] : CollectDecisions()) observed.decisions.push_back(record);
  for (const std::string& node : cluster_.Nodes()) {
    observed.keyspaces[node] = cluster_.Keyspace(node);
    if (cluster_.Node(node).Info("replication", "role") == "master") observed.masters.push_back(node);
  }
  observed.full_syncs = full_syncs_before_ + cluster_.FullSyncsServed();
  AckFindings findings = Check(log_, observed, excuses_);
  if (!is_settled) findings.other.push_back("the group does not come to rest");
  for (const auto& [node, writer] : writers_) writer->Resume();
  return findings;
}

}  // namespace walstitch::test
