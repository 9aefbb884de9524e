// A small HTTP/1.1 server on Beast: JSON in, JSON out, and WebSocket streams. Used by the agent and by
// the controller. Handlers are coroutines over a plain request; they never see Beast. Bodies, headers
// and idle times are bounded; anything malformed is answered with one JSON sentence
// {"error": "..."} and a status that fits, and reaches no handler.
//
// Whoever connects is a stranger until a request of theirs was admitted: by its token, by the certificate of
// its TLS connection, or both, whatever is configured. Strangers cost little: one header, no body, a few
// seconds. When as many are connected as may be, the one that has waited the longest of those from the
// address that has the most makes room for the next.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/access.h"
#include "agents/http/tls.h"
#include "policies/model/result.h"

namespace walstitch::http {

struct Request {
  std::string method;                        // "GET", "POST"
  std::string path;                          // decoded, without the query: "/v1/groups/shop"
  std::vector<std::string> segments;         // of the path, decoded: {"v1", "groups", "shop"}
  std::map<std::string, std::string> query;  // decoded
  std::string body;
  Caller caller;  // who asks; nameless where nobody needs to say
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

// What a request needs, and does.
struct Need {
  std::optional<AccessRole> role =
      AccessRole::kOperate;  // nullopt: it is open to all, also without a certificate
  bool changes = true;       // it changes something, or may: it is told to the audit
};
// Pure. `method` in capitals; `segments` as in Request.
using NeedOf = std::function<Need(std::string_view method, const std::vector<std::string>& segments)>;

// Whatever is read needs `operate`, and any other method changes something.
Need NeedOfAnything(std::string_view method, const std::vector<std::string>& segments);

// Admits one token, for whoever has it.
Admission AdmitOnly(std::string token, Caller caller = {"token", AccessRole::kOperate});

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: a free port, see Port()
  std::uint64_t max_body_bytes = 1 << 20;
  // Open connections. Fewer where the process may not open so many files: at most a quarter of what it may.
  std::size_t max_connections = 1024;
  std::chrono::milliseconds idle_timeout{30000};      // between two requests, and for an answer to be taken
  std::chrono::milliseconds handshake_timeout{5000};  // for TLS, from the first to the last byte
  std::chrono::milliseconds header_timeout{10000};  // for a request's header, from its first to its last byte
  std::chrono::milliseconds request_timeout{30000};  // for all of a request
  std::shared_ptr<TlsIdentity> tls;                  // null: plain HTTP
  Admission admission;                               // null: no token is asked for
  NeedOf need = NeedOfAnything;
  std::function<void(const std::string& line)> audit;  // null: nobody is told
};

// Why somebody was not served.
enum class Refused {
  kToken,        // no token, or one that is nobody's: 401
  kRole,         // a token that is good for less: 403
  kCertificate,  // one that is not trusted or has expired, or none where one is needed
  kHandshake,    // no TLS connection for another reason
  kPlainHttp,    // plain HTTP where TLS is spoken
  kTooLarge,     // a header or a body: 431, 413; a message of a stream
  kSlow,         // did not say in time what it wanted
  kGarbage,      // no HTTP request, or no WebSocket frame
  kFull,         // as many as may be were connected, and all of them were busy
  kEvicted,      // waited the longest when another needed the room
};
inline constexpr std::size_t kRefusedCount = 10;
std::string_view ToString(Refused refused);  // "token", "too_large"

struct ServerCounts {
  std::uint64_t accepted = 0;                            // connections
  std::uint64_t open = 0;                                // of them now
  std::uint64_t streams = 0;                             // WebSockets among those
  std::uint64_t requests = 0;                            // that were admitted
  std::array<std::uint64_t, kRefusedCount> refused{};    // by Refused, in its order
  std::optional<std::int64_t> certificate_seconds_left;  // of the server's own; below 0: it has expired
  [[nodiscard]] std::uint64_t Of(Refused why) const { return refused[static_cast<std::size_t>(why)]; }
};

// Lets this process open as many files as it may at all: each connection is one. For main functions.
void RaiseFileLimit();

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
  [[nodiscard]] ServerCounts Counts() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::http
