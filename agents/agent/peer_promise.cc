#include "agents/agent/peer_promise.h"

#include <boost/json.hpp>
#include <utility>

#include "agents/http/http_client.h"
#include "policies/model/json.h"

namespace walstitch::agent {

boost::asio::awaitable<HeardPromise> AskPromise(std::string url, PromiseRequest request,
                                                http::Credentials credentials,
                                                std::chrono::milliseconds timeout) {
  HeardPromise heard;
  const std::string agent = "agent of node " + request.node + " at " + url + ": ";
  const auto parsed = http::ParseUrl(url);
  if (!parsed) {
    heard.why = agent + parsed.error().Message();
    co_return heard;
  }
  std::string body = Dump(ToJson(request));
  auto exchange = co_await http::FetchOrRefused(*parsed, "POST", "/v1/promise", std::move(body),
                                                std::move(credentials), timeout);
  if (!exchange.response) {
    if (exchange.refused) heard.heard = LeaseKeeper::Heard::kRefusedByMachine;
    heard.why = agent + exchange.response.error().Message();
    co_return heard;
  }
  if (exchange.response->status != 200) {
    heard.why = agent + http::ErrorOf(*exchange.response).Message();
    co_return heard;
  }
  const auto json = ParseJson(exchange.response->body);
  if (!json) {
    heard.why = agent + json.error().Message();
    co_return heard;
  }
  const auto answer = PromiseAnswerFromJson(*json);
  if (!answer) {
    heard.why = agent + answer.error().Message();
    co_return heard;
  }
  heard.epoch = answer->epoch;
  if (answer->promised) {
    heard.heard = LeaseKeeper::Heard::kPromised;
  } else {
    heard.why = agent + answer->reason;
  }
  co_return heard;
}

}  // namespace walstitch::agent
