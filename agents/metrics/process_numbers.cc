#include "agents/metrics/process_numbers.h"

namespace walstitch::metrics {

std::string Version() { return WALSTITCH_VERSION; }

void Fill(const ProcessNumbers& numbers, MetricSet* set) {
  set->Set("walstitch_build_info", {numbers.program, Version()}, true);
  for (const ListenerNumbers& listener : numbers.listeners) {
    set->Set("walstitch_listener_connections_total", {listener.listener}, listener.accepted);
    set->Set("walstitch_listener_connections", {listener.listener}, listener.open);
    if (listener.requests)
      set->Set("walstitch_listener_requests_total", {listener.listener}, *listener.requests);
    for (const auto& [reason, count] : listener.refused)
      set->Set("walstitch_listener_refused_total", {listener.listener, reason}, count);
  }
  for (const CertificateNumbers& certificate : numbers.certificates) {
    set->Set("walstitch_certificate_expiry_timestamp_seconds", {certificate.use},
             static_cast<double>(certificate.expiry_seconds));
  }
}

std::vector<MetricInfo> WithProcessMetrics(std::span<const MetricInfo> table) {
  std::vector<MetricInfo> all(kProcessMetrics.begin(), kProcessMetrics.end());
  all.insert(all.end(), table.begin(), table.end());
  return all;
}

}  // namespace walstitch::metrics
