// HTTP/1.1 requests and WebSocket subscriptions on Beast, with a deadline on every await.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agents/http/credentials.h"
#include "policies/model/result.h"

namespace walstitch::http {

// "http://host:port" or "https://host:port", no path; port 80 or 443 if it is left out. IPv6 addresses stand
// in brackets there, and without them here.
struct Url {
  std::string host;
  std::string port;
  bool tls = false;
};
Result<Url> ParseUrl(std::string_view text);
std::string ToString(const Url& url);  // as ParseUrl reads it, always with the port

struct ClientResponse {
  int status = 0;
  std::string body;
};

// The error that a response other than 200 tells of (the other end of JsonError, http_server.h): its
// sentence, its code, or else the code that fits the status. A 404 without a code is a path that this version
// of the other side does not know, which says nothing about what was asked for: kUnavailable.
Error ErrorOf(const ClientResponse& response);

// One request on a fresh connection. An Error is kUnavailable if nothing was sent or nothing of it was read
// (refused, no route, no TLS connection, a certificate that this or the other end refuses), kTimeout if it
// may have been received. Any status is a response, not an Error. After 401 another token of the credentials'
// file is tried, where there is one: nothing was done yet.
boost::asio::awaitable<Result<ClientResponse>> Fetch(Url url, std::string method, std::string target,
                                                     std::string body, Credentials credentials,
                                                     std::chrono::milliseconds timeout);

// The same for a caller who wants the body of a 200 only: any other status is the Error that it tells of.
boost::asio::awaitable<Result<std::string>> FetchBody(Url url, std::string method, std::string target,
                                                      std::string body, Credentials credentials,
                                                      std::chrono::milliseconds timeout);

// The same as Fetch, for a caller to whom it matters why nothing was sent. `refused`: the machine itself
// refused the connection (ECONNREFUSED, at every address of the host), so that no program listens there.
// Silence, no route, a name that is not known, or TLS that does not come about say nothing of that kind. What
// stands between may refuse in its place: a load balancer without a backend, a Kubernetes Service without an
// endpoint, a firewall that rejects. So an agent's address must reach the agent itself.
struct Exchange {
  Result<ClientResponse> response;
  bool refused = false;
};
boost::asio::awaitable<Exchange> FetchOrRefused(Url url, std::string method, std::string target,
                                                std::string body, Credentials credentials,
                                                std::chrono::milliseconds timeout);

// The same as Fetch for programs without an executor (the CLI): blocks.
Result<ClientResponse> FetchBlocking(const Url& url, std::string method, std::string target, std::string body,
                                     Credentials credentials, std::chrono::milliseconds timeout);

// Keeps a WebSocket open for ever, reconnecting with `retry` between attempts. `message` gets each text
// message, `state` true when connected and false when the connection is lost, both on the executor.
// No message nor pong for `silence`: the connection counts as lost. One that has stood is made anew at once.
// Make and destroy it on the executor (one thread), or while that does not run; no callback comes after the
// destructor.
class Subscription {
 public:
  Subscription(boost::asio::any_io_executor executor, Url url, std::string target, Credentials credentials,
               std::chrono::milliseconds retry, std::chrono::milliseconds silence,
               std::function<void(std::string)> message, std::function<void(bool)> state);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // A text message to the other side. False, and it is dropped, when there is no connection or too much waits
  // already. True says that it was queued, not that it arrived.
  bool Send(std::string message);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Percent-encodes a path segment or a query value.
std::string PercentEncode(std::string_view text);

// The target for the agent of that node and no other (agents/agent/api.h, kFor).
std::string AddressedTo(std::string target, const std::string& group, const std::string& node);

}  // namespace walstitch::http
