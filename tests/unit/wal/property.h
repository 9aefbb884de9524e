// What the property tests share: seeds, and numbers drawn from them.
//
// A run is its seed: run i of a test draws everything from PropertySeed() + i. So a failure that names its
// seed is had again by WALSTITCH_PROPERTY_SEED=<seed> WALSTITCH_PROPERTY_RUNS=1. More runs, or other ones:
// WALSTITCH_PROPERTY_RUNS=100000, WALSTITCH_PROPERTY_SEED=<anything>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace walstitch::wal {

std::uint64_t PropertySeed();                            // 1 if the environment says nothing
std::uint64_t PropertyRuns(std::uint64_t without_word);  // what the environment says, or this

// How to have a run again, for messages.
std::string Again(std::uint64_t seed);

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  // Of [0, limit); limit > 0.
  std::uint64_t Below(std::uint64_t limit) { return engine_() % limit; }
  // Of [low, high].
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) { return low + Below(high - low + 1); }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  // Every order of magnitude up to the limit as often as another: 0, 1, 2..3, 4..7, ...
  std::uint64_t Skewed(std::uint64_t limit);
  // Bytes that do not compress.
  std::string Noise(std::size_t size);

 private:
  std::mt19937_64 engine_;
};

}  // namespace walstitch::wal
