#include "tests/simulation/schedule.h"

#include <algorithm>
#include <memory>

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kSecond = 1000 * kMs;
// A suspected promotion is waited for for 30 s, a command for 12.
constexpr std::int64_t kMasterBoundUs = 60 * kSecond;
// A rejoin that failed is tried again after up to a minute.
constexpr std::int64_t kRestBoundUs = 150 * kSecond;

struct Weight {
  FaultKind kind;
  int weight;
};
constexpr Weight kWeights[] = {
    {FaultKind::kKillServer, 22},  {FaultKind::kCrashMachine, 8},   {FaultKind::kPauseServer, 10},
    {FaultKind::kKillAgent, 12},   {FaultKind::kCutLink, 10},       {FaultKind::kCutOneWay, 4},
    {FaultKind::kIsolate, 8},      {FaultKind::kKillController, 6}, {FaultKind::kEndController, 12},
    {FaultKind::kLoseMessages, 3}, {FaultKind::kSlowNetwork, 3},    {FaultKind::kSwitchover, 10},
    {FaultKind::kFailover, 2},     {FaultKind::kStoreFails, 3},     {FaultKind::kRefuseWrites, 2},
    {FaultKind::kPurgeWal, 2},     {FaultKind::kLeave, 4},
};

FaultKind DrawKind(Random& random) {
  int total = 0;
  for (const Weight& one : kWeights) total += one.weight;
  auto at = static_cast<int>(random.Between(0, total - 1));
  for (const Weight& one : kWeights) {
    at -= one.weight;
    if (at < 0) return one.kind;
  }
  return FaultKind::kKillServer;
}

core::FailoverSettings DrawFailover(Random& random) {
  core::FailoverSettings failover;
  if (random.Chance(250)) {
    failover.lease = {600, 20, 80};
  } else if (random.Chance(300)) {
    failover.lease = {1000, 50, 150};
  }
  if (random.Chance(500)) failover.unreachable_ms = 800;
  if (random.Chance(500)) failover.hung_ms = 500;
  if (random.Chance(500)) failover.stuck_feed_ms = 2000;
  failover.block_ms = random.Between(0, 3000);
  return failover;
}

// A master is cut off for longer than its lease, and wrote what nobody got: it comes back with a tail that
// may differ, and everything else happens while it is spliced.
void MakeATail(Random& random, Setup& setup) {
  setup.ignored_permille = 1000;
  setup.feed_lag_us = random.Between(50 * kMs, 400 * kMs);
  setup.write_interval_us = random.Between(5, 25) * kMs;
  Fault cut;
  cut.kind = FaultKind::kIsolate;
  cut.number = 2;  // the master
  cut.at_us = random.Between(600 * kMs, kSecond);
  cut.lasts_us = setup.failover.lease.duration_ms * kMs + random.Between(500 * kMs, 2 * kSecond);
  const std::int64_t back_us = cut.at_us + cut.lasts_us;
  setup.heal_us = back_us + random.Between(2, 8) * kSecond;
  for (Fault& fault : setup.faults) {
    fault.at_us = std::min(back_us + random.Between(0, random.Chance(700) ? 400 * kMs : 3 * kSecond),
                           setup.heal_us - 1);
  }
  setup.faults.insert(setup.faults.begin(), cut);
}

// A replica is away while the master's WAL is purged, and comes back to where only another replica's reaches:
// everything else happens while it borrows. Which node is away is drawn; that it is no master, is likely.
void PurgeWhileAway(Random& random, Setup& setup) {
  setup.write_interval_us = random.Between(5, 25) * kMs;
  Fault away;
  away.kind = random.Chance(500) ? FaultKind::kKillServer : FaultKind::kIsolate;
  away.number = 1;
  away.node = random.Index(setup.nodes);
  away.at_us = random.Between(600 * kMs, kSecond);
  away.lasts_us = random.Between(1, 3) * kSecond;
  const std::int64_t back_us = away.at_us + away.lasts_us;
  setup.heal_us = back_us + random.Between(2, 8) * kSecond;
  Fault purge;
  purge.kind = FaultKind::kPurgeWal;
  purge.number = 2;  // the master's
  purge.at_us = back_us - random.Between(0, kSecond / 2);
  for (Fault& fault : setup.faults) {
    fault.at_us = std::min(back_us + random.Between(0, random.Chance(700) ? 600 * kMs : 3 * kSecond),
                           setup.heal_us - 1);
  }
  setup.faults.insert(setup.faults.begin(), {away, purge});
}

}  // namespace

std::string ToString(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKillServer:
      return "the server is killed";
    case FaultKind::kCrashMachine:
      return "the machine crashes";
    case FaultKind::kPauseServer:
      return "the server hangs";
    case FaultKind::kKillAgent:
      return "the agent is killed";
    case FaultKind::kCutLink:
      return "a link is cut";
    case FaultKind::kCutOneWay:
      return "one way of a link is cut";
    case FaultKind::kIsolate:
      return "the machine is cut off";
    case FaultKind::kKillController:
      return "the controller is killed";
    case FaultKind::kEndController:
      return "the controller will end in a step";
    case FaultKind::kLoseMessages:
      return "messages are lost";
    case FaultKind::kSlowNetwork:
      return "the network is slow";
    case FaultKind::kSwitchover:
      return "an operator orders a switchover";
    case FaultKind::kFailover:
      return "an operator orders a failover";
    case FaultKind::kStoreFails:
      return "the store's disk fails";
    case FaultKind::kRefuseWrites:
      return "the server's disk is full";
    case FaultKind::kPurgeWal:
      return "the WAL is purged";
    case FaultKind::kLeave:
      return "the server is about to be stopped";
  }
  return "";
}

Setup DrawSetup(std::uint64_t seed, const DrawOptions& options) {
  Random random(seed ^ 0x5DEECE66DULL);
  Setup setup;
  setup.only = options.only;
  setup.nodes = options.nodes != 0 ? options.nodes
                                   : static_cast<std::size_t>(random.Chance(250)   ? 2
                                                              : random.Chance(800) ? 3
                                                                                   : 4);
  setup.failover = DrawFailover(random);
  setup.network.most_us = random.Chance(500) ? 1'000 : 10'000;
  setup.network.late_permille = random.Chance(500) ? 0 : 20;
  setup.network.duplicate_permille = random.Chance(500) ? 0 : 30;
  setup.feed_lag_us = random.Chance(500) ? 0 : random.Between(0, 300 * kMs);
  setup.write_interval_us = random.Between(15, 80) * kMs;
  // Where nearly nothing else is written, there are tails that the policy lets go.
  setup.ignored_permille = random.Chance(500) ? 980 : 700;
  const std::int64_t drift = setup.failover.lease.drift_permille * 1000;
  for (std::size_t i = 0; i <= setup.nodes; ++i) {
    Clock clock;
    clock.offset_ms = random.Between(1, 100'000);
    const std::int64_t gains = random.Chance(500) ? drift : random.Between(0, drift);
    clock.gains_ppm = random.Chance(500) ? gains : -gains;
    setup.clocks.push_back(clock);
  }
  setup.splices = seed % 2 == 0;
  setup.heal_us = random.Between(5, 14) * kSecond;
  const std::size_t most = options.faults != 0 ? options.faults : 6;
  const auto count = static_cast<std::size_t>(random.Between(1, static_cast<std::int64_t>(most)));
  std::int64_t last_us = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Fault fault;
    fault.kind = DrawKind(random);
    // Faults come in the wake of faults: what is going on then is what they are to disturb.
    const bool follows = i > 0 && random.Chance(600);
    fault.at_us = follows ? last_us + random.Between(0, random.Chance(500) ? 300 * kMs : 4 * kSecond)
                          : random.Between(0, setup.heal_us);
    fault.at_us = std::min(fault.at_us, setup.heal_us - 1);
    last_us = fault.at_us;
    fault.lasts_us =
        random.Chance(500) ? random.Between(20 * kMs, kSecond) : random.Between(kSecond, 8 * kSecond);
    fault.node = random.Index(setup.nodes);
    fault.other = random.Index(setup.nodes + 1);
    if (fault.other == fault.node) fault.other = setup.nodes;
    fault.number = fault.kind == FaultKind::kLoseMessages
                       ? static_cast<std::uint64_t>(random.Between(50, 400))
                       : static_cast<std::uint64_t>(random.Between(1, 25));
    setup.faults.push_back(fault);
  }
  if (setup.splices && seed % 16 == 14) MakeATail(random, setup);
  if (setup.nodes > 2 && seed % 16 == 7) PurgeWhileAway(random, setup);
  return setup;
}

namespace {

// Does what a fault says, to whom it says. Half of the faults that mean a node mean the master.
class Schedule {
 public:
  Schedule(World& world, const Setup& setup) : world_(world), setup_(setup) {}

  void Begin() {
    for (std::size_t node = 0; node < world_.Nodes(); ++node) {
      world_.machines[node]->clock = setup_.clocks[node];
      world_.StartMachine(node);
      world_.StartWriter(node, setup_.write_interval_us);
    }
    world_.controller->clock = setup_.clocks[world_.Nodes()];
    world_.controller->Start();
    for (const Fault& fault : setup_.faults) {
      world_.queue.At(fault.at_us, [this, fault] { Do(fault); });
    }
  }

  void Do(const Fault& fault) {
    if (healed_) return;
    std::size_t node = fault.node;
    // By its number: the same in every run.
    if (fault.number % 2 == 0) node = Master().value_or(node);
    world_.Trace(node, "", [&] {
      return "--- " + ToString(fault.kind) +
             (fault.lasts_us > 0 ? ", for " + std::to_string(fault.lasts_us / kMs) + " ms" : "");
    });
    Machine& machine = *world_.machines[node];
    const std::size_t controller = world_.ControllersMachine();
    const std::size_t other = fault.other == node ? controller : fault.other;
    switch (fault.kind) {
      case FaultKind::kKillServer:
        machine.server.Kill(false);
        return Afterwards(fault, [&machine] {
          if (machine.up) machine.server.Start();
        });
      case FaultKind::kCrashMachine:
        world_.CrashMachine(node);
        return Afterwards(fault, [this, node] { world_.StartMachine(node); });
      case FaultKind::kPauseServer:
        machine.server.Pause();
        return Afterwards(fault, [&machine] { machine.server.Continue(); });
      case FaultKind::kKillAgent:
        world_.KillAgent(node);
        return Afterwards(fault, [this, node] { world_.StartAgent(node); });
      case FaultKind::kCutLink:
        Cut(node, other, true);
        Cut(other, node, true);
        return Afterwards(fault, [this, node, other] {
          Cut(node, other, false);
          Cut(other, node, false);
        });
      case FaultKind::kCutOneWay:
        Cut(node, other, true);
        return Afterwards(fault, [this, node, other] { Cut(node, other, false); });
      case FaultKind::kIsolate:
        Isolate(node, true);
        return Afterwards(fault, [this, node] { Isolate(node, false); });
      case FaultKind::kKillController:
        world_.controller->restart_us = fault.lasts_us;
        return world_.controller->Kill();
      case FaultKind::kEndController:
        world_.controller->restart_us = fault.lasts_us;
        world_.controller->crash_at = world_.controller->Steps() + fault.number;
        return;
      case FaultKind::kLoseMessages:
        world_.network.loss_permille = static_cast<int>(fault.number);
        return Afterwards(fault, [this] {
          world_.network.loss_permille = 0;
          world_.network.all_disturbed_us = world_.queue.NowUs();
        });
      case FaultKind::kSlowNetwork:
        world_.network.slow_us = 400 * kMs;
        return Afterwards(fault, [this] {
          world_.network.slow_us = 0;
          world_.network.all_disturbed_us = world_.queue.NowUs() + 400 * kMs;
        });
      case FaultKind::kSwitchover:
        if (ControllerRun* run = world_.controller->Now()) {
          core::OperatorRequest request;
          if (fault.number % 3 == 0) request.to = world_.NameOf(fault.node);
          run->Runner().Switchover(request, [](core::OperatorAnswer) {});
        }
        return;
      case FaultKind::kFailover:
        if (ControllerRun* run = world_.controller->Now())
          run->Runner().Failover({}, [](core::OperatorAnswer) {});
        return;
      case FaultKind::kStoreFails:
        world_.controller->store.fail_permille = 500;
        return Afterwards(fault, [this] { world_.controller->store.fail_permille = 0; });
      case FaultKind::kRefuseWrites:
        machine.server.refuses_writes = true;
        return Afterwards(fault, [&machine] { machine.server.refuses_writes = false; });
      case FaultKind::kPurgeWal:
        return machine.server.Purge();
      case FaultKind::kLeave:
        machine.leaving = true;
        return Afterwards(fault, [&machine] {
          machine.leaving = false;
          machine.server.Kill(false);
          if (machine.up) machine.server.Start();
        });
    }
  }

  void Heal() {
    healed_ = true;
    world_.Heal();
  }

 private:
  void Afterwards(const Fault& fault, std::function<void()> call) {
    world_.queue.After(fault.lasts_us, [this, call = std::move(call)] {
      if (!healed_) call();
    });
  }
  std::optional<std::size_t> Master() const {
    for (std::size_t node = 0; node < world_.Nodes(); ++node) {
      if (world_.machines[node]->server.Up() && world_.machines[node]->server.ItsRole() == Role::kMaster)
        return node;
    }
    return std::nullopt;
  }
  void Cut(std::size_t from, std::size_t to, bool cut) { world_.network.SetCut(from, to, cut); }
  void Isolate(std::size_t node, bool cut) {
    for (std::size_t other = 0; other <= world_.Nodes(); ++other) {
      if (other == node) continue;
      Cut(node, other, cut);
      Cut(other, node, cut);
    }
  }

  World& world_;
  const Setup& setup_;
  bool healed_ = false;
};

}  // namespace

RunResult Run(const Setup& setup, std::uint64_t seed, bool tracing, const std::vector<Strike>& strikes) {
  World world(setup.nodes, seed);
  world.tracing = tracing;
  world.settings.failover = setup.failover;
  world.network.settings = setup.network;
  world.feed_lag_us = setup.feed_lag_us;
  world.ignored_permille = setup.ignored_permille;
  if (!setup.splices) world.policy.prefer = {Verdict::kAligned, Verdict::kPadded, Verdict::kFull};
  world.checkers->only = setup.only;
  Schedule schedule(world, setup);
  std::function<void()> before;
  for (const Strike& strike : strikes) {
    if (strike.where == Strike::Where::kControllerStep) {
      world.controller->crash_at = strike.number;
      world.controller->restart_us = strike.lasts_us;
    }
    if (strike.where == Strike::Where::kMessage) {
      world.network.strike_at = strike.number;
      world.network.strike_late_us = strike.lasts_us;
    }
    if (strike.where == Strike::Where::kEvent) {
      before = [&world, &schedule, strike, then = before] {
        if (then) then();
        if (world.queue.Executed() != strike.number) return;
        Fault fault;
        fault.kind = strike.kind;
        fault.node = strike.node;
        fault.other = world.ControllersMachine();
        fault.number = 1;
        fault.lasts_us = strike.lasts_us;
        schedule.Do(fault);
      };
    }
  }
  RunResult result;
  if (setup.count_to_us > 0) {
    world.queue.At(setup.count_from_us, [&] {
      result.event_places.from = world.queue.Executed();
      result.controller_places.from = world.controller->Steps() + 1;
      result.message_places.from = world.network.Sent() + 1;
    });
    world.queue.At(setup.count_to_us, [&] {
      result.event_places.to = world.queue.Executed();
      result.controller_places.to = world.controller->Steps() + 1;
      result.message_places.to = world.network.Sent() + 1;
    });
  }
  schedule.Begin();
  world.RunUntil(setup.heal_us, before);

  if (!world.Broken()) {
    schedule.Heal();
    const std::int64_t master_bound = kMasterBoundUs + setup.failover.block_ms * kMs;
    bool stopped = false;
    for (std::int64_t now = setup.heal_us; !world.Broken(); now += 100 * kMs) {
      world.RunUntil(now);
      if (world.Broken()) break;
      world.checkers->CheckMasterless(setup.heal_us, master_bound);
      if (!stopped && now > setup.heal_us + 500 * kMs && world.checkers->HasMaster()) {
        stopped = true;
        world.StopWriters();
      }
      if (stopped && world.checkers->Quiet()) {
        world.checkers->CheckQuiet();
        result.rested_us = now - setup.heal_us;
        break;
      }
      if (now - setup.heal_us > kRestBoundUs) {
        world.checkers->CheckRest(kRestBoundUs);
        break;
      }
    }
  }
  result.violation = world.checkers->Found();
  result.operator_needed = world.checkers->OperatorNeeded();
  for (const auto& [id, entry] : world.controller->store.Entries()) {
    const Decision& decision = entry.record.decision;
    ++result.decisions;
    if (decision.verdict && decision.verdict->verdict == Verdict::kPadded) ++result.pads;
    if (decision.verdict && decision.verdict->verdict == Verdict::kSpliced) {
      const auto& outcome = entry.record.outcome;
      ++(outcome && outcome->outcome == Outcome::kDone ? result.splices : result.broken_splices);
    }
    if (decision.verdict && decision.verdict->verdict == Verdict::kFull) ++result.full_syncs;
    for (const auto& step : decision.plan) {
      const auto* rescue = std::get_if<RescueAction>(&step.action);
      if (rescue != nullptr) ++(rescue->alive ? result.borrows : result.rescues);
      if (std::holds_alternative<PromoteAction>(step.action)) ++result.promotions;
    }
  }
  result.events = world.queue.Executed();
  if (tracing) result.trace = world.Lines();
  return result;
}

}  // namespace walstitch::simulation
