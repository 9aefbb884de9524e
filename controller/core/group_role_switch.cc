// Role switches: the first master of a new group, failover, switchover.
#include <algorithm>

#include "controller/core/failover_gate.h"
#include "controller/core/group_runner.h"
#include "controller/core/mutation.h"
#include "controller/core/plan.h"
#include "controller/core/rescue.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

// Beyond the time that a promise lasts, for its report to come.
constexpr std::int64_t kPromiseMarginMs = 500;

constexpr std::int64_t kCatchUpPollMs = 5;
constexpr std::int64_t kPromoteRepeatMs = 200;
constexpr int kPromoteRepeats = 10;
constexpr std::int64_t kRescueRepeatMs = 200;
// Keys of what a failover leaves behind that are named in its record; the rest is counted.
constexpr std::size_t kNamedKeys = 1000;

Reason OperatorAsked(const OperatorRequest& request, std::string_view what) {
  return {std::string(reason::kOperatorAsked), Asker(request.by) + " asked for a " + std::string(what) +
                                                   (request.to ? " to " + *request.to : std::string()) +
                                                   (request.force ? ", with --force" : "")};
}

bool HasReason(const Decision& decision, std::string_view code) {
  return std::any_of(decision.reasons.begin(), decision.reasons.end(),
                     [code](const Reason& given) { return given.code == code; });
}

// Nobody ordered it.
bool IsFailoverByItself(const Decision& decision) {
  return decision.kind == DecisionKind::kFailover && !HasReason(decision, reason::kOperatorAsked);
}

void AddCandidates(Decision& decision, const std::vector<Candidate>& ranked) {
  for (const auto& candidate : ranked) {
    decision.reasons.push_back({std::string(candidate.eligible ? reason::kCandidate : reason::kNotEligible),
                                candidate.node + ": " + candidate.reason});
  }
}

// 1. A master is about to be stopped, or two operators want it replaced, and what goes on already is waited
// for. 2. Meanwhile another has taken over. 3. That one is not about to be stopped, and nobody wants it
// replaced.
std::optional<std::string> WhyNotTheMasterAnyMore(const OperatorRequest& request, const GroupState& state) {
  if (request.node.empty() || request.node == state.master) return std::nullopt;
  return request.node + " is not the master any more" +
         (state.master.empty() ? "" : ": " + state.master + " is");
}

}  // namespace

// Replicas that still follow the old master are held until their own rejoin is decided; the promoted one
// takes no part any more.
void GroupRunner::AddParkSteps(Decision& decision, const std::string& promoted,
                               const std::string& old_master) {
  for (const auto& [name, view] : Snapshot().nodes) {
    const Report* report = view.Fresh();
    if (name == promoted || name == old_master || report == nullptr) continue;
    if (report->process != ProcessState::kUp || report->role != Role::kReplica) continue;
    if (full_syncs_.contains(name)) continue;
    decision.plan.push_back({name, ParkAction{}, "hold it until its rejoin to " + promoted + " is decided"});
  }
}

Task<OperatorAnswer> GroupRunner::Bootstrap(OperatorRequest request) {
  if (auto other = OtherMaster(Snapshot(), environment_.UnixMs(), ""); other && !request.force) {
    co_return Fail(ErrorCode::kConflict, *other);
  }
  Decision decision = NewDecision(DecisionKind::kBootstrap, NextEpoch());
  decision.finding = "a new group: every node is parked, no epoch is recorded";
  auto ranked = RankCandidates(Snapshot(), "");
  AddCandidates(decision, ranked);
  auto chosen = ChooseCandidate(ranked, request.to);
  if (!chosen) co_return Fail(chosen.error());
  decision.node = chosen->node;
  decision.reasons.insert(decision.reasons.begin(),
                          {std::string(reason::kMostAdvanced),
                           chosen->node + " is the most advanced node (" + chosen->reason + ")"});
  decision.plan = PlanPromotion(std::nullopt, chosen->node, chosen->last);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline_ms);
}

// Nobody is promoted before the old master is known not to take writes: 1. its agent is cut off, 2. the
// server goes on, 3. another node is promoted, 4. two masters take writes, and one side's are lost. The same
// holds for a node whose promotion was never answered. What it rests on becomes a reason of the decision.
//
// An Error of kUnavailable: not yet, for the lease runs; kConflict: not at all.
Result<void> GroupRunner::MayReplaceMaster(const GroupSnapshot& snapshot, Decision* decision) const {
  const std::string& old_master = decision->survivor;
  if (snapshot.LiveMaster() != nullptr) {
    return Fail(ErrorCode::kConflict,
                old_master + " is alive and the master: use switchover, which loses nothing");
  }
  if (HasReason(*decision, reason::kForced)) return {};
  const auto give = [decision](std::string_view code, std::string sentence) {
    if (!HasReason(*decision, code)) decision->reasons.push_back({std::string(code), std::move(sentence)});
  };
  if (auto other = OtherMaster(snapshot, environment_.UnixMs(), decision->node))
    return Fail(ErrorCode::kConflict, *other);
  const NodeView* master = snapshot.Find(old_master);
  const Report* report = master == nullptr ? nullptr : master->Fresh();
  if (report != nullptr && report->process == ProcessState::kDown) {
    give(reason::kMasterDown, "the process of " + old_master + " is down, says its own agent");
    return {};
  }
  if (report != nullptr && Fenced(*report)) {
    give(reason::kMasterParked, old_master + " is parked: it takes no writes");
    return {};
  }
  const auto trouble = FindMasterTrouble(snapshot);
  if (report == nullptr && snapshot.seen_replica) {
    if (snapshot.seen_replica->by_hand) {
      give(reason::kFencedDirectly, "the controller made the server of " + old_master + " read-only itself");
    } else {
      give(reason::kMasterParked, trouble->sentence);
    }
    return {};
  }
  if (trouble && trouble->code == FindingCode::kMasterOutOfSight) {
    return Fail(ErrorCode::kConflict,
                trouble->sentence + ". If you know that it is dead, stop it for good and use --force");
  }
  if (report != nullptr && report->process == ProcessState::kUp) {
    return Fail(ErrorCode::kConflict, "the server of " + old_master +
                                          " is no master and not held by its relay either: look at it, then "
                                          "fail over");
  }
  // A lease is all that its agent has, if that runs; without an agent, nobody hears the server either.
  const std::int64_t left = lease_until_ms_ - environment_.NowMs();
  if (left > 0 && !Mutated(Mutation::kPromoteWithinLease)) {
    return Fail(ErrorCode::kUnavailable,
                "the lease of " + old_master + " may run for another " + std::to_string(left) + " ms");
  }
  for (const auto& [name, view] : snapshot.nodes) {
    const Report* other = view.Fresh();
    if (other != nullptr && other->promised_left_ms.value_or(0) > 0) {
      return Fail(ErrorCode::kUnavailable, name + " has promised " + old_master +
                                               " not to be promoted for another " +
                                               std::to_string(*other->promised_left_ms) + " ms");
    }
  }
  give(report == nullptr ? reason::kMasterUnreachable : reason::kMasterHung,
       report == nullptr ? "nobody hears " + old_master : "the server of " + old_master + " does not answer");
  give(reason::kLeaseOver,
       "the lease of " + old_master + " has run out: its agent has parked it, if it runs");
  return {};
}

// Whether the old master is known to take no writes by more than its lease: then promises made to it are
// void.
bool GroupRunner::HolderFenced(const Decision& decision) const {
  return decision.kind == DecisionKind::kBootstrap || decision.kind == DecisionKind::kSwitchover ||
         HasReason(decision, reason::kForced) || HasReason(decision, reason::kMasterDown) ||
         HasReason(decision, reason::kMasterParked) || HasReason(decision, reason::kFencedDirectly);
}

// Whether the dead master's WAL goes on where the candidate's ends: both hold the same batch there. Empty: it
// does. A candidate without a batch of its own there, empty or fresh from a full sync, has nothing that could
// differ: its membership in the stream stands for it, and the tail must begin at a boundary (ReadTail).
Task<std::string> GroupRunner::WhyNotTheSameHistory(Candidate candidate) {
  if (candidate.last == Sequence(0)) co_return std::string();
  const std::string master = state_.master;
  // 1. The candidate was stitched to the master's stream right behind its last record: from here on both are
  // one, by record. 2. Before anything else came the master died. What stands before differs for ever.
  const KnownHistory known = KnownBetween(state_, candidate.node, master);
  if (known.same_stream && known.shared_from && *known.shared_from == candidate.last + 1)
    co_return std::string();
  const SequenceRange at{candidate.last, candidate.last + 1};
  auto ours = co_await Answer<Result<std::vector<BatchInfo>>>(
      [&](auto done) { environment_.Batches(candidate.node, at, 1, std::move(done)); });
  if (!ours && ours.error().Code() == ErrorCode::kNotFound) co_return std::string();
  if (!ours) co_return "the WAL of " + candidate.node + " does not tell: " + ours.error().Message();
  auto theirs = co_await Answer<Result<std::vector<BatchInfo>>>(
      [&](auto done) { environment_.Batches(master, at, 1, std::move(done)); });
  if (!theirs) co_return "the WAL of " + master + " does not tell: " + theirs.error().Message();
  const bool same = theirs->size() == 1 && ours->size() == 1 && theirs->front() == ours->front() &&
                    ours->front().End() == at.to;
  if (!same) co_return "their WALs hold different batches at " + candidate.last.ToString();
  co_return std::string();
}

// Chooses, and plans what has to happen before and after the promotion.
Task<Result<void>> GroupRunner::PlanFailover(Decision* decision, OperatorRequest request,
                                             CandidateRules rules) {
  const GroupSnapshot snapshot = Snapshot();
  auto ranked = RankCandidates(snapshot, "", rules);
  AddCandidates(*decision, ranked);
  if (Mutated(Mutation::kWorstCandidate)) {
    std::stable_partition(ranked.begin(), ranked.end(), [](const Candidate& one) { return one.eligible; });
    const auto eligible =
        std::count_if(ranked.begin(), ranked.end(), [](const Candidate& one) { return one.eligible; });
    std::reverse(ranked.begin(), ranked.begin() + eligible);
  }
  auto chosen = ChooseCandidate(ranked, request.to);
  if (!chosen) co_return Fail(chosen.error());
  const std::string master = state_.master;
  decision->node = chosen->node;
  decision->plan = PlanPromotion(std::nullopt, chosen->node, chosen->last);
  bool rescued = false;
  auto tail = FindTailOnDisk(snapshot, *chosen);
  if (tail && Mutated(Mutation::kSkipRescue)) tail->why_not = "a mutation of the core";
  if (tail) {
    if (tail->why_not.empty() && !request.rescue) {
      tail->why_not = request.reason.empty() ? "the operator wants it left there" : request.reason;
    }
    if (tail->why_not.empty()) tail->why_not = co_await WhyNotTheSameHistory(*chosen);
    if (tail->why_not.empty()) {
      const FailoverRules& bounds = environment_.Policy().failover;
      decision->plan = PlanRescue(master, nodes_.at(master).settings.agent, chosen->node, tail->range->to,
                                  bounds.rescue_bytes);
      decision->reasons.push_back({std::string(reason::kTailRescued),
                                   master + " holds " + tail->range->ToString() + " on its disk, and " +
                                       chosen->node + " takes it before it is promoted"});
      rescued = true;
    } else if (!tail->range) {
      decision->reasons.push_back({std::string(reason::kTailLeftBehind), tail->why_not});
    } else {
      std::string named;
      auto touched = co_await Answer<Result<Touched>>(
          [&](auto done) { environment_.ListTouched(master, *tail->range, kNamedKeys, std::move(done)); });
      if (touched) {
        decision->left_behind = std::move(*touched);
      } else {
        named = "; its keys are not known: " + touched.error().Message();
      }
      decision->reasons.push_back(
          {std::string(reason::kTailLeftBehind),
           master + " holds " + tail->range->ToString() + " on its disk, which " + chosen->node +
               " does not have (" + tail->why_not + "): these records are judged by the policy when " +
               master + " comes back; to lose none, start it again and fail over to it" + named});
    }
  }
  // 1. The old master's lease runs out while its last frames are still under way. 2. n2, the most advanced,
  // is chosen. 3. n3 applies a frame more, and would have been the better one. So unless it is known that
  // there is no more to come, everybody is made to stand still first, and looked at again.
  const NodeView* old_master = snapshot.Find(master);
  const Report* report = old_master == nullptr ? nullptr : old_master->Fresh();
  const bool has_all =
      report != nullptr && KnownFenced(snapshot) && report->last && chosen->last >= *report->last;
  if (!rescued && !has_all) {
    std::vector<PlanStep> holds;
    for (const auto& candidate : ranked) {
      if (!candidate.eligible || candidate.node == master) continue;
      holds.push_back({candidate.node, ParkAction{}, "nothing more shall reach it while the best is chosen"});
    }
    decision->plan.insert(decision->plan.begin(), holds.begin(), holds.end());
  } else {
    AddParkSteps(*decision, chosen->node, master);
  }
  co_return Result<void>{};
}

Task<OperatorAnswer> GroupRunner::OrderFailover(OperatorRequest request) {
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "failover");
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  if (auto other = WhyNotTheMasterAnyMore(request, state_)) co_return Fail(ErrorCode::kConflict, *other);
  co_await RefreshAll();
  if (state_.management != Management::kManaged) {
    const auto findings = FindIn(Snapshot());
    const auto code = findings.empty() ? FindingCode::kNodesMissing : findings.front().code;
    const bool told = code == FindingCode::kStoreLost && request.force && request.to;
    if (code == FindingCode::kNewGroup || told) co_return co_await Bootstrap(request);
    co_return Fail(ErrorCode::kConflict, "group " + settings_.name + " is not managed yet: " +
                                             (findings.empty() ? "" : findings.front().sentence));
  }
  CloseOpenPromotions("an operator asked for another failover");

  Decision decision = NewDecision(DecisionKind::kFailover, NextEpoch());
  decision.survivor = state_.master;
  decision.finding = "an operator wants a failover";
  decision.reasons.push_back(OperatorAsked(request, "failover"));
  if (const auto trouble = FindMasterTrouble(Snapshot()); trouble && !request.dry_run) {
    // What was seen of its server a moment ago may be over.
    next_probe_ms_ = 0;
    co_await LookForMaster(*trouble);
    while (!request.force && peers_asked_ > 0 && !KnownFenced(Snapshot())) co_await Sleep(20);
  }
  if (const auto trouble = FindMasterTrouble(Snapshot())) decision.finding = trouble->sentence;
  if (request.force) {
    decision.reasons.push_back(
        {std::string(reason::kForced), "the operator vouches that no other node of the group takes writes"});
  }
  Result<void> may = MayReplaceMaster(Snapshot(), &decision);
  // An agent that is gone is no hindrance, if the controller reaches the server itself; and a lease ends.
  if (!may && !request.dry_run && Snapshot().LiveMaster() == nullptr &&
      Snapshot().Find(state_.master) != nullptr && Snapshot().Find(state_.master)->Fresh() == nullptr) {
    co_await FenceMaster(decision.finding);
    may = MayReplaceMaster(Snapshot(), &decision);
  }
  while (!may && may.error().Code() == ErrorCode::kUnavailable && !request.dry_run) {
    co_await Sleep(50);
    may = MayReplaceMaster(Snapshot(), &decision);
  }
  if (!may) co_return Fail(request.dry_run ? may.error() : Refuse(std::move(decision), may.error()));
  // 1. The process dies in this moment. 2. Its agent says so at once, and looks at the disk. 3. Promoted in
  // between, the candidate would do without what stands there.
  const std::int64_t look_ends = environment_.NowMs() + kTailPatienceMs;
  while (request.rescue && !request.dry_run && TailIsBeingLookedFor(Snapshot()) &&
         environment_.NowMs() < look_ends) {
    co_await Sleep(20);
  }
  // Whoever did not follow the old master would give up what was written under it: the operator must say so.
  CandidateRules rules;
  rules.members_only = !request.to && !request.force && request.rescue;
  auto planned = co_await PlanFailover(&decision, request, rules);
  if (!planned) {
    co_return Fail(request.dry_run ? planned.error() : Refuse(std::move(decision), planned.error()));
  }
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline_ms);
}

// 1. The master heard nothing of the controller for a moment, and its peers promised it that nobody takes its
// place. 2. It hears again, and the promises stand for some seconds yet. 3. It is parked, nobody can be
// promoted before they are over, and the group has no master. So they are waited for while the master goes
// on: none is made anew while it hears.
Task<void> GroupRunner::PromisesEnd() {
  const std::int64_t give_up = environment_.NowMs() + settings_.failover.lease.duration_ms + kPromiseMarginMs;
  while (environment_.NowMs() < give_up) {
    const std::int64_t left = PromisedLeft(Snapshot());
    if (left <= 0) co_return;
    co_await Sleep(std::min(left, give_up - environment_.NowMs()));
    co_await RefreshAll();
  }
}

Task<OperatorAnswer> GroupRunner::OrderSwitchover(OperatorRequest request) {
  co_await RejoinsEnd();
  auto guard = co_await mutex_.Lock();
  const Busy busy(busy_, "switchover");
  if (!WriteUnclosed()) co_return Fail(ErrorCode::kUnavailable, store_problem_);
  if (auto other = WhyNotTheMasterAnyMore(request, state_)) co_return Fail(ErrorCode::kConflict, *other);
  co_await RefreshAll();
  co_await PromisesEnd();
  Decision decision = NewDecision(DecisionKind::kSwitchover, NextEpoch());
  decision.survivor = state_.master;
  decision.finding =
      request.reason.empty() ? "the group is healthy; an operator wants another master" : request.reason;
  if (request.reason.empty()) {
    decision.reasons.push_back(OperatorAsked(request, "switchover"));
  } else {
    decision.reasons.push_back({std::string(request.reason_code), request.reason});
  }
  const GroupSnapshot snapshot = Snapshot();
  auto refuse = [&](const std::string& sentence) {
    const Error error(ErrorCode::kConflict, sentence);
    return Fail(request.dry_run ? error : Refuse(decision, error));
  };
  if (state_.management != Management::kManaged) {
    co_return Fail(ErrorCode::kConflict,
                   "group " + settings_.name + " is not managed: run walstitch status " + settings_.name);
  }
  if (snapshot.LiveMaster() == nullptr)
    co_return refuse("the group has no living master to switch from: use failover");
  if (auto other = OtherMaster(snapshot, environment_.UnixMs(), "")) co_return refuse(*other);
  if (OpenRoleSwitch())
    co_return refuse("a role switch of an earlier run is still being finished: try again later");
  if (request.to == state_.master) co_return refuse(state_.master + " is the master already");
  // Only a node that follows now can have everything within the deadline.
  std::optional<Candidate> chosen;
  std::string rejected;
  CandidateRules rules;
  rules.not_leaving = true;
  for (const auto& candidate : RankCandidates(snapshot, state_.master, rules)) {
    const bool in_service = InService(snapshot, *snapshot.Find(candidate.node));
    const std::string why = !candidate.eligible ? candidate.reason
                            : in_service        ? ""
                                                : "it does not follow the master";
    decision.reasons.push_back({std::string(why.empty() ? reason::kCandidate : reason::kNotEligible),
                                candidate.node + ": " + (why.empty() ? candidate.reason : why)});
    if (!why.empty()) rejected += (rejected.empty() ? "" : "; ") + candidate.node + ": " + why;
    if (why.empty() && !chosen && (!request.to || *request.to == candidate.node)) chosen = candidate;
  }
  if (request.to && snapshot.Find(*request.to) == nullptr)
    co_return refuse("no node '" + *request.to + "' in this group");
  if (!chosen) co_return refuse("no node can take over: " + rejected);
  decision.node = chosen->node;
  decision.plan = PlanPromotion(state_.master, chosen->node, std::nullopt);
  AddParkSteps(decision, chosen->node, state_.master);
  if (request.dry_run) {
    decision.id.clear();
    co_return DecisionRecord{decision, {}, std::nullopt};
  }
  co_return co_await CarryOutPromotion(std::move(decision), request.deadline_ms);
}

// The old master takes over again after a switchover that did not come about. Gives the sentence for the
// outcome. `parked_at` is absent when parking itself failed: then it may never have stopped.
Task<std::string> GroupRunner::BackToOldMaster(Decision decision, std::optional<Sequence> parked_at) {
  const std::optional<Report> report = co_await Refresh(decision.survivor);
  if (!parked_at && report && report->process == ProcessState::kUp && report->role == Role::kMaster) {
    co_return decision.survivor + " never stopped being the master";
  }
  // 1. The old master's machine crashes while it is being parked, and loses the end of its WAL. 2. It is
  // back, parked, and behind its replicas. 3. Promoted blindly it would give up what they hold. So whoever
  // was not seen parked at a known place is chosen like any other.
  if (!parked_at) {
    co_return decision.survivor + " does not take writes any more: the next master is chosen by a failover" +
        (settings_.failover.automatic ? std::string() : "; run: walstitch failover " + decision.group);
  }
  Command command;
  command.id = decision.id + "-back";
  command.epoch = decision.epoch;
  command.group = decision.group;
  command.node = decision.survivor;
  command.action = PromoteAction{parked_at, MakeGrant(nodes_.at(decision.survivor)), true, decision.survivor};
  lease_until_ms_ =
      std::max(lease_until_ms_, GrantorDeadline(environment_.NowMs(), settings_.failover.lease));
  const CommandResult back = co_await RunCommand(decision, command);
  const std::optional<Sequence> at = back.last ? back.last : parked_at;
  if (back.outcome == Outcome::kDone && at) {
    GroupState state = state_;
    ApplyPromotion(state, decision.survivor, decision.epoch, *at);
    state_ = state;  // the store follows with the outcome
    co_return decision.survivor + " is the master again, nothing was lost";
  }
  co_return "and " + decision.survivor + " could not be made the master again: " + back.error +
      "; run: walstitch failover " + decision.group;
}

// Makes all that are eligible stand still, as the plan's first steps say, and looks whether the chosen one is
// still the best. Says why not.
Task<std::optional<std::string>> GroupRunner::HoldReplicas(Decision* decision, std::size_t* step) {
  for (; *step < decision->plan.size(); ++*step) {
    const PlanStep planned = decision->plan[*step];
    if (!std::holds_alternative<ParkAction>(planned.action)) break;
    const CommandResult held = co_await RunCommand(*decision, CommandOf(*decision, *step));
    if (held.outcome != Outcome::kDone && planned.node == decision->node) {
      co_return planned.node + " could not be held: " + held.error;
    }
  }
  const GroupSnapshot snapshot = Snapshot();
  const NodeView* chosen = snapshot.Find(decision->node);
  if (chosen->Fresh() == nullptr || !chosen->Fresh()->last) {
    co_return decision->node + " does not answer any more";
  }
  const Sequence last = *chosen->Fresh()->last;
  for (const auto& other : RankCandidates(snapshot, "", RulesFor(snapshot))) {
    const auto stream = state_.nodes.find(decision->node);
    if (!other.eligible || other.node == decision->node || other.last <= last) continue;
    if (stream == state_.nodes.end() || other.epoch < stream->second.epoch) continue;
    co_return other.node + " received more meanwhile (" + other.last.ToString() + ", " + decision->node +
        " " + last.ToString() + "): it is decided anew";
  }
  // 1. The dead master's WAL begins behind what the candidate holds, so nothing shows that the two are one
  // history, and its tail is left behind. 2. What was under way reaches the candidate. 3. Now its end may be
  // in that WAL, and the tail could be rescued. It stands still from here on, so this comes once.
  const bool by_itself = IsFailoverByItself(*decision);
  for (const auto& planned : decision->plan) {
    const auto* promote = std::get_if<PromoteAction>(&planned.action);
    const bool moved = promote != nullptr && promote->require_last && last > *promote->require_last;
    if (by_itself && moved && TailCanBeRead(snapshot, decision->node)) {
      co_return decision->node + " received more meanwhile (" + last.ToString() + "), and what " +
          decision->survivor + " has on its disk behind that can be taken: it is decided anew";
    }
  }
  // What it had when it was chosen is no longer all that it has.
  for (auto& planned : decision->plan) {
    if (auto* promote = std::get_if<PromoteAction>(&planned.action)) promote->require_last = last;
  }
  co_return std::nullopt;
}

// Again and again within the policy's time: a server that is just dying still holds its lock, an agent may be
// restarted. Says why it came to nothing; `given_up`: because its time is over, not because things changed.
Task<std::optional<std::string>> GroupRunner::RunRescue(Decision decision, std::size_t step, bool* given_up) {
  const std::int64_t end_ms = environment_.NowMs() + environment_.Policy().failover.rescue_timeout_ms;
  for (int attempt = 0;; ++attempt) {
    Command rescue = CommandOf(decision, step);
    if (attempt > 0) rescue.id += "-again-" + std::to_string(attempt);
    rescue.deadline_ms = std::clamp<std::int64_t>(end_ms - environment_.NowMs(), 100, 600000);
    const CommandResult rescued = co_await RunCommand(decision, std::move(rescue));
    if (rescued.outcome == Outcome::kDone) {
      // A later run must be able to tell from the record that the promotion may have followed.
      if (MayHavePromoted(RecordOf(decision))) co_return std::nullopt;
      co_return "that " + decision.node + " took it could not be written down";
    }
    const std::optional<Report> candidate = co_await Refresh(decision.node);
    if (!candidate) co_return rescued.error;
    // Its supervisor starts a server again within moments. It is parked then, and has everything itself.
    const std::optional<Report> source = co_await Refresh(decision.survivor);
    if (!source) {
      // Nobody serves the tail. Without its agent the master is another matter, and is judged anew.
      co_return "the agent of " + decision.survivor + " does not answer any more; " + rescued.error;
    }
    if (source->process != ProcessState::kDown) {
      co_return "the process of " + decision.survivor + " came back; " + rescued.error;
    }
    if (environment_.NowMs() + kRescueRepeatMs >= end_ms) {
      *given_up = true;
      co_return rescued.error;
    }
    co_await Sleep(kRescueRepeatMs);
  }
}

// An end without a promotion. One that an earlier run had begun may have been promoted by that run all the
// same:
//
// 1. n2 is promoted, takes writes, and hangs; the controller ended before it could write that down. 2. The
// next one repeats the decision, gets no answer from n2, and gives it up. 3. n3 is promoted, for n1 is known
// to be parked. 4. n2 goes on. So n2 is a suspect then.
void GroupRunner::CloseUnpromoted(const Decision& decision, const OutcomeRecord& outcome) {
  GroupState state = state_;
  if (resumed_ == decision.id) {
    state.suspects.try_emplace(decision.node, Suspect{decision.epoch, Sequence(0), environment_.UnixMs()});
  }
  (void)Close(decision, outcome, &state);
}

// Carries out bootstrap, failover and switchover alike: [park the old master, wait for the candidate,] [hold
// the replicas] [rescue] promote, hold the others. Repeats harmlessly: command ids are made of the decision's
// id. An answer that is repeated from an agent's ledger tells what happened once; what is now, only a fresh
// report tells.
Task<OperatorAnswer> GroupRunner::CarryOutPromotion(Decision decision, std::int64_t deadline_ms,
                                                    bool taken_back) {
  if (state_.epoch != decision.epoch) {
    // The epoch is used up with the decision, whatever comes of it; but for one that nobody will ever act on.
    // Until it is durable, the old master goes on, with leases of its own epoch.
    GroupState state = state_;
    const std::uint64_t before = state.epoch;
    state.epoch = decision.epoch;
    const Undo undo = [before, epoch = decision.epoch](GroupState& now) {
      if (now.epoch == epoch) now.epoch = before;
    };
    if (auto written = co_await WriteDown(decision, std::move(state), undo); !written)
      co_return Fail(written.error());
  }
  struct Switching {
    bool& flag;
    explicit Switching(bool& it) : flag(it) { flag = true; }
    ~Switching() { flag = false; }
  };
  const Switching switching(switching_);
  Info(decision.id + " " + std::string(ToString(decision.kind)) + " to " + decision.node + ", epoch " +
       std::to_string(decision.epoch));
  environment_.FaultPoint("after-decision");

  OutcomeRecord outcome;
  const std::int64_t start_ms = environment_.UnixMs();
  std::size_t step = 0;
  std::optional<Sequence> parked_at;
  const bool parks = decision.kind == DecisionKind::kSwitchover;
  if (parks) {
    outcome.outcome = Outcome::kFailed;
    const CommandResult park = co_await RunCommand(decision, CommandOf(decision, step++));
    const std::optional<Report> old = co_await Refresh(decision.survivor);
    const bool held = old && Fenced(*old) && park.last && old->last == park.last;
    if (taken_back || park.outcome != Outcome::kDone || !held) {
      outcome.sentence = taken_back ? "it was given up by an earlier run; "
                         : park.outcome != Outcome::kDone
                             ? "parking " + decision.survivor + " failed: " + park.error + "; "
                             : decision.survivor + " was parked, and is not any more; ";
      const std::string back = co_await BackToOldMaster(decision, taken_back ? park.last : std::nullopt);
      outcome.sentence += back;
      CloseUnpromoted(decision, outcome);
      co_return RecordOf(decision);
    }
    parked_at = park.last;
    const std::int64_t give_up = environment_.NowMs() + deadline_ms;
    for (;;) {
      const std::optional<Report> report = co_await Refresh(decision.node);
      if (report && report->last && *report->last >= *parked_at) break;
      if (environment_.NowMs() < give_up) {
        co_await Sleep(kCatchUpPollMs);
        continue;
      }
      outcome.sentence = decision.node + " did not reach " + parked_at->ToString() + " within " +
                         std::to_string(deadline_ms) + " ms" +
                         (report && report->last ? ", it stands at " + report->last->ToString() : "") + "; ";
      // By an earlier run it may have been promoted, and takes writes.
      const bool may_be_master = resumed_ == decision.id && (!report || report->role != Role::kReplica);
      if (may_be_master) {
        outcome.sentence += "whether it was promoted before is not known";
      } else {
        const std::string back = co_await BackToOldMaster(decision, parked_at);
        outcome.sentence += back;
      }
      outcome.without_master_ms = environment_.UnixMs() - start_ms;
      CloseUnpromoted(decision, outcome);
      co_return RecordOf(decision);
    }
  }

  const bool holds = std::holds_alternative<ParkAction>(decision.plan[step].action);
  if (holds) {
    const std::optional<std::string> problem = co_await HoldReplicas(&decision, &step);
    if (problem) {
      outcome.outcome = Outcome::kFailed;
      outcome.sentence = "nobody was promoted: " + *problem;
      CloseUnpromoted(decision, outcome);
      Wake();
      co_return RecordOf(decision);
    }
  }

  std::string rescued_note;
  if (std::holds_alternative<RescueAction>(decision.plan[step].action)) {
    bool given_up = false;
    const std::optional<std::string> problem = co_await RunRescue(decision, step++, &given_up);
    if (problem) {
      outcome.outcome = Outcome::kFailed;
      if (HasReason(decision, reason::kOperatorAsked)) {
        // Nothing is lost by waiting, and what is promoted without it gives it up.
        outcome.sentence = decision.node + " was not promoted, because " + *problem +
                           "; try again, or promote it without what " + decision.survivor +
                           " has on its disk: walstitch failover " + decision.group + " --no-rescue";
      } else {
        if (given_up) given_up_in_ = decision.epoch;
        outcome.sentence =
            decision.node + " was not promoted, because " + *problem + "; it is decided anew" +
            (given_up ? ", without what " + decision.survivor + " has on its disk" : std::string());
      }
      CloseUnpromoted(decision, outcome);
      Wake();
      co_return RecordOf(decision);
    }
    rescued_note = ", after it took what " + decision.survivor + " had on its disk";
  }

  // The lease is counted from the candidate's newest report.
  const std::optional<Report> fresh = co_await Refresh(decision.node);
  // 1. The server hangs, or is out of sight, and its lease has run out: somebody is promoted without its
  // tail.
  // 2. In this moment its process ends, and its agent says so. 3. Now the tail can be read.
  if (IsFailoverByItself(decision) && !HasReason(decision, reason::kMasterDown) &&
      (!fresh || fresh->role != Role::kMaster) && TailCanBeRead(Snapshot(), decision.node)) {
    outcome.outcome = Outcome::kFailed;
    outcome.sentence = "nobody was promoted: the process of " + decision.survivor +
                       " has ended meanwhile, and what it holds on its disk can be rescued";
    CloseUnpromoted(decision, outcome);
    Wake();
    co_return RecordOf(decision);
  }
  if (decision.kind == DecisionKind::kFailover) {
    // Parking and rescuing took their time: is the old master still what it was?
    if (auto may = MayReplaceMaster(Snapshot(), &decision);
        !may && (!fresh || fresh->role != Role::kMaster)) {
      outcome.outcome = Outcome::kFailed;
      outcome.sentence = "nobody was promoted: " + may.error().Message();
      CloseUnpromoted(decision, outcome);
      Wake();
      co_return RecordOf(decision);
    }
  }
  Command promote = CommandOf(decision, step++);
  const auto* promotion = std::get_if<PromoteAction>(&promote.action);
  WALSTITCH_CHECK(promotion != nullptr);
  const std::optional<Sequence> required = parked_at ? parked_at : promotion->require_last;
  promote.action =
      PromoteAction{required, MakeGrant(nodes_.at(decision.node)), HolderFenced(decision), decision.survivor};
  lease_until_ms_ =
      std::max(lease_until_ms_, GrantorDeadline(environment_.NowMs(), settings_.failover.lease));
  CommandResult promoted = co_await RunCommand(decision, promote);
  // The answer was lost: the same command again joins the one that runs, or gets its recorded result.
  for (int again = 0; promoted.outcome == Outcome::kUnknown && again < kPromoteRepeats; ++again) {
    co_await Sleep(kPromoteRepeatMs);
    const std::optional<Report> report = co_await Refresh(decision.node);
    if (report && report->process == ProcessState::kUp && report->role == Role::kMaster &&
        report->epoch == decision.epoch) {
      promoted.outcome = Outcome::kDone;
      if (!promoted.last) promoted.last = required;
      break;
    }
    // 1. The first was carried out, and then the agent died. 2. The repetition cannot be delivered, which for
    // a command by itself means that it had no effect. 3. Taken for that, another node would be promoted
    // beside this one.
    bool answered = false;
    const CommandResult repeated = co_await RunCommand(decision, promote, &answered);
    if (answered) promoted = repeated;
  }
  GroupState state = state_;
  if (promoted.outcome != Outcome::kDone) {
    outcome.outcome = promoted.outcome;
    outcome.sentence = "promoting " + decision.node + ": " + promoted.error;
    const bool may_be_master = promoted.outcome == Outcome::kUnknown || resumed_ == decision.id;
    if (parks && !may_be_master) {
      const std::string back = co_await BackToOldMaster(decision, parked_at);
      outcome.sentence += "; " + back;
      state = state_;
    } else if (may_be_master) {
      // 1. The promotion is taken for failed because the node is still a replica. 2. Another is promoted. 3.
      // The server gets to its SLAVEOF NO ONE. So nobody else is promoted until this one was seen fenced.
      state.suspects[decision.node] = {decision.epoch, required.value_or(Sequence(0)), environment_.UnixMs()};
    }
    (void)Close(decision, outcome, &state);
    Wake();
    co_return RecordOf(decision);
  }
  outcome.without_master_ms = environment_.UnixMs() - start_ms;
  ApplyPromotion(state, decision.node, decision.epoch, promoted.last.value_or(Sequence(0)));
  state.management = Management::kManaged;
  if (IsFailoverByItself(decision)) {
    state.blocked_until_ms = environment_.UnixMs() + settings_.failover.block_ms;
  }
  state_ = state;  // the others are held against the new master; the store follows with the outcome
  granted_ms_ = -1;

  outcome.outcome = Outcome::kDone;
  outcome.sentence = decision.node + " is the master of epoch " + std::to_string(decision.epoch) +
                     ", from sequence " + promoted.last.value_or(Sequence(0)).ToString() + " on" +
                     rescued_note;
  for (const auto& given : decision.reasons) {
    if (given.code == reason::kTailLeftBehind) outcome.sentence += "; " + given.sentence;
  }
  // Its lease is renewed from now on, whatever is still to be done about the others.
  switching_ = false;
  for (; step < decision.plan.size(); ++step) {
    const CommandResult park = co_await RunCommand(decision, CommandOf(decision, step));
    // Not fatal: whatever it follows, it is found as a node to rejoin and parked then.
    if (park.outcome != Outcome::kDone)
      outcome.sentence += "; " + decision.plan[step].node + " was not parked: " + park.error;
  }
  for (auto& [name, node] : nodes_) {
    node.failures = 0;
    node.next_try_ms = 0;
    node.held_for.clear();
  }
  environment_.FaultPoint("before-outcome");
  (void)Close(decision, outcome, &state_);
  Wake();
  co_return RecordOf(decision);
}

// A promotion that ended as unknown turns out to have happened: the node is a master, in that epoch, and
// nobody was promoted since. True if so.
bool GroupRunner::RecognisePromotion() {
  const GroupSnapshot snapshot = Snapshot();
  if (snapshot.LiveMaster() != nullptr) return false;
  for (const auto& [name, suspect] : state_.suspects) {
    const NodeView* view = snapshot.Find(name);
    const Report* report = view == nullptr ? nullptr : view->Fresh();
    if (report == nullptr || report->process != ProcessState::kUp || report->role != Role::kMaster) continue;
    if (report->epoch != suspect.epoch || state_.epoch != suspect.epoch) continue;
    Decision decision = NewDecision(DecisionKind::kFailover, suspect.epoch);
    decision.node = name;
    decision.survivor = state_.master;
    decision.finding = "a promotion was never answered, and its node is a master";
    decision.reasons = {{std::string(reason::kPromotionHappened),
                         name + " is the master of epoch " + std::to_string(suspect.epoch) + " after all"}};
    if (auto written = environment_.Store().AppendDecision(decision, nullptr); !written) {
      NoteStoreProblem(written.error());
      return false;
    }
    GroupState state = state_;
    ApplyPromotion(state, name, suspect.epoch, suspect.at);
    state.management = Management::kManaged;
    OutcomeRecord outcome;
    outcome.outcome = Outcome::kDone;
    outcome.sentence = name + " is recorded as the master of epoch " + std::to_string(decision.epoch);
    (void)Close(decision, outcome, &state);
    return true;
  }
  return false;
}

}  // namespace walstitch::core
