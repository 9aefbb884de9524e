#include "controller/api/metrics.h"

#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <boost/json.hpp>

namespace walstitch::api {

std::string MetricsText(const boost::json::array& statuses) {
  prometheus::Registry registry;
  auto& resume_point =
      prometheus::BuildGauge()
          .Name("walstitch_resume_point_left_seconds")
          .Help("How long the master's WAL will still hold what the node needs next, at the present rate.")
          .Register(registry);
  auto& refused =
      prometheus::BuildGauge()
          .Name("walstitch_policy_refused")
          .Help("1 while the policy files as they are now are refused, and older ones are in force.")
          .Register(registry);
  auto& in_force = prometheus::BuildGauge()
                       .Name("walstitch_policy_info")
                       .Help("The policy in force, by its name and the beginning of its hash; always 1.")
                       .Register(registry);
  for (const auto& status : statuses) {
    const std::string group(status.at("group").as_string());
    const auto& policy = status.at("policy").as_object();
    refused.Add({{"group", group}}).Set(policy.contains("error") ? 1 : 0);
    in_force
        .Add({{"group", group},
              {"name", std::string(policy.at("name").as_string())},
              {"hash", std::string(policy.at("hash").as_string()).substr(0, 12)}})
        .Set(1);
    for (const auto& node : status.at("nodes").as_array()) {
      const auto* left_ms = node.as_object().if_contains("resume_left_ms");
      if (left_ms == nullptr) continue;
      resume_point.Add({{"group", group}, {"node", std::string(node.at("node").as_string())}})
          .Set(left_ms->to_number<double>() / 1000);
    }
  }
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

}  // namespace walstitch::api
