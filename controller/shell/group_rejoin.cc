// Rejoining: evidence, verdict, record, steps, outcome, for one node that does not follow the master.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json.hpp>

#include "controller/core/decide.h"
#include "controller/core/plan.h"
#include "controller/shell/evidence_collector.h"
#include "controller/shell/fault_point.h"
#include "controller/shell/group_runner.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kHoldRetry{1000};
constexpr std::chrono::milliseconds kQueueRetry{2000};
constexpr std::chrono::milliseconds kAttachingRetry{50};
// A node that has not come to its relay by then is in no state to come by itself.
constexpr int kAttachingLooks = 100;
// A full sync that moves no byte for so long is given up.
constexpr std::int64_t kFullSyncPatienceMs = 300000;
constexpr std::chrono::milliseconds kFirstBackoff{500};
constexpr std::chrono::milliseconds kLastBackoff{60000};

// What makes a hold another one. Not the sentences: their numbers move with every write.
std::string CodesOf(const VerdictDecision& verdict) {
  std::string codes;
  for (const auto& reason : verdict.reasons) codes += reason.code + "\n";
  for (const auto& keyspace : verdict.keyspaces) codes += keyspace.keyspace + "\n";
  return codes;
}

std::uint64_t BytesToNode(const Report& report) {
  return report.relay.bytes_forwarded + report.relay.full_sync_bytes;
}

}  // namespace

void GroupRunner::Backoff(Node& node) {
  const int doublings = std::min(node.failures, 7);
  node.next_try = std::chrono::steady_clock::now() + std::min(kLastBackoff, kFirstBackoff * (1 << doublings));
  ++node.failures;
}

asio::awaitable<void> GroupRunner::Rejoin(Node& node) {
  // Reports come by push and may be a moment old: ask again before acting on them.
  Node& master = nodes_.at(state_.master);
  const std::optional<Report> rejoiner = co_await Refresh(node);
  const std::optional<Report> survivor = co_await Refresh(master);
  if (!rejoiner || !survivor) {
    node.next_try = std::chrono::steady_clock::now() + kHoldRetry;
    co_return;
  }
  const core::GroupSnapshot snapshot = Snapshot();
  if (snapshot.LiveMaster() == nullptr || core::InService(snapshot, *snapshot.Find(node.config.name)) ||
      rejoiner->process != ProcessState::kUp || rejoiner->loading) {
    co_return;
  }
  if (!core::Fenced(*rejoiner) || !rejoiner->relay.node_attached) {
    const bool attaching = rejoiner->role == Role::kReplica && rejoiner->upstream_is_relay &&
                           rejoiner->relay.state == RelayState::kParked;
    if (attaching && ++node.attaching < kAttachingLooks) {  // it reconnects to its relay within a second
      node.next_try = std::chrono::steady_clock::now() + kAttachingRetry;
      co_return;
    }
    node.attaching = 0;
    // Not within the co_await: GCC 12 destroys the temporaries of its conditional operator twice.
    const std::string does = rejoiner->role == Role::kMaster
                                 ? " accepts writes, but " + state_.master + " is the master"
                             : attaching ? " does not come to its relay by itself"
                                         : " follows something else than master " + state_.master;
    std::string finding = node.config.name + does;
    co_await ParkFirst(node, std::move(finding));
    co_return;
  }

  node.attaching = 0;
  Decision decision = co_await DecideRejoin(node, *rejoiner, *survivor, NewId());
  const Verdict verdict = decision.verdict->verdict;
  if (verdict == Verdict::kHold) {
    RecordHold(node, std::move(decision));
    co_return;
  }
  node.held_for.clear();
  if (verdict == Verdict::kFull && slots_.used >= slots_.limit) {
    node.queued = "verdict full: waits for its turn, " + std::to_string(slots_.used) + " of " +
                  std::to_string(slots_.limit) + " full syncs are under way";
    node.next_try = std::chrono::steady_clock::now() + kQueueRetry;
    co_return;
  }
  node.queued.clear();
  if (auto written = store_.AppendDecision(decision, nullptr); !written) {
    store_problem_ = written.error().Message();
    spdlog::error("group {}: {}; nothing is done without a durable decision", config_.name, store_problem_);
    Backoff(node);
    co_return;
  }
  store_problem_.clear();
  spdlog::info("group {}: {} rejoin of {}: verdict {}: {}", config_.name, decision.id, node.config.name,
               ToString(verdict), decision.verdict->reasons.front().sentence);
  FaultPoint("after-decision");
  co_await CarryOutRejoin(node, std::move(decision));
}

// A node must stand still before its evidence is worth anything. Parking it changes its role, so it is a
// decision of its own.
asio::awaitable<void> GroupRunner::ParkFirst(Node& node, std::string finding) {
  Decision decision = NewDecision(DecisionKind::kRejoin, state_.epoch);
  decision.node = node.config.name;
  decision.survivor = state_.master;
  decision.finding = std::move(finding);
  VerdictDecision verdict;
  verdict.verdict = Verdict::kHold;
  verdict.reasons = {
      {std::string(reason::kNotParked),
       node.config.name + " is parked first: evidence is gathered of a node that stands still"}};
  decision.verdict = std::move(verdict);
  decision.plan = {{node.config.name, ParkAction{}, "hold it read-only until its rejoin is decided"}};
  if (auto written = store_.AppendDecision(decision, nullptr); !written) {
    store_problem_ = written.error().Message();
    Backoff(node);
    co_return;
  }
  const Execution execution = co_await Execute(decision, 0, decision.plan.size());
  OutcomeRecord outcome;
  outcome.outcome = execution.outcome;
  outcome.sentence = execution.outcome == Outcome::kDone ? node.config.name + " is parked" : execution.error;
  (void)Close(decision, outcome, nullptr);
  if (execution.outcome != Outcome::kDone) Backoff(node);
  Wake();
}

asio::awaitable<Decision> GroupRunner::DecideRejoin(Node& node, Report rejoiner, Report survivor,
                                                    std::string id) {
  Decision decision = NewDecision(DecisionKind::kRejoin, state_.epoch);
  decision.id = std::move(id);
  decision.node = node.config.name;
  decision.survivor = state_.master;
  decision.finding = node.config.name + " is parked and does not follow master " + state_.master;
  const Endpoint endpoint = survivor.endpoint;
  const TolerancePolicy policy = policies_.For(config_.name);  // one policy from the question to the verdict
  EvidenceRequest request{node.client,
                          std::move(rejoiner),
                          nodes_.at(state_.master).client,
                          std::move(survivor),
                          core::KnownBetween(state_, node.config.name, state_.master),
                          policy.limits};
  decision.evidence = co_await CollectEvidence(std::move(request));
  decision.verdict = core::Decide(*decision.evidence, policy);
  decision.plan = core::PlanRejoin(decision.id, decision.verdict->verdict, *decision.evidence, endpoint);
  co_return decision;
}

// A node that is held is looked at again and again; it is recorded once per change of reason.
void GroupRunner::RecordHold(Node& node, Decision decision) {
  node.next_try = std::chrono::steady_clock::now() + kHoldRetry;
  std::string reasons = CodesOf(*decision.verdict);
  node.queued = "on hold: " + decision.verdict->reasons.front().sentence;
  if (reasons == node.held_for) return;
  if (auto written = store_.AppendDecision(decision, nullptr); !written) {
    store_problem_ = written.error().Message();
    return;
  }
  node.held_for = std::move(reasons);
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  outcome.sentence = "stays parked: " + decision.verdict->reasons.front().sentence;
  (void)Close(decision, outcome, nullptr);
}

asio::awaitable<void> GroupRunner::CarryOutRejoin(Node& node, Decision decision) {
  Node& master = nodes_.at(decision.survivor);
  const std::uint64_t bytes_before = node.view.report ? BytesToNode(*node.view.report) : 0;
  OutcomeRecord outcome;
  if (master.view.report) outcome.survivor_before = master.view.report->counters;

  const Execution execution = co_await Execute(decision, 0, decision.plan.size());
  if (decision.verdict->verdict == Verdict::kFull && execution.outcome == Outcome::kDone) {
    ++slots_.used;
    full_syncs_[node.config.name] = {decision, bytes_before, outcome.survivor_before, bytes_before,
                                     UnixMillis()};
    co_return;
  }
  outcome.outcome = execution.outcome;
  outcome.took_ms = UnixMillis() - decision.time_ms;
  co_await Refresh(master);
  co_await Refresh(node);
  if (master.view.report) outcome.survivor_after = master.view.report->counters;
  if (node.view.report && BytesToNode(*node.view.report) >= bytes_before) {
    outcome.bytes_to_node = BytesToNode(*node.view.report) - bytes_before;
  }
  core::GroupState state = state_;
  if (execution.outcome == Outcome::kDone) {
    // A prefix shares all that was known to be shared before; a stitched node only what comes after.
    const core::KnownHistory known = core::KnownBetween(state_, node.config.name, decision.survivor);
    Sequence from = *decision.evidence->target;
    if (decision.verdict->verdict == Verdict::kAligned && known.shared_from)
      from = std::min(from, *known.shared_from);
    core::ApplyJoin(state, node.config.name, from);
    outcome.sentence = node.config.name + " follows " + decision.survivor + " again";
    const auto& before = outcome.survivor_before;
    const auto& after = outcome.survivor_after;
    if (before && after) {
      if (after->sync_partial_ok <= before->sync_partial_ok) {
        outcome.sentence += "; " + decision.survivor + " counted no new partial sync, though it accepted one";
      }
      if (after->sync_full != before->sync_full && full_syncs_.empty()) {
        outcome.outcome = Outcome::kFailed;
        outcome.sentence = decision.survivor + " counted a full sync that nobody decided";
      }
    }
    node.failures = 0;
    node.next_try = {};
  } else {
    outcome.sentence = execution.error + "; " + node.config.name + " stays parked";
    Backoff(node);
  }
  FaultPoint("before-outcome");
  (void)Close(decision, outcome, execution.outcome == Outcome::kDone ? &state : nullptr);
}

asio::awaitable<void> GroupRunner::WatchFullSyncs() {
  for (auto entry = full_syncs_.begin(); entry != full_syncs_.end();) {
    Node& node = nodes_.at(entry->first);
    OpenFullSync& open = entry->second;
    const Report* report = node.view.connected && node.view.report ? &*node.view.report : nullptr;
    OutcomeRecord outcome;
    bool ended = false;
    bool done = false;
    if (open.decision.epoch != state_.epoch || open.decision.survivor != state_.master) {
      ended = true;
      outcome.outcome = Outcome::kFailed;
      outcome.sentence = "a role switch came in between; " + entry->first + " will be looked at again";
    } else if (report != nullptr && report->process == ProcessState::kUp && !report->loading) {
      const RelayReport& relay = report->relay;
      if (relay.state == RelayState::kFollowing && relay.node_attached && relay.upstream_connected &&
          report->link_up && report->full_sync == FullSyncState::kNone) {
        ended = done = true;
        outcome.outcome = Outcome::kDone;
        outcome.sentence = entry->first + " holds a full copy and follows " + open.decision.survivor;
      } else if (relay.state == RelayState::kParked || relay.state == RelayState::kIdle) {
        ended = true;
        outcome.outcome = Outcome::kFailed;
        outcome.sentence = "the full sync of " + entry->first +
                           " did not end: " + (relay.error.empty() ? "its relay is parked" : relay.error);
      }
    }
    if (!ended && report != nullptr && (report->loading || BytesToNode(*report) != open.bytes_seen)) {
      open.bytes_seen = BytesToNode(*report);
      open.progress_ms = UnixMillis();
    }
    if (!ended && UnixMillis() - open.progress_ms > kFullSyncPatienceMs) {
      ended = true;
      outcome.outcome = Outcome::kUnknown;
      outcome.sentence = "nothing was heard of the full sync of " + entry->first + " for " +
                         std::to_string(kFullSyncPatienceMs / 1000) + " s";
    }
    if (!ended) {
      ++entry;
      continue;
    }
    core::GroupState state = state_;
    // The copy is the survivor's whole history.
    if (done) core::ApplyJoin(state, entry->first, Sequence(0));
    outcome.survivor_before = open.survivor_before;
    if (report != nullptr && BytesToNode(*report) >= open.bytes_before) {
      outcome.bytes_to_node = BytesToNode(*report) - open.bytes_before;
    }
    // The survivor's last report may be from before the sync that is to be counted.
    Node& survivor = nodes_.at(open.decision.survivor);
    co_await Refresh(survivor);
    if (survivor.view.report) outcome.survivor_after = survivor.view.report->counters;
    FaultPoint("before-outcome");
    (void)Close(open.decision, outcome, done ? &state : nullptr);
    if (done) {
      node.failures = 0;
      node.next_try = {};
    } else {
      Backoff(node);
    }
    --slots_.used;
    entry = full_syncs_.erase(entry);
  }
}

asio::awaitable<boost::json::value> GroupRunner::Plan() {
  auto guard = co_await mutex_.Lock();
  co_await RefreshAll();
  const core::GroupSnapshot snapshot = Snapshot();
  boost::json::array items;
  std::string sentence;
  const auto findings = core::FindIn(snapshot);
  for (const auto& finding : findings) {
    boost::json::object item{{"node", finding.node}, {"sentence", finding.sentence}};
    if (finding.code == core::FindingCode::kNodeToRejoin) {
      Node& node = nodes_.at(finding.node);
      const std::optional<Report> rejoiner = co_await Refresh(node);
      const std::optional<Report> survivor = co_await Refresh(nodes_.at(state_.master));
      if (rejoiner && survivor) {
        Decision decision = co_await DecideRejoin(node, *rejoiner, *survivor, "");
        item["decision"] = ToJson(decision);
      }
    } else if (finding.code == core::FindingCode::kMasterProcessDown ||
               finding.code == core::FindingCode::kMasterParked ||
               finding.code == core::FindingCode::kNewGroup) {
      auto chosen = core::ChooseCandidate(core::RankCandidates(snapshot, ""), std::nullopt);
      item["sentence"] =
          finding.sentence + (chosen ? ". " + chosen->node + " would be promoted (" + chosen->reason + ")"
                                     : ". " + chosen.error().Message());
    }
    items.push_back(std::move(item));
  }
  sentence = items.empty() ? "nothing is to be done: every node is in service"
                           : "what is the matter, and what would be decided now";
  co_return boost::json::value{{"group", config_.name}, {"sentence", sentence}, {"items", std::move(items)}};
}

}  // namespace walstitch::shell
