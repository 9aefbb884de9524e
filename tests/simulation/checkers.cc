#include "tests/simulation/checkers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policies/model/reason_codes.h"
#include "tests/simulation/world.h"

namespace walstitch::simulation {
namespace {

// A report's way, and an agent's look at its server.
constexpr std::int64_t kKnownUs = 1'500'000;
constexpr std::int64_t kSoundUs = 5'000'000;
constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

std::string DecisionOf(const std::string& command) { return command.substr(0, command.find('-')); }

}  // namespace

Checkers::Checkers(World& world)
    : world_(world),
      healthy_since_us_(world.Nodes(), -1),
      resumed_at_(world.Nodes(), 0),
      resumed_from_(world.Nodes(), kNobody) {}

void Checkers::Report(int invariant, std::string sentence) {
  if (violation_ || (only != 0 && only != invariant)) return;
  world_.Trace(world_.ControllersMachine(), "checker",
               [&] { return "finds invariant " + std::to_string(invariant) + " broken: " + sentence; });
  violation_ = Violation{invariant, std::move(sentence)};
}

// ---- 1

bool Checkers::Exempt(std::size_t node) const {
  const AgentModel* agent = world_.AgentOf(node);
  if (agent == nullptr) return true;
  return agent->StartRoundEndsUs() < 0 || world_.queue.NowUs() < agent->StartRoundEndsUs();
}

void Checkers::AfterEvent() {
  std::size_t taking = kNobody;
  bool any = false;
  for (std::size_t node = 0; node < world_.Nodes(); ++node) {
    const ServerModel& server = world_.machines[node]->server;
    if (server.TakesWrites()) {
      any = true;
      if (!Exempt(node)) {
        if (taking != kNobody) {
          return Report(1, world_.NameOf(taking) + " and " + world_.NameOf(node) +
                               " both take writes, and the agents of both run");
        }
        taking = node;
      }
    }
    std::int64_t& since = healthy_since_us_[node];
    if (!Healthy(node)) {
      since = -1;
    } else if (since < 0) {
      since = world_.queue.NowUs();
    }
  }
  if (any) without_master_since_us_ = world_.queue.NowUs();
}

void Checkers::Acknowledged(std::size_t) {}

// ---- 2

void Checkers::Resumed(std::size_t node, std::size_t upstream, std::uint64_t next) {
  const ServerModel& server = world_.machines[node]->server;
  const ServerModel& source = world_.machines[upstream]->server;
  if (server.Up() && !server.Loading()) {
    const Data theirs = source.Log().DataBefore(std::min(next, server.Next()));
    const Data& ours = server.Keys();
    for (std::size_t key = kIgnoredKeys; key < kKeys; ++key) {
      if (ours.versions[key] == theirs.versions[key]) continue;
      Report(2, world_.NameOf(node) + " is resumed at " + std::to_string(next) + " of " +
                    world_.NameOf(upstream) + ", and key o:" + std::to_string(key) +
                    ", which the policy does not let differ, was written differently on both");
      return;
    }
  }
  resumed_at_[node] = next;
  resumed_from_[node] = upstream;
}

// Nothing that the upstream wrote may be missed: a key differs only where the tail wrote it, and the policy
// lets it, or where it did before the fork.
void Checkers::Spliced(std::size_t node, std::size_t upstream, std::uint64_t met, std::uint64_t fork,
                       std::uint64_t last) {
  const ServerModel& server = world_.machines[node]->server;
  const ServerModel& source = world_.machines[upstream]->server;
  // 1. The last of the replay is under way. 2. The upstream's machine loses its power, and with it what it
  // had not synced. 3. The replay arrives, and is compared with what is no more. The upstream is judged anew
  // when it is back.
  if (source.Next() < met) return;
  const Data theirs = source.Log().DataBefore(met);
  const Data& ours = server.Keys();
  const Data theirs_before = source.Log().DataBefore(fork + 1);
  const Data ours_before = server.Log().DataBefore(fork + 1);
  std::array<bool, kKeys> in_tail{};
  for (const Batch& batch : server.Log().Batches()) {
    if (batch.first <= fork || batch.first > last || batch.IsPad()) continue;
    for (std::uint32_t i = 0; i < batch.count; ++i) in_tail[batch.records[i].key] = true;
  }
  if (server.Next() != met) {
    return Report(2, world_.NameOf(node) + " was spliced, and follows from " + std::to_string(met) +
                         " on, but stands at " + std::to_string(server.Next()));
  }
  for (std::size_t key = 0; key < kKeys; ++key) {
    if (ours.versions[key] == theirs.versions[key]) continue;
    const bool ignored = key < kIgnoredKeys;
    const bool before = ours_before.versions[key] != theirs_before.versions[key];
    if (ignored && (in_tail[key] || before)) continue;
    return Report(2, world_.NameOf(node) + " is spliced at " + std::to_string(fork) + " of " +
                         world_.NameOf(upstream) + ", and key " + (ignored ? "s:" : "o:") +
                         std::to_string(key) + " differs at " + std::to_string(met) +
                         (in_tail[key] ? ", by its tail" : ", though its tail never wrote it"));
  }
  resumed_at_[node] = met;
  resumed_from_[node] = upstream;
}

// ---- 3

void Checkers::CommandSent(const Command& command) {
  const std::string name(ActionName(command.action));
  const auto* entry = world_.controller->store.Find(DecisionOf(command.id));
  if (entry == nullptr || !world_.controller->store.Durable(DecisionOf(command.id))) {
    return Report(3,
                  "command " + command.id + " (" + name + " " + command.node + ") has no durable decision");
  }
  if (entry->closed_us >= 0) {
    return Report(3, "command " + command.id + " (" + name + " " + command.node +
                         ") is given though its decision has its outcome");
  }
  const Decision& decision = entry->record.decision;
  const bool back = command.id == decision.id + "-back" && command.node == decision.survivor;
  const bool planned = std::any_of(decision.plan.begin(), decision.plan.end(), [&](const PlanStep& step) {
    return step.node == command.node && step.action.index() == command.action.index();
  });
  if (!back && !planned) {
    Report(3, "command " + command.id + " (" + name + " " + command.node + ") is not in its decision's plan");
  }
}

void Checkers::CommandBegins(const Command& command) {
  if (!world_.controller->store.Durable(DecisionOf(command.id))) {
    Report(3, "command " + command.id + " was begun, and no decision of it is durable");
  }
}

void Checkers::FencedDirectly(std::size_t node) {
  const StoreModel& store = world_.controller->store;
  const bool decided = std::any_of(store.Open().begin(), store.Open().end(), [&](const std::string& id) {
    const Decision& decision = store.Find(id)->record.decision;
    return decision.node == world_.NameOf(node) || decision.survivor == world_.NameOf(node);
  });
  if (!decided)
    Report(3, "the controller fences " + world_.NameOf(node) + " itself, and no decision about it is open");
}

// ---- 4

void Checkers::FullSyncBegins(std::size_t node) {
  const StoreModel& store = world_.controller->store;
  for (const auto& [id, entry] : store.Entries()) {
    const Decision& decision = entry.record.decision;
    if (decision.node != world_.NameOf(node) || !decision.verdict ||
        decision.verdict->verdict != Verdict::kFull) {
      continue;
    }
    // It may end as `unknown`, for want of an answer, and begin yet.
    const bool over = entry.record.outcome && entry.record.outcome->outcome == Outcome::kDone;
    if (!over) return;
  }
  Report(4, world_.NameOf(node) + " begins a full sync that nobody decided");
}

// ---- 6 and 7

bool Checkers::Healthy(std::size_t node) const {
  const Machine& machine = *world_.machines[node];
  const ServerModel& server = machine.server;
  if (!machine.up || !machine.agent || !server.Up() || server.Paused() || server.Loading() ||
      server.Syncing() || server.refuses_writes) {
    return false;
  }
  const RelayState relay = machine.agent->relay().State();
  return server.OfRelay() && server.Attached() && machine.agent->relay().Attached() &&
         (relay == RelayState::kParked || relay == RelayState::kFollowing);
}

void Checkers::Promoted(std::size_t node, const std::string& command) {
  const auto* entry = world_.controller->store.Find(DecisionOf(command));
  CheckCandidate(node, entry == nullptr ? world_.queue.NowUs() : entry->appended_us);
  // What a master of before holds was given up, by name, when it was replaced.
  if (entry != nullptr) CheckRescued(node, entry->record.decision.survivor);
  for (auto& machine : world_.machines) machine->server.died_as_master = false;
}

void Checkers::CheckCandidate(std::size_t node, std::int64_t decided_us) {
  const ServerModel& server = world_.machines[node]->server;
  if (server.Loading() || server.Syncing()) {
    return Report(7, world_.NameOf(node) + " is promoted while it is loading or in a full sync");
  }
  const auto& state = world_.controller->store.State();
  const auto stream = [&](std::size_t of) -> std::uint64_t {
    if (!state) return 0;
    const auto found = state->nodes.find(world_.NameOf(of));
    return found == state->nodes.end() ? 0 : found->second.epoch;
  };
  const StoreModel& store = world_.controller->store;
  for (std::size_t other = 0; other < world_.Nodes(); ++other) {
    const std::int64_t since = healthy_since_us_[other];
    if (other == node || !Healthy(other) || since < 0 || since > decided_us - kKnownUs) continue;
    if (world_.controller->UpSinceUs() > decided_us - kKnownUs) continue;
    if (!world_.network.SoundSince(world_.ControllersMachine(), other, decided_us - kSoundUs)) continue;
    if (world_.AgentOf(other)->relay().State() != RelayState::kParked) continue;
    if (stream(other) < stream(node)) continue;
    const bool busy = std::any_of(store.Open().begin(), store.Open().end(), [&](const std::string& id) {
      const Decision& decision = store.Find(id)->record.decision;
      return decision.kind == DecisionKind::kRejoin && decision.node == world_.NameOf(other);
    });
    if (busy) continue;
    const History& more = world_.machines[other]->server.Log();
    const History& less = server.Log();
    if (more.Next() <= less.Next()) continue;
    bool same = true;
    if (!less.Batches().empty()) {
      const Batch* there = more.At(less.Batches().back().first);
      same = there != nullptr && there->identity == less.Batches().back().identity;
    }
    if (!same) continue;
    return Report(7, world_.NameOf(node) + " is promoted at " + std::to_string(less.Next() - 1) +
                         ", though " + world_.NameOf(other) +
                         ", parked and eligible, holds all of that up to " + std::to_string(more.Next() - 1));
  }
}

void Checkers::CheckRescued(std::size_t node, const std::string& replaced) {
  const Machine& promoted = *world_.machines[node];
  const std::size_t controller = world_.ControllersMachine();
  for (std::size_t other = 0; other < world_.Nodes(); ++other) {
    const Machine& machine = *world_.machines[other];
    const ServerModel& dead = machine.server;
    if (world_.NameOf(other) != replaced || other == node || dead.Up() || !dead.died_as_master ||
        dead.died_with_machine)
      continue;
    if (!machine.up || !machine.agent || machine.agent->SinceUs() >= dead.died_us) continue;
    if (!promoted.agent || promoted.agent->SinceUs() >= dead.died_us) continue;
    if (promoted.server.UpSinceUs() >= dead.died_us || promoted.server.paused_us >= dead.died_us) continue;
    // A connection that broke before takes its time to stand again.
    const bool sound = world_.network.SoundSince(controller, other, dead.died_us - kSoundUs) &&
                       world_.network.SoundSince(controller, node, dead.died_us - kSoundUs) &&
                       world_.network.SoundSince(node, other, dead.died_us - kSoundUs);
    if (!sound) continue;
    const auto& batches = dead.Log().Batches();
    // What was purged up to beyond the place where the other one ends cannot be proven to go on there.
    if (promoted.server.Next() > 1 && dead.Log().Find(promoted.server.Next() - 1) < dead.WalBegin()) continue;
    std::size_t index = dead.reign_start;
    if (resumed_from_[node] == other) index = std::max(index, dead.Log().Find(resumed_at_[node]));
    for (; index < batches.size(); ++index) {
      const Batch* kept = promoted.server.Log().At(batches[index].first);
      if (kept != nullptr && kept->identity == batches[index].identity) continue;
      return Report(6, world_.NameOf(node) + " is promoted at " + std::to_string(promoted.server.Next() - 1) +
                           " without the batch at " + std::to_string(batches[index].first) + ", which " +
                           world_.NameOf(other) + " acknowledged and has on its disk");
    }
  }
}

// ---- 3, 5 and 8, at the end

bool Checkers::HasMaster() const {
  return std::any_of(world_.machines.begin(), world_.machines.end(),
                     [](const auto& machine) { return machine->server.TakesWrites(); });
}

// Its records contradict what its master holds: only an operator can know which is right.
bool Checkers::HeldForOperator(std::size_t node) const {
  const Decision* latest = nullptr;
  std::int64_t appended_us = -1;
  for (const auto& [id, entry] : world_.controller->store.Entries()) {
    const Decision& decision = entry.record.decision;
    if (decision.node != world_.NameOf(node) || decision.kind != DecisionKind::kRejoin) continue;
    if (entry.appended_us < appended_us) continue;
    appended_us = entry.appended_us;
    latest = &decision;
  }
  if (latest == nullptr || !latest->verdict || latest->verdict->verdict != Verdict::kHold) return false;
  return std::any_of(latest->verdict->reasons.begin(), latest->verdict->reasons.end(),
                     [](const Reason& reason) { return reason.code == reason::kMasterLostRecords; });
}

bool Checkers::Quiet() {
  const StoreModel& store = world_.controller->store;
  if (!store.Open().empty() || !store.State() || store.State()->management != core::Management::kManaged)
    return false;
  const std::size_t master = world_.IndexOf(store.State()->master);
  const ServerModel& server = world_.machines[master]->server;
  if (!server.TakesWrites()) return false;
  operator_needed_ = false;
  for (std::size_t node = 0; node < world_.Nodes(); ++node) {
    if (node == master) continue;
    const Machine& machine = *world_.machines[node];
    if (!machine.agent || !machine.server.Up() || machine.server.Loading()) return false;
    const RelayModel& relay = machine.agent->relay();
    const bool follows = machine.server.OfRelay() && relay.State() == RelayState::kFollowing &&
                         relay.Attached() && relay.Upstream() == master &&
                         machine.server.Next() == server.Next();
    if (follows) continue;
    if (relay.State() != RelayState::kParked || !HeldForOperator(node)) return false;
    operator_needed_ = true;
  }
  return true;
}

void Checkers::CheckQuiet() {
  const std::size_t master = world_.IndexOf(world_.controller->store.State()->master);
  const Data& theirs = world_.machines[master]->server.Keys();
  for (std::size_t node = 0; node < world_.Nodes(); ++node) {
    if (node == master || world_.AgentOf(node)->relay().State() != RelayState::kFollowing) continue;
    const Data& ours = world_.machines[node]->server.Keys();
    for (std::size_t key = kIgnoredKeys; key < kKeys; ++key) {
      if (ours.values[key] == theirs.values[key]) continue;
      return Report(5, "key o:" + std::to_string(key) + " has another value on " + world_.NameOf(node) +
                           " than on " + world_.NameOf(master));
    }
  }
}

void Checkers::CheckMasterless(std::int64_t healed_us, std::int64_t bound_us) {
  const std::int64_t since = std::max(healed_us, without_master_since_us_);
  if (world_.queue.NowUs() - since < bound_us) return;
  Report(8, "everything runs and is reachable, and the group has had no master for " +
                std::to_string((world_.queue.NowUs() - since) / 1000) + " ms");
}

void Checkers::CheckRest(std::int64_t bound_us) {
  const StoreModel& store = world_.controller->store;
  const std::string after = " " + std::to_string(bound_us / 1'000'000) + " s after everything was healed";
  if (!store.Open().empty()) return Report(3, "decision " + store.Open().front() + " has no outcome" + after);
  for (std::size_t node = 0; node < world_.Nodes(); ++node) {
    const Machine& machine = *world_.machines[node];
    if (machine.server.TakesWrites() || HeldForOperator(node)) continue;
    if (!machine.agent || machine.agent->relay().State() != RelayState::kFollowing) {
      return Report(5, world_.NameOf(node) + " does not follow the master" + after);
    }
  }
  Report(5, "the nodes do not hold the same" + after);
}

}  // namespace walstitch::simulation
