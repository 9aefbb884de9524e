// Every fault at every place: runs of a small group without chance in their faults are counted once (their
// events, the controller's steps, their messages), and then repeated with one fault at each place in turn, or
// two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/schedule.h"

namespace walstitch::simulation {

struct Scene {
  std::string name;
  Setup setup;
  // Faults are placed between these.
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
};

std::vector<Scene> SmallScenes();

struct ExhaustiveResult {
  std::uint64_t runs = 0;
  std::uint64_t failures = 0;
  std::string first_failure;  // in words
};

// `stride`: every so manieth place only. `job` of `jobs`: a share of the places.
ExhaustiveResult Enumerate(const Scene& scene, std::uint64_t stride, unsigned job = 0, unsigned jobs = 1);

// For the command line: prints what it finds.
int RunExhaustive(unsigned jobs);

}  // namespace walstitch::simulation
