// What controller and agent have in common: the program itself, the doors that it listens at, the
// certificates that it shows. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/metrics/metric_set.h"

namespace walstitch::metrics {

// Of one listener: "api", "relay", "gate", "sentinel".
struct ListenerNumbers {
  std::string listener;
  std::uint64_t accepted = 0;                    // connections, since the start
  std::uint64_t open = 0;                        // now
  std::optional<std::uint64_t> requests;         // that were admitted since the start; absent: not counted
  std::map<std::string, std::uint64_t> refused;  // connections and requests since the start, by reason
};

struct CertificateNumbers {
  std::string use;                  // where it is shown: a listener, or whom the program connects to
  std::int64_t expiry_seconds = 0;  // unix time at which the first of its chain is not valid any more
};

struct ProcessNumbers {
  std::string program;  // "walstitch-controller"
  std::vector<ListenerNumbers> listeners;
  std::vector<CertificateNumbers> certificates;
};

// The metrics' rows of the program's own table.
inline constexpr std::array<MetricInfo, 6> kProcessMetrics = {{
    {"walstitch_build_info", MetricType::kGauge, "program, version",
     "The program and its version; always 1."},
    {"walstitch_listener_connections_total", MetricType::kCounter, "listener",
     "Connections that were accepted since the program started."},
    {"walstitch_listener_connections", MetricType::kGauge, "listener", "Connections that are open."},
    {"walstitch_listener_requests_total", MetricType::kCounter, "listener",
     "Requests that were admitted since the program started."},
    {"walstitch_listener_refused_total", MetricType::kCounter, "listener, reason",
     "Connections and requests that were refused since the program started."},
    {"walstitch_certificate_expiry_timestamp_seconds", MetricType::kGauge, "use",
     "Unix time at which the certificate that is shown there expires."},
}};

// The version of all programs of this build.
std::string Version();

// `set` has kProcessMetrics in its table.
void Fill(const ProcessNumbers& numbers, MetricSet* set);

// The rows of both, as one table.
std::vector<MetricInfo> WithProcessMetrics(std::span<const MetricInfo> table);

}  // namespace walstitch::metrics
