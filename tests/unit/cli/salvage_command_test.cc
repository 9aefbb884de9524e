// salvage list, show, replay, against a controller that is a map of answers.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "controller/cli/app.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

const std::string kOlder = "01JD3Z6Q7R8S9T0V1W2X3Y4Z51";
const std::string kNewer = "01JD3Z6Q7R8S9T0V1W2X3Y4Z52";

class SalvageCommandTest : public testing::Test {
 protected:
  SalvageCommandTest() {
    unsetenv("WALSTITCH_CONTROLLER");
    unsetenv("WALSTITCH_TOKEN");
    List({Manifest(kOlder, 1000), Manifest(kNewer, 2000)});
    answers_["GET " + Base() + "/keys?after=0&max=1000"] = {200, Dump(ToJson(Keys()))};
  }

  static SalvageManifest Manifest(const std::string& id, std::int64_t time_ms) {
    SalvageManifest manifest;
    manifest.id = id;
    manifest.group = "shop";
    manifest.node = "n1";
    manifest.survivor = "n2";
    manifest.time_ms = time_ms;
    manifest.range = {Sequence(101), Sequence(104)};
    manifest.fork = Sequence(100);
    manifest.records = 3;
    manifest.batches = 3;
    manifest.keys = 2;
    return manifest;
  }
  static SalvagedKeys Keys() {
    SalvagedKeys keys;
    keys.keys.push_back({"__namespace", "cart:1", "hash", KeptAs::kValue, "", std::nullopt, 0, 10});
    keys.keys.push_back({"tenant", "k", "stream", KeptAs::kNotKept, "no way back", std::nullopt, 10, 10});
    return keys;
  }
  static std::string Base() { return "/v1/groups/shop/salvage/n1/" + kNewer; }

  void List(const std::vector<SalvageManifest>& manifests, boost::json::array damaged = {},
            boost::json::array unheard = {}) {
    boost::json::array salvages;
    for (const auto& manifest : manifests) {
      salvages.push_back(ToJson(manifest));
      answers_["GET /v1/groups/shop/salvage/n1/" + manifest.id] = {200, Dump(ToJson(manifest))};
    }
    answers_["GET /v1/salvage"] = {
        200,
        Dump({{"salvages", salvages}, {"damaged", std::move(damaged)}, {"unheard", std::move(unheard)}})};
  }

  int RunLine(const std::vector<std::string>& arguments) {
    out_.str("");
    error_.str("");
    auto fetch = [this](const http::Url&, std::string method, std::string target, std::string body,
                        http::Credentials, std::chrono::milliseconds) -> Result<http::ClientResponse> {
      if (method == "POST") posted_ = body;
      const auto found = answers_.find(method + " " + target);
      if (found == answers_.end()) return http::ClientResponse{404, R"({"error":"no such thing"})"};
      return found->second;
    };
    return static_cast<int>(RunCommandLine(arguments, out_, error_, fetch));
  }
  [[nodiscard]] bool Says(const std::string& text) const {
    return out_.str().find(text) != std::string::npos;
  }
  [[nodiscard]] bool Complains(const std::string& text) const {
    return error_.str().find(text) != std::string::npos;
  }

  std::map<std::string, http::ClientResponse> answers_;
  std::string posted_;
  std::ostringstream out_;
  std::ostringstream error_;
};

TEST_F(SalvageCommandTest, TheListHasTheNewestFirst) {
  EXPECT_EQ(RunLine({"salvage", "list"}), 0) << error_.str();
  EXPECT_LT(out_.str().find(kNewer), out_.str().find(kOlder)) << out_.str();
}

TEST_F(SalvageCommandTest, TheLatestIsWrittenBackOnlyWhereItIsSureWhichThatIs) {
  List({Manifest(kNewer, 1)}, {}, {{{"node", "n3"}, {"error", "refused"}}});
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 2);
  EXPECT_TRUE(Complains("these nodes were not heard: n3")) << error_.str();
  SalvageManifest other = Manifest(kOlder, 1000);
  other.group = "bank";
  List({Manifest(kNewer, 2000), other});
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 2);
  EXPECT_TRUE(Complains("salvages of several groups")) << error_.str();
  EXPECT_EQ(RunLine({"salvage", "show", "latest"}), 0) << error_.str();
}

TEST_F(SalvageCommandTest, DamagedOnesAndAgentsThatWereNotHeardAreSaid) {
  List({Manifest(kNewer, 1)}, {{{"node", "n1"}, {"id", kOlder}, {"problem", "a checksum differs"}}});
  EXPECT_EQ(RunLine({"salvage", "list"}), 1);
  EXPECT_TRUE(Complains("is damaged: a checksum differs")) << error_.str();
  List({Manifest(kNewer, 1)}, {}, {{{"node", "n3"}, {"error", "refused"}}});
  EXPECT_EQ(RunLine({"salvage", "list"}), 3);
  EXPECT_TRUE(Complains("node n3 was not heard: refused")) << error_.str();
}

TEST_F(SalvageCommandTest, OneIsFoundByAnyUniqueEndOfItsId) {
  for (const std::string& id : {std::string("latest"), kNewer, std::string("Z52")}) {
    EXPECT_EQ(RunLine({"salvage", "show", id}), 0) << error_.str();
    EXPECT_TRUE(Says("salvage " + kNewer)) << out_.str();
    EXPECT_TRUE(Says("cart:1"));
    EXPECT_TRUE(Says("no value: no way back"));
  }
  EXPECT_EQ(RunLine({"salvage", "show", "01JD"}), 2);
  EXPECT_TRUE(Complains("fits 2 salvages")) << error_.str();
  EXPECT_EQ(RunLine({"salvage", "show", "nothing"}), 2);
  List({});
  EXPECT_EQ(RunLine({"salvage", "show"}), 2);
  EXPECT_TRUE(Complains("there is no salvage yet"));
}

TEST_F(SalvageCommandTest, RecordsAreShownByKey) {
  answers_["GET " + Base() + "/records?after=0&max=1000"] = {
      200,
      R"({"records":[{"sequence":101,"batch":101,"operation":"put","family":"metadata","namespace":"__namespace",)"
      R"("key":"cart:1","type":"string","value":{"base64":"AP8="}},{"sequence":102,"batch":102,"operation":"put",)"
      R"("family":"pubsub","internal":"pubsub","raw_key":"c","value":"m"}],"next":77})"};
  answers_["GET " + Base() + "/records?after=77&max=1000"] = {200, R"({"records":[]})"};
  EXPECT_EQ(RunLine({"salvage", "show", "latest", "--records"}), 0) << error_.str();
  EXPECT_TRUE(Says("cart:1")) << out_.str();
  EXPECT_TRUE(Says("\\x00\\xff")) << out_.str();
  EXPECT_TRUE(Says("internal pubsub, raw_key c")) << out_.str();
  EXPECT_EQ(RunLine({"salvage", "show", "latest", "--records", "--key", "cart:*"}), 0);
  EXPECT_FALSE(Says("pubsub")) << out_.str();
}

TEST_F(SalvageCommandTest, AReplayNeedsAChoice) {
  EXPECT_EQ(RunLine({"salvage", "replay", "latest"}), 2);
  EXPECT_TRUE(Complains("which keys?")) << error_.str();
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all", "--key", "x"}), 2);
  EXPECT_EQ(posted_, "");
}

TEST_F(SalvageCommandTest, AReplaySaysWhatBecameOfEachKey) {
  answers_["POST /v1/groups/shop/replay"] = {
      200,
      R"({"sentence":"1 key written; 1 key left alone, changed since","counts":{"written":1,"changed":1},"keys":[)"
      R"({"namespace":"__namespace","key":"cart:1","type":"hash","result":"written"},)"
      R"({"namespace":"__namespace","key":"cart:2","type":"hash","result":"changed","why":"a flush"}]})"};
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--key", "cart:*", "--key", "order:*", "--overwrite"}), 0)
      << error_.str();
  EXPECT_TRUE(Says("a flush")) << out_.str();
  EXPECT_TRUE(Says("1 key written")) << out_.str();
  const auto body = ParseJson(posted_);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->at("salvage").as_string(), kNewer);
  EXPECT_EQ(body->at("node").as_string(), "n1");
  EXPECT_EQ(body->at("keys").as_array().size(), 2U);
  EXPECT_TRUE(body->at("overwrite").as_bool());
  EXPECT_FALSE(body->at("dry_run").as_bool());
}

TEST_F(SalvageCommandTest, AReplayThatFailedOrIsNotKnownIsNoSuccess) {
  answers_["POST /v1/groups/shop/replay"] = {200, R"({"sentence":"s","counts":{"failed":1},"keys":[]})"};
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 1);
  answers_["POST /v1/groups/shop/replay"] = {200, R"({"sentence":"s","counts":{"unknown":1},"keys":[]})"};
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 4);
  answers_["POST /v1/groups/shop/replay"] = {
      200, R"({"sentence":"s","counts":{},"keys":[],"ended_early":"the agent is gone"})"};
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 4);
  answers_["POST /v1/groups/shop/replay"] = {409, R"({"error":"the group has no master now"})"};
  EXPECT_EQ(RunLine({"salvage", "replay", "latest", "--all"}), 1);
  EXPECT_TRUE(Complains("no master now")) << error_.str();
}

}  // namespace
}  // namespace walstitch::cli
