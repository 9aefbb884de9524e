// Both programs describe their APIs at /openapi.json, and answer as they say. (Every other test with a
// cluster holds what it sees to these descriptions as well.)
#include <boost/json.hpp>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

namespace json = boost::json;

class OpenApiTest : public ClusterTest {
 protected:
  // Every question that is described, with the words of `values` in the place of those in braces, and what
  // `queries` says behind it. Each must be one that is answered.
  void AskEverything(const std::string& program, const std::map<std::string, std::string>& values,
                     const std::map<std::string, std::string>& queries) {
    for (const auto& path : DescriptionOf(program).Document().at("paths").as_object()) {
      if (!path.value().as_object().contains("get")) continue;
      std::string target(path.key());
      const auto query = queries.find(target);
      for (const auto& [name, value] : values) {
        const std::string word = "{" + name + "}";
        if (const size_t at = target.find(word); at != std::string::npos) {
          target.replace(at, word.size(), value);
        }
      }
      if (query != queries.end()) target += query->second;
      const HttpAnswer answer = program == "controller" ? cluster().CallController("GET", target)
                                                        : cluster().CallAgent("n1", "GET", target);
      int wanted = 200;
      if (target == "/v1/stream") wanted = 400;              // that takes an upgrade
      if (target.starts_with("/v1/wal/tail")) wanted = 409;  // that only the dead give
      EXPECT_EQ(wanted, answer.status) << target << ": " << answer.body.substr(0, 300);
    }
  }
};

TEST_F(OpenApiTest, EveryQuestionIsAnsweredAsItIsDescribed) {
  ClusterOptions options;
  options.token = "a-secret-token";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  Diverge([](RedisClient& client) { WriteSingles(client, 5, "tail-"); },
          [](RedisClient& client) { WriteBatch(client, 3, "missed-"); });
  const DecisionRecord rejoin = Rejoin();
  ASSERT_TRUE(rejoin.outcome && rejoin.outcome->salvage) << Dump(ToJson(rejoin));

  AskEverything("controller", {{"group", "shop"}, {"node", "n1"}, {"id", rejoin.outcome->salvage->id}}, {});

  const std::optional<Report> report = cluster().ReportOf("n1");
  ASSERT_TRUE(report && report->last);
  const uint64_t last = report->last->Value();
  const std::string at = "?at=" + std::to_string(last);
  const std::string range = "?from=" + std::to_string(last) + "&to=" + std::to_string(last + 1);
  const std::string from = "?from=1";
  AskEverything("agent", {{"id", rejoin.outcome->salvage->id}},
                {{"/v1/report", "?fresh=1"},
                 {"/v1/wal/boundary", at},
                 {"/v1/wal/stays", at},
                 {"/v1/wal/replication_id", at},
                 {"/v1/wal/batches", range},
                 {"/v1/wal/digests", range + "&parts=1&key=" + std::string(64, '0')},
                 {"/v1/wal/marked", range},
                 {"/v1/wal/bytes", range},
                 {"/v1/wal/touched", range},
                 {"/v1/wal/tail", from},
                 {"/v1/wal/lent", from},
                 {"/v1/salvage/{id}/values", "?at=0"}});
}

TEST_F(OpenApiTest, EveryOrderIsAnsweredAsItIsDescribed) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_TRUE(cluster().WaitSettled());
  const auto order = [&](const std::string& verb, const std::string& body, int status = 200) {
    const auto& schema = DescriptionOf("controller").Document().at("components").at("schemas").at("Order");
    for (const auto& problem : DescriptionOf("controller").ProblemsOf(*ParseJson(body), schema)) {
      ADD_FAILURE() << verb << ": " << problem;
    }
    const HttpAnswer answer = cluster().CallController("POST", "/v1/groups/shop/" + verb, body);
    EXPECT_EQ(status, answer.status) << verb << ": " << answer.body;
  };
  order("pause", R"({"reason": "moving house"})");
  order("resume", R"({"reason": "moved"})");
  order("maintenance", R"({"node": "n2", "on": true, "reason": "a new disk"})");
  order("maintenance", R"({"node": "n2", "on": false})");
  order("failover", R"({"dry_run": true, "rescue": false})", 409);  // its master lives
  order("release", R"({"dry_run": true})");
  order("release", "{}");
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("GroupReleased"); }));
  order("adopt", R"({"dry_run": true})");
  order("adopt", "{}");
  ASSERT_TRUE(cluster().WaitSettled());
  order("switchover", R"({"to": "n2", "dry_run": true})");
  order("switchover", R"({"to": "n2", "deadline_ms": 5000})");
}

TEST_F(OpenApiTest, WhoeverHasNoTokenIsToldSoAsItIsDescribed) {
  ClusterOptions options;
  options.token = "a-secret-token";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  for (const auto& [program, port] : std::map<std::string, uint16_t>{
           {"controller", cluster().ControllerPort()}, {"agent", cluster().AgentPort("n1")}}) {
    for (const auto& path : DescriptionOf(program).Document().at("paths").as_object()) {
      for (const auto& operation : path.value().as_object()) {
        const std::string method = std::string(operation.key()) == "get" ? "GET" : "POST";
        const bool open = operation.value().at("x-walstitch-role").as_string() == "open";
        const HttpAnswer answer = HttpCall(port, method, std::string(path.key()));
        EXPECT_EQ(!open, answer.status == 401) << program << " " << method << " " << path.key();
        for (const auto& problem : DescriptionOf(program).ProblemsOfAnswer(method, std::string(path.key()),
                                                                           answer.status, answer.body)) {
          ADD_FAILURE() << program << ": " << problem;
        }
      }
    }
  }
}

}  // namespace
}  // namespace walstitch::test
