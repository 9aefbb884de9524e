// TLS over a socket that hiredis has connected: hiredis as Debian has it knows none. What is read goes to
// hiredis' own reader. Blocking, with the waiting left to the caller, who knows the deadline.
#pragma once

#include <hiredis/hiredis.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace boost::asio::ssl {
class context;
}
struct ssl_st;

namespace walstitch::node {

class TlsWire {
 public:
  // Waits until the socket has POLLIN or POLLOUT; an Error is passed on as it is.
  using Wait = std::function<Result<void>(short events)>;

  // The socket is not owned, and made non-blocking.
  TlsWire(std::shared_ptr<boost::asio::ssl::context> context, int socket);
  ~TlsWire();
  TlsWire(const TlsWire&) = delete;
  TlsWire& operator=(const TlsWire&) = delete;

  // kIo: no TLS, or a certificate that is refused; nothing was sent.
  Result<void> Greet(const std::string& name, const Wait& wait);
  void Append(std::string_view bytes) { out_ += bytes; }
  // Writes what was appended. kIo: the connection was lost.
  Result<void> Flush(const Wait& wait);
  // Some bytes at least. kIo: the connection was lost.
  Result<void> Read(redisReader* reader, const Wait& wait);

 private:
  // After a call that gave `result` <= 0: waits for what it wants, or says why it failed.
  Result<void> Go(int result, std::string_view doing, const Wait& wait);

  std::shared_ptr<boost::asio::ssl::context> context_;
  ssl_st* ssl_;
  std::string out_;
};

}  // namespace walstitch::node
