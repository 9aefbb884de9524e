// The controller's HTTP API: JSON over the groups, the decisions and the log. The routes are listed in
// api.cc. Runs on the controller's executor.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "agents/http/http_server.h"
#include "controller/shell/controller.h"

namespace walstitch::api {

// The controller must outlive the handler.
http::Handler MakeHandler(shell::Controller& controller);

}  // namespace walstitch::api
