// The part of the agent's HTTP API that is about salvages: requests to answers. Knows no socket. Call on the
// executor.
//
//   GET  /v1/salvage                              what there is (policies/model/salvage.h: SalvageList)
//   GET  /v1/salvage/{id}                         its manifest, its files checked
//   GET  /v1/salvage/{id}/records?after=&max=     decoded records, and `next`: the `after` of the next page
//   GET  /v1/salvage/{id}/keys?after=&max=        the keys without their values, the same
//   GET  /v1/salvage/{id}/values?at=N,N,...       these keys with their values
//   POST /v1/salvage/replay                       a ReplayRequest; only where the node is the master
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>

#include "agents/agent/salvage_service.h"
#include "agents/http/http_server.h"

namespace walstitch::agent {

// `request` is of a path that begins with /v1/salvage. `epoch`: the highest one that the agent has seen. The
// service must outlive the coroutine.
boost::asio::awaitable<http::Response> HandleSalvageRequest(SalvageService* service, std::uint64_t epoch,
                                                            http::Request request);

}  // namespace walstitch::agent
