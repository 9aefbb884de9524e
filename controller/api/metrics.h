// What the controller counts, as Prometheus reads it. Pure.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

namespace walstitch::api {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// In Prometheus' text format, of the groups' statuses (GroupRunner::Status):
//
// walstitch_resume_point_left_seconds{group,node}   how long the master's WAL will still hold what the node
// needs
//                                                   next, at the present rate; no sample: it lacks nothing,
//                                                   or nothing is known that would purge it
std::string MetricsText(const boost::json::array& statuses);

}  // namespace walstitch::api
