#include "agents/agent/peer_wal.h"

#include <boost/json.hpp>

#include "agents/agent/offload.h"
#include "agents/http/http_client.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace {

Result<TailBatches> ReadTail(const std::string& body) {
  const auto json = ParseJson(body);
  if (!json) return Fail(json.error());
  return TailBatchesFromJson(*json);
}

std::string TargetOf(const std::string& what, Sequence from, std::uint64_t max_bytes) {
  return "/v1/wal/" + what + "?from=" + from.ToString() + "&max_bytes=" + std::to_string(max_bytes);
}

}  // namespace

boost::asio::awaitable<Result<TailBatches>> HttpPeerWal::Tail(std::string node, std::string url,
                                                              Sequence from, std::uint64_t max_bytes,
                                                              std::chrono::milliseconds timeout) {
  std::string target = http::AddressedTo(TargetOf("tail", from, max_bytes), group_, node);
  co_return co_await Ask(std::move(url), std::move(target), timeout);
}

boost::asio::awaitable<Result<TailBatches>> HttpPeerWal::Lent(std::string node, std::string url,
                                                              Sequence from, std::uint64_t max_bytes,
                                                              std::chrono::milliseconds timeout) {
  std::string target = http::AddressedTo(TargetOf("lent", from, max_bytes), group_, node);
  co_return co_await Ask(std::move(url), std::move(target), timeout);
}

boost::asio::awaitable<Result<TailBatches>> HttpPeerWal::Ask(std::string url, std::string target,
                                                             std::chrono::milliseconds timeout) {
  const std::string agent = "agent at " + url;
  const auto parsed = http::ParseUrl(url);
  if (!parsed) co_return Fail(parsed.error(), agent);
  auto body = co_await http::FetchBody(*parsed, "GET", target, "", credentials_, timeout);
  if (!body) co_return Fail(body.error(), agent);
  auto work = [answer = std::move(*body)] { return ReadTail(answer); };
  auto tail = co_await RunOn(pool_, std::move(work));
  if (!tail) co_return Fail(tail.error(), agent);
  co_return std::move(*tail);
}

}  // namespace walstitch::agent
