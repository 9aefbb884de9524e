#include "agents/metrics/http_numbers.h"

#include <cstddef>
#include <utility>

namespace walstitch::metrics {

void AddServer(const std::string& listener, const http::ServerCounts& counts, std::int64_t unix_seconds,
               ProcessNumbers* numbers) {
  ListenerNumbers told;
  told.listener = listener;
  told.accepted = counts.accepted;
  told.open = counts.open;
  told.requests = counts.requests;
  for (std::size_t i = 0; i < http::kRefusedCount; ++i)
    told.refused[std::string(ToString(static_cast<http::Refused>(i)))] = counts.refused[i];
  numbers->listeners.push_back(std::move(told));
  if (counts.certificate_seconds_left)
    numbers->certificates.push_back({listener, unix_seconds + *counts.certificate_seconds_left});
}

void AddCertificate(const std::string& use, const std::shared_ptr<http::TlsIdentity>& identity,
                    std::int64_t unix_seconds, ProcessNumbers* numbers) {
  if (!identity) return;
  identity->Look();
  if (const auto left = identity->SecondsLeft()) numbers->certificates.push_back({use, unix_seconds + *left});
}

}  // namespace walstitch::metrics
