#include "controller/shell/agent_client.h"

#include <boost/json.hpp>

#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/model/names.h"

namespace walstitch::shell {
namespace {

constexpr std::chrono::milliseconds kReadTimeout{10000};
constexpr std::chrono::milliseconds kLongReadTimeout{60000};
constexpr std::chrono::milliseconds kUndoTimeout{120000};
constexpr std::chrono::milliseconds kReportTimeout{2500};
// The agent gives its upstream a second.
constexpr std::chrono::milliseconds kUpstreamTimeout{1500};

std::string RangeQuery(SequenceRange range) {
  return "from=" + range.from.ToString() + "&to=" + range.to.ToString();
}

}  // namespace

Result<void> AgentClient::CheckAddress() const {
  if (!url_.host.empty()) return {};
  return Fail(ErrorCode::kUnavailable,
              "agent of " + node_ + ": it is not known where it is; its pod has no address");
}

boost::asio::awaitable<Result<boost::json::value>> AgentClient::Call(
    std::string method, std::string target, std::string body, std::chrono::milliseconds timeout) const {
  if (auto known = CheckAddress(); !known) co_return Fail(known.error());
  std::string addressed = http::AddressedTo(std::move(target), group_, node_);
  auto answer = co_await http::FetchBody(url_, std::move(method), std::move(addressed), std::move(body),
                                         credentials_, timeout);
  if (!answer) co_return Fail(answer.error(), "agent of " + node_);
  auto json = ParseJson(*answer);
  if (!json) co_return Fail(json.error(), "agent of " + node_);
  co_return std::move(*json);
}

boost::asio::awaitable<Result<boost::json::value>> AgentClient::Get(std::string target,
                                                                    std::chrono::milliseconds timeout) const {
  co_return co_await Call("GET", std::move(target), "", timeout);
}

boost::asio::awaitable<Result<Report>> AgentClient::FreshReport() const {
  auto json = co_await Get("/v1/report?fresh=1", kReportTimeout);
  if (!json) co_return Fail(json.error());
  co_return ReportFromJson(*json);
}

boost::asio::awaitable<Result<CommandResult>> AgentClient::Run(Command command,
                                                               std::chrono::milliseconds patience) const {
  const std::string id = command.id;
  if (auto known = CheckAddress(); !known) co_return Fail(known.error());
  auto response =
      co_await http::Fetch(url_, "POST", "/v1/command", Dump(ToJson(command)), credentials_, patience);
  if (!response) {
    if (response.error().Code() == ErrorCode::kUnavailable)
      co_return Fail(response.error(), "agent of " + node_);
    CommandResult unknown;
    unknown.id = id;
    unknown.error = "agent of " + node_ + ": " + response.error().Message();
    co_return unknown;
  }
  if (response->status != 200) co_return Fail(http::ErrorOf(*response), "agent of " + node_);
  auto json = ParseJson(response->body);
  if (!json) co_return Fail(json.error(), "agent of " + node_);
  co_return CommandResultFromJson(*json);
}

boost::asio::awaitable<Result<WalExtent>> AgentClient::Extent() const {
  auto json = co_await Get("/v1/wal/extent", kReadTimeout);
  if (!json) co_return Fail(json.error());
  co_return WalExtentFromJson(*json);
}

boost::asio::awaitable<Result<std::vector<BatchInfo>>> AgentClient::Batches(SequenceRange range,
                                                                            std::size_t max) const {
  auto json =
      co_await Get("/v1/wal/batches?" + RangeQuery(range) + "&max=" + std::to_string(max), kReadTimeout);
  if (!json) co_return Fail(json.error());
  const auto* object = json->if_object();
  const auto* list = object == nullptr ? nullptr : object->if_contains("batches");
  if (list == nullptr || !list->is_array()) {
    co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": the answer has no batches");
  }
  std::vector<BatchInfo> batches;
  batches.reserve(list->get_array().size());
  for (const auto& item : list->get_array()) {
    auto batch = BatchInfoFromJson(item);
    if (!batch) co_return Fail(batch.error(), "agent of " + node_);
    batches.push_back(std::move(*batch));
  }
  co_return batches;
}

boost::asio::awaitable<Result<RangeDigests>> AgentClient::Digests(SequenceRange range, std::uint32_t parts,
                                                                  DigestKey key) const {
  const std::string hex = ToHex(std::string(key.bytes.begin(), key.bytes.end()));
  auto json =
      co_await Get("/v1/wal/digests?" + RangeQuery(range) + "&parts=" + std::to_string(parts) + "&key=" + hex,
                   kLongReadTimeout);
  if (!json) co_return Fail(json.error());
  auto digests = RangeDigestsFromJson(*json);
  if (!digests) co_return Fail(digests.error(), "agent of " + node_);
  co_return std::move(*digests);
}

boost::asio::awaitable<Result<MarkedBatches>> AgentClient::Marked(SequenceRange range,
                                                                  std::size_t max) const {
  auto json =
      co_await Get("/v1/wal/marked?" + RangeQuery(range) + "&max=" + std::to_string(max), kLongReadTimeout);
  if (!json) co_return Fail(json.error());
  auto marked = MarkedBatchesFromJson(*json);
  if (!marked) co_return Fail(marked.error(), "agent of " + node_);
  co_return std::move(*marked);
}

boost::asio::awaitable<Result<RangeBytes>> AgentClient::Bytes(SequenceRange range, std::size_t max) const {
  auto json =
      co_await Get("/v1/wal/bytes?" + RangeQuery(range) + "&max=" + std::to_string(max), kReadTimeout);
  if (!json) co_return Fail(json.error());
  auto bytes = RangeBytesFromJson(*json);
  if (!bytes) co_return Fail(bytes.error(), "agent of " + node_);
  co_return std::move(*bytes);
}

boost::asio::awaitable<Result<Sequence>> AgentClient::Boundary(Sequence at) const {
  auto json = co_await Get("/v1/wal/boundary?at=" + at.ToString(), kReadTimeout);
  if (!json) co_return Fail(json.error());
  const auto* object = json->if_object();
  const auto* boundary = object == nullptr ? nullptr : object->if_contains("boundary");
  boost::system::error_code bad;
  const std::uint64_t value = boundary == nullptr ? 0 : boundary->to_number<std::uint64_t>(bad);
  if (boundary == nullptr || bad)
    co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": the answer has no boundary");
  co_return Sequence(value);
}

boost::asio::awaitable<Result<Touched>> AgentClient::ListTouched(SequenceRange range,
                                                                 std::size_t max_keys) const {
  auto json = co_await Get("/v1/wal/touched?" + RangeQuery(range) + "&max_keys=" + std::to_string(max_keys),
                           kReadTimeout);
  if (!json) co_return Fail(json.error());
  co_return TouchedFromJson(*json);
}

boost::asio::awaitable<Result<std::optional<std::int64_t>>> AgentClient::StaysFor(Sequence at) const {
  auto json = co_await Get("/v1/wal/stays?at=" + at.ToString(), kReadTimeout);
  if (!json) co_return Fail(json.error());
  const auto* object = json->if_object();
  const auto* left = object == nullptr ? nullptr : object->if_contains("left_ms");
  boost::system::error_code bad;
  std::optional<std::int64_t> value;
  if (left != nullptr && !left->is_null()) value = left->to_number<std::int64_t>(bad);
  if (object == nullptr || bad)
    co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": left_ms is no number");
  co_return value;
}

boost::asio::awaitable<Result<std::string>> AgentClient::ReplicationId(Sequence at) const {
  auto json = co_await Get("/v1/wal/replication_id?at=" + at.ToString(), kReadTimeout);
  if (!json) co_return Fail(json.error());
  const auto* object = json->if_object();
  const auto* id = object == nullptr ? nullptr : object->if_contains("replication_id");
  if (id == nullptr || !id->is_string())
    co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": no replication id");
  co_return std::string(id->get_string());
}

boost::asio::awaitable<Result<Role>> AgentClient::RoleOfUpstream(Endpoint server) const {
  auto json = co_await Get("/v1/upstream/role", kUpstreamTimeout);
  if (!json) co_return Fail(json.error());
  const auto* object = json->if_object();
  const auto* upstream = object == nullptr ? nullptr : object->if_contains("upstream");
  const auto* role = object == nullptr ? nullptr : object->if_contains("role");
  if (upstream == nullptr || !upstream->is_string() || role == nullptr || !role->is_string())
    co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": no role of its upstream");
  // 1. The agent is asked about the old master. 2. Its relay has been told to follow another node. 3. What
  // that one is says nothing about the old master.
  if (std::string_view(upstream->get_string()) != server.ToString()) {
    co_return Fail(ErrorCode::kConflict, "agent of " + node_ + ": its relay follows " +
                                             std::string(upstream->get_string()) + ", not " +
                                             server.ToString());
  }
  const auto known = FromString<Role>(std::string_view(role->get_string()));
  if (!known) co_return Fail(ErrorCode::kInvalid, "agent of " + node_ + ": no role of its upstream");
  co_return *known;
}

boost::asio::awaitable<Result<boost::json::value>> AgentClient::Ask(std::string target,
                                                                    std::chrono::milliseconds timeout) const {
  co_return co_await Get(std::move(target), timeout);
}

boost::asio::awaitable<Result<SalvagedKeys>> AgentClient::SalvageKeys(std::string id, std::uint64_t after,
                                                                      std::size_t max) const {
  // Files that were not read for long are checked as a whole first.
  auto json = co_await Get("/v1/salvage/" + http::PercentEncode(id) + "/keys?after=" + std::to_string(after) +
                               "&max=" + std::to_string(max),
                           kLongReadTimeout);
  if (!json) co_return Fail(json.error());
  auto keys = SalvagedKeysFromJson(*json);
  if (!keys) co_return Fail(keys.error(), "agent of " + node_);
  co_return std::move(*keys);
}

std::string AgentClient::Url() const { return http::ToString(url_); }

boost::asio::awaitable<Result<UndoEvidence>> AgentClient::PlanUndo(UndoQuestion question) const {
  auto json = co_await Call("POST", "/v1/undo", Dump(ToJson(question)), kUndoTimeout);
  if (!json) co_return Fail(json.error());
  auto plan = UndoEvidenceFromJson(*json);
  if (!plan) co_return Fail(plan.error(), "agent of " + node_);
  co_return std::move(*plan);
}

boost::asio::awaitable<Result<RepairableAnswer>> AgentClient::FindUnrepairable(
    std::vector<UserKeyName> keys) const {
  constexpr std::size_t kAtATime = 500;
  RepairableAnswer all;
  for (std::size_t from = 0; from < keys.size(); from += kAtATime) {
    const auto begin = keys.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = keys.begin() + static_cast<std::ptrdiff_t>(std::min(from + kAtATime, keys.size()));
    const KeysQuestion question{{begin, end}};
    auto json = co_await Call("POST", "/v1/keys/repairable", Dump(ToJson(question)), kLongReadTimeout);
    if (!json) co_return Fail(json.error());
    auto answer = RepairableAnswerFromJson(*json);
    if (!answer) co_return Fail(answer.error(), "agent of " + node_);
    const std::size_t asked = question.keys.size();
    const bool fits = answer->types.size() == asked &&
                      std::all_of(answer->cannot.begin(), answer->cannot.end(),
                                  [asked](const UnrepairableKey& one) { return one.at < asked; });
    if (!fits)
      co_return Fail(ErrorCode::kDamaged,
                     "agent of " + node_ + ": it told of other keys than it was asked about");
    for (UnrepairableKey& one : answer->cannot) all.cannot.push_back({from + one.at, std::move(one.why)});
    std::move(answer->types.begin(), answer->types.end(), std::back_inserter(all.types));
  }
  co_return all;
}

boost::asio::awaitable<Result<ReplayAnswer>> AgentClient::Replay(ReplayRequest request) const {
  auto json = co_await Call("POST", "/v1/salvage/replay", Dump(ToJson(request)), kLongReadTimeout);
  if (!json) co_return Fail(json.error());
  auto answer = ReplayAnswerFromJson(*json);
  if (!answer) co_return Fail(answer.error(), "agent of " + node_);
  co_return std::move(*answer);
}

}  // namespace walstitch::shell
