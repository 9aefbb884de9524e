// Asks another node's agent for a promise (policies/model/lease.h), over its API, with this agent's own
// token and certificate.
//
// The address must be that agent's own. Where a load balancer, a Kubernetes Service or a firewall stands
// between, a refused connection may be theirs, and would be taken for an agent that does not run. TLS that
// does not come about is never taken for that: somebody listens.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "agents/agent/lease_keeper.h"
#include "agents/http/credentials.h"
#include "policies/model/lease.h"

namespace walstitch::agent {

struct HeardPromise {
  LeaseKeeper::Heard heard = LeaseKeeper::Heard::kNothing;
  std::uint64_t epoch = 0;  // the highest that it has seen; 0: it said nothing
  std::string why;          // it has not promised, one sentence
};

// `url` as in GroupMember.
boost::asio::awaitable<HeardPromise> AskPromise(std::string url, PromiseRequest request,
                                                http::Credentials credentials,
                                                std::chrono::milliseconds timeout);

}  // namespace walstitch::agent
