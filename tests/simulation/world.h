// One simulated group: machines with a server and an agent each, a controller's machine, the network between
// them, true time. What happens in it is decided by the schedule (schedule.h); whether it was right, by the
// checkers (checkers.h). Shares nothing with any other world.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/settings.h"
#include "policies/model/report.h"
#include "tests/simulation/agent_model.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/controller_model.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/network.h"
#include "tests/simulation/random.h"
#include "tests/simulation/server_model.h"

namespace walstitch::simulation {

// What came of a request over the network.
enum class Heard { kAnswered, kRefused, kNoRoute, kLost };

struct Machine {
  Machine(World& world, std::size_t number) : index(number), server(world, number) {}

  std::size_t index;
  bool up = true;
  bool leaving = false;  // its server is about to be stopped
  Clock clock;
  std::uint64_t boots = 1;
  ServerModel server;
  std::unique_ptr<AgentModel> agent;  // null: its process is down
  std::uint64_t agent_runs = 0;
  AgentDisk disk;
  std::vector<std::function<void()>> open_requests;  // at the agent: called when its process ends

  [[nodiscard]] std::string BootId() const {
    return "boot-" + std::to_string(index) + "-" + std::to_string(boots);
  }
};

class World {
 public:
  World(std::size_t nodes, std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Random random;
  EventQueue queue;
  Network network;
  std::vector<std::unique_ptr<Machine>> machines;  // of the nodes
  core::GroupSettings settings;
  std::unique_ptr<ControllerModel> controller;
  std::unique_ptr<Checkers> checkers;
  std::vector<std::string> markers;  // decisions that padded
  std::int64_t feed_lag_us = 0;      // how long every frame is under way besides
  TolerancePolicy policy = SimulatedPolicy();
  int ignored_permille = 700;  // of the writes: of keys that may differ, says the policy

  // ---- names
  [[nodiscard]] std::size_t Nodes() const { return machines.size(); }
  [[nodiscard]] std::size_t ControllersMachine() const { return machines.size(); }
  [[nodiscard]] const std::string& Group() const { return settings.name; }
  [[nodiscard]] const std::string& NameOf(std::size_t node) const { return names_[node]; }
  [[nodiscard]] std::size_t IndexOf(std::string_view name) const;
  [[nodiscard]] Endpoint EndpointOf(std::size_t node) const;
  [[nodiscard]] std::size_t IndexOf(const Endpoint& server) const;
  [[nodiscard]] std::int32_t MarkerOf(const std::string& decision);
  std::uint64_t NewNumber() { return ++numbers_; }

  // The agent that runs there; `run`: only if it is still that one.
  [[nodiscard]] AgentModel* AgentOf(std::size_t node) { return machines[node]->agent.get(); }
  [[nodiscard]] AgentModel* AgentOf(std::size_t node, std::uint64_t run) {
    AgentModel* agent = machines[node]->agent.get();
    return agent != nullptr && machines[node]->agent_runs == run ? agent : nullptr;
  }
  void CloseFeed(std::size_t agent, std::size_t node, std::uint64_t link);

  // A request to an agent's API: connect, ask, wait. `serve` may answer later, and is called twice where the
  // network says the request twice. `done` is called once.
  template <typename T>
  void Request(std::size_t from, std::size_t to, std::int64_t timeout_us,
               std::function<void(AgentModel&, std::function<void(T)>)> serve,
               std::function<void(Heard, T)> done);

  // A connection to a server, and one command on it. `done` is called once.
  void AskServer(std::size_t from, std::size_t to, std::int64_t timeout_us,
                 std::function<void(ServerModel&)> what, std::function<void(Result<void>)> done);

  // How long a write to disk takes until it is durable.
  std::int64_t WriteUs();
  std::int64_t SalvageUs();  // of one tail

  // ---- what may happen to it
  void StartAgent(std::size_t node);
  void KillAgent(std::size_t node);
  void CrashMachine(std::size_t node);
  void StartMachine(std::size_t node);  // and what runs on it
  void StartWriter(std::size_t node, std::int64_t interval_us);
  void StopWriters() { writers_stopped_ = true; }
  void Heal();  // everything runs, everybody reaches everybody

  // ---- running
  // Until nothing is left, somebody is in the wrong, or that time. `before` is called before each event.
  void RunUntil(std::int64_t us, const std::function<void()>& before = nullptr);
  [[nodiscard]] bool Broken() const { return checkers->Broken(); }

  // ---- the trace: made only where it is wanted
  bool tracing = false;
  struct TraceLine {
    std::int64_t us = 0;
    std::string text;
  };
  [[nodiscard]] const std::vector<TraceLine>& Lines() const { return lines_; }
  template <typename Text>
  void Trace(std::size_t machine, std::string_view who, Text text) {
    if (!tracing) return;
    AddLine((machine < Nodes() ? NameOf(machine) + " " : std::string()) + std::string(who) + " " +
            std::string(text()));
  }

 private:
  void AddLine(std::string text) { lines_.push_back({queue.NowUs(), std::move(text)}); }
  void WriteSome(std::size_t node, std::int64_t interval_us);

  std::vector<std::string> names_;
  std::uint64_t numbers_ = 0;
  std::uint32_t values_ = 0;
  bool writers_stopped_ = false;
  std::vector<TraceLine> lines_;
};

template <typename T>
void World::Request(std::size_t from, std::size_t to, std::int64_t timeout_us,
                    std::function<void(AgentModel&, std::function<void(T)>)> serve,
                    std::function<void(Heard, T)> done) {
  struct State {
    bool over = false;
    bool connected = false;
    std::function<void(Heard, T)> done;
    void End(Heard heard, T answer) {
      if (std::exchange(over, true)) return;
      auto call = std::move(done);
      done = nullptr;
      call(heard, std::move(answer));
    }
  };
  auto state = std::make_shared<State>();
  state->done = std::move(done);
  const auto nothing = [] {
    if constexpr (std::is_constructible_v<T>) {
      return T{};
    } else {
      return T(Fail(ErrorCode::kUnavailable, "nothing"));
    }
  };
  queue.After(timeout_us,
              [state, nothing] { state->End(state->connected ? Heard::kLost : Heard::kNoRoute, nothing()); });
  const auto there = network.Travel(from, to);
  if (!there) return;
  queue.After(*there, [this, from, to, state, nothing, serve = std::move(serve)] {
    if (!machines[to]->up) return;
    const auto back = network.Travel(to, from);
    if (AgentOf(to) == nullptr) {
      if (back) queue.After(*back, [state, nothing] { state->End(Heard::kRefused, nothing()); });
      return;
    }
    if (!back) return;
    state->connected = true;
    const int times = network.Duplicates() ? 2 : 1;
    for (int i = 0; i < times; ++i) {
      const auto request = network.Travel(from, to);
      if (!request) continue;
      queue.After(*back + *request, [this, from, to, state, nothing, serve] {
        AgentModel* agent = AgentOf(to);
        const auto closed = [this, from, to, state, nothing] {
          if (state->over) return;
          if (const auto reset = network.Travel(to, from))
            queue.After(*reset, [state, nothing] { state->End(Heard::kLost, nothing()); });
        };
        if (agent == nullptr) {
          if (machines[to]->up) closed();
          return;
        }
        machines[to]->open_requests.push_back(closed);
        serve(*agent, [this, from, to, state](T answer) {
          const auto answered = network.Travel(to, from);
          if (!answered) return;
          queue.After(*answered, [state, answer = std::move(answer)]() mutable {
            state->End(Heard::kAnswered, std::move(answer));
          });
        });
      });
    }
  });
}

}  // namespace walstitch::simulation
