// A small HTTP/1.1 server on Beast: JSON in, JSON out, and WebSocket streams. Used by the agent and by
// the controller. Handlers are coroutines over a plain request; they never see Beast. Bodies, headers
// and idle times are bounded; anything malformed is answered with one JSON sentence
// {"error": "..."} and a status that fits, and reaches no handler.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::http {

struct Request {
  std::string method;                        // "GET", "POST"
  std::string path;                          // decoded, without the query: "/v1/groups/shop"
  std::vector<std::string> segments;         // of the path, decoded: {"v1", "groups", "shop"}
  std::map<std::string, std::string> query;  // decoded
  std::string body;
  std::string bearer;  // Authorization: Bearer ..., or empty
};

struct Response {
  int status = 200;
  std::string body;  // JSON unless content_type says otherwise
  std::string content_type = "application/json";
};

Response JsonError(int status, std::string_view sentence);
// The status that fits an Error's code: 400 invalid, 404 not found, 409 stale or conflict, 503, 504, 500;
// and the code itself, "code", for what a status cannot tell apart (damaged is not io).
Response JsonError(const Error& error);

// One end of an accepted WebSocket. Messages are queued up to a bound; a reader that is too slow is
// disconnected rather than allowed to grow memory. Call from the server's executor. The handler keeps
// the stream for as long as it wants the connection: letting go of the last reference closes it.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void Send(std::string message) = 0;
  [[nodiscard]] virtual bool Open() const = 0;
  // Who gets the client's text messages from now on, one after the other, until the connection ends; without
  // one they are dropped. A message larger than 64 KiB ends the connection, a binary one is dropped.
  virtual void OnMessage(std::function<void(std::string)> receive) = 0;
};

using Handler = std::function<boost::asio::awaitable<Response>(Request)>;
using StreamHandler = std::function<void(const Request&, std::shared_ptr<Stream>)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: a free port, see Port()
  std::uint64_t max_body_bytes = 1 << 20;
  std::chrono::milliseconds idle_timeout{30000};
  std::string token;                    // if not empty: every request needs this bearer token
  std::vector<std::string> open_paths;  // but not for these, e.g. "/healthz"
};

// Runs on one executor, which one thread runs: call every method from there, or while it does not run.
// No handler is called after Stop(), but one that is under way goes on until it returns.
class Server {
 public:
  Server(boost::asio::any_io_executor executor, ServerOptions options, Handler handler,
         StreamHandler streams = nullptr);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Result<void> Start();
  void Stop();
  [[nodiscard]] std::uint16_t Port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::http
