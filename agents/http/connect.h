// How the clients of this room come to a TCP connection. Private to agents/http: it names Beast.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <string>

#include "agents/http/http_client.h"
#include "policies/model/result.h"

namespace walstitch::http {

// "host:port", as the Host field wants it: an IPv6 address in brackets.
std::string HostField(const Url& url);

// Resolves and connects, never longer than until the deadline, which stays on `stream` as its expiry. An
// Error is kUnavailable: nothing was sent. `refused`, if given, is set when every address of the host
// refused.
boost::asio::awaitable<Result<void>> Connect(boost::beast::tcp_stream* stream, Url url,
                                             std::chrono::steady_clock::time_point deadline,
                                             bool* refused = nullptr);

}  // namespace walstitch::http
