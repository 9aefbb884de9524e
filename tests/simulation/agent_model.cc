#include "tests/simulation/agent_model.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "tests/simulation/world.h"

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kHealthTimeout = 1000 * kMs;
constexpr std::int64_t kFreshTimeout = 2500 * kMs;
constexpr std::int64_t kLookInterval = 250 * kMs;
constexpr std::int64_t kQuickInterval = 50 * kMs;
constexpr std::int64_t kQuickTime = 300 * kMs;
constexpr std::int64_t kStreamIntervalMs = 750;
constexpr std::int64_t kPollUs = 5 * kMs;
constexpr std::int64_t kAttachPatience = 3000 * kMs;
constexpr std::int64_t kCallTimeout = 2000 * kMs;
constexpr std::int64_t kSettleUs = 500 * kMs;
constexpr std::int64_t kPeerTimeoutMs = 10000;
constexpr std::int64_t kOutstanding = 600'000 * kMs;
constexpr std::int64_t kBetweenFences = 50 * kMs;

CommandResult Done(std::optional<std::uint64_t> last) {
  CommandResult result;
  result.outcome = Outcome::kDone;
  if (last) result.last = Sequence(*last);
  return result;
}

CommandResult Failed(std::string sentence, std::optional<std::uint64_t> last = std::nullopt) {
  CommandResult result;
  result.outcome = Outcome::kFailed;
  result.error = std::move(sentence);
  if (last) result.last = Sequence(*last);
  return result;
}

CommandResult Unknown(std::string sentence, std::optional<std::uint64_t> last = std::nullopt) {
  CommandResult result = Failed(std::move(sentence), last);
  result.outcome = Outcome::kUnknown;
  return result;
}

bool MayHaveHappened(const Error& error) { return error.Code() != ErrorCode::kUnavailable; }

bool SameRelay(const RelayReport& a, const RelayReport& b) {
  return a.state == b.state && a.node_attached == b.node_attached && a.upstream == b.upstream &&
         a.upstream_connected == b.upstream_connected && a.full_syncs_refused == b.full_syncs_refused &&
         a.error == b.error;
}

bool SameSubstance(const Report& a, const Report& b) {
  return a.epoch == b.epoch && a.process == b.process && a.role == b.role && a.master == b.master &&
         a.upstream_is_relay == b.upstream_is_relay && a.link_up == b.link_up && a.last == b.last &&
         a.loading == b.loading && a.full_sync == b.full_sync && a.counters == b.counters &&
         a.leased == b.leased && a.lease_left_ms.has_value() == b.lease_left_ms.has_value() &&
         a.promised_left_ms.has_value() == b.promised_left_ms.has_value() && a.leaving == b.leaving &&
         a.writes_refused == b.writes_refused && SameRelay(a.relay, b.relay);
}

}  // namespace

AgentModel::AgentModel(World& world, std::size_t index, std::uint64_t run)
    : world_(world),
      index_(index),
      run_(run),
      relay_(world, *this, index),
      keeper_(world.NameOf(index), world.Group(), world.machines[index]->BootId()),
      ledger_(world.NameOf(index), world.Group()) {
  const AgentDisk& disk = world.machines[index]->disk;
  if (disk.ledger) {
    auto ledger = agent::CommandLedger::Restore(disk.ledger->Save(), world.NameOf(index), world.Group());
    WALSTITCH_CHECK(ledger.has_value());
    ledger_ = std::move(*ledger);
  }
  if (disk.lease) {
    auto keeper = agent::LeaseKeeper::Restore(disk.lease->Save(), world.NameOf(index), world.Group(),
                                              world.machines[index]->BootId());
    WALSTITCH_CHECK(keeper.has_value());
    keeper_ = std::move(*keeper);
  }
}

AgentModel::~AgentModel() { tasks_.Clear(); }

void AgentModel::LeaveDisk() {
  AgentDisk& disk = world_.machines[index_]->disk;
  if (lease_being_written_ && world_.random.Chance(500)) disk.lease = lease_being_written_;
  if (ledger_being_written_ && world_.random.Chance(500)) disk.ledger = ledger_being_written_;
}

void AgentModel::Later(std::int64_t us, std::function<void()> call) {
  world_.queue.After(us, [&world = world_, index = index_, run = run_, call = std::move(call)] {
    if (world.AgentOf(index, run) != nullptr) call();
  });
}

ServerModel& AgentModel::Server() { return world_.machines[index_]->server; }

std::int64_t AgentModel::BootMs() const {
  return world_.machines[index_]->clock.ReadMs(world_.queue.NowUs());
}

core::Answer<bool> AgentModel::Sleep(std::int64_t us) {
  return core::Answer<bool>([this, us](auto done) { Later(us, [done = std::move(done)] { done(true); }); });
}

void AgentModel::Start() {
  since_us_ = world_.queue.NowUs();
  keeper_.Start(BootMs());
  Check();
  Monitor();
  Tick();
}

// ---- the server. What was sent to it happens there, whether its answer is waited for or not.

template <typename T>
core::Answer<Result<T>> AgentModel::AskServer(std::int64_t timeout_us, std::function<T(ServerModel&)> what) {
  return core::Answer<Result<T>>([this, timeout_us, what = std::move(what)](auto done) {
    World& world = world_;
    const std::size_t index = index_;
    const std::uint64_t run = run_;
    auto settled = std::make_shared<bool>(false);
    auto finish = [&world, index, run, settled, done = std::move(done)](Result<T> result) {
      if (std::exchange(*settled, true)) return;
      world.queue.After(world.random.Between(30, 400),
                        [&world, index, run, done, result = std::move(result)] {
                          if (world.AgentOf(index, run) != nullptr) done(result);
                        });
    };
    world.queue.After(world.random.Between(30, 400), [&world, index, run, timeout_us, what, finish] {
      if (world.AgentOf(index, run) == nullptr) return;
      ServerModel& server = world.machines[index]->server;
      if (!server.Up()) return finish(Fail(ErrorCode::kUnavailable, "connection refused"));
      if (server.Paused()) {
        world.queue.After(timeout_us, [finish] { finish(Fail(ErrorCode::kTimeout, "no answer")); });
      }
      server.Call([&server, what, finish](bool alive) {
        if (!alive) return finish(Fail(ErrorCode::kIo, "the connection was closed"));
        finish(what(server));
      });
    });
  });
}

core::Answer<Result<AgentModel::Facts>> AgentModel::Info(std::int64_t timeout_us) {
  return AskServer<Facts>(timeout_us, [](ServerModel& server) {
    Facts facts;
    facts.role = server.ItsRole();
    facts.of_relay = server.OfRelay();
    facts.link_up = server.Attached();
    facts.last = server.Next() - 1;
    facts.loading = server.Loading();
    facts.syncing = server.Syncing();
    facts.refuses_writes = server.refuses_writes;
    facts.counters = server.Counters();
    return facts;
  });
}

core::Answer<Result<bool>> AgentModel::SlaveOfRelay(std::int64_t timeout_us) {
  return AskServer<bool>(timeout_us, [](ServerModel& server) {
    server.SlaveOfRelay();
    return true;
  });
}

// ---- looking

std::uint64_t AgentModel::RequestLook() {
  ++requested_;
  if (!looking_) Monitor();
  return requested_;
}

void AgentModel::Monitor() {
  if (looking_) return;
  looking_ = true;
  tasks_.Spawn(LookOnce());
}

core::Task<void> AgentModel::LookOnce() {
  const std::uint64_t request = requested_;
  auto facts = co_await Info(kHealthTimeout);
  Observation seen;
  seen.served = request;
  if (facts) {
    seen.process = ProcessState::kUp;
    seen.facts = *facts;
  } else if (facts.error().Code() == ErrorCode::kUnavailable) {
    seen.process = ProcessState::kDown;
  } else if (facts.error().Code() == ErrorCode::kTimeout) {
    seen.process = ProcessState::kHung;
  }
  const std::int64_t now = world_.queue.NowUs();
  if (seen.process != seen_.process) quick_until_us_ = now + kQuickTime;
  looking_ = false;
  const std::int64_t number = ++monitor_number_;
  const std::int64_t rest = requested_ > request    ? 500
                            : now < quick_until_us_ ? kQuickInterval
                                                    : kLookInterval;
  Later(rest, [this, number] {
    if (number == monitor_number_) Monitor();
  });
  Seen(std::move(seen));
}

void AgentModel::Seen(Observation seen) {
  const bool was_down = seen_.process == ProcessState::kDown;
  const std::uint64_t served = seen.served;
  seen_ = std::move(seen);
  served_ = std::max(served_, served);
  if (seen_.facts) known_ = seen_.facts;
  const bool down = seen_.process == ProcessState::kDown;
  if (down != was_down) {
    wal_last_.reset();
    if (down) {
      Later(world_.random.Between(1 * kMs, 30 * kMs), [this] {
        if (seen_.process != ProcessState::kDown) return;
        wal_last_ = Server().Next() - 1;
        Publish(false);
      });
    }
  }
  AlignRelay();
  NodeLook look;
  look.served = served;
  look.down = down;
  look.known = seen_.facts.has_value();
  look.maybe_master =
      seen_.facts ? seen_.facts->role == Role::kMaster : !down && known_ && known_->role == Role::kMaster;
  Look(look);
  auto asking = std::move(asking_reports_);
  asking_reports_.clear();
  for (auto& [wanted, done] : asking) {
    if (wanted <= served_) {
      done(CurrentReport());
    } else {
      asking_reports_.emplace_back(wanted, std::move(done));
    }
  }
  Publish(false);
}

void AgentModel::AlignRelay() {
  if (draining_ || seen_.served < trusted_from_ || fencing_) return;
  if (!seen_.facts) return;
  const bool ours = seen_.facts->role == Role::kReplica && seen_.facts->of_relay;
  const bool idle = relay_.State() == RelayState::kIdle;
  if (ours && idle) relay_.Park();
  if (!ours && !idle) relay_.Park(RelayState::kIdle);
}

void AgentModel::ServerGone() { RequestLook(); }

void AgentModel::RelayChanged(bool attached_changed) {
  if (attached_changed) RequestLook();
  if (publish_posted_) return;
  publish_posted_ = true;
  Later(0, [this] {
    publish_posted_ = false;
    Publish(false);
  });
}

Report AgentModel::CurrentReport() {
  Report report;
  report.node = world_.NameOf(index_);
  report.group = world_.Group();
  report.boot_id = world_.machines[index_]->BootId();
  report.boot_ms = BootMs();
  report.time_ms = world_.queue.NowUs() / 1000;
  report.number = ++number_;
  report.epoch = Epoch();
  report.endpoint = world_.EndpointOf(index_);
  report.relay_endpoint = Endpoint{"127.0.0.1", static_cast<std::uint16_t>(7000 + index_)};
  report.process = seen_.process;
  report.relay = relay_.Report();
  report.wal_readable = true;
  report.version = "2.11.0";
  const Facts* known = seen_.facts ? &*seen_.facts : known_ ? &*known_ : nullptr;
  if (seen_.facts || (known != nullptr && seen_.process == ProcessState::kHung)) {
    report.role = known->role;
    report.upstream_is_relay = known->of_relay;
    if (known->role == Role::kReplica) {
      report.master = known->of_relay ? report.relay_endpoint : Endpoint{"127.0.0.1", 1};
    }
  }
  if (seen_.facts) {
    const Facts& facts = *seen_.facts;
    report.link_up = facts.link_up;
    report.loading = facts.loading;
    report.full_sync = facts.loading && facts.syncing                             ? FullSyncState::kRestoring
                       : facts.syncing || relay_.State() == RelayState::kFullSync ? FullSyncState::kFetching
                                                                                  : FullSyncState::kNone;
    report.counters = facts.counters;
    if (!facts.loading) report.last = Sequence(facts.last);
    if (facts.refuses_writes) report.writes_refused = "its disk is full";
  } else if (seen_.process == ProcessState::kDown && wal_last_) {
    report.last = Sequence(*wal_last_);
  }
  const std::int64_t now = BootMs();
  report.lease_left_ms = keeper_.LeftMs(now);
  report.promised_left_ms = keeper_.PromisedLeftMs(now);
  report.leased = keeper_.Leased();
  report.leaving = world_.machines[index_]->leaving;
  return report;
}

void AgentModel::FreshReport(std::function<void(Result<Report>)> done) {
  const std::uint64_t wanted = RequestLook();
  auto once = std::make_shared<std::function<void(Result<Report>)>>(std::move(done));
  const auto answer = [once](Result<Report> report) {
    if (!*once) return;
    std::exchange(*once, nullptr)(std::move(report));
  };
  asking_reports_.emplace_back(wanted, answer);
  if (Server().Paused()) Later(kFreshTimeout, [this, answer] { answer(CurrentReport()); });
}

void AgentModel::Subscribe(std::uint64_t stream) {
  stream_ = stream;
  published_ = CurrentReport();
  published_us_ = world_.queue.NowUs();
  world_.controller->Push(index_, stream_, published_);
}

void AgentModel::Publish(bool always) {
  if (stream_ == 0) return;
  Report report = CurrentReport();
  if (!always && SameSubstance(report, published_)) {
    --number_;
    return;
  }
  published_us_ = world_.queue.NowUs();
  world_.controller->Push(index_, stream_, report);
  published_ = std::move(report);
}

void AgentModel::Tick() {
  std::int64_t interval = kStreamIntervalMs;
  if (keeper_.Terms() && keeper_.LeftMs(BootMs())) {
    interval = std::min(interval, RenewInterval(*keeper_.Terms()));
  }
  if (published_us_ < 0 || world_.queue.NowUs() - published_us_ >= interval * kMs) {
    published_us_ = world_.queue.NowUs();
    Publish(true);
  }
  const std::int64_t left = published_us_ + interval * kMs - world_.queue.NowUs();
  Later(std::clamp<std::int64_t>(left, 1 * kMs, 250 * kMs), [this] { Tick(); });
}

void AgentModel::AskUpstreamRole(std::size_t upstream, std::function<void(Result<Role>)> done) {
  if (relay_.Report().upstream != world_.EndpointOf(upstream))
    return done(Fail(ErrorCode::kConflict, "its relay does not follow that server"));
  auto role = std::make_shared<Result<Role>>(Role::kUnknown);
  world_.AskServer(
      index_, upstream, kHealthTimeout,
      [role](ServerModel& server) {
        *role = server.ItsRole();
        if (server.Loading()) *role = Fail(ErrorCode::kConflict, "it is loading its data");
      },
      [&world = world_, index = index_, run = run_, role, done = std::move(done)](Result<void> result) {
        if (world.AgentOf(index, run) == nullptr) return;
        done(result ? *role : Result<Role>(Fail(result.error())));
      });
}

// ---- leases

void AgentModel::Look(const NodeLook& look) {
  if (look.served < lease_trusted_from_) return;
  const std::int64_t now = BootMs();
  maybe_master_ = look.maybe_master;
  if (look.down != down_) {
    down_ = look.down;
    if (down_ && keeper_.Leased()) {
      keeper_.End(now);
      Save();
    }
    if (down_) promoting_ = false;
  }
  if (!looked_ && (look.known || look.maybe_master)) {
    looked_ = true;
    keeper_.FirstLook(maybe_master_, now);
    // One round of asking, and parking.
    start_round_ends_us_ = world_.queue.NowUs() + (agent::LeaseKeeper::kFirstRoundMs + 300) * kMs;
  }
  Check();
}

void AgentModel::SetTimer(std::optional<std::int64_t> at_ms) {
  if (!at_ms) {
    timer_ms_.reset();
    ++timer_number_;
    return;
  }
  if (timer_ms_ && *timer_ms_ <= *at_ms) return;  // it fires earlier, and looks again
  timer_ms_ = at_ms;
  const std::uint64_t number = ++timer_number_;
  const std::int64_t when = world_.machines[index_]->clock.WhenUs(*at_ms, world_.queue.NowUs());
  Later(when - world_.queue.NowUs() + world_.random.Between(0, 2 * kMs), [this, number] {
    if (number != timer_number_) return;
    timer_ms_.reset();
    Check();
  });
}

void AgentModel::Check() {
  const std::int64_t now = BootMs();
  if (maybe_master_ && !fencing_ && keeper_.MustPark(true, now)) BeginFence();
  if (!maybe_master_ || fencing_) return SetTimer(std::nullopt);
  auto ask_at = keeper_.AskAt();
  if (ask_at && *ask_at <= now) {
    BeginRound();
    ask_at = keeper_.AskAt();
  }
  auto next = keeper_.ParkAt();
  if (ask_at) next = next ? std::min(*next, *ask_at) : *ask_at;
  SetTimer(next);
}

void AgentModel::BeginFence() {
  world_.Trace(index_, "agent", [] { return "parks its node: the lease has run out"; });
  keeper_.End(BootMs());
  Save();
  relay_.Park();
  fencing_ = true;
  tasks_.Spawn(FenceTask());
}

core::Task<void> AgentModel::FenceTask() {
  for (;;) {
    const auto set = co_await SlaveOfRelay(kOutstanding);
    if (!set && set.error().Code() == ErrorCode::kUnavailable) break;
    if (set) {
      const auto facts = co_await Info(kHealthTimeout);
      if (facts && facts->of_relay) break;
    }
    co_await Sleep(kBetweenFences);
  }
  FenceEnds();
}

void AgentModel::FenceEnds() {
  fencing_ = false;
  maybe_master_ = false;
  lease_trusted_from_ = RequestLook();
  Check();
}

void AgentModel::BeginRound() {
  const auto round = keeper_.BeginRound(BootMs());
  world_.Trace(index_, "agent",
               [&] { return "asks the others for promises, round " + std::to_string(round.number); });
  for (const auto& question : round.questions) AskOne(round.number, question, round.timeout_ms * kMs);
  if (round.questions.empty()) Save();
}

void AgentModel::AskOne(std::uint64_t round, const agent::LeaseKeeper::Question& question,
                        std::int64_t timeout_us) {
  const std::string name = question.member.node;
  world_.Request<PromiseAnswer>(
      index_, world_.IndexOf(name), timeout_us,
      [request = question.request](AgentModel& agent, std::function<void(PromiseAnswer)> reply) {
        agent.Promise(request, std::move(reply));
      },
      [&world = world_, index = index_, run = run_, round, name](Heard heard, PromiseAnswer answer) {
        AgentModel* self = world.AgentOf(index, run);
        if (self == nullptr) return;
        using KeeperHeard = agent::LeaseKeeper::Heard;
        KeeperHeard what = KeeperHeard::kNothing;
        if (heard == Heard::kRefused) what = KeeperHeard::kRefusedByMachine;
        if (heard == Heard::kAnswered && answer.promised) what = KeeperHeard::kPromised;
        if (!self->keeper_.Answer(round, name, what, answer.epoch, self->BootMs())) return;
        world.Trace(index, "agent", [&] {
          return self->keeper_.LeftMs(self->BootMs()) ? "goes on by the promises of all others"
                                                      : "hears of a later epoch: its lease is over";
        });
        self->Save();
        self->Check();
      });
}

void AgentModel::Promise(PromiseRequest request, std::function<void(PromiseAnswer)> done) {
  PromiseAnswer answer = keeper_.Promise(request, Epoch(), maybe_master_ || fencing_, promoting_, BootMs());
  if (!answer.promised) return done(answer);
  world_.Trace(index_, "agent", [&] { return "promises " + request.holder + " not to be promoted"; });
  Save();
  save_waiters_.emplace_back(wanted_, [done = std::move(done), answer](bool) { done(answer); });
}

void AgentModel::HandleGrant(std::uint64_t stream, const LeaseGrant& grant) {
  if (stream != stream_ || fencing_) return;
  if (!keeper_.Grant(grant, Epoch(), BootMs())) return;
  Save();
  Check();
}

void AgentModel::Save() {
  ++wanted_;
  if (!writing_) WriteNext();
}

void AgentModel::WriteNext() {
  writing_ = true;
  lease_being_written_ = keeper_;
  const std::uint64_t state = wanted_;
  Later(world_.WriteUs(), [this, state] {
    world_.machines[index_]->disk.lease = std::move(lease_being_written_);
    lease_being_written_.reset();
    written_ = state;
    writing_ = false;
    auto waiters = std::move(save_waiters_);
    save_waiters_.clear();
    for (auto& [wanted, done] : waiters) {
      if (wanted <= written_) {
        done(true);
      } else {
        save_waiters_.emplace_back(wanted, std::move(done));
      }
    }
    if (wanted_ > written_ && !writing_) WriteNext();
  });
}

core::Answer<bool> AgentModel::SaveNow() {
  return core::Answer<bool>([this](auto done) {
    Save();
    save_waiters_.emplace_back(wanted_, std::move(done));
  });
}

Result<void> AgentModel::MayPromote(const PromoteAction& action) {
  if (fencing_) return Fail(ErrorCode::kConflict, "the node is being parked, since its lease ran out");
  auto may = keeper_.MayPromote(action, Epoch(), BootMs());
  if (may) promoting_ = true;
  return may;
}

void AgentModel::EndLease() {
  keeper_.End(BootMs());
  maybe_master_ = false;
  lease_trusted_from_ = RequestLook();
  Save();
  Check();
}

// ---- commands

void AgentModel::Submit(Command command, std::function<void(Result<CommandResult>)> done) {
  auto admission = ledger_.Admit(command);
  if (!admission) return done(Fail(admission.error()));
  const bool is_new = *admission == agent::CommandLedger::Admission::kNew;
  // Nobody waits for a replay.
  if (is_new && relay_.State() == RelayState::kSplicing) relay_.Park();
  switch (*admission) {
    case agent::CommandLedger::Admission::kAnswered:
      return done(*ledger_.Find(command.id));
    case agent::CommandLedger::Admission::kUnderWay:
      waiting_[command.id].push_back(std::move(done));
      return;
    case agent::CommandLedger::Admission::kNew:
      waiting_[command.id].push_back(std::move(done));
      queue_.push_back({std::move(command), world_.queue.NowUs()});
      if (draining_) return;
      draining_ = true;
      tasks_.Spawn(Drain());
      return;
  }
}

core::Task<void> AgentModel::Drain() {
  while (!queue_.empty()) {
    Pending pending = std::move(queue_.front());
    queue_.pop_front();
    const std::string id = pending.command.id;
    auto result = co_await RunOne(std::move(pending.command), pending.arrival_us);
    auto waiting = std::move(waiting_[id]);
    waiting_.erase(id);
    for (const auto& done : waiting) done(result);
  }
  draining_ = false;
  CommandsChanged();
  promoting_ = false;
  lease_trusted_from_ = std::max(lease_trusted_from_, trusted_from_);
}

void AgentModel::CommandsChanged() {
  trusted_from_ = RequestLook();
  Publish(false);
}

core::Task<bool> AgentModel::SaveLedger() {
  ledger_being_written_ = ledger_;
  co_await Sleep(world_.WriteUs());
  world_.machines[index_]->disk.ledger = std::move(ledger_being_written_);
  ledger_being_written_.reset();
  co_return true;
}

core::Task<Result<CommandResult>> AgentModel::RunOne(Command command, std::int64_t arrival_us) {
  const std::int64_t deadline_us = arrival_us + command.deadline_ms * kMs;
  auto begun = ledger_.Begin(command);
  if (!begun) co_return Fail(begun.error());
  CommandsChanged();
  co_await SaveLedger();
  CommandResult result;
  result.id = command.id;
  result.outcome = Outcome::kFailed;
  if (world_.queue.NowUs() >= deadline_us) {
    result.error = "was not run, since its deadline passed while it waited";
  } else {
    world_.Trace(index_, "agent",
                 [&] { return "runs " + command.id + ": " + std::string(ActionName(command.action)); });
    world_.checkers->CommandBegins(command);
    result = co_await Carry(command, deadline_us);
  }
  result.id = command.id;
  world_.Trace(index_, "agent", [&] {
    return command.id + " is " + std::string(ToString(result.outcome)) +
           (result.error.empty() ? "" : ": " + result.error) +
           (result.last ? ", last " + result.last->ToString() : "");
  });
  ledger_.Finish(result);
  co_await SaveLedger();
  co_return result;
}

AgentModel::Step AgentModel::Carry(Command command, std::int64_t deadline_us) {
  if (std::holds_alternative<ParkAction>(command.action)) co_return co_await Park(deadline_us);
  if (auto* promote = std::get_if<PromoteAction>(&command.action)) {
    co_return co_await Promote(*promote, command.id, deadline_us);
  }
  if (auto* pad = std::get_if<PadAction>(&command.action)) co_return co_await Pad(*pad, deadline_us);
  if (auto* follow = std::get_if<FollowAction>(&command.action)) {
    co_return co_await DoFollow(*follow, deadline_us);
  }
  if (auto* rescue = std::get_if<RescueAction>(&command.action)) {
    co_return co_await Rescue(*rescue, deadline_us);
  }
  if (auto* salvage = std::get_if<SalvageAction>(&command.action)) {
    co_return co_await Salvage(*salvage, deadline_us);
  }
  if (auto* advance = std::get_if<AdvanceAction>(&command.action)) {
    co_return co_await Advance(*advance, deadline_us);
  }
  if (auto* splice = std::get_if<SpliceAction>(&command.action)) {
    co_return co_await DoSplice(*splice, deadline_us);
  }
  if (auto* full_sync = std::get_if<FullSyncAction>(&command.action)) {
    co_return co_await DoFullSync(*full_sync, deadline_us);
  }
  co_return Failed("this agent does not know that action");
}

std::int64_t AgentModel::Left(std::int64_t deadline_us) const {
  return std::max<std::int64_t>(0, deadline_us - world_.queue.NowUs());
}

// It takes its time, a long one now and then, and is given up as soon as another command waits.
AgentModel::Step AgentModel::Salvage(SalvageAction action, std::int64_t deadline_us) {
  const std::int64_t until = std::min(deadline_us, world_.queue.NowUs() + world_.SalvageUs());
  while (world_.queue.NowUs() < until) {
    if (!queue_.empty()) co_return Failed("the salvage is given up, for another command waits");
    co_await Sleep(std::min(until - world_.queue.NowUs(), 20 * kMs));
  }
  CommandResult result = Done(std::nullopt);
  result.salvage = SalvageRef{
      action.decision, world_.NameOf(index_), "salvage", action.range, action.range.Size(), 0, 0, ""};
  co_return result;
}

core::Task<bool> AgentModel::WaitAttached(std::int64_t timeout_us) {
  const std::int64_t until = world_.queue.NowUs() + timeout_us;
  while (!relay_.Attached()) {
    if (world_.queue.NowUs() >= until) co_return false;
    co_await Sleep(kPollUs);
  }
  co_return true;
}

core::Task<std::optional<CommandResult>> AgentModel::Attach(bool of_relay, std::int64_t deadline_us) {
  if (!of_relay) {
    const auto set = co_await SlaveOfRelay(Left(deadline_us));
    if (!set && !MayHaveHappened(set.error())) co_return Failed(set.error().Message());
    if (!set) {
      const auto facts = co_await Info(kCallTimeout);
      if (!facts || !facts->of_relay) co_return Unknown("the node may still become a replica of its relay");
    }
  }
  bool attached = co_await WaitAttached(std::min(Left(deadline_us), kAttachPatience));
  if (!attached && Left(deadline_us) > 0) {
    // A replication thread that asks for a full sync again and again is ended.
    const auto away = co_await AskServer<bool>(Left(deadline_us), [](ServerModel& server) {
      server.SlaveOfElsewhere();
      return true;
    });
    if (!away) co_return Failed(away.error().Message());
    const auto back = co_await SlaveOfRelay(Left(deadline_us));
    if (!back) co_return Failed(back.error().Message());
    attached = co_await WaitAttached(Left(deadline_us));
  }
  if (!attached) co_return Failed("the node did not attach to its relay");
  co_return std::nullopt;
}

core::Task<Result<std::uint64_t>> AgentModel::Settle(std::int64_t deadline_us) {
  std::optional<std::uint64_t> last;
  std::int64_t since = world_.queue.NowUs();
  std::int64_t pause = 1 * kMs;
  for (;;) {
    if (Left(deadline_us) == 0) co_return Fail(ErrorCode::kTimeout, "the node did not settle");
    const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
    if (!facts) co_return Fail(facts.error(), "the node did not settle");
    if (facts->loading || facts->syncing) co_return Fail(ErrorCode::kConflict, "the node is in a full sync");
    if (facts->of_relay && facts->link_up) {
      if (last != facts->last) {
        last = facts->last;
        since = world_.queue.NowUs();
      } else {
        const bool holds_all = relay_.Attached() && relay_.NodeNext() == *last + 1;
        const bool lags = relay_.Attached() && relay_.NodeNext() > *last + 1;
        if (holds_all || (!lags && world_.queue.NowUs() - since >= kSettleUs)) co_return *last;
      }
    }
    co_await Sleep(pause);
    pause = std::min(2 * pause, 10 * kMs);
  }
}

AgentModel::Step AgentModel::Park(std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (facts && facts->loading) co_return Failed("the node is loading");
  relay_.Park();
  if (!facts) co_return Failed(facts.error().Message() + "; its relay is parked");
  const bool of_relay = facts->of_relay;
  auto not_attached = co_await Attach(of_relay, deadline_us);
  if (not_attached) co_return *not_attached;
  EndLease();
  const auto last = co_await Settle(deadline_us);
  if (!last) co_return Failed(last.error().Message());
  co_return Done(*last);
}

AgentModel::Step AgentModel::Promote(PromoteAction action, std::string id, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master already", facts->last);
  if (facts->loading || facts->syncing) co_return Failed("the node is in a full sync");
  if (!facts->of_relay) co_return Failed("the node is not of its relay: park it first", facts->last);
  if (relay_.State() == RelayState::kFullSync) co_return Failed("the node is in a full sync", facts->last);
  if (auto may = MayPromote(action); !may) co_return Failed(may.error().Message(), facts->last);
  if (action.require_last && facts->last < action.require_last->Value()) {
    co_return Failed("the node's last is too low", facts->last);
  }
  relay_.Park();
  const auto last = co_await Settle(deadline_us);
  if (!last) co_return Failed(last.error().Message() + "; the node is parked");
  if (action.require_last && *last < action.require_last->Value()) {
    co_return Failed("the node's last is too low; the node is parked", *last);
  }
  if (auto may = MayPromote(action); !may) co_return Failed(may.error().Message(), *last);
  keeper_.Promoting(action, BootMs());
  co_await SaveNow();
  // Named, for GCC 12 destroys such a temporary within a co_await twice.
  std::function<bool(ServerModel&)> no_one = [&world = world_, index = index_, id](ServerModel& server) {
    if (server.Loading()) return false;  // Kvrocks answers -LOADING
    world.checkers->Promoted(index, id);
    server.SlaveOfNoOne();
    return true;
  };
  const auto promoted = co_await AskServer<bool>(Left(deadline_us), no_one);
  if (promoted && !*promoted) {
    EndLease();
    co_return Failed("the server is loading; the node is parked", *last);
  }
  if (!promoted && !MayHaveHappened(promoted.error())) {
    EndLease();
    co_return Failed(promoted.error().Message() + "; the node is parked", *last);
  }
  const auto after = co_await Info(kCallTimeout);
  if (!after) co_return Unknown("the node's role is not known: " + after.error().Message(), *last);
  if (after->role != Role::kMaster) co_return Unknown("the node may yet become a master", *last);
  relay_.Park(RelayState::kIdle);
  CommandResult result = Done(*last);
  result.last_after = Sequence(after->last);
  co_return result;
}

AgentModel::Step AgentModel::Pad(PadAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->loading || facts->syncing) co_return Failed("the node is in a full sync");
  if (!facts->of_relay) co_return Failed("the node is not parked on its relay", facts->last);
  if (relay_.State() != RelayState::kParked) co_return Failed("the relay is not parked", facts->last);
  const std::uint64_t next = facts->last + 1;
  const std::uint64_t target = action.target.Value();
  if (next == target && action.target != action.expected_next) {
    const auto& log = Server().Log().Batches();
    const bool marked = !log.empty() && log.back().IsPad() &&
                        world_.markers[static_cast<std::size_t>(log.back().marker)] == action.decision;
    if (marked) co_return Done(facts->last);
    co_return Failed("the node is at the target already, but not by this decision", facts->last);
  }
  if (next != action.expected_next.Value()) {
    co_return Failed("the node's next is " + std::to_string(next) + ", not as expected", facts->last);
  }
  if (target == next) co_return Done(facts->last);
  Batch pad;
  pad.first = next;
  pad.count = static_cast<std::uint32_t>(target - next);
  pad.marker = world_.MarkerOf(action.decision);
  Seal(pad);
  std::vector<Batch> pads{pad};
  const auto given = relay_.Give(next, pads);
  if (!given) co_return Failed(given.error().Message(), facts->last);
  std::uint64_t last = facts->last;
  while (Left(deadline_us) > 0) {
    const auto now = co_await Info(std::min(Left(deadline_us), kCallTimeout));
    if (!now) co_return Failed(now.error().Message(), last);
    last = now->last;
    if (last + 1 == target) co_return Done(last);
    if (last + 1 > target) break;
    co_await Sleep(2 * kMs);
  }
  co_return Failed("the target was not reached; it stays parked", last);
}

AgentModel::Step AgentModel::DoFollow(FollowAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master: park it first", facts->last);
  if (facts->loading || facts->syncing) co_return Failed("the node is in a full sync");
  if (action.expected_next && facts->last + 1 != action.expected_next->Value()) {
    co_return Failed("the node's next is " + std::to_string(facts->last + 1) + ", not as expected",
                     facts->last);
  }
  const bool of_relay = facts->of_relay;
  if (!of_relay) relay_.Park();
  auto not_attached = co_await Attach(of_relay, deadline_us);
  if (not_attached) co_return *not_attached;
  relay_.Follow(action);
  const std::uint64_t command = relay_.Command();
  for (;;) {
    if (relay_.Command() != command) co_return Failed("another command came in between", facts->last);
    if (relay_.EverAccepted()) break;
    if (!relay_.HasUpstream()) co_return Failed(relay_.Problem() + "; the node is parked", facts->last);
    if (Left(deadline_us) == 0) {
      relay_.ParkWith("follow: not in time");
      co_return Failed("follow: not in time; the node is parked", facts->last);
    }
    co_await Sleep(kPollUs);
  }
  const auto after = co_await Info(kCallTimeout);
  co_return Done(after ? after->last : facts->last);
}

Result<std::vector<Batch>> AgentModel::Tail(std::uint64_t from) {
  if (Server().Up()) return Fail(ErrorCode::kConflict, "its server is up");
  return Lent(from);
}

Result<std::vector<Batch>> AgentModel::Lent(std::uint64_t from) {
  const History& log = Server().Log();
  const std::size_t index = log.Find(from);
  if (index < Server().WalBegin() || log.At(from) == nullptr) {
    return Fail(ErrorCode::kNotFound, "no batch begins at " + std::to_string(from));
  }
  const std::size_t end = std::min(log.Batches().size(), index + 20);
  return std::vector<Batch>(log.Batches().begin() + static_cast<std::ptrdiff_t>(index),
                            log.Batches().begin() + static_cast<std::ptrdiff_t>(end));
}

AgentModel::Step AgentModel::Rescue(RescueAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master", facts->last);
  CommandResult parked = co_await Park(deadline_us);
  if (parked.outcome != Outcome::kDone) co_return parked;
  std::uint64_t last = parked.last->Value();
  const std::uint64_t target = action.target.Value();
  if (last + 1 > target) co_return Failed("the node is past the target", last);
  while (last + 1 != target) {
    if (Left(deadline_us) == 0) co_return Failed("the command's deadline has passed", last);
    const std::size_t source = world_.IndexOf(action.source);
    const std::uint64_t from = last + 1;
    const std::int64_t timeout = std::min(Left(deadline_us), kPeerTimeoutMs * kMs);
    const bool alive = action.alive;
    core::Answer<Result<std::vector<Batch>>> ask([this, source, from, timeout, alive](auto done) {
      using Tail = Result<std::vector<Batch>>;
      world_.Request<Tail>(
          index_, source, timeout,
          [from, alive](AgentModel& agent, std::function<void(Tail)> reply) {
            reply(alive ? agent.Lent(from) : agent.Tail(from));
          },
          [&world = world_, index = index_, run = run_, done = std::move(done)](Heard heard, Tail got) {
            if (world.AgentOf(index, run) == nullptr) return;
            done(heard == Heard::kAnswered ? std::move(got)
                                           : Tail(Fail(ErrorCode::kUnavailable, "no answer")));
          });
    });
    auto tail = co_await ask;
    if (!tail) co_return Failed("the tail of " + action.source + ": " + tail.error().Message(), last);
    std::vector<Batch> feed;
    std::uint64_t end = from;
    for (const Batch& batch : *tail) {
      if (batch.first != end) co_return Failed("the tail has a gap", last);
      if (batch.first >= target) break;
      end = batch.End();
      if (end > target) co_return Failed("a batch of the tail reaches beyond the target", last);
      feed.push_back(batch);
    }
    if (feed.empty()) co_return Failed("the tail is empty", last);
    const WalView view(Server().Log(), Server().WalBegin(), world_.markers);
    if (action.last_batch && end == target && view.InfoOf(feed.back()) != *action.last_batch)
      co_return Failed("the tail ends with another batch", last);
    const auto given = relay_.Give(from, feed);
    if (!given) co_return Failed(given.error().Message(), last);
    for (;;) {
      if (Left(deadline_us) == 0) co_return Failed("the command's deadline has passed", last);
      const auto now = co_await Info(std::min(Left(deadline_us), kCallTimeout));
      if (!now) co_return Failed(now.error().Message(), last);
      last = now->last;
      if (last + 1 == end) break;
      if (last + 1 > end) co_return Failed("the node went past what it was sent", last);
      if (relay_.Attached() && relay_.NodeNext() < end) co_return Failed("the node's connection broke", last);
      co_await Sleep(2 * kMs);
    }
  }
  co_return Done(last);
}

std::uint64_t AgentModel::FillerSince(std::uint64_t from, std::int32_t marker) {
  std::uint64_t count = 0;
  const auto& batches = Server().Log().Batches();
  for (std::size_t index = Server().Log().Find(from); index < batches.size(); ++index) {
    if (batches[index].marker == marker) count += batches[index].count;
  }
  return count;
}

AgentModel::Step AgentModel::Advance(AdvanceAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role != Role::kMaster) co_return Failed("the node is not a master", facts->last);
  const std::int32_t marker = world_.MarkerOf(std::string(kFillerPrefix) + action.decision);
  std::uint64_t written = FillerSince(action.from.Value(), marker);
  while (written < action.count) {
    if (keeper_.Leased() && !keeper_.LeftMs(BootMs())) co_return Failed("the lease has run out", facts->last);
    if (Left(deadline_us) == 0) co_return Failed("the command's deadline has passed", facts->last);
    // A few at a time, so that others write in between.
    const auto some = static_cast<std::uint32_t>(std::min<std::uint64_t>(action.count - written, 3));
    std::function<bool(ServerModel&)> apply = [marker, some](ServerModel& server) {
      Batch batch;
      batch.first = server.Next();
      batch.count = some;
      batch.marker = marker;
      Seal(batch);
      return server.Write(batch);
    };
    const auto applied = co_await AskServer<bool>(Left(deadline_us), apply);
    if (!applied && MayHaveHappened(applied.error())) co_return Unknown(applied.error().Message());
    if (!applied) co_return Failed(applied.error().Message());
    if (!*applied) co_return Failed("the server refuses writes");
    written += some;
  }
  if (FillerSince(action.from.Value(), marker) != action.count) co_return Failed("the filler is another");
  const auto after = co_await Info(kCallTimeout);
  co_return Done(after ? after->last : facts->last);
}

AgentModel::Step AgentModel::DoSplice(SpliceAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->loading || facts->syncing) co_return Failed("the node is in a full sync");
  if (!facts->of_relay) co_return Failed("the node is not parked on its relay", facts->last);
  if (relay_.State() != RelayState::kParked || !relay_.Attached()) {
    co_return Failed("the relay is not parked, or the node not attached", facts->last);
  }
  if (facts->last + 1 != action.expected_next.Value()) {
    co_return Failed("the node's next is " + std::to_string(facts->last + 1) + ", not as expected",
                     facts->last);
  }
  relay_.Splice(action);
  const std::uint64_t command = relay_.Command();
  std::uint64_t last = facts->last;
  for (;;) {
    if (relay_.Command() != command) co_return Failed("another command came in between", last);
    if (!relay_.HasUpstream()) co_return Failed(relay_.Problem() + "; the node is parked", last);
    if (Left(deadline_us) == 0) {
      relay_.ParkWith("splice: not in time");
      co_return Failed("splice: not in time; the node is parked", last);
    }
    if (const auto met = relay_.MetAt()) {
      const auto now = co_await Info(std::min(Left(deadline_us), kCallTimeout));
      if (now) last = now->last;
      if (now && last + 1 == *met) {
        const auto follows = relay_.FollowOn(*met);
        if (!follows) relay_.Park();
        if (!follows) co_return Failed(follows.error().Message(), last);
        co_return Done(*met - 1);
      }
      if (!now || last + 1 > *met) {
        relay_.Park();
        co_return Failed("the node is not where the numbers met; it is parked", last);
      }
    }
    co_await Sleep(2 * kMs);
  }
}

AgentModel::Step AgentModel::DoFullSync(FullSyncAction action, std::int64_t deadline_us) {
  const auto facts = co_await Info(std::min(Left(deadline_us), kCallTimeout));
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master: park it first", facts->last);
  if (facts->loading || facts->syncing) co_return Failed("the node is in a full sync");
  if (!facts->of_relay) co_return Failed("the node is not of its relay: park it first", facts->last);
  relay_.FullSync(world_.IndexOf(action.upstream));
  const std::uint64_t command = relay_.Command();
  for (;;) {
    if (relay_.Command() != command) co_return Failed("another command came in between", facts->last);
    if (relay_.FullSyncBegun()) co_return Done(facts->last);
    if (Left(deadline_us) == 0) {
      relay_.ParkWith("full sync: the node did not begin it");
      co_return Unknown("the node did not begin it in time", facts->last);
    }
    co_await Sleep(kPollUs);
  }
}

}  // namespace walstitch::simulation
