// What a server of HTTP counts, and the certificates of TLS, as numbers of the program.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agents/http/http_server.h"
#include "agents/http/tls.h"
#include "agents/metrics/process_numbers.h"

namespace walstitch::metrics {

// Pure. `unix_seconds`: now; its certificate, if it shows one, is told with it.
void AddServer(const std::string& listener, const http::ServerCounts& counts, std::int64_t unix_seconds,
               ProcessNumbers* numbers);

// The certificate that is shown by `identity`, null or one of a client that shows none among them: then there
// is nothing to tell. Its files are looked at first, as no connection may have done so since they were
// replaced.
void AddCertificate(const std::string& use, const std::shared_ptr<http::TlsIdentity>& identity,
                    std::int64_t unix_seconds, ProcessNumbers* numbers);

}  // namespace walstitch::metrics
