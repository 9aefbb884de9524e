#include "agents/http/connect.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>
#include <vector>

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

std::string HostField(const Url& url) {
  bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? "[" + url.host + "]" : url.host) + ":" + url.port;
}

namespace {

// Resolves without ever waiting longer than the deadline: getaddrinfo cannot be cancelled, so a timer
// is awaited, and an answer that comes too late is dropped with the state that it is written to.
struct Resolution {
  explicit Resolution(const asio::any_io_executor& executor) : resolver(executor), timer(executor) {}
  tcp::resolver resolver;
  asio::steady_timer timer;
  bool done = false;
  error_code error;
  std::vector<tcp::endpoint> endpoints;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>> Resolve(Url url,
                                                            std::chrono::steady_clock::time_point deadline) {
  error_code error;
  auto address = asio::ip::make_address(url.host, error);
  if (!error) {
    std::vector<tcp::endpoint> endpoints;
    endpoints.emplace_back(address, static_cast<std::uint16_t>(std::stoul(url.port)));
    co_return endpoints;
  }
  auto state = std::make_shared<Resolution>(co_await asio::this_coro::executor);
  state->timer.expires_at(deadline);
  state->resolver.async_resolve(url.host, url.port,
                                [state](error_code failed, const tcp::resolver::results_type& results) {
                                  state->done = true;
                                  state->error = failed;
                                  for (const auto& result : results)
                                    state->endpoints.push_back(result.endpoint());
                                  state->timer.cancel();
                                });
  co_await state->timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (!state->done) {
    state->resolver.cancel();
    co_return Fail(ErrorCode::kUnavailable, HostField(url) + ": the name was not resolved in time");
  }
  if (state->error) {
    co_return Fail(ErrorCode::kUnavailable,
                   HostField(url) + ": the name cannot be resolved: " + state->error.message());
  }
  co_return std::move(state->endpoints);
}

}  // namespace

asio::awaitable<Result<void>> Connect(beast::tcp_stream* stream, Url url,
                                      std::chrono::steady_clock::time_point deadline, bool* refused) {
  auto endpoints = co_await Resolve(url, deadline);
  if (!endpoints) co_return Fail(endpoints.error());
  error_code error = asio::error::host_not_found;
  std::size_t refusals = 0;
  stream->expires_at(deadline);
  for (const tcp::endpoint& endpoint : *endpoints) {
    co_await stream->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (!error || error == beast::error::timeout || error == asio::error::operation_aborted) break;
    if (error == asio::error::connection_refused) ++refusals;
    error_code ignored;
    stream->socket().close(ignored);  // the next address may be of another family
  }
  if (refused != nullptr) *refused = error && refusals == endpoints->size();
  if (error) {
    std::string why = error == beast::error::timeout ? "no connection in time" : error.message();
    co_return Fail(ErrorCode::kUnavailable, HostField(url) + ": " + why);
  }
  error_code ignored;
  stream->socket().set_option(tcp::no_delay(true), ignored);
  co_return Result<void>();
}

}  // namespace walstitch::http
