#include "agents/agent/salvage_api.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agents/agent/query.h"
#include "agents/node/info.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kDefaultLines = 1000;
constexpr std::uint64_t kMaxLines = 10000;
constexpr std::uint64_t kMaxOffset = 1ULL << 62;

Result<std::vector<std::uint64_t>> PlacesOf(const http::Request& request) {
  std::vector<std::uint64_t> places;
  const auto found = request.query.find("at");
  std::string_view text = found == request.query.end() ? std::string_view() : found->second;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const auto place = node::ParseNumber(text.substr(0, end));
    if (!place || *place > kMaxOffset) break;
    places.push_back(*place);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!text.empty() || places.empty() || places.size() > kMaxPlaces) {
    return Fail(ErrorCode::kInvalid, "the query parameter 'at' must be 1 to " + std::to_string(kMaxPlaces) +
                                         " numbers with commas between them");
  }
  return places;
}

http::Response Json(const boost::json::value& value) { return {200, Dump(value), "application/json"}; }

template <typename T>
http::Response Answer(const Result<T>& result) {
  if (!result) return http::JsonError(result.error());
  return Json(ToJson(*result));
}

http::Response NothingThere() {
  return http::JsonError(404, "there is nothing at this path: /openapi.json describes what there is");
}

asio::awaitable<http::Response> HandleReplay(SalvageService* service, std::uint64_t epoch, std::string body) {
  auto json = ParseJson(body);
  if (!json) co_return http::JsonError(400, "the request is not valid JSON: " + json.error().Message());
  auto request = ReplayRequestFromJson(*json);
  if (!request) co_return http::JsonError(400, request.error().Message());
  if (!ValidSalvageId(request->salvage))
    co_return http::JsonError(400, "replay.salvage: this is no salvage's id");
  if (request->at.empty() || request->at.size() > kMaxReplayKeys) {
    co_return http::JsonError(400, "replay.at: expected 1 to " + std::to_string(kMaxReplayKeys) + " places");
  }
  if (request->epoch < epoch) {
    const Error stale(ErrorCode::kStale, "the epoch " + std::to_string(request->epoch) +
                                             " is lower than the highest that was seen, " +
                                             std::to_string(epoch));
    co_return http::JsonError(stale);
  }
  auto answer = co_await service->Replay(std::move(*request));
  co_return Answer(answer);
}

}  // namespace

asio::awaitable<http::Response> HandleSalvageRequest(SalvageService* service, std::uint64_t epoch,
                                                     http::Request request) {
  const auto& segments = request.segments;
  const bool replay = segments.size() == 3 && segments[2] == "replay";
  if (request.method != (replay ? "POST" : "GET")) {
    co_return http::JsonError(405, std::string("this path takes ") + (replay ? "POST" : "GET") + " only");
  }
  if (replay) co_return co_await HandleReplay(service, epoch, std::move(request.body));
  if (segments.size() == 2) {
    auto list = co_await service->List();
    co_return Answer(list);
  }
  // Before any path is made of it.
  const std::string id = segments[2];
  if (!ValidSalvageId(id)) {
    co_return http::JsonError(400,
                              "'" + ToPrintable(std::string_view(id).substr(0, 40)) + "' is no salvage's id");
  }
  if (segments.size() == 3) {
    auto manifest = co_await service->Manifest(id);
    co_return Answer(manifest);
  }
  if (segments.size() != 4) co_return NothingThere();
  const std::string what = segments[3];
  if (what == "values") {
    auto places = PlacesOf(request);
    if (!places) co_return http::JsonError(places.error());
    auto values = co_await service->Values(id, std::move(*places));
    if (!values) co_return http::JsonError(values.error());
    co_return http::Response{200, std::move(*values), "application/json"};
  }
  auto after = NumberOf(request, "after", 0, kMaxOffset, 0);
  if (!after) co_return http::JsonError(after.error());
  auto max = NumberOf(request, "max", 1, kMaxLines, kDefaultLines);
  if (!max) co_return http::JsonError(max.error());
  if (what == "keys") {
    auto keys = co_await service->Keys(id, *after, *max);
    co_return Answer(keys);
  }
  if (what == "records") {
    auto records = co_await service->Records(id, *after, *max);
    if (!records) co_return http::JsonError(records.error());
    co_return http::Response{200, std::move(*records), "application/json"};
  }
  co_return NothingThere();
}

}  // namespace walstitch::agent
