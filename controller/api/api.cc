#include "controller/api/api.h"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "agents/http/http_client.h"
#include "controller/api/metrics.h"
#include "controller/api/without_keys.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/openapi.h"

namespace walstitch::api {

namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kMaxRecords = 1000;
constexpr std::uint64_t kMaxLines = 5000;
constexpr std::uint64_t kMaxKeys = 10000;
constexpr std::size_t kMaxReason = 500;
constexpr std::size_t kMaxName = 200;

// A request, and what it is about: each is null where it does not matter.
struct Call {
  Front& front;
  shell::Controller* controller;
  shell::GroupHost* group;
  http::Request request;
  const ProcessNumbersOf& process;
};

http::Response Json(const boost::json::value& value) { return {200, Dump(value), "application/json"}; }

Result<std::uint64_t> QueryNumber(const http::Request& request, const std::string& name,
                                  std::uint64_t fallback, std::uint64_t low, std::uint64_t high) {
  auto found = request.query.find(name);
  if (found == request.query.end() || found->second.empty()) return fallback;
  const std::string& text = found->second;
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size() || number < low || number > high) {
    return Fail(ErrorCode::kInvalid, "query '" + name + "': expected a whole number from " +
                                         std::to_string(low) + " to " + std::to_string(high) + ", got '" +
                                         ToPrintable(text) + "'");
  }
  return number;
}

std::string QueryText(const http::Request& request, const std::string& name) {
  auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

Result<core::OperatorRequest> ReadOperatorRequest(const std::string& body) {
  core::OperatorRequest request;
  if (body.empty()) return request;
  auto json = ParseJson(body);
  if (!json) return Fail(json.error(), "request body");
  const auto* object = json->if_object();
  if (object == nullptr) return Fail(ErrorCode::kInvalid, "request body: expected a JSON object");
  for (const auto& [key, value] : *object) {
    if (key == "to" && value.is_string()) {
      request.to = std::string(value.get_string());
    } else if (key == "force" && value.is_bool()) {
      request.force = value.get_bool();
    } else if (key == "dry_run" && value.is_bool()) {
      request.dry_run = value.get_bool();
    } else if (key == "rescue" && value.is_bool()) {
      request.rescue = value.get_bool();
    } else if (key == "deadline_ms" && value.is_int64() && value.get_int64() >= 1 &&
               value.get_int64() <= 600000) {
      request.deadline_ms = value.get_int64();
    } else if (key == "node" && value.is_string()) {
      request.node = std::string(value.get_string());
    } else if (key == "on" && value.is_bool()) {
      request.on = value.get_bool();
    } else if (key == "reason" && value.is_string() && value.get_string().size() <= kMaxReason) {
      request.reason = std::string(value.get_string());
    } else if (key == "by" && value.is_string() && value.get_string().size() <= kMaxName) {
      request.by = std::string(value.get_string());
    } else {
      return Fail(ErrorCode::kInvalid,
                  "request body: '" + ToPrintable(std::string_view(key)) +
                      "' is unknown or of a wrong type; expected to, node (text), reason (text of at most "
                      "500 bytes), by (text of at most 200 bytes), "
                      "force, dry_run, rescue and on (true or false), deadline_ms (1 to 600000)");
    }
  }
  return request;
}

http::Response NoGroup(const std::string& name) {
  return http::JsonError(404, "no group '" + ToPrintable(name) + "'; walstitch status lists the groups");
}

// For a decision's record, that others read.
std::string NameOf(const http::Caller& caller) { return ToPrintable(caller.name).substr(0, kMaxName); }

// Whoever passes an order on says whose it is; its own name stands before that, for only that is proven.
std::string AskedBy(const http::Caller& caller, const std::string& for_whom) {
  std::string name = NameOf(caller);
  if (for_whom.empty()) return name;
  return (name.empty() ? "" : name + " ") + "for " + ToPrintable(for_whom).substr(0, kMaxName);
}

asio::awaitable<http::Response> Order(shell::GroupHost& group, shell::GroupHost::Order order,
                                      http::Request asked) {
  auto request = ReadOperatorRequest(asked.body);
  if (!request) co_return http::JsonError(request.error());
  request->by = AskedBy(asked.caller, request->by);
  const bool dry_run = request->dry_run;
  const core::OperatorAnswer answer = co_await group.Give(order, std::move(*request));
  if (!answer) co_return http::JsonError(answer.error());
  if (dry_run) co_return Json({{"decision", ToJson(answer->decision)}});
  co_return Json({{"record", ToJson(*answer)}});
}

Result<std::vector<std::string>> TextsOf(const boost::json::value& value) {
  std::vector<std::string> texts;
  const auto* list = value.if_array();
  if (list == nullptr) return Fail(ErrorCode::kInvalid, "expected a list of texts");
  for (const auto& item : *list) {
    if (!item.is_string()) return Fail(ErrorCode::kInvalid, "expected a list of texts");
    texts.emplace_back(item.get_string());
  }
  return texts;
}

Result<core::ReplayOrder> ReadReplayOrder(const std::string& body) {
  auto json = ParseJson(body);
  if (!json) return Fail(json.error(), "request body");
  const auto* object = json->if_object();
  if (object == nullptr) return Fail(ErrorCode::kInvalid, "request body: expected a JSON object");
  core::ReplayOrder order;
  const std::map<std::string_view, std::string*> words = {{"node", &order.source},
                                                          {"salvage", &order.salvage}};
  const std::map<std::string_view, bool*> flags = {
      {"dry_run", &order.dry_run}, {"overwrite", &order.overwrite}, {"deletions", &order.deletions}};
  const std::map<std::string_view, std::vector<std::string>*> lists = {
      {"keys", &order.choice.keys},
      {"namespaces", &order.choice.namespaces},
      {"keyspaces", &order.choice.keyspaces}};
  for (const auto& [key, value] : *object) {
    const std::string_view name(key.data(), key.size());
    if (const auto word = words.find(name); word != words.end() && value.is_string()) {
      *word->second = std::string(value.get_string());
    } else if (const auto flag = flags.find(name); flag != flags.end() && value.is_bool()) {
      *flag->second = value.get_bool();
    } else if (const auto list = lists.find(name); list != lists.end()) {
      auto texts = TextsOf(value);
      if (!texts) return Fail(texts.error(), "request body: " + std::string(name));
      *list->second = std::move(*texts);
    } else {
      return Fail(
          ErrorCode::kInvalid,
          "request body: '" + ToPrintable(name) +
              "' is unknown or of a wrong type; expected node and salvage (text), keys, namespaces and "
              "keyspaces (lists of text), dry_run, overwrite and deletions (true or false)");
    }
  }
  if (order.source.empty() || order.salvage.empty()) {
    return Fail(ErrorCode::kInvalid,
                "request body: node and salvage must say whose salvage it is, and which");
  }
  return order;
}

asio::awaitable<http::Response> Replay(Call call) {
  auto order = ReadReplayOrder(call.request.body);
  if (!order) co_return http::JsonError(order.error());
  order->by = NameOf(call.request.caller);
  const bool dry_run = order->dry_run;
  auto report = co_await call.group->Replay(std::move(*order));
  if (!report) co_return http::JsonError(report.error());
  boost::json::array keys;
  for (const ReplayedKey& key : report->summary.keys) keys.push_back(ToJson(key));
  boost::json::object counts;
  for (const auto& [result, count] : report->summary.counts) counts[ToString(result)] = count;
  boost::json::object answer;
  if (!dry_run) answer["record"] = ToJson(report->record);
  answer["sentence"] = report->summary.Sentence(dry_run);
  answer["counts"] = std::move(counts);
  answer["keys"] = std::move(keys);
  if (!report->summary.ended_early.empty()) answer["ended_early"] = report->summary.ended_early;
  co_return Json(answer);
}

asio::awaitable<http::Response> SalvageOfGroup(Call call) { co_return Json(co_await call.group->Salvages()); }

// "/v1/salvage/ID" of the agent.
std::string SalvageTarget(const http::Request& request) {
  return "/v1/salvage/" + http::PercentEncode(request.segments[5]);
}

asio::awaitable<http::Response> OneSalvage(Call call) {
  auto answer = co_await call.group->AskAboutSalvage(call.request.segments[4], SalvageTarget(call.request));
  if (!answer) co_return http::JsonError(answer.error());
  co_return Json(*answer);
}

asio::awaitable<http::Response> SalvageKeys(Call call) {
  const http::Request& request = call.request;
  auto after = QueryNumber(request, "after", 0, 0, INT64_MAX);
  if (!after) co_return http::JsonError(after.error());
  auto max = QueryNumber(request, "max", 1000, 1, kMaxKeys);
  if (!max) co_return http::JsonError(max.error());
  core::ReplayChoice choice;
  for (auto [name, list] : {std::pair("key", &choice.keys), std::pair("namespace", &choice.namespaces),
                            std::pair("keyspace", &choice.keyspaces)}) {
    if (const std::string text = QueryText(request, name); !text.empty()) *list = {text};
  }
  auto keys = co_await call.group->SalvageKeys(request.segments[4], request.segments[5], std::move(choice),
                                               *after, *max);
  if (!keys) co_return http::JsonError(keys.error());
  co_return Json(ToJson(*keys));
}

asio::awaitable<http::Response> SalvageRecords(Call call) {
  const http::Request& request = call.request;
  auto after = QueryNumber(request, "after", 0, 0, INT64_MAX);
  if (!after) co_return http::JsonError(after.error());
  auto max = QueryNumber(request, "max", 1000, 1, kMaxKeys);
  if (!max) co_return http::JsonError(max.error());
  const std::string target =
      SalvageTarget(request) + "/records?after=" + std::to_string(*after) + "&max=" + std::to_string(*max);
  auto answer = co_await call.group->AskAboutSalvage(request.segments[4], target);
  if (!answer) co_return http::JsonError(answer.error());
  co_return Json(*answer);
}

asio::awaitable<http::Response> AllSalvages(Call call) {
  boost::json::object all;
  for (const char* name : {"salvages", "damaged", "unheard"}) all[name] = boost::json::array();
  for (const auto& [name, group] : call.controller->Groups()) {
    boost::json::object of_group = co_await group->Salvages();
    for (auto& [key, list] : of_group) {
      for (auto& item : list.get_array()) all[key].get_array().push_back(std::move(item));
    }
  }
  co_return Json(all);
}

// Keys are what users have written: who may only view does not see them.
boost::json::value ShownTo(const http::Caller& caller, boost::json::value decision) {
  if (caller.role != http::AccessRole::kOperate) TakeOutKeys(&decision);
  return decision;
}

asio::awaitable<http::Response> Decisions(Call call) {
  auto max = QueryNumber(call.request, "max", 50, 1, kMaxRecords);
  if (!max) co_return http::JsonError(max.error());
  const std::string group = QueryText(call.request, "group");
  if (!group.empty() && call.controller->FindGroup(group) == nullptr) co_return NoGroup(group);
  auto records = call.controller->GetStore().ReadRecords(group, QueryText(call.request, "node"), *max);
  if (!records) co_return http::JsonError(records.error());
  boost::json::array list;
  for (const auto& record : *records) list.push_back(ShownTo(call.request.caller, ToJson(record)));
  co_return Json({{"decisions", std::move(list)}});
}

asio::awaitable<http::Response> OneDecision(Call call) {
  auto record = call.controller->GetStore().ReadRecord(call.request.segments[2]);
  if (!record) co_return http::JsonError(record.error());
  co_return Json({{"record", ShownTo(call.request.caller, ToJson(*record))}});
}

asio::awaitable<http::Response> Log(Call call) {
  const http::Request& request = call.request;
  auto from = QueryNumber(request, "from", 1, 1, UINT64_MAX);
  if (!from) co_return http::JsonError(from.error());
  auto max = QueryNumber(request, "max", 1000, 1, kMaxLines);
  if (!max) co_return http::JsonError(max.error());
  auto lines = call.controller->GetStore().ReadLog(*from, *max);
  if (!lines) co_return http::JsonError(lines.error());
  boost::json::array entries;
  for (const auto& line : *lines) entries.push_back(boost::json::string(line));
  const core::LogHead head = call.controller->GetStore().Head();
  const core::LogHead trimmed = call.controller->GetStore().Trimmed();
  co_return Json({{"entries", std::move(entries)},
                  {"head", {{"index", head.index}, {"hash", head.hash}}},
                  {"trimmed", {{"index", trimmed.index}, {"hash", trimmed.hash}}}});
}

http::Response StandsBy(const Front::Standby& standby) {
  boost::json::object answer{{"error", standby.sentence}, {"code", "standby"}};
  if (!standby.leader.empty()) answer["leader"] = standby.leader;
  return {503, Dump(answer), "application/json"};
}

asio::awaitable<http::Response> Health(Call) {
  co_return http::Response{200, "{\"ok\":true}", "application/json"};
}

asio::awaitable<http::Response> OpenApi(Call) {
  static const std::string document = OpenApiDocument(kOpenApi);
  co_return http::Response{200, document, "application/json"};
}

asio::awaitable<http::Response> Metrics(Call call) {
  ControllerNumbers numbers;
  numbers.process = call.process();
  numbers.process.program = "walstitch-controller";
  numbers.leads = call.controller != nullptr && call.front.Acts();
  for (const shell::WebhookCounts& hook : call.front.Hooks())
    numbers.webhooks.push_back({hook.name, hook.sent, hook.failed, hook.dropped, hook.waiting});
  numbers.unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
  if (call.controller != nullptr) {
    for (const auto& [name, group] : call.controller->Groups()) numbers.statuses.push_back(group->Status());
    numbers.records = &call.controller->Records();
  }
  co_return http::Response{200, MetricsText(numbers), metrics::kContentType};
}

asio::awaitable<http::Response> Status(Call call) {
  boost::json::array groups;
  for (const auto& [name, group] : call.controller->Groups()) groups.push_back(group->Status());
  boost::json::array notes;
  for (const std::string& note : call.front.Notes()) notes.push_back(boost::json::string(note));
  boost::json::object answer{{"groups", std::move(groups)}, {"notes", std::move(notes)}};
  if (call.front.Discovers()) answer["discovering"] = true;
  co_return Json(answer);
}

asio::awaitable<http::Response> OneGroup(Call call) { co_return Json(call.group->Status()); }

asio::awaitable<http::Response> Plan(Call call) {
  co_return Json(ShownTo(call.request.caller, co_await call.group->Plan()));
}

template <auto order>
asio::awaitable<http::Response> Act(Call call) {
  co_return co_await Order(*call.group, order, std::move(call.request));
}

using Answer = asio::awaitable<http::Response> (*)(Call);

struct Entry {
  http::Route route;
  Answer answer;
  bool standing_by = false;  // also answered by a process that does not lead
};

constexpr auto kView = http::AccessRole::kView;
constexpr auto kOperate = http::AccessRole::kOperate;
constexpr bool kChanges = true;
constexpr bool kStandingBy = true;

constexpr Entry kEntries[] = {
    {{"GET", "/healthz", std::nullopt}, Health, kStandingBy},
    {{"GET", "/readyz", std::nullopt}, Health, kStandingBy},
    {{"GET", "/openapi.json", kView}, OpenApi, kStandingBy},
    {{"GET", "/metrics", kView}, Metrics, kStandingBy},
    {{"GET", "/v1/status", kView}, Status},
    {{"GET", "/v1/groups/{group}", kView}, OneGroup},
    {{"GET", "/v1/groups/{group}/plan", kView}, Plan},
    {{"POST", "/v1/groups/{group}/failover", kOperate, kChanges}, Act<&core::GroupRunner::Failover>},
    {{"POST", "/v1/groups/{group}/switchover", kOperate, kChanges}, Act<&core::GroupRunner::Switchover>},
    {{"POST", "/v1/groups/{group}/adopt", kOperate, kChanges}, Act<&core::GroupRunner::Adopt>},
    {{"POST", "/v1/groups/{group}/release", kOperate, kChanges}, Act<&core::GroupRunner::Release>},
    {{"POST", "/v1/groups/{group}/pause", kOperate, kChanges}, Act<&core::GroupRunner::Pause>},
    {{"POST", "/v1/groups/{group}/resume", kOperate, kChanges}, Act<&core::GroupRunner::Resume>},
    {{"POST", "/v1/groups/{group}/maintenance", kOperate, kChanges}, Act<&core::GroupRunner::Maintenance>},
    {{"POST", "/v1/groups/{group}/unblock", kOperate, kChanges}, Act<&core::GroupRunner::Unblock>},
    {{"POST", "/v1/groups/{group}/replay", kOperate, kChanges}, Replay},
    {{"GET", "/v1/groups/{group}/salvage", kOperate}, SalvageOfGroup},
    {{"GET", "/v1/groups/{group}/salvage/{node}/{id}", kOperate}, OneSalvage},
    {{"GET", "/v1/groups/{group}/salvage/{node}/{id}/keys", kOperate}, SalvageKeys},
    {{"GET", "/v1/groups/{group}/salvage/{node}/{id}/records", kOperate}, SalvageRecords},
    {{"GET", "/v1/salvage", kOperate}, AllSalvages},
    {{"GET", "/v1/decisions", kView}, Decisions},
    {{"GET", "/v1/decisions/{id}", kView}, OneDecision},
    {{"GET", "/v1/log", kOperate}, Log},
};

asio::awaitable<http::Response> Handle(Front& front, std::shared_ptr<const ProcessNumbersOf> process,
                                       http::Request request) {
  const http::RouteMatch match = http::FindRoute(Routes(), request.method, request.segments);
  if (!match.route && !match.allowed.empty()) co_return http::JsonError(405, "use " + match.allowed);
  if (!match.route) {
    co_return http::JsonError(
        404, "no such path: " + ToPrintable(request.path) + "; /openapi.json describes what there is");
  }
  const Entry& entry = kEntries[*match.route];
  Call call{front, front.Leading(), nullptr, std::move(request), *process};
  if (call.controller == nullptr && !entry.standing_by) co_return StandsBy(front.StandsBy());
  if (entry.route.pattern.starts_with("/v1/groups/")) {
    call.group = call.controller->FindGroup(call.request.segments[2]);
    if (call.group == nullptr) co_return NoGroup(call.request.segments[2]);
  }
  co_return co_await entry.answer(std::move(call));
}

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

http::Handler MakeHandler(Front& front, ProcessNumbersOf process) {
  auto shared = std::make_shared<const ProcessNumbersOf>(std::move(process));
  return [&front, shared](http::Request request) { return Handle(front, shared, std::move(request)); };
}

}  // namespace walstitch::api
