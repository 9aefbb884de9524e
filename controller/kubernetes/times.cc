#include "controller/kubernetes/times.h"

#include <cstdio>
#include <ctime>

namespace walstitch::kubernetes {
namespace {

std::string Seconds(std::int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return text;
}

}  // namespace

std::string TimeText(std::int64_t unix_ms) { return Seconds(unix_ms / 1000) + "Z"; }

std::string MicroTimeText(std::int64_t unix_us) {
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%06dZ", static_cast<int>(unix_us % 1000000));
  return Seconds(unix_us / 1000000) + fraction;
}

}  // namespace walstitch::kubernetes
