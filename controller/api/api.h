// The controller's HTTP API: requests to answers, over shell::Controller. No socket here.
#pragma once

#include <string>
#include <vector>

#include "agents/http/http_server.h"
#include "controller/shell/controller.h"

namespace walstitch::api {

// What the API is over: a controller, or a process that stands by to become one.
class Front {
 public:
  virtual ~Front() = default;
  // Null: this process does not lead.
  [[nodiscard]] virtual shell::Controller* Leading() = 0;
  struct Standby {
    std::string sentence;  // why it does not lead, and who does
    std::string leader;    // "http://host:port" of the API of the one that does; empty: not known
  };
  [[nodiscard]] virtual Standby StandsBy() const = 0;
  // What whoever asks for the status of all groups should know beside it, one sentence each.
  [[nodiscard]] virtual std::vector<std::string> Notes() const = 0;
};

// `front` outlives the handler.
http::Handler MakeHandler(Front& front);

}  // namespace walstitch::api
