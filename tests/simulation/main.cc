// ./x sim: runs simulated schedules, and says which broke an invariant.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "controller/core/mutation.h"
#include "tests/simulation/exhaustive.h"
#include "tests/simulation/mutations.h"
#include "tests/simulation/report.h"
#include "tests/simulation/schedule.h"

namespace walstitch::simulation {
namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t schedules = 1000;
  DrawOptions draw;
  bool trace = false;
  bool exhaustive = false;
  bool go_on = false;
  std::string mutation;
  unsigned jobs = 0;
};

// What one process of several found, on a pipe.
struct Tally {
  std::uint64_t schedules = 0;
  std::uint64_t failures = 0;
  std::uint64_t decisions = 0;
  std::uint64_t promotions = 0;
  std::uint64_t pads = 0;
  std::uint64_t splices = 0;
  std::uint64_t broken_splices = 0;
  std::uint64_t full_syncs = 0;
  std::uint64_t rescues = 0;
  std::uint64_t borrows = 0;
  std::uint64_t operator_needed = 0;
  std::uint64_t events = 0;
  std::uint64_t rested_ms = 0;

  void Add(const RunResult& result) {
    ++schedules;
    decisions += result.decisions;
    promotions += result.promotions;
    pads += result.pads;
    splices += result.splices;
    broken_splices += result.broken_splices;
    full_syncs += result.full_syncs;
    rescues += result.rescues;
    borrows += result.borrows;
    operator_needed += result.operator_needed ? 1 : 0;
    events += result.events;
    rested_ms += static_cast<std::uint64_t>(result.rested_us) / 1000;
  }
  void Add(const Tally& other) {
    schedules += other.schedules;
    failures += other.failures;
    decisions += other.decisions;
    promotions += other.promotions;
    pads += other.pads;
    splices += other.splices;
    broken_splices += other.broken_splices;
    full_syncs += other.full_syncs;
    rescues += other.rescues;
    borrows += other.borrows;
    operator_needed += other.operator_needed;
    events += other.events;
    rested_ms += other.rested_ms;
  }
};

Tally RunShare(const Arguments& arguments, unsigned job) {
  Tally tally;
  for (std::uint64_t i = job; i < arguments.schedules; i += arguments.jobs) {
    const std::uint64_t seed = arguments.seed + i;
    const Setup setup = DrawSetup(seed, arguments.draw);
    const RunResult result = Run(setup, seed, false);
    tally.Add(result);
    if (!result.violation) continue;
    ++tally.failures;
    // The same once more, with its trace.
    const RunResult again = Run(setup, seed, true);
    const std::string text = DescribeFailure(seed, again, 60) +
                             "again, with all of its trace: ./x sim --seed " + std::to_string(seed) +
                             " --schedules 1 --trace" +
                             (arguments.mutation.empty() ? "" : " --mutation " + arguments.mutation) + "\n\n";
    (void)!write(STDOUT_FILENO, text.data(), text.size());
    if (!arguments.go_on) break;
  }
  return tally;
}

// Processes, not threads: what a broken assumption ends is then one share, and nothing can be shared.
int RunAll(const Arguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<int> pipes;
  std::vector<pid_t> children;
  for (unsigned job = 0; job < arguments.jobs; ++job) {
    int ends[2];
    if (pipe(ends) != 0) return 2;
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) {
      close(ends[0]);
      const Tally tally = RunShare(arguments, job);
      (void)!write(ends[1], &tally, sizeof tally);
      _exit(0);
    }
    close(ends[1]);
    pipes.push_back(ends[0]);
    children.push_back(child);
  }
  Tally total;
  bool broken = false;
  for (std::size_t i = 0; i < children.size(); ++i) {
    Tally share;
    if (read(pipes[i], &share, sizeof share) == static_cast<ssize_t>(sizeof share)) {
      total.Add(share);
    } else {
      broken = true;
    }
    int status = 0;
    waitpid(children[i], &status, 0);
  }
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%llu schedules in %lld ms, %llu broke an invariant; %llu events, %llu decisions, %llu promotions, "
      "%llu rescues, %llu borrows, "
      "%llu pads, %llu splices and %llu that broke off, %llu full syncs; at rest %llu ms after healing on "
      "average; %llu wait for an "
      "operator\n",
      static_cast<unsigned long long>(total.schedules), static_cast<long long>(ms),
      static_cast<unsigned long long>(total.failures), static_cast<unsigned long long>(total.events),
      static_cast<unsigned long long>(total.decisions), static_cast<unsigned long long>(total.promotions),
      static_cast<unsigned long long>(total.rescues), static_cast<unsigned long long>(total.borrows),
      static_cast<unsigned long long>(total.pads), static_cast<unsigned long long>(total.splices),
      static_cast<unsigned long long>(total.broken_splices),
      static_cast<unsigned long long>(total.full_syncs),
      static_cast<unsigned long long>(total.schedules == 0 ? 0 : total.rested_ms / total.schedules),
      static_cast<unsigned long long>(total.operator_needed));
  if (broken) std::printf("a share ended before its time: a broken assumption\n");
  return broken || total.failures > 0 ? 1 : 0;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Simulated schedules of faults, and checkers of the eight invariants", "sim"};
  app.add_option("--seed", arguments.seed, "of the first schedule; each further one has the next");
  app.add_option("--schedules", arguments.schedules, "how many");
  app.add_option("--nodes", arguments.draw.nodes, "of the group; drawn if left out")->check(CLI::Range(2, 7));
  app.add_option("--steps", arguments.draw.faults, "faults of a schedule, at most");
  app.add_option("--jobs", arguments.jobs, "processes; all cores if left out");
  app.add_option("--mutation", arguments.mutation, "a deliberate fault of the core: " + MutationNames());
  app.add_option("--only", arguments.draw.only, "watches this invariant only");
  app.add_flag("--trace", arguments.trace, "prints all that happens");
  app.add_flag("--exhaustive", arguments.exhaustive, "each fault at each place of a few small runs, instead");
  app.add_flag("--go-on", arguments.go_on, "does not stop at the first failure");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.mutation.empty()) {
    const auto mutation = FindMutation(arguments.mutation);
    if (!mutation) {
      std::fprintf(stderr, "no mutation '%s': %s\n", arguments.mutation.c_str(), MutationNames().c_str());
      return 2;
    }
    core::active_mutation = *mutation;
  }
  if (arguments.jobs == 0) arguments.jobs = std::max(1U, std::thread::hardware_concurrency());
  if (arguments.exhaustive) return RunExhaustive(arguments.jobs);
  if (arguments.trace) {
    int failed = 0;
    for (std::uint64_t i = 0; i < arguments.schedules; ++i) {
      const RunResult result = Run(DrawSetup(arguments.seed + i, arguments.draw), arguments.seed + i, true);
      std::fputs(DescribeTrace(result, 0).c_str(), stdout);
      if (result.violation) {
        failed = 1;
        std::fputs(DescribeFailure(arguments.seed + i, result, 0).c_str(), stdout);
      }
    }
    return failed;
  }
  return RunAll(arguments);
}

}  // namespace
}  // namespace walstitch::simulation

int main(int argc, char** argv) { return walstitch::simulation::Main(argc, argv); }
