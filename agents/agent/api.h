// The agent's HTTP API: requests to answers, JSON by policies/model/json.h. Knows no socket; what it
// answers from is the backend. Call on the executor.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agent/wal_service.h"
#include "agents/http/http_server.h"
#include "agents/http/route.h"
#include "agents/wal/stay.h"
#include "policies/model/command.h"
#include "policies/model/lease.h"
#include "policies/model/report.h"
#include "policies/model/undo.h"
#include "policies/model/values.h"

namespace walstitch::agent {

struct UpstreamRole {
  Endpoint upstream;
  Role role = Role::kUnknown;
};

class ApiBackend {
 public:
  virtual ~ApiBackend() = default;
  virtual Report CurrentReport() = 0;
  virtual boost::asio::awaitable<Report> FreshReport() = 0;  // INFO was asked after the call
  virtual boost::asio::awaitable<Result<CommandResult>> Submit(Command command) = 0;
  virtual boost::asio::awaitable<Result<std::string>> AskWal(WalService::Question question) = 0;
  virtual boost::asio::awaitable<Result<std::string>> AskDeadWal(WalService::Question question) = 0;
  // How long the log that holds the sequence will stay before it is purged.
  virtual boost::asio::awaitable<Result<wal::Stay>> AskStay(Sequence sequence) = 0;
  // What the server that the relay follows at this moment says that it is. Takes about a second at most.
  virtual boost::asio::awaitable<Result<UpstreamRole>> AskUpstreamRole() = 0;
  virtual boost::asio::awaitable<PromiseAnswer> Promise(PromiseRequest request) = 0;
  // A path that begins with /v1/salvage: see salvage_api.h.
  virtual boost::asio::awaitable<http::Response> HandleSalvage(http::Request request) = 0;
  virtual boost::asio::awaitable<Result<UndoEvidence>> PlanUndo(UndoQuestion question) = 0;
  virtual boost::asio::awaitable<Result<WrittenAnswer>> Written(WrittenQuestion question) = 0;
  virtual boost::asio::awaitable<Result<ValuesAnswer>> Values(KeysQuestion question) = 0;
  virtual boost::asio::awaitable<Result<RepairableAnswer>> Repairable(KeysQuestion question) = 0;
  // In Prometheus' text format.
  virtual boost::asio::awaitable<std::string> Metrics() = 0;
  // "group/node"
  [[nodiscard]] virtual std::string Identity() const = 0;
  // cluster-enabled: a slot stands in the keys of the WAL.
  [[nodiscard]] virtual bool SlotEncoded() const = 0;
};

inline constexpr std::string_view kStreamPath = "/v1/stream";
// The query parameter that says whom a request is for, "group/node": one that is for another is refused, for
// an address may be given to another. Absent: whoever is there.
inline constexpr std::string_view kFor = "for";

// Everything that is answered; openapi.json describes it.
std::span<const http::Route> Routes();
// The agent's part of that description.
extern const std::string_view kOpenApi;
// Pure: what a token must be good for, and whether the audit is told. `view` shows how a node is; everything
// that changes something or shows what users have written needs `operate`. On the stream leases come in.
http::Need NeedOf(std::string_view method, const std::vector<std::string>& segments);

// The backend must outlive the coroutine.
boost::asio::awaitable<http::Response> HandleRequest(ApiBackend* backend, http::Request request);

}  // namespace walstitch::agent
