#include "controller/api/metrics.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::api {
namespace {

TEST(MetricsTest, ResumePointsAreToldInSecondsWhereTheyAreInDanger) {
  const boost::json::array statuses = {{{"group", "shop"},
                                        {"policy", {{"name", "p"}, {"hash", "h"}}},
                                        {"nodes",
                                         {{{"node", "n1"}},
                                          {{"node", "n2"}, {"resume_left_ms", 1500}},
                                          {{"node", "n\"3"}, {"resume_left_ms", 0}}}}}};
  const std::string text = MetricsText(statuses);
  EXPECT_NE(text.find("# TYPE walstitch_resume_point_left_seconds gauge"), std::string::npos) << text;
  EXPECT_NE(text.find("walstitch_resume_point_left_seconds{group=\"shop\",node=\"n2\"} 1.5"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("node=\"n\\\"3\"} 0"), std::string::npos) << text;
  EXPECT_EQ(text.find("node=\"n1\""), std::string::npos) << text;
}

TEST(MetricsTest, RefusedPolicyIsToldBesideTheOneInForce) {
  const auto of = [](boost::json::object policy) {
    policy["name"] = "strict";
    policy["hash"] = "0123456789abcdef";
    return MetricsText({{{"group", "shop"}, {"policy", policy}, {"nodes", boost::json::array()}}});
  };
  EXPECT_NE(of({}).find("walstitch_policy_refused{group=\"shop\"} 0"), std::string::npos) << of({});
  EXPECT_NE(of({{"error", "a.yaml:1:1: no"}}).find("walstitch_policy_refused{group=\"shop\"} 1"),
            std::string::npos);
  EXPECT_NE(of({}).find("walstitch_policy_info{group=\"shop\",hash=\"0123456789ab\",name=\"strict\"} 1"),
            std::string::npos)
      << of({});
}

TEST(MetricsTest, NoGroupIsNoSample) { EXPECT_EQ(MetricsText({}).find("{"), std::string::npos); }

}  // namespace
}  // namespace walstitch::api
