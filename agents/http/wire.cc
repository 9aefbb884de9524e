#include "agents/http/wire.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

class Wire::Tls {
 public:
  Tls(beast::tcp_stream& tcp, std::shared_ptr<asio::ssl::context> context)
      : context_(std::move(context)), stream(tcp, *context_) {}
  [[nodiscard]] SSL* Native() { return stream.native_handle(); }

 private:
  std::shared_ptr<asio::ssl::context> context_;

 public:
  asio::ssl::stream<beast::tcp_stream&> stream;
};

Wire::Wire(const asio::any_io_executor& executor) : tcp_(executor) {}
Wire::Wire(tcp::socket socket) : tcp_(std::move(socket)) {}
Wire::~Wire() = default;

void Wire::ReadSome(asio::mutable_buffer into, IoHandler handler) {
  if (tls_) return tls_->stream.async_read_some(into, std::move(handler));
  tcp_.async_read_some(into, std::move(handler));
}

void Wire::WriteSome(std::vector<asio::const_buffer> from, IoHandler handler) {
  if (tls_) return tls_->stream.async_write_some(from, std::move(handler));
  tcp_.async_write_some(from, std::move(handler));
}

asio::awaitable<std::string> Wire::Greet(std::shared_ptr<asio::ssl::context> context, std::string name) {
  tls_ = std::make_unique<Tls>(tcp_, std::move(context));
  SSL* ssl = tls_->Native();
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
  error_code no_address;
  asio::ip::make_address(name, no_address);
  if (no_address) {
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size()) != 1 ||
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) != 1) {
      co_return "its name cannot be asked for in TLS";
    }
  } else if (X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str()) != 1) {
    co_return "its address cannot be checked in TLS";
  }
  error_code error;
  co_await tls_->stream.async_handshake(asio::ssl::stream_base::client,
                                        asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return std::string();
  if (error == beast::error::timeout) co_return "no TLS connection in time";
  const std::string problem = CertificateProblem();
  if (!problem.empty()) co_return "its TLS certificate is refused: " + problem;
  co_return "no TLS connection: " + error.message();
}

asio::awaitable<error_code> Wire::Accept(std::shared_ptr<asio::ssl::context> context, std::string bytes) {
  tls_ = std::make_unique<Tls>(tcp_, std::move(context));
  error_code error;
  const auto first = asio::buffer(bytes);
  co_await tls_->stream.async_handshake(asio::ssl::stream_base::server, first,
                                        asio::redirect_error(asio::use_awaitable, error));
  co_return error;
}

std::string Wire::CertificateProblem() const {
  if (!tls_) return {};
  const long verdict = SSL_get_verify_result(tls_->Native());
  return verdict == X509_V_OK ? std::string() : X509_verify_cert_error_string(verdict);
}

std::string Wire::CertificateSubject() const {
  if (!tls_) return {};
  X509* certificate = SSL_get1_peer_certificate(tls_->Native());
  if (certificate == nullptr) return {};
  BIO* text = BIO_new(BIO_s_mem());
  // RFC 2253 with everything escaped that is not printable.
  X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text, &bytes);
  std::string subject(bytes, static_cast<std::size_t>(size > 0 ? size : 0));
  BIO_free(text);
  X509_free(certificate);
  return subject.empty() ? "(no subject)" : subject;
}

void teardown(beast::role_type, Wire& wire, error_code& error) {
  wire.Tcp().socket().shutdown(tcp::socket::shutdown_send, error);
}

bool IsTlsRefusal(error_code error) {
  if (error.category() != asio::error::get_ssl_category()) return false;
  switch (ERR_GET_REASON(static_cast<unsigned long>(error.value()))) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

}  // namespace walstitch::http
