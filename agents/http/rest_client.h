// A client for one server that is asked often: HTTP/1.1 over TCP or TLS, connections kept alive, bodies that
// come line by line for as long as they come. A deadline on every await, a bound on everything that is read.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::http {

// "https://host:port" or "http://host:port", no path; port 443 or 80 if it is left out. IPv6 addresses stand
// in brackets there, and without them here.
struct Origin {
  bool tls = true;
  std::string host;
  std::string port;
};
Result<Origin> ParseOrigin(std::string_view text);
std::string ToString(const Origin& origin);  // as ParseOrigin reads it, always with the port

struct RestRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string content_type = "application/json";  // of the body, where there is one
  std::string body;
  std::string token;  // sent as Authorization: Bearer, unless empty
  std::vector<std::pair<std::string, std::string>> fields;
  std::chrono::milliseconds timeout{10000};  // for the whole of it; of a stream: until its first byte
};

struct RestResponse {
  int status = 0;
  std::string content_type;
  std::string retry_after;  // the field's text, or empty
  std::string body;
};

struct StreamLimits {
  std::chrono::milliseconds idle{75000};  // nothing for that long: the stream counts as lost
  std::size_t max_line_bytes = 16U << 20;
};

// Ends a stream from outside, for good: whoever waits in it comes back soon, with kUnavailable. Cheap to
// copy; the copies are one. From the client's executor only.
class Interrupt {
 public:
  Interrupt() : state_(std::make_shared<State>()) {}
  void Set() {
    state_->set = true;
    if (const auto wake = std::exchange(state_->wake, nullptr)) wake();
  }
  [[nodiscard]] bool IsSet() const { return state_->set; }

 private:
  friend class RestClient;
  struct State {
    bool set = false;
    std::function<void()> wake;
  };
  std::shared_ptr<State> state_;
};

struct RestOptions {
  std::uint64_t max_response_bytes = 64U << 20;
  std::chrono::milliseconds connect_timeout{5000};  // name, TCP and TLS together
  std::chrono::milliseconds max_idle{30000};        // a connection is not used again after that long
};

// Runs on one executor, which one thread runs: call every method from there, or while it does not run. What
// is under way keeps what it needs, so the client may go before it.
class RestClient {
 public:
  RestClient(boost::asio::any_io_executor executor, Origin origin, RestOptions options = {});
  ~RestClient();
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  // The certificates (PEM, one or more) that the server's has to come from; nothing else is trusted, and
  // before the first call nothing is. TLS 1.2 or newer; the name or the address in the origin must be in the
  // server's certificate. The same text again changes nothing. kInvalid: there is no certificate in it.
  Result<void> Trust(std::string_view pem);
  // The same, with the authorities that the system trusts, as they are now: OpenSSL's own directories, or
  // what SSL_CERT_FILE and SSL_CERT_DIR name.
  Result<void> TrustSystem();

  // An Error is kUnavailable if nothing was sent (refused, no route, a certificate that is not trusted),
  // kTimeout if it may have been received. Any status is a response, not an Error. A GET on a connection that
  // was kept and turns out to be dead is sent again, once, on a new one; nothing else is ever sent twice.
  boost::asio::awaitable<Result<RestResponse>> Send(RestRequest request);

  // A GET whose body is taken line by line while it comes. `opened` is called when the header of a 200 has
  // come, `line` with each line, without its end; false ends the stream. A response when it ended as it
  // should: of a 200 without its body, of any other status with it. The callbacks come from the executor, and
  // none after the Interrupt was set.
  boost::asio::awaitable<Result<RestResponse>> StreamLines(RestRequest request, StreamLimits limits,
                                                           std::function<void()> opened,
                                                           std::function<bool(std::string_view)> line,
                                                           Interrupt interrupt);

  // Ends everything that is under way, with kUnavailable or kTimeout as for any lost connection; whatever is
  // begun later fails at once.
  void Stop();

  [[nodiscard]] const Origin& Server() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::http
