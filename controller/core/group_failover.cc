// Failovers that start by themselves: what is the matter with the master, whether something may be done about
// it now, and what is written down if not.
#include <algorithm>

#include "controller/core/group_runner.h"
#include "controller/core/mutation.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

constexpr std::int64_t kProbeIntervalMs = 1000;
constexpr std::int64_t kFirstRetryMs = 200;
constexpr std::int64_t kLastRetryMs = 10000;
constexpr std::int64_t kLeavingRetryMs = 1000;
// A node whose agent has been silent for so long is looked at directly.
constexpr std::int64_t kStrayProbeMs = 5000;

}  // namespace

CandidateRules GroupRunner::RulesFor(const GroupSnapshot& snapshot) {
  CandidateRules rules;
  rules.members_only = state_.management == Management::kManaged;
  const NodeView* master = snapshot.Find(state_.master);
  if (master == nullptr || !master->report) return rules;
  rules.master_last = master->report->last;
  // What can be read from the dead one's disk is no lag.
  const bool readable = master->Fresh() != nullptr && master->report->process == ProcessState::kDown &&
                        master->report->wal_readable && given_up_in_ != state_.epoch;
  if (!readable) rules.max_lag = environment_.Policy().failover.max_lag;
  return rules;
}

GroupRunner::Look GroupRunner::LookNow() const {
  const auto stream = state_.nodes.find(state_.master);
  return {state_.master, stream == state_.nodes.end() ? 0 : stream->second.epoch, environment_.NowMs()};
}

// A server that was seen to be a replica stays one unless a command makes it a master, and that must pass its
// agent. 1. A promotion of the old master is given, and its answer is lost. 2. Its server is looked at, and
// is a replica still. 3. It gets to its SLAVEOF NO ONE. 4. Another node is promoted beside it. So a look
// counts only if no promotion can have been under way since, and the agent, which might have been given one,
// was not heard since.
bool GroupRunner::Counts(const Look& look) const {
  const auto stream = state_.nodes.find(state_.master);
  const auto found = nodes_.find(look.master);
  if (look.master != state_.master || found == nodes_.end() || stream == state_.nodes.end()) return false;
  const Node& node = found->second;
  if (stream->second.epoch != look.epoch || node.heard_ms >= look.asked_ms) return false;
  if (node.promoting_ms && look.asked_ms < *node.promoting_ms + kSuspicionMs) return false;
  const auto suspect = state_.suspects.find(look.master);
  if (suspect == state_.suspects.end()) return true;
  const std::int64_t ago_ms = environment_.UnixMs() - suspect->second.since_ms;
  return look.asked_ms >= environment_.NowMs() - ago_ms + kSuspicionMs;
}

void GroupRunner::Saw(const Look& look, Role role, const SeenReplica& how) {
  if (!Counts(look)) return;
  const bool known = seen_replica_ && Counts(seen_in_);
  if (role == Role::kMaster) {
    if (!known || look.asked_ms >= seen_in_.asked_ms) seen_replica_.reset();
    return;
  }
  if (role != Role::kReplica) return;
  if (!known) seen_replica_.emplace();
  seen_replica_->through.insert(how.through.begin(), how.through.end());
  seen_replica_->probed = seen_replica_->probed || how.probed;
  seen_replica_->by_hand = seen_replica_->by_hand || how.by_hand;
  if (!known || look.asked_ms > seen_in_.asked_ms) seen_in_ = look;
  if (!known) Wake();
}

// Its agent is not heard: the controller tries the server itself, and through every agent that hears it. Only
// its own try is waited for. True if something was asked, and the snapshot may have changed.
Task<bool> GroupRunner::LookForMaster(Finding trouble) {
  auto found = nodes_.find(state_.master);
  if (found == nodes_.end() || !found->second.view.report) co_return false;
  if (Snapshot().Find(state_.master)->Fresh() != nullptr) co_return false;
  if (!AddressStands(found->second)) {
    master_probe_.reset();
    co_return false;
  }
  const Look look = LookNow();
  if (look.asked_ms < next_probe_ms_) co_return false;
  next_probe_ms_ = look.asked_ms + kProbeIntervalMs;
  const Endpoint server = found->second.view.report->endpoint;
  LookThroughPeers(look, server);
  auto answers =
      co_await Answer<Result<Role>>([&](auto done) { environment_.Probe(server, std::move(done)); });
  master_probe_ = answers.has_value();
  if (answers) {
    SeenReplica how;
    how.probed = true;
    Saw(look, *answers, how);
    co_return true;
  }
  // Somebody answers, and does not serve; perhaps it still obeys. Then nobody has to wait for its lease.
  // Where nobody answers, nobody obeys either.
  const ErrorCode code = answers.error().Code();
  if (code != ErrorCode::kConflict && code != ErrorCode::kInvalid) co_return true;
  if (!KnownFenced(Snapshot())) co_await FenceMaster(trouble.sentence);
  co_return true;
}

// What they say comes later, and wakes the loop.
void GroupRunner::LookThroughPeers(const Look& look, const Endpoint& server) {
  if (peers_asked_ > 0) return;
  for (const auto& name : NodesThatHear(Snapshot(), server)) {
    ++peers_asked_;
    environment_.ProbeThrough(name, server, [this, look, name](Result<Role> role) {
      --peers_asked_;
      if (!role) return;
      SeenReplica how;
      how.through.insert(name);
      Saw(look, *role, how);
    });
  }
}

Task<void> GroupRunner::FenceMaster(std::string finding) {
  const Look look = LookNow();
  const bool fenced = co_await FenceDirectly(look.master, std::move(finding));
  if (!fenced) co_return;
  SeenReplica how;
  how.by_hand = true;
  Saw(look, Role::kReplica, how);
}

// Makes the server of a node whose agent is gone a replica of its relay, over the controller's own
// connection. True if it was seen to be one.
Task<bool> GroupRunner::FenceDirectly(std::string name, std::string finding) {
  const Node& node = nodes_.at(name);
  if (!node.view.report || node.view.report->relay_endpoint.port == 0) co_return false;
  if (!AddressStands(node)) co_return false;
  const Endpoint server = node.view.report->endpoint;
  const bool was_master = name == state_.master;
  const Endpoint relay = node.view.report->relay_endpoint;
  Decision decision = NewDecision(DecisionKind::kRejoin, state_.epoch);
  decision.node = name;
  decision.survivor = state_.master;
  decision.finding = std::move(finding);
  VerdictDecision verdict;
  verdict.verdict = Verdict::kHold;
  verdict.reasons = {{std::string(reason::kFencedDirectly),
                      "its agent does not answer: the controller makes the server of " + name +
                          " a replica of its relay itself"}};
  decision.verdict = std::move(verdict);
  if (auto written = co_await WriteDown(decision, std::nullopt); !written) co_return false;
  OutcomeRecord outcome;
  const bool promoted = !was_master && (name == state_.master || state_.suspects.contains(name));
  if (Snapshot().Find(name)->Fresh() != nullptr || !AddressStands(node) || promoted) {
    outcome.outcome = Outcome::kFailed;
    outcome.sentence = "not done: things are not as they were any more";
    (void)Close(decision, outcome, nullptr);
    co_return false;
  }
  auto fenced =
      co_await Answer<Result<void>>([&](auto done) { environment_.Fence(server, relay, std::move(done)); });
  outcome.outcome = fenced ? Outcome::kDone : Outcome::kUnknown;
  outcome.sentence = fenced ? name + " takes no writes any more; start its agent"
                            : "fencing it: " + fenced.error().Message();
  (void)Close(decision, outcome, nullptr);
  co_return fenced.has_value();
}

void GroupRunner::RecordRefusal(const Finding& trouble, const GateAnswer& answer) {
  if (answer.code.empty() || answer.code == reason::kLeaseRuns || answer.code == reason::kReadingTail ||
      answer.code == reason::kBetterMissing) {
    return;
  }
  if (refused_for_ == answer.code) return;
  refused_for_ = answer.code;
  Decision decision = NewDecision(DecisionKind::kRefusal, state_.epoch);
  decision.survivor = state_.master;
  decision.finding = trouble.sentence;
  (void)Refuse(std::move(decision), Error(ErrorCode::kConflict, answer.sentence), answer.code);
}

void GroupRunner::NoteTrouble(const Finding& trouble) {
  // One that others see alive is not lost.
  if (trouble.code == FindingCode::kMasterOutOfSight) {
    lost_since_ms_.reset();
  } else if (!lost_since_ms_) {
    lost_since_ms_ = environment_.NowMs();
  }
  if (trouble_ == trouble.code) return;
  trouble_ = trouble.code;
  trouble_since_ms_ = environment_.NowMs();
  Warn(trouble.sentence);
}

Task<void> GroupRunner::WatchMaster() {
  if (state_.management != Management::kManaged) {
    lost_since_ms_.reset();
    waits_.clear();
    waits_code_.clear();
    co_return;
  }
  auto trouble = FindMasterTrouble(Snapshot());
  if (!trouble) {
    trouble_.reset();
    lost_since_ms_.reset();
    master_probe_.reset();
    seen_replica_.reset();
    refused_for_.clear();
    waits_.clear();
    waits_code_.clear();
    failed_failovers_ = 0;
    next_failover_ms_ = 0;
    for (const auto& finding : FindIn(Snapshot())) {
      if (finding.code == FindingCode::kMasterRefusesWrites || finding.code == FindingCode::kMasterLeaving)
        co_await SwitchAwayFrom(finding);
    }
    co_return;
  }
  NoteTrouble(*trouble);
  const bool looked = co_await LookForMaster(*trouble);
  if (looked) trouble = FindMasterTrouble(Snapshot());
  if (!trouble) co_return;
  NoteTrouble(*trouble);

  const GroupSnapshot snapshot = Snapshot();
  FailoverFacts facts;
  facts.now_ms = environment_.NowMs();
  facts.unix_ms = environment_.UnixMs();
  facts.lease_until_ms = lease_until_ms_;
  facts.since_ms = trouble_since_ms_;
  facts.failing_over = fleet_.failing_over;
  const auto chosen = ChooseCandidate(RankCandidates(snapshot, "", RulesFor(snapshot)), std::nullopt);
  if (chosen) {
    facts.best_last = chosen->last;
  } else {
    facts.nobody_eligible = chosen.error().Message();
  }
  GateAnswer gate = JudgeFailover(snapshot, *trouble, facts);
  if (Mutated(Mutation::kWaitForEver))
    gate = {Gate::kWait, reason::kLeaseRuns, "a mutation of the core", 1000, false};
  // 1. n1 is to follow n2, and its relay dials. 2. n2's machine crashes, loses the end of its WAL, and is
  // back.
  // 3. n2 is promoted again, and writes past where n1 stands. 4. The relay of 1 gets through: the number
  // fits, and the histories differ. So whoever is being sent to the old master is waited for before that is
  // the new one.
  const bool again = chosen && chosen->node == state_.master;
  const auto sent =
      std::find_if(nodes_.begin(), nodes_.end(), [](const auto& item) { return item.second.view.rejoining; });
  if (gate.gate == Gate::kGo && again && sent != nodes_.end()) {
    gate = {Gate::kWait, "", "the rejoin of " + sent->first + " is being carried out", 50, false};
  }
  if (gate.gate == Gate::kGo && facts.now_ms < next_failover_ms_) {
    gate = {Gate::kWait, "", "the last attempt failed; the next one follows",
            next_failover_ms_ - facts.now_ms, false};
  }
  if (gate.gate != Gate::kGo) {
    waits_ = "no failover yet: " + gate.sentence;
    waits_code_ = gate.code;
    if (gate.wait_ms > 0) wake_in_ms_ = std::min(wake_in_ms_, gate.wait_ms);
    RecordRefusal(*trouble, gate);
    co_return;
  }
  waits_.clear();
  waits_code_.clear();
  co_await FailOver(*trouble);
}

Task<void> GroupRunner::FailOver(Finding trouble) {
  const Busy busy(busy_, "failover");
  const Counted counted(fleet_.failing_over);
  Decision decision = NewDecision(DecisionKind::kFailover, NextEpoch());
  decision.survivor = state_.master;
  decision.finding = trouble.sentence;
  if (lost_since_ms_) decision.noticed_ms = environment_.UnixMs() - (environment_.NowMs() - *lost_since_ms_);
  // The newest of everybody, so that the most advanced one is chosen by what it holds now.
  co_await RefreshAll();
  const GroupSnapshot snapshot = Snapshot();
  // What was judged must still be so: a master that was down, and whose agent is silent now, is another
  // matter.
  const auto now = FindMasterTrouble(snapshot);
  if (!now || now->code != trouble.code || !MayReplaceMaster(snapshot, &decision)) {
    Wake();
    co_return;
  }
  OperatorRequest request;
  request.rescue = given_up_in_ != state_.epoch;
  if (!request.rescue) request.reason = "its rescue was tried in vain";
  auto planned = co_await PlanFailover(&decision, request, RulesFor(snapshot));
  if (!planned) {
    GateAnswer none{Gate::kNo, reason::kNotEligible, planned.error().Message(), 0, false};
    RecordRefusal(trouble, none);
    co_return;
  }
  if (Snapshot().LiveMaster() != nullptr) co_return;
  const std::string promoted = decision.node;
  auto answer = co_await CarryOutPromotion(std::move(decision), 0);
  const bool done = answer && answer->outcome && answer->outcome->outcome == Outcome::kDone;
  if (done) {
    failed_failovers_ = 0;
    next_failover_ms_ = 0;
    co_return;
  }
  const bool given_up = given_up_in_ == state_.epoch;  // it goes on at once, without the rescue
  const int doublings = std::min(failed_failovers_++, 6);
  next_failover_ms_ =
      given_up ? 0 : environment_.NowMs() + std::min(kLastRetryMs, kFirstRetryMs << doublings);
  Wake();
}

// 1. A pod is gone, and with it the node's agent. 2. Its address is given to another, of another group. 3.
// The server there would be asked, and made a replica, in this node's place. So a node is looked for at an
// address that may be another's only while its pod is known to be there.
bool GroupRunner::AddressStands(const Node& node) const {
  if (node.settings.own_address) return true;
  if (!node.view.report || node.view.report->endpoint.host.empty()) return false;
  const std::string& host = node.view.report->endpoint.host;
  const bool v6 = host.find(':') != std::string::npos;
  const std::string address = "://" + (v6 ? "[" + host + "]" : host) + ":";
  return node.settings.agent.starts_with("http" + address) ||
         node.settings.agent.starts_with("https" + address);
}

// A master that lives and cannot write is no use to anybody, and one that is about to be stopped will be
// none. Nothing is lost by changing it. Whoever stops a server has asked for it, so neither the block after a
// failover nor automatic: false holds that back; and there is little time.
Task<void> GroupRunner::SwitchAwayFrom(Finding finding) {
  const std::int64_t now = environment_.NowMs();
  const bool leaving = finding.code == FindingCode::kMasterLeaving;
  if (state_.paused || state_.maintenance.contains(state_.master)) co_return;
  if (switching_away_ || now < next_switchover_ms_) co_return;
  const bool blocked = environment_.UnixMs() < state_.blocked_until_ms;
  if (!leaving && (!settings_.failover.automatic || blocked)) co_return;
  bool somebody = false;
  const GroupSnapshot snapshot = Snapshot();
  CandidateRules rules;
  rules.not_leaving = true;
  for (const auto& candidate : RankCandidates(snapshot, state_.master, rules)) {
    somebody = somebody || (candidate.eligible && InService(snapshot, *snapshot.Find(candidate.node)));
  }
  if (!somebody) co_return;
  next_switchover_ms_ = now + (leaving ? kLeavingRetryMs : kLastRetryMs);
  OperatorRequest request;
  request.reason = finding.sentence;
  request.node = finding.node;
  request.reason_code = leaving ? reason::kMasterLeaving : reason::kMasterRefusesWrites;
  // It takes the lock itself.
  tasks_.Spawn(SwitchAwayTask(std::move(request)));
}

Task<void> GroupRunner::SwitchAwayTask(OperatorRequest request) {
  const bool leaving = request.reason_code == reason::kMasterLeaving;
  struct Away {
    bool& flag;
    explicit Away(bool& it) : flag(it) { flag = true; }
    ~Away() { flag = false; }
  };
  const Away away(switching_away_);
  auto answer = co_await OrderSwitchover(std::move(request));
  const bool done = answer && answer->outcome && answer->outcome->outcome == Outcome::kDone;
  if (!done || leaving) co_return;
  GroupState state = state_;
  state.blocked_until_ms = environment_.UnixMs() + settings_.failover.block_ms;
  state_ = state;
}

// 1. The agent of a node is gone for long; its server is restarted by hand, not as a replica of its relay. 2.
// It is a second master, and nobody sees it. So the servers of such nodes are looked at directly, and held.
Task<void> GroupRunner::FenceStrays() {
  if (state_.management != Management::kManaged) co_return;
  for (auto& [name, node] : nodes_) {
    const std::int64_t now = environment_.NowMs();
    if (name == state_.master || !node.view.report || now < node.next_probe_ms) continue;
    if (!AddressStands(node)) continue;
    if (now - node.heard_ms < kStrayProbeMs || node.busy) continue;
    node.next_probe_ms = now + kStrayProbeMs;
    node.busy = true;
    tasks_.Spawn(FenceStray(name));
  }
}

Task<void> GroupRunner::FenceStray(std::string name) {
  const Report seen = *nodes_.at(name).view.report;
  auto role =
      co_await Answer<Result<Role>>([&](auto done) { environment_.Probe(seen.endpoint, std::move(done)); });
  const bool stray = role && *role == Role::kMaster && seen.relay_endpoint.port != 0 &&
                     name != state_.master && !state_.suspects.contains(name);
  if (stray) {
    const std::string finding =
        "the agent of " + name + " does not answer, and its server is a master that nobody made one";
    co_await FenceDirectly(name, finding);
  }
  nodes_.at(name).busy = false;
  Wake();
}

}  // namespace walstitch::core
