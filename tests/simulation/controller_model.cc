#include "tests/simulation/controller_model.h"

#include <algorithm>
#include <utility>

#include "tests/simulation/world.h"

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kReportTimeoutMs = 2500;
constexpr std::int64_t kUpstreamTimeoutMs = 1500;
constexpr std::int64_t kReadTimeoutMs = 10000;
constexpr std::int64_t kServerTimeoutUs = 1000 * kMs;
constexpr std::int64_t kResubscribeUs = 250 * kMs;
constexpr std::int64_t kSilenceUs = 1500 * kMs;
constexpr std::int64_t kSettleUs = 10'000 * kMs;
constexpr std::int64_t kUnixOffsetMs = 1'700'000'000'000;

std::optional<core::GroupState> CopyOf(const core::GroupState* state) {
  return state == nullptr ? std::nullopt : std::optional(*state);
}

bool MayCome(const Error& error) {
  return error.Code() != ErrorCode::kNotFound && error.Code() != ErrorCode::kDamaged;
}

void NoteMissing(Evidence& evidence, const Error& error, std::string_view what) {
  evidence.missing.push_back(std::string(what) + ": " + error.Message());
  evidence.expected_to_come = evidence.expected_to_come || MayCome(error);
}

SideEvidence SideOf(const Report& report, const WalExtent& extent) {
  SideEvidence side;
  side.node = report.node;
  side.last = report.last;
  side.oldest = extent.oldest;
  side.wal_source = extent.source;
  side.version = report.version;
  return side;
}

}  // namespace

// ---- the store

bool StoreModel::Before() {
  if (world_.controller->Step()) return false;
  return write_behind || fail_permille == 0 || !world_.random.Chance(fail_permille);
}

void StoreModel::After() { world_.controller->Step(); }

void StoreModel::Write(std::function<void(Content&)> change) {
  change(now_);
  if (!write_behind) return;
  pending_.push_back(std::move(change));
  if (flush_due_) return;
  flush_due_ = true;
  const bool late = fail_permille > 0 && world_.random.Chance(fail_permille);
  const std::int64_t after =
      late ? world_.random.Between(kMs, 15'000 * kMs) : world_.random.Between(500, 30 * kMs);
  world_.queue.After(after, [this, number = ++flush_number_] {
    if (flush_due_ && number == flush_number_) Flush();
  });
}

void StoreModel::Flush() {
  flush_due_ = false;
  for (const auto& change : pending_) change(durable_);
  pending_.clear();
  auto waiters = std::exchange(waiters_, {});
  for (auto& waiter : waiters) waiter.done({});
}

void StoreModel::Settle(std::function<void(Result<void>)> done) {
  if (pending_.empty()) {
    world_.queue.After(0, [done = std::move(done)] { done({}); });
    return;
  }
  const std::uint64_t number = ++waiter_number_;
  waiters_.push_back({number, std::move(done)});
  world_.queue.After(kSettleUs, [this, number] {
    const auto waiter = std::find_if(waiters_.begin(), waiters_.end(),
                                     [&](const Waiter& each) { return each.number == number; });
    if (waiter == waiters_.end()) return;
    const auto told = std::move(waiter->done);
    waiters_.erase(waiter);
    told(Fail(ErrorCode::kTimeout, "the store did not answer in time"));
  });
}

void StoreModel::Crashed() {
  if (!write_behind) return;
  if (!pending_.empty()) {
    world_.Trace(world_.ControllersMachine(), "store",
                 [&] { return "loses the last " + std::to_string(pending_.size()) + " writes"; });
  }
  now_ = durable_;
  pending_.clear();
  waiters_.clear();
  flush_due_ = false;
}

bool StoreModel::Durable(const std::string& id) const {
  return write_behind ? durable_.entries.contains(id) : now_.entries.contains(id);
}

Result<core::GroupState> StoreModel::LoadGroup(const std::string& group) const {
  if (now_.state) return *now_.state;
  core::GroupState fresh;
  fresh.group = group;
  return fresh;
}

Result<void> StoreModel::AppendDecision(const Decision& decision, const core::GroupState* state) {
  if (!Before()) return Fail(ErrorCode::kIo, "the store's disk says no");
  WALSTITCH_CHECK(!now_.entries.contains(decision.id));
  Entry entry;
  entry.record.decision = decision;
  entry.appended_us = world_.queue.NowUs();
  Write([entry = std::move(entry), state = CopyOf(state)](Content& content) {
    content.entries.emplace(entry.record.decision.id, entry);
    content.open.push_back(entry.record.decision.id);
    if (state) content.state = *state;
  });
  world_.Trace(world_.ControllersMachine(), "store", [&] {
    std::string text = "holds decision " + decision.id + ", " + std::string(ToString(decision.kind)) + " " +
                       decision.node + ", epoch " + std::to_string(decision.epoch);
    if (decision.verdict) {
      text += ", verdict " + std::string(ToString(decision.verdict->verdict)) + ": " +
              decision.verdict->reasons.front().sentence;
    }
    if (!decision.finding.empty()) text += " (" + decision.finding + ")";
    for (const auto& reason : decision.reasons) text += "; " + reason.code + ": " + reason.sentence;
    return text;
  });
  After();
  return {};
}

Result<void> StoreModel::AppendStep(const std::string& decision, std::int64_t, const StepRecord& step) {
  if (!Before()) return Fail(ErrorCode::kIo, "the store's disk says no");
  WALSTITCH_CHECK(now_.entries.contains(decision));
  Write([decision, step](Content& content) { content.entries.at(decision).record.steps.push_back(step); });
  After();
  return {};
}

Result<void> StoreModel::AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                                       const core::GroupState* state) {
  if (!Before()) return Fail(ErrorCode::kIo, "the store's disk says no");
  WALSTITCH_CHECK(now_.entries.contains(decision));
  Write([decision, outcome, closed_us = world_.queue.NowUs(), state = CopyOf(state)](Content& content) {
    Entry& entry = content.entries.at(decision);
    entry.record.outcome = outcome;
    entry.closed_us = closed_us;
    std::erase(content.open, decision);
    if (state) content.state = *state;
  });
  world_.Trace(world_.ControllersMachine(), "store", [&] {
    return "holds the outcome of " + decision + ": " + std::string(ToString(outcome.outcome)) + ", " +
           outcome.sentence;
  });
  After();
  return {};
}

Result<void> StoreModel::SaveGroup(const core::GroupState& state) {
  if (!Before()) return Fail(ErrorCode::kIo, "the store's disk says no");
  Write([state](Content& content) { content.state = state; });
  After();
  return {};
}

Result<DecisionRecord> StoreModel::ReadRecord(const std::string& id) const {
  const auto found = now_.entries.find(id);
  if (found == now_.entries.end()) return Fail(ErrorCode::kNotFound, "no decision " + id);
  return found->second.record;
}

std::vector<DecisionRecord> StoreModel::OpenRecords(const std::string&) const {
  std::vector<DecisionRecord> records;
  for (const auto& id : now_.open) records.push_back(now_.entries.at(id).record);
  return records;
}

const StoreModel::Entry* StoreModel::Find(const std::string& id) const {
  const auto found = now_.entries.find(id);
  return found == now_.entries.end() ? nullptr : &found->second;
}

// ---- one run

ControllerRun::ControllerRun(World& world, ControllerModel& model, std::uint64_t run)
    : world_(world), model_(model), run_(run), policy_(world.policy) {
  runner_ = std::make_unique<core::GroupRunner>(*this, world.settings, fleet_);
}

ControllerRun::~ControllerRun() {
  dead = true;
  tasks_.Clear();
  runner_.reset();
}

void ControllerRun::Begin() {
  const auto started = runner_->Start();
  WALSTITCH_CHECK(started.has_value());
}

void ControllerRun::Later(std::int64_t us, std::function<void()> call) {
  world_.queue.After(us, [&world = world_, run = run_, call = std::move(call)] {
    if (world.controller->Now(run) != nullptr) call();
  });
}

std::int64_t ControllerRun::NowMs() const { return model_.clock.ReadMs(world_.queue.NowUs()); }
std::int64_t ControllerRun::UnixMs() const { return kUnixOffsetMs + world_.queue.NowUs() / kMs; }

void ControllerRun::After(std::int64_t ms, std::function<void()> call) {
  if (dead) return;
  const std::int64_t now = world_.queue.NowUs();
  if (ms <= 0) return Later(0, std::move(call));
  Later(model_.clock.WhenUs(NowMs() + ms, now) - now, std::move(call));
}

std::string ControllerRun::NewId() {
  std::string number = std::to_string(++model_.ids_);
  return "D" + std::string(number.size() < 4 ? 4 - number.size() : 0, '0') + number;
}

core::DecisionStore& ControllerRun::Store() { return model_.store; }

void ControllerRun::Settle(Done<Result<void>> done) {
  if (dead) return;
  model_.store.Settle([&world = world_, run = run_, done = std::move(done)](Result<void> settled) {
    if (world.controller->Now(run) != nullptr) done(std::move(settled));
  });
}

template <typename T>
void ControllerRun::AskAgent(std::size_t node, std::int64_t timeout_ms,
                             std::function<void(AgentModel&, std::function<void(Result<T>)>)> serve,
                             Done<Result<T>> done) {
  if (dead) return;
  world_.Request<Result<T>>(
      world_.ControllersMachine(), node, timeout_ms * kMs, std::move(serve),
      [&world = world_, run = run_, done = std::move(done)](Heard heard, Result<T> answer) {
        if (world.controller->Now(run) == nullptr) return;
        switch (heard) {
          case Heard::kAnswered:
            return done(std::move(answer));
          case Heard::kRefused:
            return done(Fail(ErrorCode::kUnavailable, "connection refused"));
          case Heard::kNoRoute:
            return done(Fail(ErrorCode::kUnavailable, "no connection in time"));
          case Heard::kLost:
            return done(Fail(ErrorCode::kTimeout, "the answer was lost"));
        }
      });
}

void ControllerRun::FreshReport(const std::string& node, Done<Result<Report>> done) {
  AskAgent<Report>(
      world_.IndexOf(node), kReportTimeoutMs,
      [](AgentModel& agent, std::function<void(Result<Report>)> reply) {
        agent.FreshReport(std::move(reply));
      },
      std::move(done));
}

void ControllerRun::Run(Command command, std::int64_t patience_ms, Done<Result<CommandResult>> done) {
  if (dead) return;
  world_.checkers->CommandSent(command);
  const std::string id = command.id;
  world_.Trace(world_.ControllersMachine(), "controller", [&] {
    return "commands " + command.node + ": " + std::string(ActionName(command.action)) + " (" + command.id +
           ")";
  });
  AskAgent<CommandResult>(
      world_.IndexOf(command.node), patience_ms,
      [command](AgentModel& agent, std::function<void(Result<CommandResult>)> reply) {
        agent.Submit(command, std::move(reply));
      },
      [id, done = std::move(done)](Result<CommandResult> result) {
        if (!result && result.error().Code() == ErrorCode::kTimeout) {
          CommandResult unknown;
          unknown.id = id;
          unknown.error = result.error().Message();
          return done(std::move(unknown));
        }
        done(std::move(result));
      });
}

bool ControllerRun::Grant(const LeaseGrant& grant) {
  if (dead) return false;
  const std::size_t node = world_.IndexOf(grant.node);
  const std::uint64_t stream = model_.streams_[node].number;
  const auto travel = world_.network.Travel(world_.ControllersMachine(), node);
  if (stream == 0) return false;
  if (!travel) return true;
  world_.queue.After(*travel, [&world = world_, node, stream, grant] {
    if (AgentModel* agent = world.AgentOf(node)) agent->HandleGrant(stream, grant);
  });
  return true;
}

template <typename T>
void ControllerRun::AskWal(std::size_t node, std::function<Result<T>(const WalView&)> what,
                           Done<Result<T>> done) {
  AskAgent<T>(
      node, kReadTimeoutMs,
      [&world = world_, node, what = std::move(what)](AgentModel& agent,
                                                      std::function<void(Result<T>)> reply) {
        agent.Later(world.random.Between(100, 3'000), [&world, node, what, reply = std::move(reply)] {
          const ServerModel& server = world.machines[node]->server;
          reply(what(WalView(server.Log(), server.WalBegin(), world.markers)));
        });
      },
      std::move(done));
}

void ControllerRun::Batches(const std::string& node, SequenceRange range, std::size_t max,
                            Done<Result<std::vector<BatchInfo>>> done) {
  AskWal<std::vector<BatchInfo>>(
      world_.IndexOf(node), [range, max](const WalView& wal) { return wal.Batches(range, max); },
      std::move(done));
}

void ControllerRun::ListTouched(const std::string& node, SequenceRange range, std::size_t,
                                Done<Result<Touched>> done) {
  AskWal<Touched>(
      world_.IndexOf(node), [range](const WalView& wal) { return wal.ListTouched(range); }, std::move(done));
}

// The modelled policy repairs nothing.
void ControllerRun::FindUnrepairable(const std::string&, std::vector<UserKeyName>,
                                     Done<Result<RepairableAnswer>> done) {
  done(RepairableAnswer{});
}

void ControllerRun::StaysFor(const std::string&, Sequence, Done<Result<std::optional<std::int64_t>>> done) {
  Later(1 * kMs, [done = std::move(done)] { done(std::optional<std::int64_t>()); });
}

void ControllerRun::AskServer(std::size_t node, std::function<void(ServerModel&)> what,
                              std::function<void(Result<void>)> done) {
  if (dead) return;
  world_.AskServer(world_.ControllersMachine(), node, kServerTimeoutUs, std::move(what),
                   [&world = world_, run = run_, done = std::move(done)](Result<void> result) {
                     if (world.controller->Now(run) != nullptr) done(std::move(result));
                   });
}

void ControllerRun::Probe(const Endpoint& server, Done<Result<Role>> done) {
  auto role = std::make_shared<Role>(Role::kUnknown);
  AskServer(
      world_.IndexOf(server), [role](ServerModel& model) { *role = model.ItsRole(); },
      [role, done = std::move(done)](Result<void> result) {
        if (!result) return done(Fail(result.error()));
        done(*role);
      });
}

void ControllerRun::ProbeThrough(const std::string& node, const Endpoint& server, Done<Result<Role>> done) {
  AskAgent<Role>(
      world_.IndexOf(node), kUpstreamTimeoutMs,
      [upstream = world_.IndexOf(server)](AgentModel& agent, std::function<void(Result<Role>)> reply) {
        agent.AskUpstreamRole(upstream, std::move(reply));
      },
      std::move(done));
}

void ControllerRun::Fence(const Endpoint& server, const Endpoint&, Done<Result<void>> done) {
  if (dead) return;
  const std::size_t node = world_.IndexOf(server);
  world_.Trace(world_.ControllersMachine(), "controller",
               [&] { return "fences " + world_.NameOf(node) + " itself"; });
  world_.checkers->FencedDirectly(node);
  AskServer(
      node, [](ServerModel& model) { model.SlaveOfRelay(); }, std::move(done));
}

void ControllerRun::Log(core::LogLevel, const std::string& text) {
  world_.Trace(world_.ControllersMachine(), "controller", [&] { return "says: " + text; });
}

void ControllerRun::FaultPoint(std::string_view) { model_.Step(); }

// ---- evidence: as the product gathers it, by the product's own search

template <typename T>
core::Task<Result<std::pair<T, T>>> ControllerRun::AskPair(std::size_t rejoiner, std::size_t survivor,
                                                           std::function<Result<T>(const WalView&)> what) {
  // Named, for GCC 12 destroys such temporaries within a co_await twice.
  core::Answer<Result<T>> ask_rejoiner(
      [this, rejoiner, what](auto done) { AskWal<T>(rejoiner, what, std::move(done)); });
  core::Answer<Result<T>> ask_survivor(
      [this, survivor, what](auto done) { AskWal<T>(survivor, what, std::move(done)); });
  auto a = co_await ask_rejoiner;
  auto b = co_await ask_survivor;
  for (auto* answer : {&a, &b}) {
    if (!*answer && answer->error().Code() == ErrorCode::kNotFound) *answer = T{};
    if (!*answer) co_return Fail(answer->error());
  }
  co_return std::pair<T, T>(std::move(*a), std::move(*b));
}

core::Task<Result<void>> ControllerRun::AskBoth(std::size_t rejoiner, std::size_t survivor,
                                                core::ForkSearch::Question question,
                                                core::ForkSearch* search) {
  using core::ForkSearch;
  const SequenceRange range = question.range;
  switch (question.ask) {
    case ForkSearch::Ask::kBatches: {
      std::function<Result<std::vector<BatchInfo>>(const WalView&)> what = [range](const WalView& wal) {
        return wal.Batches(range, ForkSearch::kMaxBatches);
      };
      auto both = co_await AskPair<std::vector<BatchInfo>>(rejoiner, survivor, what);
      if (!both) co_return Fail(both.error());
      search->FeedBatches(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kDigests: {
      const std::uint32_t parts = question.parts;
      std::function<Result<RangeDigests>(const WalView&)> what = [range, parts](const WalView& wal) {
        return wal.Digests(range, parts);
      };
      auto both = co_await AskPair<RangeDigests>(rejoiner, survivor, what);
      if (!both) co_return Fail(both.error());
      search->FeedDigests(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kMarked: {
      std::function<Result<MarkedBatches>(const WalView&)> what = [range](const WalView& wal) {
        return wal.Marked(range, ForkSearch::kMaxMarked);
      };
      auto both = co_await AskPair<MarkedBatches>(rejoiner, survivor, what);
      if (!both) co_return Fail(both.error());
      search->FeedMarked(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kBytes: {
      std::function<Result<RangeBytes>(const WalView&)> what = [range](const WalView& wal) {
        return wal.Bytes(range, ForkSearch::kMaxBytes);
      };
      auto both = co_await AskPair<RangeBytes>(rejoiner, survivor, what);
      if (!both) co_return Fail(both.error());
      search->FeedBytes(both->first.bytes, both->second.bytes);
      break;
    }
  }
  co_return Result<void>();
}

core::Task<std::optional<Touched>> ControllerRun::ListKeys(std::size_t node, SequenceRange range,
                                                           std::string what, Evidence* evidence) {
  if (range.Empty()) {
    Touched nothing;
    nothing.range = range;
    co_return nothing;
  }
  auto listed = co_await core::Answer<Result<Touched>>([this, node, range](auto told) {
    AskWal<Touched>(
        node, [range](const WalView& wal) { return wal.ListTouched(range); }, std::move(told));
  });
  if (listed) co_return std::move(*listed);
  NoteMissing(*evidence, listed.error(), what);
  co_return std::nullopt;
}

core::Task<std::optional<BatchInfo>> ControllerRun::BatchHolding(std::size_t node, Sequence sequence) {
  const SequenceRange only{sequence, sequence + 1};
  auto batches = co_await core::Answer<Result<std::vector<BatchInfo>>>([this, node, only](auto told) {
    AskWal<std::vector<BatchInfo>>(
        node, [only](const WalView& wal) { return wal.Batches(only, 1); }, std::move(told));
  });
  if (!batches || batches->size() != 1 || batches->front().End() <= sequence) co_return std::nullopt;
  co_return batches->front();
}

core::Task<Result<void>> ControllerRun::AskLender(core::EvidenceQuestion question, core::LenderOffer offer,
                                                  WalExtent rejoiner_wal, Evidence* evidence) {
  const std::size_t rejoiner = world_.IndexOf(question.rejoiner.node);
  const std::size_t survivor = world_.IndexOf(question.survivor.node);
  const std::size_t lender = world_.IndexOf(offer.report.node);
  auto wal = co_await core::Answer<Result<WalExtent>>([this, lender](auto told) {
    AskWal<WalExtent>(
        lender, [](const WalView& view) -> Result<WalExtent> { return view.Extent(); }, std::move(told));
  });
  if (!wal) co_return Fail(wal.error());
  core::LenderCheck check(*evidence, offer, *wal);
  if (check.WhyNot().empty()) {
    core::ForkSearch search(rejoiner_wal, *wal, offer.with_rejoiner);
    while (auto next = search.Next()) {
      const auto asked = co_await AskBoth(rejoiner, lender, *next, &search);
      if (!asked) co_return Fail(asked.error());
    }
    check.TakeFork(search.Result());
  }
  if (check.WhyNot().empty()) {
    auto own = co_await BatchHolding(rejoiner, check.Next() - 1);
    auto theirs = co_await BatchHolding(lender, check.Next() - 1);
    check.TakeLast(own, theirs);
  }
  if (check.WhyNot().empty()) {
    auto theirs = co_await BatchHolding(lender, check.JointAt());
    auto survivors = co_await BatchHolding(survivor, check.JointAt());
    check.TakeJoint(theirs, survivors);
  }
  while (auto range = check.LookThrough()) {
    auto marked = co_await core::Answer<Result<MarkedBatches>>([this, lender, range](auto told) {
      AskWal<MarkedBatches>(
          lender,
          [range = *range](const WalView& view) { return view.Marked(range, core::ForkSearch::kMaxMarked); },
          std::move(told));
    });
    if (!marked) co_return Fail(marked.error());
    check.TakeMarked(*marked);
  }
  if (check.WhyNot().empty()) {
    check.Accept(evidence);
  } else {
    evidence->borrow_note += check.WhyNot() + "; ";
  }
  co_return Result<void>();
}

core::Task<void> ControllerRun::GatherLender(core::EvidenceQuestion question, WalExtent rejoiner_wal,
                                             Evidence* evidence) {
  evidence->borrow_note = question.no_lenders;
  for (const core::LenderOffer& offer : question.lenders) {
    const auto asked = co_await AskLender(question, offer, rejoiner_wal, evidence);
    if (evidence->borrow) {
      evidence->borrow_note.clear();
      evidence->lender_unheard = false;
      co_return;
    }
    if (!asked && MayCome(asked.error())) evidence->lender_unheard = true;
  }
}

core::Task<void> ControllerRun::Gather(core::EvidenceQuestion question, Done<Evidence> done) {
  Evidence evidence;
  evidence.rejoiner = SideOf(question.rejoiner, {});
  evidence.survivor = SideOf(question.survivor, {});
  evidence.promoted_at = question.known.promoted_at;
  const std::size_t rejoiner = world_.IndexOf(question.rejoiner.node);
  const std::size_t survivor = world_.IndexOf(question.survivor.node);
  const auto extent = [this](std::size_t node) {
    return core::Answer<Result<WalExtent>>([this, node](auto told) {
      AskWal<WalExtent>(
          node, [](const WalView& wal) -> Result<WalExtent> { return wal.Extent(); }, std::move(told));
    });
  };
  auto rejoiner_extent = co_await extent(rejoiner);
  if (!rejoiner_extent)
    NoteMissing(evidence, rejoiner_extent.error(), "the WAL of " + question.rejoiner.node);
  auto survivor_extent = co_await extent(survivor);
  if (!survivor_extent)
    NoteMissing(evidence, survivor_extent.error(), "the WAL of " + question.survivor.node);
  if (!evidence.rejoiner.last || !evidence.survivor.last) {
    evidence.missing.emplace_back("a last sequence is not known");
    evidence.expected_to_come = true;
  }
  if (!evidence.missing.empty()) {
    done(std::move(evidence));
    co_return;
  }
  evidence.rejoiner = SideOf(question.rejoiner, *rejoiner_extent);
  evidence.survivor = SideOf(question.survivor, *survivor_extent);
  WalExtent rejoiner_wal = *rejoiner_extent;
  if (!rejoiner_wal.last || *rejoiner_wal.last < *evidence.rejoiner.last)
    rejoiner_wal.last = evidence.rejoiner.last;
  WalExtent survivor_wal = *survivor_extent;
  if (!survivor_wal.last || *survivor_wal.last < *evidence.survivor.last)
    survivor_wal.last = evidence.survivor.last;
  if (*survivor_wal.last > *evidence.survivor.last) evidence.survivor.last = survivor_wal.last;

  core::ForkSearch search(rejoiner_wal, survivor_wal, question.known);
  while (auto next = search.Next()) {
    const auto asked = co_await AskBoth(rejoiner, survivor, *next, &search);
    if (!asked) {
      NoteMissing(evidence, asked.error(), "the fork");
      done(std::move(evidence));
      co_return;
    }
  }
  evidence.fork = search.Result().fork;
  evidence.proof = search.Result().proof;
  evidence.same_stream = question.known.same_stream;
  evidence.fork_note = search.Result().note;

  const Sequence next = *evidence.rejoiner.last + 1;
  if (next <= *evidence.survivor.last + 1) {
    auto target = co_await core::Answer<Result<Sequence>>([this, survivor, next](auto told) {
      AskWal<Sequence>(
          survivor, [next](const WalView& wal) { return wal.Boundary(next); }, std::move(told));
    });
    if (target) {
      evidence.target = *target;
    } else if (next == *evidence.survivor.last + 1 && target.error().Code() == ErrorCode::kNotFound) {
      evidence.target = next;
    } else {
      NoteMissing(evidence, target.error(), "a boundary of " + question.survivor.node);
    }
  }
  if (core::NeedsLender(evidence)) co_await GatherLender(question, rejoiner_wal, &evidence);
  if (!evidence.fork || evidence.borrow) {
    done(std::move(evidence));
    co_return;
  }
  const SequenceRange tail{*evidence.fork + 1, next};
  if (evidence.target && *evidence.target > Sequence(1)) {
    const SequenceRange before{*evidence.target - 1, *evidence.target};
    const auto last_of = [this, before](std::size_t node) {
      return core::Answer<Result<std::vector<BatchInfo>>>([this, node, before](auto told) {
        AskWal<std::vector<BatchInfo>>(
            node, [before](const WalView& wal) { return wal.Batches(before, 1); }, std::move(told));
      });
    };
    auto theirs = co_await last_of(survivor);
    if (theirs && theirs->front().End() == *evidence.target) evidence.before_target = theirs->front();
    if (evidence.before_target && tail.Empty() && evidence.proof == ForkProof::kEqualBatches) {
      auto own = co_await last_of(rejoiner);
      const bool ends = own && own->front().End() == *evidence.target && own->front().marker.empty();
      if (ends) evidence.before_target = own->front();
    }
  }
  if (!tail.Empty()) {
    const Sequence after_fork = *evidence.fork + 1;
    auto boundary = co_await core::Answer<Result<Sequence>>([this, survivor, after_fork](auto told) {
      AskWal<Sequence>(
          survivor, [after_fork](const WalView& wal) { return wal.Boundary(after_fork); }, std::move(told));
    });
    if (boundary) {
      evidence.replay_from = *boundary;
    } else if (boundary.error().Code() != ErrorCode::kNotFound) {
      NoteMissing(evidence, boundary.error(), "a boundary of " + question.survivor.node);
    } else if (after_fork == *evidence.survivor.last + 1) {
      evidence.replay_from = after_fork;
    }
    if (*evidence.fork > Sequence(0)) {
      const SequenceRange at_fork{*evidence.fork, after_fork};
      auto common =
          co_await core::Answer<Result<std::vector<BatchInfo>>>([this, survivor, at_fork](auto told) {
            AskWal<std::vector<BatchInfo>>(
                survivor, [at_fork](const WalView& wal) { return wal.Batches(at_fork, 1); }, std::move(told));
          });
      if (common && common->front().End() == after_fork) evidence.last_common = common->front();
    }
  }
  evidence.tail = co_await ListKeys(rejoiner, tail, "the tail of " + question.rejoiner.node, &evidence);
  if (question.known.own_last && *question.known.own_last < *evidence.rejoiner.last) {
    const SequenceRange own{*evidence.fork + 1, *question.known.own_last + 1};
    evidence.own_last = question.known.own_last;
    evidence.own_tail =
        co_await ListKeys(rejoiner, own, "the own tail of " + question.rejoiner.node, &evidence);
  }
  if (evidence.target || next > *evidence.survivor.last + 1) {
    const SequenceRange missed{*evidence.fork + 1,
                               evidence.target ? *evidence.target : *evidence.survivor.last + 1};
    if (tail.Empty() && evidence.target == next) {
      evidence.missed = Touched{};
      evidence.missed->range = missed;
    } else {
      evidence.missed =
          co_await ListKeys(survivor, missed, "what was missed of " + question.survivor.node, &evidence);
    }
  }
  done(std::move(evidence));
}

void ControllerRun::CollectEvidence(core::EvidenceQuestion question, Done<Evidence> done) {
  if (dead) return;
  tasks_.Spawn(Gather(std::move(question), std::move(done)));
}

// ---- the model

bool ControllerModel::Step() {
  if (!run_ || run_->dead) return true;
  if (++steps_ != crash_at) return false;
  world_.Trace(world_.ControllersMachine(), "controller", [] { return "ends in the middle of a step"; });
  run_->dead = true;
  return true;
}

void ControllerModel::Start() {
  if (run_) return;
  world_.Trace(world_.ControllersMachine(), "controller", [] { return "starts"; });
  up_since_us_ = world_.queue.NowUs();
  run_ = std::make_unique<ControllerRun>(world_, *this, ++runs_);
  for (std::size_t node = 0; node < world_.Nodes(); ++node) {
    world_.queue.After(0, [this, node, run = runs_] { Subscribe(node, run); });
  }
  run_->Begin();
}

void ControllerModel::Kill() {
  if (!run_) return;
  world_.Trace(world_.ControllersMachine(), "controller", [] { return "is killed"; });
  run_->dead = true;
  Reap();
}

void ControllerModel::Reap() {
  if (!run_ || !run_->dead) return;
  run_.reset();
  store.Crashed();
  for (Stream& stream : streams_) stream.number = 0;
  world_.queue.After(restart_us, [this] { Start(); });
}

void ControllerModel::Subscribe(std::size_t node, std::uint64_t run) {
  if (Now(run) == nullptr || streams_[node].number != 0) return;
  const auto again = [this, node, run] {
    world_.queue.After(kResubscribeUs, [this, node, run] { Subscribe(node, run); });
  };
  const std::size_t here = world_.ControllersMachine();
  const auto there = world_.network.Travel(here, node);
  const auto back = world_.network.Travel(node, here);
  if (!there || !back) return again();
  world_.queue.After(*there + *back, [this, node, run, again] {
    if (Now(run) == nullptr || streams_[node].number != 0) return;
    AgentModel* agent = world_.AgentOf(node);
    if (agent == nullptr || !world_.machines[node]->up) return again();
    const std::uint64_t number = world_.NewNumber();
    streams_[node] = {number, world_.queue.NowUs()};
    run_->Runner().OnConnection(world_.NameOf(node), true);
    WatchSilence(node, number);
    agent->Subscribe(number);
  });
}

void ControllerModel::WatchSilence(std::size_t node, std::uint64_t number) {
  const std::int64_t silent = world_.queue.NowUs() - streams_[node].heard_us;
  world_.queue.After(kSilenceUs - silent, [this, node, number] {
    if (streams_[node].number != number) return;
    if (world_.queue.NowUs() - streams_[node].heard_us >= kSilenceUs) return CloseStream(node, number);
    WatchSilence(node, number);
  });
}

void ControllerModel::CloseStream(std::size_t node, std::uint64_t number) {
  if (streams_[node].number != number || number == 0) return;
  streams_[node].number = 0;
  if (Now() == nullptr) return;
  run_->Runner().OnConnection(world_.NameOf(node), false);
  world_.queue.After(kResubscribeUs, [this, node, run = runs_] { Subscribe(node, run); });
}

void ControllerModel::AgentGone(std::size_t node) {
  const std::uint64_t number = streams_[node].number;
  if (number == 0) return;
  const auto reset = world_.network.Travel(node, world_.ControllersMachine());
  if (reset) world_.queue.After(*reset, [this, node, number] { CloseStream(node, number); });
}

void ControllerModel::Push(std::size_t node, std::uint64_t stream, const Report& report) {
  if (streams_[node].number != stream) return;
  const int times = world_.network.Duplicates() ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    const auto travel = world_.network.Travel(node, world_.ControllersMachine());
    if (!travel) continue;
    world_.queue.After(*travel, [this, node, stream, report] {
      if (streams_[node].number != stream || Now() == nullptr) return;
      streams_[node].heard_us = world_.queue.NowUs();
      run_->Runner().OnReport(report);
    });
  }
}

}  // namespace walstitch::simulation
