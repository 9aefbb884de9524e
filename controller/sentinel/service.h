// Sentinel's protocol, served by a controller: the listener, what it knows, and where it knows it from. One
// that leads reads its own groups, many times a second. One that stands by asks the leader's API for the same
// status, so that all give the same answers; while it has not heard from a leader for some seconds it gives
// none. Runs on the controller's executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agents/http/access.h"
#include "agents/http/credentials.h"
#include "agents/http/http_server.h"
#include "controller/api/api.h"
#include "controller/sentinel/knowledge.h"
#include "controller/shell/config.h"
#include "policies/model/result.h"

namespace walstitch::sentinel {

struct ServiceOptions {
  shell::SentinelConfig listen;
  http::Admission admission;                           // empty: there are no tokens
  http::Credentials credentials;                       // for the API of the controller that leads
  std::function<void(const std::string& line)> audit;  // empty: nobody is told
  std::string identity;                                // of this controller among others
  Settings settings;
  std::string version;
};

class Service {
 public:
  // `front` outlives it.
  Service(boost::asio::any_io_executor executor, ServiceOptions options, api::Front& front);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Result<void> Start();
  void Stop();
  [[nodiscard]] std::uint16_t Port() const;
  // As of the other listeners; streams are subscribers.
  [[nodiscard]] http::ServerCounts Counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Without admission and audit, which are those of the API. `config.sentinel` is there. An Error: a file
// cannot be read.
Result<ServiceOptions> OptionsOf(const shell::ControllerConfig& config, std::string version);

}  // namespace walstitch::sentinel
