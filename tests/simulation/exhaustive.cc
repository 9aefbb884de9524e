#include "tests/simulation/exhaustive.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "tests/simulation/report.h"

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kMs = 1000;
constexpr std::int64_t kSecond = 1000 * kMs;
constexpr std::uint64_t kSeed = 20'000;

Setup SmallSetup(std::size_t nodes) {
  Setup setup;
  setup.nodes = nodes;
  setup.failover.lease = {600, 20, 80};
  setup.failover.unreachable_ms = 800;
  setup.failover.hung_ms = 500;
  setup.failover.block_ms = 200;
  setup.network.late_permille = 0;
  setup.network.duplicate_permille = 0;
  setup.write_interval_us = 60 * kMs;
  setup.feed_lag_us = 20 * kMs;
  for (std::size_t i = 0; i <= nodes; ++i) {
    Clock clock;
    clock.offset_ms = static_cast<std::int64_t>(1000 * (i + 1));
    clock.gains_ppm = i % 2 == 0 ? 20'000 : -20'000;
    setup.clocks.push_back(clock);
  }
  return setup;
}

Scene MakeScene(std::string name, std::size_t nodes, FaultKind kind, std::int64_t lasts_us,
                std::int64_t window_us) {
  Scene scene;
  scene.name = std::move(name);
  scene.setup = SmallSetup(nodes);
  Fault fault;
  fault.kind = kind;
  fault.at_us = 3 * kSecond;
  fault.lasts_us = lasts_us;
  fault.number = 2;  // the master, whoever it is
  fault.other = nodes;
  scene.setup.faults.push_back(fault);
  scene.setup.heal_us = fault.at_us + window_us + 2 * kSecond;
  scene.from_us = fault.at_us;
  scene.to_us = fault.at_us + window_us;
  scene.setup.count_from_us = scene.from_us;
  scene.setup.count_to_us = scene.to_us;
  return scene;
}

// It parks itself; the other replica hears its server all the while.
Scene MakePartition() {
  Scene scene = MakeScene("the master is cut off from the controller and a replica", 3, FaultKind::kCutLink,
                          3500 * kMs, 3500 * kMs);
  Fault other = scene.setup.faults.front();
  other.other = 1;
  scene.setup.faults.push_back(other);
  return scene;
}

struct Blow {
  FaultKind kind;
  std::int64_t lasts_us;
  std::string_view what;
};
constexpr Blow kBlows[] = {
    {FaultKind::kKillServer, 300 * kMs, "the server of n"},
    {FaultKind::kKillAgent, 100 * kMs, "the agent of n"},
    {FaultKind::kCrashMachine, 500 * kMs, "the machine of n"},
    {FaultKind::kPauseServer, 900 * kMs, "hanging: the server of n"},
};

class Enumeration {
 public:
  Enumeration(const Scene& scene, std::uint64_t stride, unsigned job, unsigned jobs)
      : scene_(scene), stride_(stride), job_(job), jobs_(jobs) {}

  ExhaustiveResult All() {
    const RunResult base = Run(scene_.setup, kSeed, false);
    if (base.violation) Note("without any further fault", {});
    const auto each = [this](RunResult::Places places, auto call) {
      for (std::uint64_t at = places.from; at < places.to; at += stride_) {
        if (count_++ % jobs_ == job_) call(at);
      }
    };
    each(base.controller_places, [this](std::uint64_t at) {
      Strike strike;
      strike.where = Strike::Where::kControllerStep;
      strike.number = at;
      strike.lasts_us = 100 * kMs;
      Try("the controller ends at its step " + std::to_string(at), {strike});
    });
    each(base.message_places, [this](std::uint64_t at) {
      Strike strike;
      strike.where = Strike::Where::kMessage;
      strike.number = at;
      Try("message " + std::to_string(at) + " is lost", {strike});
      strike.lasts_us = 1500 * kMs;
      Try("message " + std::to_string(at) + " is late", {strike});
    });
    each(base.event_places, [this](std::uint64_t at) {
      Strike strike;
      strike.number = at;
      for (const Blow& blow : kBlows) {
        strike.kind = blow.kind;
        strike.lasts_us = blow.lasts_us;
        for (strike.node = 0; strike.node < scene_.setup.nodes; ++strike.node) {
          Try(std::string(blow.what) + std::to_string(strike.node + 1) + " at event " + std::to_string(at),
              {strike});
        }
      }
    });
    return result_;
  }

 private:
  void Try(const std::string& what, const std::vector<Strike>& strikes) {
    ++result_.runs;
    const RunResult run = Run(scene_.setup, kSeed, false, strikes);
    if (run.violation) Note(what, strikes);
  }
  void Note(const std::string& what, const std::vector<Strike>& strikes) {
    if (result_.failures++ > 0) return;
    const RunResult again = Run(scene_.setup, kSeed, true, strikes);
    result_.first_failure =
        "scene \"" + scene_.name + "\", " + what + "\n" + DescribeFailure(kSeed, again, 80);
  }

  const Scene& scene_;
  std::uint64_t stride_;
  unsigned job_;
  unsigned jobs_;
  std::uint64_t count_ = 0;
  ExhaustiveResult result_;
};

}  // namespace

std::vector<Scene> SmallScenes() {
  return {
      MakeScene("the master's process dies and comes back", 2, FaultKind::kKillServer, 700 * kMs, 1500 * kMs),
      MakeScene("a switchover", 2, FaultKind::kSwitchover, 0, 800 * kMs),
      MakeScene("the master is cut off for a while", 2, FaultKind::kIsolate, 2500 * kMs, 3500 * kMs),
      MakeScene("the master hangs and goes on", 3, FaultKind::kPauseServer, 2500 * kMs, 3500 * kMs),
      MakeScene("the master's agent is away", 2, FaultKind::kKillAgent, 400 * kMs, 1000 * kMs),
      MakePartition(),
  };
}

ExhaustiveResult Enumerate(const Scene& scene, std::uint64_t stride, unsigned job, unsigned jobs) {
  return Enumeration(scene, stride, job, jobs).All();
}

int RunExhaustive(unsigned jobs) {
  int failed = 0;
  for (const Scene& scene : SmallScenes()) {
    if (jobs == 1) {  // for a debugger
      const ExhaustiveResult result = Enumerate(scene, 1);
      if (result.failures > 0) {
        std::fputs(result.first_failure.c_str(), stdout);
        failed = 1;
      }
      std::printf("%s: %llu runs, %llu broke an invariant\n", scene.name.c_str(),
                  static_cast<unsigned long long>(result.runs),
                  static_cast<unsigned long long>(result.failures));
      continue;
    }
    std::vector<pid_t> children;
    std::vector<int> ends;
    for (unsigned job = 0; job < jobs; ++job) {
      int pipe_ends[2];
      if (pipe(pipe_ends) != 0) return 2;
      const pid_t child = fork();
      if (child < 0) return 2;
      if (child == 0) {
        const ExhaustiveResult result = Enumerate(scene, 1, job, jobs);
        if (result.failures > 0) {
          std::fputs(result.first_failure.c_str(), stdout);
          std::fflush(stdout);
        }
        const std::uint64_t numbers[2] = {result.runs, result.failures};
        (void)!write(pipe_ends[1], numbers, sizeof numbers);
        _exit(0);
      }
      close(pipe_ends[1]);
      children.push_back(child);
      ends.push_back(pipe_ends[0]);
    }
    std::uint64_t runs = 0;
    std::uint64_t failures = 0;
    for (std::size_t i = 0; i < children.size(); ++i) {
      std::uint64_t numbers[2] = {0, 1};  // a share that ended early has failed
      (void)!read(ends[i], numbers, sizeof numbers);
      close(ends[i]);
      runs += numbers[0];
      failures += numbers[1];
      int status = 0;
      waitpid(children[i], &status, 0);
    }
    std::printf("%s: %llu runs, %llu broke an invariant\n", scene.name.c_str(),
                static_cast<unsigned long long>(runs), static_cast<unsigned long long>(failures));
    std::fflush(stdout);
    if (failures > 0) failed = 1;
  }
  return failed;
}

}  // namespace walstitch::simulation
