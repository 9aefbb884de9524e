#include "agents/node/tls_wire.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <climits>

namespace walstitch::node {

TlsWire::TlsWire(std::shared_ptr<boost::asio::ssl::context> context, int socket)
    : context_(std::move(context)), ssl_(SSL_new(context_->native_handle())) {
  WALSTITCH_CHECK(ssl_ != nullptr);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  SSL_set_fd(ssl_, socket);
  SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

TlsWire::~TlsWire() { SSL_free(ssl_); }

Result<void> TlsWire::Greet(const std::string& name, const Wait& wait) {
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_);
  boost::system::error_code no_address;
  boost::asio::ip::make_address(name, no_address);
  bool expected = false;
  if (!no_address) {
    expected = X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) == 1;
  } else {
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // SSL_set_tlsext_host_name, without its cast.
    std::string mutable_name = name;
    expected =
        X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size()) == 1 &&
        SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, mutable_name.data()) == 1;
  }
  if (!expected) return Fail(ErrorCode::kIo, "its name cannot be asked for");
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_);
    if (result == 1) return {};
    if (auto goes_on = Go(result, "no TLS connection", wait); !goes_on) {
      const long verdict = SSL_get_verify_result(ssl_);
      if (goes_on.error().Code() != ErrorCode::kIo || verdict == X509_V_OK) return goes_on;
      return Fail(ErrorCode::kIo,
                  std::string("its certificate is refused: ") + X509_verify_cert_error_string(verdict));
    }
  }
}

Result<void> TlsWire::Flush(const Wait& wait) {
  std::size_t at = 0;
  while (at < out_.size()) {
    ERR_clear_error();
    const int size = static_cast<int>(std::min<std::size_t>(out_.size() - at, INT_MAX));
    const int written = SSL_write(ssl_, out_.data() + at, size);
    if (written > 0) {
      at += static_cast<std::size_t>(written);
    } else if (auto goes_on = Go(written, "the connection was lost", wait); !goes_on) {
      return goes_on;
    }
  }
  out_.clear();
  return {};
}

Result<void> TlsWire::Read(redisReader* reader, const Wait& wait) {
  std::array<char, 16384> bytes;
  while (true) {
    ERR_clear_error();
    const int read = SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    if (read > 0) {
      if (redisReaderFeed(reader, bytes.data(), static_cast<std::size_t>(read)) == REDIS_OK) return {};
      return Fail(ErrorCode::kDamaged, "the answer is not Redis protocol");
    }
    if (auto goes_on = Go(read, "the connection was lost", wait); !goes_on) return goes_on;
  }
}

Result<void> TlsWire::Go(int result, std::string_view doing, const Wait& wait) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT);
    case SSL_ERROR_ZERO_RETURN:
      return Fail(ErrorCode::kIo, std::string(doing) + ": the other side closed it");
    default:
      break;
  }
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return Fail(ErrorCode::kIo,
              std::string(doing) + ": " + (reason == nullptr ? "the other side closed it" : reason));
}

}  // namespace walstitch::node
