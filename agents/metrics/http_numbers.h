// What a server of HTTP counts, as numbers of the program. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "agents/http/http_server.h"
#include "agents/metrics/process_numbers.h"

namespace walstitch::metrics {

// `unix_seconds`: now; its certificate, if it shows one, is told with it.
void AddServer(const std::string& listener, const http::ServerCounts& counts, std::int64_t unix_seconds,
               ProcessNumbers* numbers);

}  // namespace walstitch::metrics
