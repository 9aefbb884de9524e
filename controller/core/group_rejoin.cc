// Rejoining: evidence, verdict, record, steps, outcome, for one node that does not follow the master.
#include <algorithm>
#include <boost/json.hpp>

#include "controller/core/decide.h"
#include "controller/core/group_runner.h"
#include "controller/core/mutation.h"
#include "controller/core/plan.h"
#include "controller/core/repair.h"
#include "policies/model/json.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

constexpr std::int64_t kHoldRetryMs = 1000;
constexpr std::int64_t kQueueRetryMs = 2000;
constexpr std::int64_t kAttachingRetryMs = 50;
// A node that has not come to its relay by then is in no state to come by itself.
constexpr int kAttachingLooks = 100;
// A full sync that moves no byte for so long is given up.
constexpr std::int64_t kFullSyncPatienceMs = 300000;
constexpr std::int64_t kRejoinPatienceMs = 5000;
// A link that broke may hold again: a splice that failed is no reason against another one for ever.
constexpr std::int64_t kSpliceFailuresCountMs = 600000;
constexpr int kMostRepairs = 4;
// Borrowing that breaks every time is not the way; and a node that may lend is looked for so often, once a
// second.
constexpr int kMostBorrows = 5;
constexpr int kLenderLooks = 5;
constexpr std::int64_t kFirstBackoffMs = 500;
constexpr std::int64_t kLastBackoffMs = 60000;

// What makes a hold another one. Not the sentences: their numbers move with every write.
std::string CodesOf(const VerdictDecision& verdict) {
  std::string codes;
  for (const auto& reason : verdict.reasons) codes += reason.code + "\n";
  for (const auto& keyspace : verdict.keyspaces) codes += keyspace.keyspace + "\n";
  return codes;
}

std::string NotSalvaged(const std::string& why) {
  return why.empty() ? "" : "; its tail was given up without a salvage, as the policy allows: " + why;
}

bool Borrows(const Decision& decision) {
  return decision.verdict->verdict == Verdict::kAligned && decision.evidence && !decision.evidence->target &&
         decision.evidence->borrow;
}

// From where on a rejoiner that was carried through shares the survivor's stream, at the latest.
Sequence JoinedAt(const Decision& decision, std::optional<Sequence> met) {
  if (decision.verdict->verdict == Verdict::kSpliced) return *met;
  return Borrows(decision) ? decision.evidence->borrow->range.to : *decision.evidence->target;
}

std::uint64_t BytesToNode(const Report& report) {
  return report.relay.bytes_forwarded + report.relay.full_sync_bytes;
}

}  // namespace

void GroupRunner::Backoff(Node& node) {
  const int doublings = std::min(node.failures, 7);
  node.next_try_ms = environment_.NowMs() + std::min(kLastBackoffMs, kFirstBackoffMs << doublings);
  ++node.failures;
}

void GroupRunner::StartRejoin(Node& node) {
  node.busy = true;
  tasks_.Spawn(RejoinTask(node.settings.name));
}

Task<void> GroupRunner::RejoinTask(std::string name) {
  try {
    co_await Rejoin(name);
  } catch (const std::exception& problem) {
    Alarm("the rejoin of " + name + " failed: " + problem.what());
    Backoff(nodes_.at(name));
  }
  EndRejoin(name);
}

// One that an earlier run of the controller left open. As any rejoin, it does not hold up the group.
Task<void> GroupRunner::ResumedRejoin(Decision decision) {
  const std::string name = decision.node;
  try {
    co_await CarryOutRejoin(std::move(decision));
  } catch (const std::exception& problem) {
    Alarm("the rejoin of " + name + " failed: " + problem.what());
    Backoff(nodes_.at(name));
  }
  EndRejoin(name);
}

void GroupRunner::EndRejoin(const std::string& name) {
  Node& node = nodes_.at(name);
  node.busy = false;
  node.salvaging = false;
  node.view.rejoining = false;
  Wake();
}

// But for salvages: what follows one is not done once the group's master is being changed.
Task<void> GroupRunner::RejoinsEnd() {
  const std::int64_t give_up = environment_.NowMs() + kRejoinPatienceMs;
  for (;;) {
    const bool busy = std::any_of(nodes_.begin(), nodes_.end(), [](const auto& item) {
      return item.second.busy && !item.second.salvaging;
    });
    if (!busy || environment_.NowMs() >= give_up) co_return;
    co_await Sleep(10);
  }
}

Task<void> GroupRunner::Rejoin(std::string name) {
  Node& node = nodes_.at(name);
  const std::string master = state_.master;
  const std::uint64_t epoch = state_.epoch;
  // Reports come by push and may be a moment old: ask again before acting on them.
  const std::optional<Report> rejoiner = co_await Refresh(name);
  if (!rejoiner) {
    node.next_try_ms = environment_.NowMs() + kHoldRetryMs;
    co_return;
  }
  if (rejoiner->process != ProcessState::kUp || rejoiner->loading) co_return;
  const bool second_master =
      rejoiner->role == Role::kMaster && name != state_.master && !state_.suspects.contains(name);
  if (Snapshot().LiveMaster() == nullptr) {
    if (second_master && !switching_) {
      co_await ParkFirst(name, name + " accepts writes, but nobody made it a master");
    }
    co_return;
  }
  const std::optional<Report> survivor = co_await Refresh(master);
  if (!survivor) {
    node.next_try_ms = environment_.NowMs() + kHoldRetryMs;
    co_return;
  }
  const GroupSnapshot snapshot = Snapshot();
  const auto superseded = [&] { return switching_ || state_.master != master || state_.epoch != epoch; };
  if (superseded() || snapshot.LiveMaster() == nullptr) co_return;
  const bool stuck = node.behind_since_ms >= 0 &&
                     environment_.NowMs() - node.behind_since_ms >= settings_.failover.stuck_feed_ms;
  const bool falls_behind = InService(snapshot, *snapshot.Find(name)) && MayCopyAfresh(snapshot, name);
  if (InService(snapshot, *snapshot.Find(name)) && !stuck && !falls_behind) co_return;
  if (!Fenced(*rejoiner) || !rejoiner->relay.node_attached) {
    const bool attaching = rejoiner->role == Role::kReplica && rejoiner->upstream_is_relay &&
                           rejoiner->relay.state == RelayState::kParked;
    if (attaching && ++node.attaching < kAttachingLooks) {  // it reconnects to its relay within a second
      node.next_try_ms = environment_.NowMs() + kAttachingRetryMs;
      co_return;
    }
    node.attaching = 0;
    // Not within the co_await: GCC 12 destroys the temporaries of its conditional operator twice.
    const std::string does =
        rejoiner->role == Role::kMaster ? " accepts writes, but " + state_.master + " is the master"
        : attaching                     ? " does not come to its relay by itself"
        : stuck                         ? " stands still behind master " + state_.master
        : falls_behind
            ? " falls behind master " + state_.master + ", whose WAL will soon not hold what it needs next"
        : rejoiner->relay.upstream == survivor->endpoint
            ? " follows master " + state_.master + ", but its rejoin was not finished"
            : " follows something else than master " + state_.master;
    std::string finding = name + does;
    co_await ParkFirst(name, std::move(finding));
    co_return;
  }

  node.attaching = 0;
  Decision decision = co_await DecideRejoin(name, *rejoiner, *survivor, environment_.NewId());
  // Gathering the evidence takes its time: what it was gathered for may be over.
  const Report* now = node.view.report ? &*node.view.report : nullptr;
  if (superseded() || now == nullptr || !Fenced(*now) || now->last != rejoiner->last) {
    node.next_try_ms = environment_.NowMs() + kAttachingRetryMs;
    co_return;
  }
  const Verdict verdict = decision.verdict->verdict;
  if (verdict == Verdict::kHold && !decision.plan.empty()) {
    std::string advanced = master + " was advanced past " + name + ", which is decided on anew";
    co_await CarryOutBefore(name, std::move(decision), std::move(advanced));
    co_return;
  }
  if (verdict == Verdict::kHold) {
    RecordHold(node, std::move(decision));
    co_return;
  }
  if (verdict == Verdict::kFull && !MayFullSync(node, decision)) co_return;
  node.held_for.clear();
  node.queued.clear();
  node.full_sync_queued = false;
  if (Mutated(Mutation::kUndecidedFullSync) && verdict == Verdict::kPadded) {
    decision.plan = {{name, FullSyncAction{survivor->endpoint}, "a mutation of the core"}};
    co_await RunCommand(decision, CommandOf(decision, 0));
    co_return;
  }
  begun_here_.insert(decision.id);
  // Until it has joined, what it is given belongs to no stream.
  std::optional<GroupState> begun;
  if (verdict == Verdict::kSpliced || verdict == Verdict::kPadded || Borrows(decision))
    ApplyBegun(begun.emplace(state_), name, *decision.evidence->rejoiner.last);
  // 1. One more full sync may run, and two nodes see that. 2. Both decisions are being written. 3. Both
  // begin. So its place is taken while it is written, and it counts as a node that is copied; Execute takes
  // both anew, with nothing in between.
  const bool takes_place = verdict == Verdict::kFull;
  const std::string zone = node.settings.zone;
  if (takes_place) {
    fleet_.full_syncs.Begin(zone);
    node.view.rejoining = true;
  }
  const auto membership = state_.nodes.find(name);
  const auto before = membership == state_.nodes.end() ? std::nullopt : std::optional(membership->second);
  Undo undo;
  if (begun) {
    undo = [name, before](GroupState& state) {
      if (before) state.nodes[name] = *before;
      if (!before) state.nodes.erase(name);
    };
  }
  auto written = co_await WriteDown(decision, begun, undo);
  if (takes_place) {
    fleet_.full_syncs.End(zone);
    node.view.rejoining = false;
  }
  if (!written) {
    Backoff(node);
    co_return;
  }
  Info(decision.id + " rejoin of " + name + ": verdict " + std::string(ToString(verdict)) + ": " +
       decision.verdict->reasons.front().sentence);
  environment_.FaultPoint("after-decision");
  co_await CarryOutRejoin(std::move(decision));
}

// A node must stand still before its evidence is worth anything. Parking it changes its role, so it is a
// decision of its own.
Task<void> GroupRunner::ParkFirst(std::string name, std::string finding) {
  Decision decision = NewDecision(DecisionKind::kRejoin, state_.epoch);
  decision.node = name;
  decision.survivor = state_.master;
  decision.finding = std::move(finding);
  VerdictDecision verdict;
  verdict.verdict = Verdict::kHold;
  verdict.reasons = {{std::string(reason::kNotParked),
                      name + " is parked first: evidence is gathered of a node that stands still"}};
  decision.verdict = std::move(verdict);
  decision.plan = {{name, ParkAction{}, "hold it read-only until its rejoin is decided"}};
  co_await CarryOutBefore(name, std::move(decision), name + " is parked");
}

Task<void> GroupRunner::CarryOutBefore(std::string name, Decision decision, std::string done) {
  Node& node = nodes_.at(name);
  begun_here_.insert(decision.id);
  if (auto written = co_await WriteDown(decision, std::nullopt); !written) {
    Backoff(node);
    co_return;
  }
  const Execution execution = co_await Execute(decision);
  OutcomeRecord outcome;
  outcome.outcome = execution.outcome;
  outcome.sentence = execution.outcome == Outcome::kDone ? done : execution.error;
  (void)Close(decision, outcome, nullptr);
  if (execution.outcome != Outcome::kDone) {
    NoteSpliceFailure(node, execution);
    Backoff(node);
  }
  Wake();
}

void GroupRunner::NoteSpliceFailure(Node& node, const Execution& execution) {
  if (!execution.in_splice) return;
  ++node.splices_failed;
  node.splice_failure = execution.error;
  node.splice_epoch = state_.epoch;
  node.splice_failed_ms = environment_.NowMs();
}

// Keys that are not equal are no accident of a link: the next verdict must not rest on the same means.
void GroupRunner::NoteRepairFailure(Node& node, const Execution& execution) {
  if (node.repair_epoch != state_.epoch) node.repairs_failed = 0;
  // Nor is it for ever tried anew where it never comes to its end.
  const bool too_often = execution.of_keys && ++node.repairs_failed >= kMostRepairs;
  if (!execution.unequal && !too_often) {
    node.repair_epoch = state_.epoch;
    return;
  }
  node.repair_failure = execution.error;
  node.repair_epoch = state_.epoch;
}

void GroupRunner::NoteBorrowFailure(Node& node, const Execution& execution) {
  if (!execution.in_borrow) return;
  ++node.borrows_failed;
  node.borrow_failure = execution.error;
  node.borrow_epoch = state_.epoch;
}

void GroupRunner::AddLenders(const Node& node, Lenders lenders, const PolicyLimits& limits,
                             EvidenceQuestion* question) {
  if (limits.borrow_bytes == 0) {
    question->no_lenders = "the policy lets nothing be borrowed (limits.borrow)";
  } else if (node.borrow_epoch == state_.epoch && node.borrows_failed >= kMostBorrows) {
    question->no_lenders = "borrowing has failed " + std::to_string(node.borrows_failed) +
                           " times in a row: " + node.borrow_failure;
  } else if (lenders.offers.empty()) {
    question->no_lenders = "no other node is in service";
  } else {
    question->lenders = std::move(lenders.offers);
    for (LenderOffer& offer : question->lenders) offer.agent = nodes_.at(offer.report.node).settings.agent;
  }
}

// A node that may lend is not heard for a moment, or is about to come into service itself, as after a
// failover: it is waited for a while, rather than that everything is copied.
void GroupRunner::AwaitLender(Node& node, bool coming, Evidence* evidence) {
  if (!NeedsLender(*evidence) || evidence->borrow) {
    node.lender_looks = 0;
    return;
  }
  if ((!coming && !evidence->lender_unheard) || node.lender_looks >= kLenderLooks) return;
  ++node.lender_looks;
  evidence->missing.push_back("what another node could lend: " + evidence->borrow_note);
  evidence->expected_to_come = true;
}

Task<Decision> GroupRunner::DecideRejoin(std::string name, Report rejoiner, Report survivor, std::string id) {
  Decision decision = NewDecision(DecisionKind::kRejoin, state_.epoch);
  decision.id = std::move(id);
  decision.node = name;
  decision.survivor = state_.master;
  decision.finding = name + " is parked and does not follow master " + state_.master;
  const Endpoint endpoint = survivor.endpoint;
  TolerancePolicy policy = environment_.Policy();  // one policy from the question to the verdict
  if (Mutated(Mutation::kIgnorePolicy)) {
    policy.keyspaces.clear();
    policy.default_tolerance = Tolerance::kIgnore;
  }
  EvidenceQuestion question{std::move(rejoiner), std::move(survivor),
                            KnownBetween(state_, name, state_.master), policy.limits};
  Lenders lenders = FindLenders(Snapshot(), name);
  const bool coming = lenders.coming && policy.limits.borrow_bytes > 0;
  AddLenders(nodes_.at(name), std::move(lenders), policy.limits, &question);
  decision.evidence = co_await Answer<Evidence>(
      [&](auto done) { environment_.CollectEvidence(std::move(question), std::move(done)); });
  if (Mutated(Mutation::kTrustTheNumber)) {
    for (auto* touched : {&decision.evidence->tail, &decision.evidence->missed}) {
      if (*touched) (*touched)->keys.clear();
    }
  }
  Node& node = nodes_.at(name);
  if (!decision.id.empty()) AwaitLender(node, coming, &*decision.evidence);
  // Of another master, or of long ago, they tell nothing.
  const bool over = node.splice_epoch != state_.epoch ||
                    environment_.NowMs() - node.splice_failed_ms >= kSpliceFailuresCountMs;
  if (over) node.splices_failed = 0;
  decision.evidence->splices_failed = node.splices_failed;
  if (node.splices_failed > 0) decision.evidence->splice_failure = node.splice_failure;
  if (node.repair_epoch == state_.epoch) decision.evidence->repair_failure = node.repair_failure;
  const std::vector<UserKeyName> mended = KeysToMend(policy, *decision.evidence);
  if (!mended.empty()) {
    auto known = co_await Answer<Result<RepairableAnswer>>(
        [&](auto done) { environment_.FindUnrepairable(decision.survivor, mended, std::move(done)); });
    if (known) {
      NoteTypes(mended, known->types, &*decision.evidence);
      decision.evidence->unrepairable.emplace();
      for (auto& one : known->cannot) decision.evidence->unrepairable->push_back({mended[one.at], one.why});
    } else {
      decision.evidence->missing.push_back("what " + decision.survivor +
                                           " has of the keys to be made equal: " + known.error().Message());
      decision.evidence->expected_to_come = true;
    }
  }
  decision.evidence->endangered = FindEndangered(Snapshot(), name, policy, environment_.UnixMs());
  decision.verdict = Decide(*decision.evidence, policy);
  decision.plan =
      PlanRejoin(decision.id, decision.verdict->verdict, *decision.evidence, endpoint, policy.padding);
  const std::string& survivor_url = nodes_.at(decision.survivor).settings.agent;
  for (auto& step :
       PlanRepairs(decision.id, decision.verdict->verdict, *decision.evidence, policy, survivor_url)) {
    decision.plan.push_back(std::move(step));
  }
  if (decision.verdict->reasons.front().code == reason::kAdvancedFirst) {
    decision.plan = PlanAdvance(decision.id, *decision.evidence);
  }
  for (auto& step : decision.plan) {
    auto* full_sync = std::get_if<FullSyncAction>(&step.action);
    if (full_sync != nullptr) full_sync->bytes_per_second = fleet_.full_syncs.bytes_per_second;
    auto* salvage = std::get_if<SalvageAction>(&step.action);
    if (salvage != nullptr) salvage->required = policy.salvage == SalvageRule::kRequired;
    auto* borrow = std::get_if<RescueAction>(&step.action);
    if (borrow != nullptr) borrow->max_bytes = policy.limits.borrow_bytes;
  }
  co_return decision;
}

// A node that is held is looked at again and again; it is recorded once per change of reason.
void GroupRunner::RecordHold(Node& node, Decision decision) {
  node.next_try_ms = environment_.NowMs() + kHoldRetryMs;
  std::string reasons = CodesOf(*decision.verdict);
  node.full_sync_queued = false;
  node.queued = "on hold: " + decision.verdict->reasons.front().sentence;
  if (reasons == node.held_for) return;
  if (auto written = environment_.Store().AppendDecision(decision, nullptr); !written) {
    NoteStoreProblem(written.error());
    return;
  }
  node.held_for = std::move(reasons);
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  outcome.sentence = "stays parked: " + decision.verdict->reasons.front().sentence;
  (void)Close(decision, outcome, nullptr);
}

bool GroupRunner::MayFullSync(Node& node, const Decision& decision) {
  const auto why_not = WhyNoFullSync(Snapshot(), node.settings.name, fleet_.full_syncs);
  if (!why_not) return true;
  if (why_not->code == reason::kFullSyncQueued) {
    // A queue moves by itself, and is no decision.
    node.queued = "verdict full: " + why_not->sentence;
    node.full_sync_queued = true;
    node.next_try_ms = environment_.NowMs() + kQueueRetryMs;
    return false;
  }
  Decision hold = decision;
  hold.verdict->verdict = Verdict::kHold;
  hold.verdict->reasons.insert(hold.verdict->reasons.begin(), *why_not);
  hold.plan.clear();
  RecordHold(node, std::move(hold));
  return false;
}

FullSyncProgress GroupRunner::ProgressOfFullSync(const std::string& name) const {
  const OpenFullSync& open = full_syncs_.at(name);
  const Node& node = nodes_.at(name);
  const auto survivor = nodes_.find(open.decision.survivor);
  std::optional<std::uint64_t> of_bytes;
  if (survivor != nodes_.end() && survivor->second.view.report)
    of_bytes = survivor->second.view.report->data_bytes;
  const std::uint64_t now = node.view.report ? BytesToNode(*node.view.report) : open.bytes_before;
  const std::uint64_t bytes = now >= open.bytes_before ? now - open.bytes_before : 0;
  return ProgressOf(bytes, of_bytes, environment_.NowMs() - open.begun_ms);
}

Task<void> GroupRunner::CarryOutRejoin(Decision decision) {
  const std::string name = decision.node;
  Node& node = nodes_.at(name);
  Node& master = nodes_.at(decision.survivor);
  const std::uint64_t bytes_before = node.view.report ? BytesToNode(*node.view.report) : 0;
  OutcomeRecord outcome;
  if (master.view.report) outcome.survivor_before = master.view.report->counters;

  const bool full = decision.verdict->verdict == Verdict::kFull;
  const bool spliced = decision.verdict->verdict == Verdict::kSpliced;
  Execution execution = co_await Execute(decision);
  if (spliced && execution.outcome == Outcome::kDone && !execution.met) {
    execution.outcome = Outcome::kUnknown;
    execution.error = "the agent does not say where the numbers met";
  }
  if (full && execution.outcome == Outcome::kDone) {
    const std::int64_t now = environment_.NowMs();
    full_syncs_[name] = {decision, bytes_before,      outcome.survivor_before, bytes_before,  now,
                         now,      execution.salvage, execution.not_salvaged,  execution.zone};
    co_return;
  }
  outcome.outcome = execution.outcome;
  outcome.salvage = execution.salvage;
  outcome.keys = execution.keys;
  outcome.took_ms = environment_.UnixMs() - decision.time_ms;
  co_await Refresh(decision.survivor);
  co_await Refresh(name);
  if (master.view.report) outcome.survivor_after = master.view.report->counters;
  if (node.view.report && BytesToNode(*node.view.report) >= bytes_before) {
    outcome.bytes_to_node = BytesToNode(*node.view.report) - bytes_before;
  }
  GroupState state = state_;
  const bool superseded = Superseded(decision);
  if (superseded) {
    // It may follow the old master by now; it is looked at again, and its place in the streams is as before.
    outcome.outcome = execution.outcome == Outcome::kUnknown ? Outcome::kUnknown : Outcome::kFailed;
    outcome.sentence = "the group's master was changed in between; " + name + " will be looked at again";
  } else if (execution.outcome == Outcome::kDone) {
    // A prefix shares all that was known to be shared before; a stitched node only what comes after.
    const KnownHistory known = KnownBetween(state_, name, decision.survivor);
    // The batches before the place where the numbers met are other ones on either side, for ever.
    Sequence from = JoinedAt(decision, execution.met);
    if (decision.verdict->verdict == Verdict::kAligned && known.shared_from)
      from = std::min(from, *known.shared_from);
    ApplyJoin(state, name, from);
    outcome.sentence = name + " follows " + decision.survivor + " again" +
                       (outcome.keys ? "; " + Describe(*outcome.keys) : "") +
                       NotSalvaged(execution.not_salvaged);
    const auto& before = outcome.survivor_before;
    const auto& after = outcome.survivor_after;
    const auto& plan = decision.plan;
    const bool natively = std::any_of(plan.begin(), plan.end(), [](const PlanStep& step) {
      return std::holds_alternative<OfferPaddingAction>(step.action);
    });
    if (natively && before && after && after->sync_partial_padding <= before->sync_partial_padding) {
      outcome.sentence += "; " + decision.survivor + " counted no padded partial sync, though it padded one";
    }
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
    node.next_try_ms = 0;
    node.splices_failed = 0;
    node.repair_failure.clear();
    node.repairs_failed = 0;
    node.borrows_failed = node.lender_looks = 0;
    node.view.resume_falls = 0;
  } else {
    NoteSpliceFailure(node, execution);
    NoteRepairFailure(node, execution);
    NoteBorrowFailure(node, execution);
    outcome.sentence =
        execution.error + "; " + name +
        (execution.of_keys ? " is out of service, and will be decided on anew" : " stays parked");
    node.full_sync_queued = false;
    node.queued = "the last attempt failed: " + outcome.sentence;
    Backoff(node);
  }
  environment_.FaultPoint("before-outcome");
  (void)Close(decision, outcome, !superseded && execution.outcome == Outcome::kDone ? &state : nullptr);
}

Task<void> GroupRunner::WatchFullSyncs() {
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
        outcome.sentence = entry->first + " holds a full copy and follows " + open.decision.survivor +
                           NotSalvaged(open.not_salvaged);
      } else if (relay.state == RelayState::kParked || relay.state == RelayState::kIdle) {
        ended = true;
        outcome.outcome = Outcome::kFailed;
        outcome.sentence = "the full sync of " + entry->first +
                           " did not end: " + (relay.error.empty() ? "its relay is parked" : relay.error);
      }
    }
    if (!ended && report != nullptr && (report->loading || BytesToNode(*report) != open.bytes_seen)) {
      open.bytes_seen = BytesToNode(*report);
      open.progress_ms = environment_.NowMs();
    }
    if (!ended && environment_.NowMs() - open.progress_ms > kFullSyncPatienceMs) {
      ended = true;
      outcome.outcome = Outcome::kUnknown;
      outcome.sentence = "nothing was heard of the full sync of " + entry->first + " for " +
                         std::to_string(kFullSyncPatienceMs / 1000) + " s";
    }
    if (!ended) {
      ++entry;
      continue;
    }
    outcome.survivor_before = open.survivor_before;
    outcome.salvage = open.salvage;
    if (report != nullptr && BytesToNode(*report) >= open.bytes_before) {
      outcome.bytes_to_node = BytesToNode(*report) - open.bytes_before;
    }
    // The survivor's last report may be from before the sync that is to be counted.
    co_await Refresh(open.decision.survivor);
    const Node& survivor = nodes_.at(open.decision.survivor);
    if (survivor.view.report) outcome.survivor_after = survivor.view.report->counters;
    environment_.FaultPoint("before-outcome");
    // Not before the wait: others write theirs meanwhile. The copy is the survivor's whole history.
    GroupState state = state_;
    if (done) ApplyJoin(state, entry->first, Sequence(0));
    (void)Close(open.decision, outcome, done ? &state : nullptr);
    if (done) {
      node.failures = 0;
      node.splices_failed = 0;
      node.repair_failure.clear();
      node.repairs_failed = 0;
      node.borrows_failed = node.lender_looks = 0;
      node.next_try_ms = 0;
    } else {
      Backoff(node);
    }
    fleet_.full_syncs.End(open.zone);
    entry = full_syncs_.erase(entry);
  }
}

Task<boost::json::value> GroupRunner::MakePlan() {
  auto guard = co_await mutex_.Lock();
  co_await RefreshAll();
  const GroupSnapshot snapshot = Snapshot();
  boost::json::array items;
  const auto findings = FindIn(snapshot);
  for (const auto& finding : findings) {
    boost::json::object item{{"node", finding.node}, {"sentence", finding.sentence}};
    if (finding.code == FindingCode::kNodeToRejoin) {
      const std::optional<Report> rejoiner = co_await Refresh(finding.node);
      const std::optional<Report> survivor = co_await Refresh(state_.master);
      if (rejoiner && survivor) {
        const Decision decision = co_await DecideRejoin(finding.node, *rejoiner, *survivor, "");
        item["decision"] = ToJson(decision);
      }
    } else if (finding.code == FindingCode::kMasterProcessDown ||
               finding.code == FindingCode::kMasterParked ||
               finding.code == FindingCode::kMasterProcessHung ||
               finding.code == FindingCode::kMasterUnreachable || finding.code == FindingCode::kNewGroup) {
      auto chosen = ChooseCandidate(RankCandidates(snapshot, "", RulesFor(snapshot)), std::nullopt);
      item["sentence"] = finding.sentence +
                         (chosen ? ". " + chosen->node + " would be promoted (" + chosen->reason + ")"
                                 : ". " + chosen.error().Message()) +
                         (waits_.empty() ? "" : "; " + waits_);
    }
    items.push_back(std::move(item));
  }
  std::string sentence = items.empty() ? "nothing is to be done: every node is in service"
                                       : "what is the matter, and what would be decided now";
  co_return boost::json::value{
      {"group", settings_.name}, {"sentence", sentence}, {"items", std::move(items)}};
}

}  // namespace walstitch::core
