#include "controller/api/api.h"

#include <gtest/gtest.h>

namespace walstitch::api {
namespace {

// What a stranger, a token to view and a token to operate may ask: -, v, o; with ! the audit is told.
std::string Need(std::string_view method, const std::vector<std::string>& segments) {
  const http::Need of = NeedOf(method, segments);
  const std::string role = !of.role ? "-" : *of.role == http::AccessRole::kView ? "v" : "o";
  return role + (of.changes ? "!" : "");
}

TEST(ControllerNeeds, EveryRouteHasItsRole) {
  EXPECT_EQ(Need("GET", {"healthz"}), "-");
  EXPECT_EQ(Need("GET", {"readyz"}), "-");
  for (const std::vector<std::string>& path :
       std::vector<std::vector<std::string>>{{"metrics"},
                                             {"openapi.json"},
                                             {"v1", "status"},
                                             {"v1", "decisions"},
                                             {"v1", "decisions", "latest"},
                                             {"v1", "groups", "shop"},
                                             {"v1", "groups", "shop", "plan"}})
    EXPECT_EQ(Need("GET", path), "v") << path.back();
  for (const char* order : {"failover", "switchover", "adopt", "release", "pause", "resume", "unblock",
                            "maintenance", "replay", "plan"})
    EXPECT_EQ(Need("POST", {"v1", "groups", "shop", order}), "o!") << order;
  // What users have written.
  EXPECT_EQ(Need("GET", {"v1", "log"}), "o");
  EXPECT_EQ(Need("GET", {"v1", "salvage"}), "o");
  EXPECT_EQ(Need("GET", {"v1", "groups", "shop", "salvage"}), "o");
  EXPECT_EQ(Need("GET", {"v1", "groups", "shop", "salvage", "n1", "x", "keys"}), "o");
  EXPECT_EQ(Need("GET", {"v1", "groups", "shop", "salvage", "n1", "x", "records"}), "o");
  // What there is not, or not yet.
  EXPECT_EQ(Need("GET", {}), "o");
  EXPECT_EQ(Need("GET", {"v1", "groups"}), "o");
  EXPECT_EQ(Need("GET", {"v1", "groups", "shop", "whatever"}), "o");
  EXPECT_EQ(Need("DELETE", {"v1", "decisions", "x"}), "o!");
}

}  // namespace
}  // namespace walstitch::api
