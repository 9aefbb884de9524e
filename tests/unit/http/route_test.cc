#include "agents/http/route.h"

#include <gtest/gtest.h>

namespace walstitch::http {
namespace {

constexpr Route kRoutes[] = {
    {"GET", "/healthz", std::nullopt},
    {"GET", "/v1/things/{thing}", AccessRole::kView},
    {"GET", "/v1/things/best", AccessRole::kView},
    {"POST", "/v1/things/new", AccessRole::kOperate, true},
    {"POST", "/v1/things/{thing}/{verb}", AccessRole::kOperate, true},
};

RouteMatch Find(std::string_view method, const std::vector<std::string>& segments) {
  return FindRoute(kRoutes, method, segments);
}

TEST(RouteTest, WordsMatchThemselvesAndBracesAnything) {
  EXPECT_EQ(Find("GET", {"healthz"}).route, 0U);
  EXPECT_EQ(Find("GET", {"v1", "things", "x"}).route, 1U);
  EXPECT_EQ(Find("POST", {"v1", "things", "x", "mend"}).route, 4U);
}

TEST(RouteTest, WordsWinAgainstBraces) {
  EXPECT_EQ(Find("GET", {"v1", "things", "best"}).route, 2U);
  EXPECT_EQ(Find("POST", {"v1", "things", "new"}).route, 3U);
}

TEST(RouteTest, AnotherMethodIsToldWhichThereAre) {
  const RouteMatch match = Find("DELETE", {"v1", "things", "new"});
  EXPECT_FALSE(match.route);
  EXPECT_EQ(match.allowed, "GET or POST");
  EXPECT_EQ(Find("POST", {"healthz"}).allowed, "GET");
}

TEST(RouteTest, TheListSaysWhatARequestNeeds) {
  const auto need = [](std::string_view method, const std::vector<std::string>& segments) {
    const Need of = NeedByRoutes(kRoutes, method, segments);
    return std::string(!of.role                        ? "open"
                       : *of.role == AccessRole::kView ? "view"
                                                       : "operate") +
           (of.changes ? "!" : "");
  };
  EXPECT_EQ(need("GET", {"healthz"}), "open");
  EXPECT_EQ(need("HEAD", {"healthz"}), "open");
  EXPECT_EQ(need("POST", {"healthz"}), "open");
  EXPECT_EQ(need("GET", {"v1", "things", "x"}), "view");
  EXPECT_EQ(need("POST", {"v1", "things", "new"}), "operate!");
  EXPECT_EQ(need("GET", {"elsewhere"}), "operate");
  EXPECT_EQ(need("DELETE", {"v1", "things", "x"}), "operate!");
}

TEST(RouteTest, AnotherPathIsNone) {
  for (const std::vector<std::string>& segments : {std::vector<std::string>{},
                                                   {"v1"},
                                                   {"v1", "things"},
                                                   {"healthz", "x"},
                                                   {"v1", "things", "x", "y", "z"}}) {
    const RouteMatch match = Find("GET", segments);
    EXPECT_FALSE(match.route);
    EXPECT_EQ(match.allowed, "");
  }
}

}  // namespace
}  // namespace walstitch::http
