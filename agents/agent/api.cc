#include "agents/agent/api.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iterator>
#include <optional>
#include <utility>

#include "agents/agent/query.h"
#include "agents/agent/readiness.h"
#include "agents/metrics/metric_set.h"
#include "agents/wal/log_format.h"
#include "agents/wal/range_digest.h"
#include "agents/wal/tail.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/openapi.h"

namespace walstitch::agent {

namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kDefaultBatches = 1000;
constexpr std::uint64_t kMaxBatches = 100000;
constexpr std::uint64_t kDefaultMarked = 100;
constexpr std::uint64_t kMaxMarked = 1000;
constexpr std::uint64_t kDefaultBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
constexpr std::string_view kTail = "tail";
constexpr std::string_view kLent = "lent";
constexpr std::uint64_t kMaxTailBytes = 16 << 20;
constexpr std::uint64_t kDefaultKeys = 10000;
constexpr std::uint64_t kMaxKeys = 200000;

std::string FieldBody(boost::json::string_view name, boost::json::value value) {
  boost::json::object object;
  object[name] = std::move(value);
  return Dump(object);
}

Result<SequenceRange> RangeOf(const http::Request& request) {
  auto from = NumberOf(request, "from", 0, wal::kMaxSequence);
  if (!from) return Fail(from.error());
  auto to = NumberOf(request, "to", 0, wal::kMaxSequence);
  if (!to) return Fail(to.error());
  if (*to < *from) return Fail(ErrorCode::kInvalid, "the query parameter 'to' must not be less than 'from'");
  return SequenceRange{Sequence(*from), Sequence(*to)};
}

// The key is nobody's business but the two agents': no message repeats it.
Result<DigestKey> KeyOf(const http::Request& request) {
  auto found = request.query.find("key");
  if (found == request.query.end()) {
    return Fail(ErrorCode::kInvalid, "the query parameter 'key' is missing");
  }
  DigestKey key;
  auto bytes = FromHex(found->second);
  if (!bytes || bytes->size() != key.bytes.size()) {
    return Fail(ErrorCode::kInvalid, "the query parameter 'key' must be " +
                                         std::to_string(key.bytes.size() * 2) + " hexadecimal digits");
  }
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  return key;
}

Result<WalService::Question> WalQuestion(const http::Request& request, const std::string& what,
                                         bool slot_encoded) {
  if (what == "extent") {
    return [slot_encoded](wal::WalSource& source) -> Result<std::string> {
      auto extent = source.Extent();
      if (!extent) return Fail(extent.error());
      boost::json::value json = ToJson(*extent);
      json.as_object()["slot_encoded"] = slot_encoded;
      return Dump(json);
    };
  }
  if (what == "batches") {
    auto range = RangeOf(request);
    if (!range) return Fail(range.error());
    auto max = NumberOf(request, "max", 1, kMaxBatches, kDefaultBatches);
    if (!max) return Fail(max.error());
    return [range = *range, max = *max](wal::WalSource& source) -> Result<std::string> {
      auto batches = wal::ListBatches(source, range, max + 1);
      if (!batches) return Fail(batches.error());
      bool more = batches->size() > max;
      if (more) batches->resize(max);
      boost::json::array list;
      for (const BatchInfo& batch : *batches) list.push_back(ToJson(batch));
      boost::json::object object;
      object["batches"] = std::move(list);
      object["more"] = more;
      return Dump(object);
    };
  }
  if (what == "digests") {
    auto range = RangeOf(request);
    if (!range) return Fail(range.error());
    auto parts = NumberOf(request, "parts", 1, wal::kMaxDigestParts);
    if (!parts) return Fail(parts.error());
    auto key = KeyOf(request);
    if (!key) return Fail(key.error());
    return [range = *range, parts = static_cast<std::uint32_t>(*parts),
            key = *key](wal::WalSource& source) -> Result<std::string> {
      auto max_bytes = wal::MaxBytesFor(source);
      if (!max_bytes) return Fail(max_bytes.error());
      auto digests = wal::DigestRange(source, range, parts, key, *max_bytes);
      if (!digests) return Fail(digests.error());
      return Dump(ToJson(*digests));
    };
  }
  if (what == "marked") {
    auto range = RangeOf(request);
    if (!range) return Fail(range.error());
    auto max = NumberOf(request, "max", 1, kMaxMarked, kDefaultMarked);
    if (!max) return Fail(max.error());
    return [range = *range, max = *max](wal::WalSource& source) -> Result<std::string> {
      auto max_bytes = wal::MaxBytesFor(source);
      if (!max_bytes) return Fail(max_bytes.error());
      auto marked = wal::ListMarked(source, range, max, *max_bytes);
      if (!marked) return Fail(marked.error());
      return Dump(ToJson(*marked));
    };
  }
  if (what == "bytes") {
    auto range = RangeOf(request);
    if (!range) return Fail(range.error());
    auto max = NumberOf(request, "max", 1, kMaxBytes, kDefaultBytes);
    if (!max) return Fail(max.error());
    return [range = *range, max = *max](wal::WalSource& source) -> Result<std::string> {
      auto bytes = wal::BatchBytes(source, range, max);
      if (!bytes) return Fail(bytes.error());
      return Dump(ToJson(RangeBytes{std::move(*bytes)}));
    };
  }
  if (what == kTail || what == kLent) {
    auto from = NumberOf(request, "from", 0, wal::kMaxSequence);
    if (!from) return Fail(from.error());
    auto max_bytes = NumberOf(request, "max_bytes", 1, kMaxTailBytes, kMaxTailBytes);
    if (!max_bytes) return Fail(max_bytes.error());
    return [from = Sequence(*from), max_bytes = *max_bytes](wal::WalSource& source) -> Result<std::string> {
      auto tail = wal::ReadTail(source, from, max_bytes);
      if (!tail) return Fail(tail.error());
      return Dump(ToJson(*tail));
    };
  }
  if (what == "boundary") {
    auto at = NumberOf(request, "at", 0, wal::kMaxSequence);
    if (!at) return Fail(at.error());
    return [at = Sequence(*at)](wal::WalSource& source) -> Result<std::string> {
      auto boundary = source.BoundaryAtOrAfter(at);
      if (!boundary) return Fail(boundary.error());
      return FieldBody("boundary", boundary->Value());
    };
  }
  if (what == "touched") {
    auto range = RangeOf(request);
    if (!range) return Fail(range.error());
    auto max_keys = NumberOf(request, "max_keys", 1, kMaxKeys, kDefaultKeys);
    if (!max_keys) return Fail(max_keys.error());
    wal::TouchOptions options;
    options.max_keys = *max_keys;
    options.slot_encoded = slot_encoded;
    return [range = *range, options](wal::WalSource& source) -> Result<std::string> {
      auto touched = wal::ListTouched(source, range, options);
      if (!touched) return Fail(touched.error());
      return Dump(ToJson(*touched));
    };
  }
  if (what == "replication_id") {
    auto at = NumberOf(request, "at", 0, wal::kMaxSequence);
    if (!at) return Fail(at.error());
    return [at = Sequence(*at)](wal::WalSource& source) -> Result<std::string> {
      auto id = wal::ReplicationIdAt(source, at);
      if (!id) return Fail(id.error());
      return FieldBody("replication_id", boost::json::string(*id));
    };
  }
  return Fail(ErrorCode::kNotFound, "there is no such question about a WAL");
}

// What was posted; `what` it should be, for the message.
template <typename T>
Result<T> BodyOf(const http::Request& request, std::string_view what,
                 Result<T> (*read)(const boost::json::value&)) {
  auto json = ParseJson(request.body);
  if (!json) {
    return Fail(ErrorCode::kInvalid,
                "the " + std::string(what) + " is not valid JSON: " + json.error().Message());
  }
  return read(*json);
}

asio::awaitable<http::Response> HandleCommand(ApiBackend* backend, http::Request request) {
  auto command = BodyOf(request, "command", CommandFromJson);
  if (!command) co_return http::JsonError(400, command.error().Message());
  auto result = co_await backend->Submit(std::move(*command));
  if (!result) co_return http::JsonError(result.error());
  co_return http::Response{200, Dump(ToJson(*result)), "application/json"};
}

asio::awaitable<http::Response> HandlePromise(ApiBackend* backend, http::Request request) {
  auto asked = BodyOf(request, "request", PromiseRequestFromJson);
  if (!asked) co_return http::JsonError(400, asked.error().Message());
  const PromiseAnswer answer = co_await backend->Promise(std::move(*asked));
  co_return http::Response{200, Dump(ToJson(answer)), "application/json"};
}

asio::awaitable<http::Response> HandleUndo(ApiBackend* backend, http::Request request) {
  auto question = BodyOf(request, "question", UndoQuestionFromJson);
  if (!question) co_return http::JsonError(400, question.error().Message());
  auto plan = co_await backend->PlanUndo(std::move(*question));
  if (!plan) co_return http::JsonError(plan.error());
  co_return http::Response{200, Dump(ToJson(*plan)), "application/json"};
}

asio::awaitable<http::Response> HandleWritten(ApiBackend* backend, http::Request request) {
  auto question = BodyOf(request, "question", WrittenQuestionFromJson);
  if (!question) co_return http::JsonError(400, question.error().Message());
  auto answer = co_await backend->Written(std::move(*question));
  if (!answer) co_return http::JsonError(answer.error());
  co_return http::Response{200, Dump(ToJson(*answer)), "application/json"};
}

asio::awaitable<http::Response> HandleValues(ApiBackend* backend, http::Request request) {
  auto question = BodyOf(request, "question", KeysQuestionFromJson);
  if (!question) co_return http::JsonError(400, question.error().Message());
  auto answer = co_await backend->Values(std::move(*question));
  if (!answer) co_return http::JsonError(answer.error());
  co_return http::Response{200, Dump(ToJson(*answer)), "application/json"};
}

asio::awaitable<http::Response> HandleRepairable(ApiBackend* backend, http::Request request) {
  auto question = BodyOf(request, "question", KeysQuestionFromJson);
  if (!question) co_return http::JsonError(400, question.error().Message());
  auto answer = co_await backend->Repairable(std::move(*question));
  if (!answer) co_return http::JsonError(answer.error());
  co_return http::Response{200, Dump(ToJson(*answer)), "application/json"};
}

asio::awaitable<http::Response> HandleStays(ApiBackend* backend, http::Request request) {
  auto at = NumberOf(request, "at", 0, wal::kMaxSequence);
  if (!at) co_return http::JsonError(at.error());
  const auto stay = co_await backend->AskStay(Sequence(*at));
  if (!stay) co_return http::JsonError(stay.error());
  boost::json::object object;
  if (stay->left_ms) object["left_ms"] = *stay->left_ms;
  object["cause"] = wal::ToString(stay->cause);
  co_return http::Response{200, Dump(object), "application/json"};
}

asio::awaitable<http::Response> HandleUpstreamRole(ApiBackend* backend, http::Request) {
  const auto answer = co_await backend->AskUpstreamRole();
  if (!answer) co_return http::JsonError(answer.error());
  boost::json::object object;
  object["upstream"] = answer->upstream.ToString();
  object["role"] = ToString(answer->role);
  co_return http::Response{200, Dump(object), "application/json"};
}

asio::awaitable<http::Response> HandleHealth(ApiBackend*, http::Request) {
  co_return http::Response{200, "{\"ok\":true}", "application/json"};
}

asio::awaitable<http::Response> HandleReady(ApiBackend* backend, http::Request) {
  const Readiness readiness = ReadinessOf(backend->CurrentReport());
  if (!readiness.ready) co_return http::JsonError(503, readiness.sentence);
  co_return http::Response{200, Dump({{"ready", true}, {"sentence", readiness.sentence}}),
                           "application/json"};
}

asio::awaitable<http::Response> HandleOpenApi(ApiBackend*, http::Request) {
  static const std::string document = OpenApiDocument(kOpenApi);
  co_return http::Response{200, document, "application/json"};
}

asio::awaitable<http::Response> HandleReport(ApiBackend* backend, http::Request request) {
  auto fresh = NumberOf(request, "fresh", 0, 1, 0);
  if (!fresh) co_return http::JsonError(fresh.error());
  Report report;
  if (*fresh == 1) {
    report = co_await backend->FreshReport();
  } else {
    report = backend->CurrentReport();
  }
  co_return http::Response{200, Dump(ToJson(report)), "application/json"};
}

asio::awaitable<http::Response> HandleMetrics(ApiBackend* backend, http::Request) {
  std::string text = co_await backend->Metrics();
  co_return http::Response{200, std::move(text), metrics::kContentType};
}

// A WebSocket does not come here.
asio::awaitable<http::Response> HandleStream(ApiBackend*, http::Request) {
  co_return http::JsonError(400, "this path takes a WebSocket upgrade only");
}

asio::awaitable<http::Response> HandleSalvage(ApiBackend* backend, http::Request request) {
  co_return co_await backend->HandleSalvage(std::move(request));
}

asio::awaitable<http::Response> HandleWal(ApiBackend* backend, http::Request request) {
  const std::string what = request.segments.back();
  auto question = WalQuestion(request, what, backend->SlotEncoded());
  if (!question) co_return http::JsonError(question.error());
  // A tail is given only by the dead: what a living server has, it replicates. But what its master's WAL no
  // longer holds, it lends.
  Result<std::string> answer;
  if (what == kTail) {
    answer = co_await backend->AskDeadWal(std::move(*question));
  } else {
    answer = co_await backend->AskWal(std::move(*question));
  }
  if (!answer) co_return http::JsonError(answer.error());
  co_return http::Response{200, std::move(*answer), "application/json"};
}

using Handle = asio::awaitable<http::Response> (*)(ApiBackend*, http::Request);

struct Entry {
  http::Route route;
  Handle handle;
};

constexpr auto kView = http::AccessRole::kView;
constexpr auto kOperate = http::AccessRole::kOperate;
constexpr bool kChanges = true;

constexpr Entry kEntries[] = {
    {{"GET", "/healthz", std::nullopt}, HandleHealth},
    {{"GET", "/readyz", std::nullopt}, HandleReady},
    {{"GET", "/openapi.json", kView}, HandleOpenApi},
    {{"GET", "/metrics", kView}, HandleMetrics},
    {{"GET", "/v1/report", kView}, HandleReport},
    {{"GET", kStreamPath, kOperate, kChanges}, HandleStream},  // leases come in on it
    {{"GET", "/v1/upstream/role", kOperate}, HandleUpstreamRole},
    {{"POST", "/v1/command", kOperate, kChanges}, HandleCommand},
    // Asked for several times a second while no controller is there: nothing for the audit.
    {{"POST", "/v1/promise", kOperate}, HandlePromise},
    {{"POST", "/v1/undo", kOperate}, HandleUndo},
    {{"POST", "/v1/keys/values", kOperate}, HandleValues},
    {{"POST", "/v1/keys/repairable", kOperate}, HandleRepairable},
    {{"POST", "/v1/wal/written", kOperate}, HandleWritten},
    {{"GET", "/v1/wal/stays", kOperate}, HandleStays},
    {{"GET", "/v1/wal/extent", kOperate}, HandleWal},
    {{"GET", "/v1/wal/boundary", kOperate}, HandleWal},
    {{"GET", "/v1/wal/replication_id", kOperate}, HandleWal},
    {{"GET", "/v1/wal/batches", kOperate}, HandleWal},
    {{"GET", "/v1/wal/digests", kOperate}, HandleWal},
    {{"GET", "/v1/wal/marked", kOperate}, HandleWal},
    {{"GET", "/v1/wal/bytes", kOperate}, HandleWal},
    {{"GET", "/v1/wal/touched", kOperate}, HandleWal},
    {{"GET", "/v1/wal/tail", kOperate}, HandleWal},
    {{"GET", "/v1/wal/lent", kOperate}, HandleWal},
    {{"GET", "/v1/salvage", kOperate}, HandleSalvage},
    {{"GET", "/v1/salvage/{id}", kOperate}, HandleSalvage},
    {{"GET", "/v1/salvage/{id}/keys", kOperate}, HandleSalvage},
    {{"GET", "/v1/salvage/{id}/records", kOperate}, HandleSalvage},
    {{"GET", "/v1/salvage/{id}/values", kOperate}, HandleSalvage},
    {{"POST", "/v1/salvage/replay", kOperate, kChanges}, HandleSalvage},
};

}  // namespace

std::span<const http::Route> Routes() {
  static const auto routes = [] {
    std::array<http::Route, std::size(kEntries)> list;
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = kEntries[i].route;
    return list;
  }();
  return routes;
}

http::Need NeedOf(std::string_view method, const std::vector<std::string>& segments) {
  return http::NeedByRoutes(Routes(), method, segments);
}

asio::awaitable<http::Response> HandleRequest(ApiBackend* backend, http::Request request) {
  const auto meant = request.query.find(std::string(kFor));
  if (meant != request.query.end() && meant->second != backend->Identity()) {
    co_return http::JsonError(
        Error(ErrorCode::kUnavailable, "this is the agent of " + backend->Identity() + ", and not of " +
                                           ToPrintable(meant->second) + ": its address is another's by now"));
  }
  const http::RouteMatch match = http::FindRoute(Routes(), request.method, request.segments);
  if (match.route) co_return co_await kEntries[*match.route].handle(backend, std::move(request));
  if (!match.allowed.empty()) co_return http::JsonError(405, "this path takes " + match.allowed + " only");
  co_return http::JsonError(404, "there is nothing at this path: /openapi.json describes what there is");
}

}  // namespace walstitch::agent
