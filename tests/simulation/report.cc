#include "tests/simulation/report.h"

#include <cstdio>

namespace walstitch::simulation {

std::string DescribeTrace(const RunResult& result, std::size_t lines) {
  std::string text;
  const std::size_t size = result.trace.size();
  for (std::size_t i = lines == 0 || lines > size ? 0 : size - lines; i < size; ++i) {
    char time[32];
    std::snprintf(time, sizeof time, "%11.3f ms  ", static_cast<double>(result.trace[i].us) / 1000);
    text += time + result.trace[i].text + "\n";
  }
  return text;
}

std::string DescribeFailure(std::uint64_t seed, const RunResult& result, std::size_t lines) {
  if (!result.violation) return "seed " + std::to_string(seed) + ": nothing was found\n";
  return (lines == 0 ? std::string() : DescribeTrace(result, lines)) + "seed " + std::to_string(seed) +
         ": INVARIANT " + std::to_string(result.violation->invariant) +
         " IS BROKEN: " + result.violation->sentence + "\n";
}

}  // namespace walstitch::simulation
