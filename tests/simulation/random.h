// The simulator's only source of chance: everything that a schedule does follows from its seed. SplitMix64;
// no distribution of the standard library, whose results differ between libraries.
#pragma once

#include <cstdint>

namespace walstitch::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // Both ends included.
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(Next() % static_cast<std::uint64_t>(high - low + 1));
  }
  std::size_t Index(std::size_t size) { return static_cast<std::size_t>(Next() % size); }
  bool Chance(int permille) { return Next() % 1000 < static_cast<std::uint64_t>(permille); }

 private:
  std::uint64_t state_;
};

}  // namespace walstitch::simulation
