#include "agents/agent/peer_wal.h"

#include <boost/json.hpp>
#include <string_view>

#include "agents/agent/offload.h"
#include "agents/http/http_client.h"
#include "policies/model/json.h"
#include "policies/model/names.h"

namespace walstitch::agent {

namespace {

ErrorCode CodeOf(int status) {
  switch (status) {
    case 400:
      return ErrorCode::kInvalid;
    case 404:
      return ErrorCode::kNotFound;
    case 409:
      return ErrorCode::kConflict;
    case 503:
      return ErrorCode::kUnavailable;
    case 504:
      return ErrorCode::kTimeout;
    default:
      return ErrorCode::kIo;
  }
}

// What an {"error": sentence, "code": code} body says; its code is finer than the status.
Error ErrorOf(const http::ClientResponse& response) {
  ErrorCode code = CodeOf(response.status);
  std::string sentence = "HTTP status " + std::to_string(response.status);
  const auto json = ParseJson(response.body);
  const auto* object = json ? json->if_object() : nullptr;
  if (object == nullptr) return {code, sentence};
  if (const auto* error = object->if_contains("error"); error != nullptr && error->is_string()) {
    sentence = std::string(error->get_string());
  }
  if (const auto* name = object->if_contains("code"); name != nullptr && name->is_string()) {
    code = FromString<ErrorCode>(std::string_view(name->get_string())).value_or(code);
  }
  return {code, sentence};
}

Result<TailBatches> ReadTail(const http::ClientResponse& response) {
  if (response.status != 200) return Fail(ErrorOf(response));
  const auto json = ParseJson(response.body);
  if (!json) return Fail(json.error());
  return TailBatchesFromJson(*json);
}

}  // namespace

boost::asio::awaitable<Result<TailBatches>> HttpPeerWal::Tail(std::string url, Sequence from,
                                                              std::uint64_t max_bytes,
                                                              std::chrono::milliseconds timeout) {
  const std::string agent = "agent at " + url;
  const auto parsed = http::ParseUrl(url);
  if (!parsed) co_return Fail(parsed.error(), agent);
  const std::string target =
      "/v1/wal/tail?from=" + from.ToString() + "&max_bytes=" + std::to_string(max_bytes);
  auto response = co_await http::Fetch(*parsed, "GET", target, "", token_, timeout);
  if (!response) co_return Fail(response.error(), agent);
  auto work = [answer = std::move(*response)] { return ReadTail(answer); };
  auto tail = co_await RunOn(pool_, std::move(work));
  if (!tail) co_return Fail(tail.error(), agent);
  co_return std::move(*tail);
}

}  // namespace walstitch::agent
