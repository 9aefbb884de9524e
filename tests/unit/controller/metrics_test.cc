#include "controller/api/metrics.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace walstitch::api {
namespace {

TEST(MetricsTest, ResumePointsAreToldInSecondsWhereTheyAreInDanger) {
  const boost::json::array statuses = {{{"group", "shop"},
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

TEST(MetricsTest, NoGroupIsNoSample) { EXPECT_EQ(MetricsText({}).find("{"), std::string::npos); }

}  // namespace
}  // namespace walstitch::api
