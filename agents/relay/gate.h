// The gate: where other nodes' relays reach this node's server by TLS, each with a certificate of its own. It
// passes bytes on to the server, which is spoken to in plain on this machine, and looks into nothing.
//
// A Kvrocks that is built with OpenSSL 3 streams over its own tls-port, and cannot serve a full sync there:
// it sends files by SSL_sendfile, which needs TLS in the kernel. And many are built without TLS. So it is the
// agent that speaks it.
//
// Runs on one executor that one thread runs: call every method from there. Buffers are of fixed size.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "agents/relay/connection.h"
#include "agents/relay/listener.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::relay {

struct GateOptions {
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;  // 0: a free port, see Port()
  Endpoint server;                // where connections are passed on to
  TlsContexts tls;                // with the authority that the relays' certificates must come from
  std::string client_name;        // that they must be for; empty: any
  std::size_t max_connections = 256;
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds connect_timeout{3000};  // to the server
};

class Gate {
 public:
  Gate(boost::asio::any_io_executor executor, GateOptions options);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Binds and accepts. An Error if the port cannot be had.
  Result<void> Start();
  // Closes everything; idempotent. The destructor calls it.
  void Stop();

  [[nodiscard]] std::uint16_t Port() const;
  [[nodiscard]] ListenerCounts Counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::relay
