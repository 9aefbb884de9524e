// What the controller counts, as Prometheus reads it; docs/metrics.md has the table. Pure: what the groups
// say of themselves (GroupRunner::Status), and the counts of records, become text.
#pragma once

#include <boost/json/array.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agents/metrics/process_numbers.h"
#include "controller/core/record_counters.h"

namespace walstitch::api {

// Of one webhook, since the start.
struct WebhookNumbers {
  std::string webhook;  // its name
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;   // attempts
  std::uint64_t dropped = 0;  // given up
  std::uint64_t waiting = 0;  // now
};

struct ControllerNumbers {
  metrics::ProcessNumbers process;
  bool leads = false;
  std::int64_t unix_ms = 0;                       // now
  boost::json::array statuses;                    // of the groups; empty while it stands by
  const core::RecordCounters* records = nullptr;  // null while it stands by
  std::vector<WebhookNumbers> webhooks;
};

// Every metric of the controller.
std::span<const metrics::MetricInfo> ControllerMetrics();

std::string MetricsText(const ControllerNumbers& numbers);

}  // namespace walstitch::api
