#include "tests/simulation/world.h"

#include <algorithm>

namespace walstitch::simulation {

World::World(std::size_t nodes, std::uint64_t seed) : random(seed), network(queue, random, nodes + 1) {
  settings.name = "shop";
  for (std::size_t i = 0; i < nodes; ++i) {
    names_.push_back("n" + std::to_string(i + 1));
    core::NodeSettings node;
    node.name = names_.back();
    node.agent = "http://" + node.name + ":7500";
    settings.nodes.push_back(std::move(node));
  }
  names_.emplace_back("controller");
  for (std::size_t i = 0; i < nodes; ++i) machines.push_back(std::make_unique<Machine>(*this, i));
  checkers = std::make_unique<Checkers>(*this);
  controller = std::make_unique<ControllerModel>(*this);
  controller->store.write_behind = random.Chance(500);
}

World::~World() {
  controller.reset();
  for (auto& machine : machines) machine->agent.reset();
}

std::size_t World::IndexOf(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  WALSTITCH_CHECK(found != names_.end());
  return static_cast<std::size_t>(found - names_.begin());
}

Endpoint World::EndpointOf(std::size_t node) const {
  return {names_[node], static_cast<std::uint16_t>(6666 + node)};
}

std::size_t World::IndexOf(const Endpoint& server) const { return server.port - 6666U; }

std::int32_t World::MarkerOf(const std::string& decision) {
  const auto found = std::find(markers.begin(), markers.end(), decision);
  if (found == markers.end()) {
    markers.push_back(decision);
    return static_cast<std::int32_t>(markers.size()) - 1;
  }
  return static_cast<std::int32_t>(found - markers.begin());
}

void World::CloseFeed(std::size_t agent, std::size_t node, std::uint64_t link) {
  const auto travel = network.Travel(agent, node);
  if (!travel) return;  // it notices with its next frame
  queue.After(*travel, [this, agent, node, link] { machines[node]->server.DropFeed(agent, link); });
}

void World::AskServer(std::size_t from, std::size_t to, std::int64_t timeout_us,
                      std::function<void(ServerModel&)> what, std::function<void(Result<void>)> done) {
  auto settled = std::make_shared<bool>(false);
  const auto end = [settled, done = std::move(done)](Result<void> result) {
    if (!std::exchange(*settled, true)) done(std::move(result));
  };
  queue.After(timeout_us, [end] { end(Fail(ErrorCode::kTimeout, "no answer")); });
  const auto there = network.Travel(from, to);
  if (!there) return;
  queue.After(*there, [this, from, to, what = std::move(what), end] {
    if (!machines[to]->up) return;
    const auto answer = [this, from, to, end](Result<void> result) {
      const auto back = network.Travel(to, from);
      if (back) queue.After(*back, [end, result] { end(result); });
    };
    ServerModel& server = machines[to]->server;
    if (!server.Up()) return answer(Fail(ErrorCode::kUnavailable, "connection refused"));
    server.Call([&server, what, answer](bool alive) {
      if (!alive) return answer(Fail(ErrorCode::kIo, "the connection was closed"));
      what(server);
      answer({});
    });
  });
}

std::int64_t World::WriteUs() {
  return random.Chance(20) ? random.Between(5'000, 150'000) : random.Between(200, 4'000);
}

std::int64_t World::SalvageUs() {
  return random.Chance(100) ? random.Between(1'000'000, 20'000'000) : random.Between(2'000, 100'000);
}

void World::StartAgent(std::size_t node) {
  Machine& machine = *machines[node];
  if (machine.agent || !machine.up) return;
  Trace(node, "agent", [] { return "starts"; });
  machine.agent = std::make_unique<AgentModel>(*this, node, ++machine.agent_runs);
  machine.agent->Start();
}

void World::KillAgent(std::size_t node) {
  Machine& machine = *machines[node];
  if (!machine.agent) return;
  Trace(node, "agent", [] { return "is killed"; });
  machine.agent->LeaveDisk();
  const std::unique_ptr<AgentModel> gone = std::move(machine.agent);
  machine.server.AgentGone();
  controller->AgentGone(node);
  auto requests = std::move(machine.open_requests);
  machine.open_requests.clear();
  for (const auto& closed : requests) closed();
}

void World::CrashMachine(std::size_t node) {
  Machine& machine = *machines[node];
  if (!machine.up) return;
  Trace(node, "machine", [] { return "loses its power"; });
  machine.up = false;
  if (machine.agent) {
    machine.agent->LeaveDisk();
    machine.agent.reset();
  }
  machine.open_requests.clear();
  machine.server.Kill(true);
}

void World::StartMachine(std::size_t node) {
  Machine& machine = *machines[node];
  if (!machine.up) {
    Trace(node, "machine", [] { return "boots"; });
    machine.up = true;
    ++machine.boots;
    machine.clock.zero_us = queue.NowUs();
    machine.clock.offset_ms = random.Between(1, 20'000);
  }
  machine.server.Start();
  StartAgent(node);
}

void World::StartWriter(std::size_t node, std::int64_t interval_us) {
  queue.After(random.Between(0, interval_us), [this, node, interval_us] { WriteSome(node, interval_us); });
}

void World::WriteSome(std::size_t node, std::int64_t interval_us) {
  if (writers_stopped_) return;
  ServerModel& server = machines[node]->server;
  if (server.TakesWrites()) {
    Batch batch;
    batch.first = server.Next();
    batch.count = static_cast<std::uint32_t>(random.Between(1, 3));
    const bool common = random.Chance(100);  // two clients that write the same are nothing rare
    const bool ignored = random.Chance(ignored_permille);
    for (std::uint32_t i = 0; i < batch.count; ++i) {
      const std::int64_t key = ignored ? random.Between(0, kIgnoredKeys - 1) : random.Between(0, kKeys - 1);
      batch.records[i].key = static_cast<std::uint8_t>(key);
      batch.records[i].value = common ? 7 : ++values_ + 100;
    }
    Seal(batch);
    server.Write(batch);
    checkers->Acknowledged(node);
  }
  queue.After(interval_us / 2 + random.Between(0, interval_us),
              [this, node, interval_us] { WriteSome(node, interval_us); });
}

void World::Heal() {
  Trace(ControllersMachine(), "", [] { return "--- everything is healed"; });
  network.Heal();
  for (std::size_t node = 0; node < Nodes(); ++node) {
    machines[node]->server.Continue();
    machines[node]->server.refuses_writes = false;
    machines[node]->leaving = false;
    StartMachine(node);
  }
  controller->store.fail_permille = 0;
  controller->crash_at = 0;
  controller->Start();
}

void World::RunUntil(std::int64_t us, const std::function<void()>& before) {
  while (queue.NextUs() >= 0 && queue.NextUs() <= us) {
    if (before) before();
    queue.RunNext();
    controller->Reap();
    checkers->AfterEvent();
    if (checkers->Broken()) return;
  }
}

}  // namespace walstitch::simulation
