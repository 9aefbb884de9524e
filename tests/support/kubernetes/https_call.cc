#include "tests/support/kubernetes/https_call.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace walstitch::test {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

HttpsAnswer HttpsCall(std::uint16_t port, const std::string& ca_pem, const std::string& method,
                      const std::string& target, const std::string& token, const std::string& body,
                      const std::string& content_type) {
  try {
    http::request<http::string_body> request;
    request.version(11);
    request.method_string(method);
    request.target(target);
    request.set(http::field::host, "127.0.0.1");
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    if (!body.empty()) request.set(http::field::content_type, content_type);
    request.body() = body;
    request.prepare_payload();
    http::response<http::string_body> response;

    asio::io_context io;
    tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), port});
    const timeval patience{20, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    boost::beast::flat_buffer buffer;
    if (ca_pem.empty()) {
      http::write(socket, request);
      http::read(socket, buffer, response);
    } else {
      asio::ssl::context tls(asio::ssl::context::tls_client);
      tls.add_certificate_authority(asio::buffer(ca_pem));
      tls.set_verify_mode(asio::ssl::verify_peer);
      asio::ssl::stream<tcp::socket&> stream(socket, tls);
      stream.set_verify_callback(asio::ssl::host_name_verification("127.0.0.1"));
      stream.handshake(asio::ssl::stream_base::client);
      http::write(stream, request);
      http::read(stream, buffer, response);
    }
    return {static_cast<int>(response.result_int()), response.body()};
  } catch (const boost::system::system_error& error) {
    return {0, error.what()};
  }
}

}  // namespace walstitch::test
