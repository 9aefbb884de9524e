#include "tests/unit/wal/property.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace walstitch::wal {
namespace {

std::uint64_t FromEnvironment(const char* name, std::uint64_t without_word) {
  const char* word = std::getenv(name);
  return word == nullptr || *word == '\0' ? without_word : std::strtoull(word, nullptr, 10);
}

}  // namespace

std::uint64_t PropertySeed() { return FromEnvironment("WALSTITCH_PROPERTY_SEED", 1); }

std::uint64_t PropertyRuns(std::uint64_t without_word) {
  return FromEnvironment("WALSTITCH_PROPERTY_RUNS", without_word);
}

std::string Again(std::uint64_t seed) {
  return "WALSTITCH_PROPERTY_SEED=" + std::to_string(seed) + " WALSTITCH_PROPERTY_RUNS=1";
}

std::uint64_t Random::Skewed(std::uint64_t limit) {
  const auto bits = static_cast<unsigned>(Below(static_cast<std::uint64_t>(std::bit_width(limit)) + 1));
  if (bits == 0) return 0;
  const std::uint64_t low = std::uint64_t{1} << (bits - 1);
  return Between(low, std::min(limit, 2 * low - 1));
}

std::string Random::Noise(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    const std::uint64_t word = engine_();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, size - i));
  }
  return bytes;
}

}  // namespace walstitch::wal
