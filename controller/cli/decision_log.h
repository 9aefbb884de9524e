// The controller's decision log as the commands read it: one record, or every line.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "controller/cli/controller_client.h"
#include "controller/core/log_chain.h"

namespace walstitch::cli {

Result<core::LogHead> HeadOf(const boost::json::value* value);

// Calls `visit` with every line of the log that is kept, oldest first, and gives the head. `visit` returns
// false to stop: the head is then of no use. `begin`, if given, gets the last entry that is not kept any
// more, before (index 0: all are kept).
Answer<core::LogHead> WalkLog(const ControllerClient& controller,
                              const std::function<bool(std::string_view)>& visit,
                              const std::function<void(const core::LogHead&)>& begin = nullptr);

// A record by its id, or a part of it that is unique; "latest" is the newest one.
Answer<boost::json::value> FindRecord(const ControllerClient& controller, const std::string& id);

}  // namespace walstitch::cli
