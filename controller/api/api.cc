#include "controller/api/api.h"

#include <boost/json.hpp>
#include <memory>
#include <charconv>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "agents/http/http_client.h"
#include "controller/api/metrics.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

// A process that stands by answers the first three, and everything else with 503, {"code":"standby"}, and
// "leader", the address of the one that leads, where that is known.
//
// GET  /healthz                                  200 while the process serves
// GET  /readyz                                   200 while it leads, or stands by
// GET  /metrics                                  for Prometheus (metrics.h)
// GET  /v1/status                                every group
// GET  /v1/groups/{group}                        one group
// GET  /v1/groups/{group}/plan                   what would be decided now
// POST /v1/groups/{group}/{failover|switchover|adopt|release} {"to","force","dry_run","rescue","deadline_ms"}
// POST /v1/groups/{group}/{pause|resume|unblock} {"reason"}
// POST /v1/groups/{group}/maintenance {"node","on","reason"}
// POST /v1/groups/{group}/replay                 {"node","salvage","keys","namespaces","keyspaces","dry_run",
//                                                 "overwrite","deletions"}
// GET  /v1/salvage                               every group's salvages
// GET  /v1/groups/{group}/salvage                one group's
// GET  /v1/groups/{group}/salvage/{node}/{id}    one manifest, its files checked
// GET  .../{node}/{id}/keys?after=&max=&key=&namespace=&keyspace=
// GET  .../{node}/{id}/records?after=&max=
// GET  /v1/decisions?group=&node=&max=           records, newest first
// GET  /v1/decisions/{id}                        one record
// GET  /v1/log?from=&max=                        raw lines of the decision log, its head, and what is not
// kept of it
namespace walstitch::api {

namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kMaxRecords = 1000;
constexpr std::uint64_t kMaxLines = 5000;
constexpr std::uint64_t kMaxKeys = 10000;
constexpr std::size_t kMaxReason = 500;
constexpr std::size_t kMaxName = 200;

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
    } else {
      return Fail(ErrorCode::kInvalid,
                  "request body: '" + ToPrintable(std::string_view(key)) +
                      "' is unknown or of a wrong type; expected to, node (text), reason (text of at most "
                      "500 bytes), "
                      "force, dry_run, rescue and on (true or false), deadline_ms (1 to 600000)");
    }
  }
  return request;
}

http::Response NoGroup(const std::string& name) {
  return http::JsonError(404, "no group '" + ToPrintable(name) + "'; walstitch status lists the groups");
}

// What may be ordered of a group, by the last word of the path.
const std::map<std::string, shell::GroupHost::Order, std::less<>>& Orders() {
  static const std::map<std::string, shell::GroupHost::Order, std::less<>> orders = {
      {"failover", &core::GroupRunner::Failover},
      {"switchover", &core::GroupRunner::Switchover},
      {"adopt", &core::GroupRunner::Adopt},
      {"release", &core::GroupRunner::Release},
      {"pause", &core::GroupRunner::Pause},
      {"resume", &core::GroupRunner::Resume},
      {"maintenance", &core::GroupRunner::Maintenance},
      {"unblock", &core::GroupRunner::Unblock},
  };
  return orders;
}

// For a decision's record, that others read.
std::string NameOf(const http::Caller& caller) { return ToPrintable(caller.name).substr(0, kMaxName); }

asio::awaitable<http::Response> Act(shell::GroupHost& group, shell::GroupHost::Order order,
                                    http::Request asked) {
  auto request = ReadOperatorRequest(asked.body);
  if (!request) co_return http::JsonError(request.error());
  request->by = NameOf(asked.caller);
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

asio::awaitable<http::Response> Replay(shell::GroupHost& group, http::Request asked) {
  auto order = ReadReplayOrder(asked.body);
  if (!order) co_return http::JsonError(order.error());
  order->by = NameOf(asked.caller);
  const bool dry_run = order->dry_run;
  auto report = co_await group.Replay(std::move(*order));
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

// /v1/groups/{group}/salvage...
asio::awaitable<http::Response> Salvage(shell::GroupHost& group, http::Request request) {
  const auto& segments = request.segments;
  if (request.method != "GET") co_return http::JsonError(405, "use GET");
  if (segments.size() == 4) co_return Json(co_await group.Salvages());
  if (segments.size() < 6) co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
  const std::string node = segments[4];
  std::string target = "/v1/salvage/" + http::PercentEncode(segments[5]);
  if (segments.size() == 7) {
    auto after = QueryNumber(request, "after", 0, 0, INT64_MAX);
    if (!after) co_return http::JsonError(after.error());
    auto max = QueryNumber(request, "max", 1000, 1, kMaxKeys);
    if (!max) co_return http::JsonError(max.error());
    if (segments[6] == "keys") {
      core::ReplayChoice choice;
      for (auto [name, list] : {std::pair("key", &choice.keys), std::pair("namespace", &choice.namespaces),
                                std::pair("keyspace", &choice.keyspaces)}) {
        if (const std::string text = QueryText(request, name); !text.empty()) *list = {text};
      }
      auto keys = co_await group.SalvageKeys(node, segments[5], std::move(choice), *after, *max);
      if (!keys) co_return http::JsonError(keys.error());
      co_return Json(ToJson(*keys));
    }
    if (segments[6] != "records")
      co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
    target += "/records?after=" + std::to_string(*after) + "&max=" + std::to_string(*max);
  } else if (segments.size() > 7) {
    co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
  }
  auto answer = co_await group.AskAboutSalvage(node, std::move(target));
  if (!answer) co_return http::JsonError(answer.error());
  co_return Json(*answer);
}

asio::awaitable<http::Response> AllSalvages(shell::Controller& controller) {
  boost::json::object all;
  for (const char* name : {"salvages", "damaged", "unheard"}) all[name] = boost::json::array();
  for (const auto& [name, group] : controller.Groups()) {
    boost::json::object of_group = co_await group->Salvages();
    for (auto& [key, list] : of_group) {
      for (auto& item : list.get_array()) all[key].get_array().push_back(std::move(item));
    }
  }
  co_return Json(all);
}

asio::awaitable<http::Response> Groups(shell::Controller& controller, http::Request request) {
  shell::GroupHost* group = controller.FindGroup(request.segments[2]);
  if (group == nullptr) co_return NoGroup(request.segments[2]);
  if (request.segments.size() == 3) {
    if (request.method != "GET") co_return http::JsonError(405, "use GET");
    co_return Json(group->Status());
  }
  const std::string& action = request.segments[3];
  if (action == "salvage") co_return co_await Salvage(*group, std::move(request));
  if (request.segments.size() > 4)
    co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
  if (action == "replay") {
    if (request.method != "POST") co_return http::JsonError(405, "use POST");
    co_return co_await Replay(*group, std::move(request));
  }
  if (action == "plan") {
    if (request.method != "GET") co_return http::JsonError(405, "use GET");
    co_return Json(co_await group->Plan());
  }
  if (const auto order = Orders().find(action); order != Orders().end()) {
    if (request.method != "POST") co_return http::JsonError(405, "use POST");
    co_return co_await Act(*group, order->second, std::move(request));
  }
  co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
}

http::Response Decisions(shell::Controller& controller, const http::Request& request) {
  auto max = QueryNumber(request, "max", 50, 1, kMaxRecords);
  if (!max) return http::JsonError(max.error());
  const std::string group = QueryText(request, "group");
  if (!group.empty() && controller.FindGroup(group) == nullptr) return NoGroup(group);
  auto records = controller.GetStore().ReadRecords(group, QueryText(request, "node"), *max);
  if (!records) return http::JsonError(records.error());
  boost::json::array list;
  for (const auto& record : *records) list.push_back(ToJson(record));
  return Json({{"decisions", std::move(list)}});
}

http::Response Log(shell::Controller& controller, const http::Request& request) {
  auto from = QueryNumber(request, "from", 1, 1, UINT64_MAX);
  if (!from) return http::JsonError(from.error());
  auto max = QueryNumber(request, "max", 1000, 1, kMaxLines);
  if (!max) return http::JsonError(max.error());
  auto lines = controller.GetStore().ReadLog(*from, *max);
  if (!lines) return http::JsonError(lines.error());
  boost::json::array entries;
  for (const auto& line : *lines) entries.push_back(boost::json::string(line));
  const core::LogHead head = controller.GetStore().Head();
  const core::LogHead trimmed = controller.GetStore().Trimmed();
  return Json({{"entries", std::move(entries)},
               {"head", {{"index", head.index}, {"hash", head.hash}}},
               {"trimmed", {{"index", trimmed.index}, {"hash", trimmed.hash}}}});
}

http::Response StandsBy(const Front::Standby& standby) {
  boost::json::object answer{{"error", standby.sentence}, {"code", "standby"}};
  if (!standby.leader.empty()) answer["leader"] = standby.leader;
  return {503, Dump(answer), "application/json"};
}

ControllerNumbers NumbersOf(Front& front, metrics::ProcessNumbers process) {
  ControllerNumbers numbers;
  numbers.process = std::move(process);
  numbers.process.program = "walstitch-controller";
  shell::Controller* controller = front.Leading();
  numbers.leads = controller != nullptr;
  if (controller == nullptr) return numbers;
  for (const auto& [name, group] : controller->Groups()) numbers.statuses.push_back(group->Status());
  numbers.records = &controller->Records();
  return numbers;
}

asio::awaitable<http::Response> Handle(Front& front, std::shared_ptr<const ProcessNumbersOf> process,
                                       http::Request request) {
  const auto& segments = request.segments;
  if (segments.size() == 1 && (segments[0] == "healthz" || segments[0] == "readyz"))
    co_return http::Response{200, "{\"ok\":true}", "application/json"};
  shell::Controller* leading = front.Leading();
  if (segments.size() == 1 && segments[0] == "metrics" && request.method == "GET")
    co_return http::Response{200, MetricsText(NumbersOf(front, (*process)())), metrics::kContentType};
  if (leading == nullptr) co_return StandsBy(front.StandsBy());
  shell::Controller& controller = *leading;
  const bool versioned = segments.size() >= 2 && segments[0] == "v1";
  if (versioned && segments[1] == "groups" && segments.size() >= 3) {
    co_return co_await Groups(controller, std::move(request));
  }
  if (versioned && request.method != "GET") co_return http::JsonError(405, "use GET");
  if (versioned && segments.size() == 2 && segments[1] == "status") {
    boost::json::array groups;
    for (const auto& [name, group] : controller.Groups()) groups.push_back(group->Status());
    boost::json::array notes;
    for (const std::string& note : front.Notes()) notes.push_back(boost::json::string(note));
    co_return Json({{"groups", std::move(groups)}, {"notes", std::move(notes)}});
  }
  if (versioned && segments.size() == 2 && segments[1] == "decisions")
    co_return Decisions(controller, request);
  if (versioned && segments.size() == 3 && segments[1] == "decisions") {
    auto record = controller.GetStore().ReadRecord(segments[2]);
    if (!record) co_return http::JsonError(record.error());
    co_return Json({{"record", ToJson(*record)}});
  }
  if (versioned && segments.size() == 2 && segments[1] == "salvage")
    co_return co_await AllSalvages(controller);
  if (versioned && segments.size() == 2 && segments[1] == "log") co_return Log(controller, request);
  co_return http::JsonError(404, "no such path: " + ToPrintable(request.path));
}

}  // namespace

http::Need NeedOf(std::string_view method, const std::vector<std::string>& segments) {
  using http::AccessRole;
  const std::size_t size = segments.size();
  const auto at = [&](std::size_t i) {
    return i < size ? std::string_view(segments[i]) : std::string_view();
  };
  if (size == 1 && (at(0) == "healthz" || at(0) == "readyz")) return {std::nullopt, false};
  if (method != "GET" && method != "HEAD") return {AccessRole::kOperate, true};
  bool view = size == 1 && (at(0) == "metrics" || at(0) == "openapi.json");
  if (size >= 2 && at(0) == "v1") {
    if (size == 2) view = at(1) == "status" || at(1) == "log";
    if (at(1) == "decisions") view = size <= 3;
    if (at(1) == "groups") view = size == 3 || (size == 4 && at(3) == "plan");
  }
  return {view ? AccessRole::kView : AccessRole::kOperate, false};
}

http::Handler MakeHandler(Front& front, ProcessNumbersOf process) {
  auto shared = std::make_shared<const ProcessNumbersOf>(std::move(process));
  return [&front, shared](http::Request request) { return Handle(front, shared, std::move(request)); };
}

}  // namespace walstitch::api
