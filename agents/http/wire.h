// A connection as Beast wants a stream: TCP, or TLS on it. One type for both, and what is called when an
// operation ends has one type, too, so that TLS is compiled in one place only. Private to agents/http.
//
// One read and one write at a time, all from one executor, which one thread runs. Deadlines are set on Tcp().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace boost::asio::ssl {
class context;
}

namespace walstitch::http {

// Called once, when an operation has ended.
class IoHandler {
 public:
  template <typename Handler>
  static IoHandler Of(Handler handler) {
    return IoHandler(std::make_unique<Holder<Handler>>(std::move(handler)));
  }
  void operator()(boost::system::error_code error, std::size_t bytes) {
    const auto held = std::move(held_);  // it may free what we are in
    held->Call(error, bytes);
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void Call(boost::system::error_code error, std::size_t bytes) = 0;
  };
  template <typename Handler>
  struct Holder : Base {
    explicit Holder(Handler given) : handler(std::move(given)) {}
    void Call(boost::system::error_code error, std::size_t bytes) override {
      std::move(handler)(error, bytes);
    }
    Handler handler;
  };
  explicit IoHandler(std::unique_ptr<Base> held) : held_(std::move(held)) {}
  std::unique_ptr<Base> held_;
};

class Wire {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;
  using next_layer_type = boost::beast::tcp_stream;  // where Beast's WebSocket looks for the socket

  explicit Wire(const boost::asio::any_io_executor& executor);
  explicit Wire(boost::asio::ip::tcp::socket socket);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  boost::beast::tcp_stream& Tcp() { return tcp_; }
  void Close() { tcp_.close(); }
  [[nodiscard]] bool IsTls() const { return tls_ != nullptr; }

  // The client's end. Empty, or what is wrong with the server's. `name`: what its certificate must be for.
  boost::asio::awaitable<std::string> Greet(std::shared_ptr<boost::asio::ssl::context> context,
                                            std::string name);
  // The server's end. `bytes`: what was read already.
  boost::asio::awaitable<boost::system::error_code> Accept(std::shared_ptr<boost::asio::ssl::context> context,
                                                           std::string bytes);
  // What was wrong with the other end's certificate; empty: nothing, or it has shown none.
  [[nodiscard]] std::string CertificateProblem() const;
  // Of the other end's certificate, "CN=controller,O=shop"; empty: it has shown none.
  [[nodiscard]] std::string CertificateSubject() const;

  // As Beast and Asio want them.
  executor_type get_executor() { return tcp_.get_executor(); }
  next_layer_type& next_layer() { return tcp_; }
  const next_layer_type& next_layer() const { return tcp_; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    boost::asio::mutable_buffer into;
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end && into.size() == 0; ++it)
      into = boost::asio::mutable_buffer(*it);
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this, into](auto handler) { ReadSome(into, IoHandler::Of(std::move(handler))); }, token);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    std::vector<boost::asio::const_buffer> from;
    const auto end = boost::asio::buffer_sequence_end(buffers);
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end && from.size() < kMaxBuffers; ++it)
      from.emplace_back(*it);
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t)>(
        [this, from = std::move(from)](auto handler) mutable {
          WriteSome(std::move(from), IoHandler::Of(std::move(handler)));
        },
        token);
  }

 private:
  class Tls;
  static constexpr std::size_t kMaxBuffers = 16;

  void ReadSome(boost::asio::mutable_buffer into, IoHandler handler);
  void WriteSome(std::vector<boost::asio::const_buffer> from, IoHandler handler);

  boost::beast::tcp_stream tcp_;
  std::unique_ptr<Tls> tls_;
};

// How Beast ends a WebSocket on it. TLS is not said goodbye to: WebSocket has a goodbye of its own.
void teardown(boost::beast::role_type role, Wire& wire, boost::system::error_code& error);

template <typename Handler>
void async_teardown(boost::beast::role_type, Wire& wire, Handler&& handler) {
  boost::system::error_code ignored;
  wire.Tcp().socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  boost::asio::post(wire.get_executor(), boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                                          boost::system::error_code()));
}

// Whether the other side of a TLS connection has refused it for this side's certificate, or the want of one:
// then it has read nothing of what was sent.
bool IsTlsRefusal(boost::system::error_code error);

}  // namespace walstitch::http
