// The controller's HTTP API: requests to answers, over shell::Controller. No socket here.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/http_server.h"
#include "agents/http/route.h"
#include "agents/metrics/process_numbers.h"
#include "controller/shell/controller.h"
#include "controller/shell/webhooks.h"

namespace walstitch::api {

// What the API is over: a controller, or a process that stands by to become one.
class Front {
 public:
  virtual ~Front() = default;
  // Null: this process does not lead.
  [[nodiscard]] virtual shell::Controller* Leading() = 0;
  // Leading() is not null, knows its groups, and no other can lead at this very moment.
  [[nodiscard]] virtual bool LeadsNow() const = 0;
  // It leads, and what is decided can be written down: leases are given, and commands.
  [[nodiscard]] virtual bool Acts() const { return LeadsNow(); }
  // The groups are looked for, and what Leading() has of them says nothing yet.
  [[nodiscard]] virtual bool Discovers() const { return false; }
  struct Standby {
    std::string sentence;  // why it does not lead, and who does
    std::string leader;    // "http(s)://host:port" of the API of the one that does; empty: not known
  };
  [[nodiscard]] virtual Standby StandsBy() const = 0;
  // What whoever asks for the status of all groups should know beside it, one sentence each.
  [[nodiscard]] virtual std::vector<std::string> Notes() const = 0;
  // How the webhooks do; empty while this process does not lead, or where there are none.
  [[nodiscard]] virtual std::vector<shell::WebhookCounts> Hooks() const { return {}; }
};

// Everything that is answered; openapi.json describes it. A process that stands by answers what is about
// itself, and everything else with 503, {"code":"standby"}, and "leader", the address of the one that leads,
// where that is known.
std::span<const http::Route> Routes();
// The controller's part of that description.
extern const std::string_view kOpenApi;
// Pure: what a token must be good for, and whether the audit is told. `view` shows status, metrics, and
// plans and decisions without their lists of keys; everything that changes something or shows what users have
// written needs `operate`.
http::Need NeedOf(std::string_view method, const std::vector<std::string>& segments);

// What the process knows of itself beside its groups, for /metrics.
using ProcessNumbersOf = std::function<metrics::ProcessNumbers()>;

// `front` outlives the handler.
http::Handler MakeHandler(Front& front, ProcessNumbersOf process);

}  // namespace walstitch::api
