// What a node held that its master never saw, before it is given up: kept, shown, and brought back. On real
// processes.
#include "policies/model/salvage.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agents/agent/salvage_replay.h"
#include "policies/model/reason_codes.h"
#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

namespace fs = std::filesystem;

class SalvageTest : public ClusterTest {
 protected:
  // The tail of n1: every type that can be brought back, one that the master changes too, one that is
  // deleted.
  static void WriteTail(RedisClient& client) {
    EXPECT_TRUE(client("SET", "tail-string", "kept").IsOk());
    client("SET", "tail-number", "007");
    client("SET", "tail-expires", "soon", "EX", "1000");
    client("HSET", "tail-hash", "field", "value", "number", "+5");
    client("RPUSH", "tail-list", "a", "b", "a");
    client("SADD", "tail-set", "x", "y");
    client("ZADD", "tail-zset", "1.5", "m", "-inf", "n");
    client("SET", "tail-both", "of n1");
    client("DEL", "common-deleted");
    client("SET", std::string("tail-\0\xff", 7), std::string("\0binary\xfe", 8));
  }

  // n1 comes back after that, with a tail that is not longer than what n2 wrote.
  DecisionRecord GiveUpATail(const Cluster::Writer& more = [](RedisClient&) {}) {
    {
      auto client = cluster().Client(cluster().Master());
      WriteBatch(client, 20, "common-");
      client("SET", "common-deleted", "1");
    }
    Diverge(
        [&](RedisClient& client) {
          WriteTail(client);
          more(client);
        },
        [&](RedisClient& client) {
          client("SET", "tail-both", "of n2");
          WriteBatch(client, 100, "missed-");
        });
    return Rejoin();
  }

  boost::json::value CliJson(std::vector<std::string> arguments, int exit_code = 0) {
    arguments.insert(arguments.end(), {"--output", "json"});
    const CommandOutput output = cluster().Cli(arguments);
    EXPECT_EQ(exit_code, output.exit_code) << output.error;
    auto json = ParseJson(output.out);
    EXPECT_TRUE(json) << output.out << output.error;
    return json ? *json : boost::json::value(boost::json::object());
  }

  // "key result", as the replay answered.
  static std::map<std::string, std::string> ResultsOf(const boost::json::value& answer) {
    std::map<std::string, std::string> results;
    for (const auto& key : answer.at("keys").as_array()) {
      results[std::string(key.at("key").as_string())] = std::string(key.at("result").as_string());
    }
    return results;
  }

  static std::vector<boost::json::object> LinesIn(const std::string& path) {
    std::vector<boost::json::object> lines;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
      auto json = ParseJson(line);
      EXPECT_TRUE(json && json->is_object()) << path << ": " << line;
      if (json && json->is_object()) lines.push_back(json->as_object());
    }
    return lines;
  }
};

TEST_F(SalvageTest, EveryRecordOfATailIsKeptBeforeItIsGivenUp) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const DecisionRecord record = GiveUpATail();
  ASSERT_EQ(Verdict::kSpliced, VerdictOf(record));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  ASSERT_FALSE(record.steps.empty());
  EXPECT_EQ("salvage", record.steps.front().action);
  ASSERT_TRUE(record.outcome->salvage);
  const SalvageRef& salvage = *record.outcome->salvage;
  EXPECT_EQ(record.decision.id, salvage.id);
  EXPECT_EQ("n1", salvage.node);
  EXPECT_EQ("", salvage.lacks);
  const Touched& tail = *record.decision.evidence->tail;
  EXPECT_EQ(tail.range, salvage.range);
  EXPECT_EQ(tail.records, salvage.records);

  // One line for each sequence of the tail, and whatever stands between them.
  uint64_t next = tail.range.from.Value();
  std::set<std::string> operations;
  for (const auto& line : LinesIn(salvage.path + "/records.jsonl")) {
    const std::string operation(line.at("operation").as_string());
    operations.insert(operation);
    if (operation == "log_data") continue;
    EXPECT_EQ(next++, line.at("sequence").to_number<uint64_t>());
  }
  EXPECT_EQ(tail.range.to.Value(), next);
  EXPECT_EQ((std::set<std::string>{"put", "delete", "log_data"}), operations);
  EXPECT_TRUE(fs::exists(salvage.path + "/batches.raw"));

  std::map<std::string, std::string> kept;
  for (const auto& line : LinesIn(salvage.path + "/values.jsonl")) {
    if (line.at("key").is_string())
      kept[std::string(line.at("key").as_string())] = line.at("kept").as_string();
  }
  EXPECT_EQ("value", kept["tail-hash"]);
  EXPECT_EQ("absent", kept["common-deleted"]);
  EXPECT_EQ(salvage.keys, kept.size() + 1);  // and the one that is no text

  const CommandOutput shown = cluster().Cli({"decisions", "show", record.decision.id});
  EXPECT_NE(std::string::npos, shown.out.find("salvage " + salvage.id)) << shown.out;
  EXPECT_NE(std::string::npos, shown.out.find(salvage.path)) << shown.out;
}

TEST_F(SalvageTest, WhatWasLostIsBroughtBackAndWhatChangedSinceIsLeftAlone) {
  ClusterOptions options;
  options.policy = kPadAll;  // so that n1 keeps all that it held
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const auto before = [&] {
    const DecisionRecord record = GiveUpATail();
    EXPECT_EQ(Verdict::kPadded, VerdictOf(record));
    return cluster().Keyspace("n1");
  }();

  const CommandOutput list = cluster().Cli({"salvage", "list"});
  EXPECT_EQ(0, list.exit_code) << list.error;
  EXPECT_NE(std::string::npos, list.out.find("n1")) << list.out;
  const CommandOutput show = cluster().Cli({"salvage", "show", "latest", "--key", "tail-*"});
  EXPECT_EQ(0, show.exit_code) << show.error;
  EXPECT_NE(std::string::npos, show.out.find("tail-zset")) << show.out;
  EXPECT_EQ(std::string::npos, show.out.find("common-deleted")) << show.out;
  const auto records = CliJson({"salvage", "show", "latest", "--records", "--key", "tail-hash"});
  EXPECT_EQ(3U, records.at("records").as_array().size());  // two fields and the metadata

  const auto master_before = cluster().Keyspace("n2");
  const auto planned = ResultsOf(CliJson({"salvage", "replay", "latest", "--all", "--dry-run"}));
  EXPECT_EQ("written", planned.at("tail-string"));
  EXPECT_EQ("changed", planned.at("tail-both"));
  EXPECT_EQ("absent", planned.at("common-deleted"));
  EXPECT_EQ(10U, planned.size());
  EXPECT_EQ("", DiffKeyspaces(master_before, cluster().Keyspace("n2"))) << "a dry run changes nothing";

  const auto first = CliJson({"salvage", "replay", "latest", "--key", "tail-s*", "--key", "tail-h*"});
  EXPECT_EQ((std::map<std::string, std::string>{
                {"tail-hash", "written"}, {"tail-set", "written"}, {"tail-string", "written"}}),
            ResultsOf(first));
  auto client = cluster().Client("n2");
  EXPECT_EQ("kept", client("GET", "tail-string").text);
  // A key that is changed by hand now has changed since, too.
  client("SET", "tail-number", "of today");

  const auto rest = ResultsOf(CliJson({"salvage", "replay", "latest", "--all"}));
  EXPECT_EQ("equal", rest.at("tail-hash"));
  EXPECT_EQ("changed", rest.at("tail-number"));
  EXPECT_EQ("changed", rest.at("tail-both"));
  EXPECT_EQ("of today", client("GET", "tail-number").text);
  EXPECT_EQ("of n2", client("GET", "tail-both").text);
  EXPECT_TRUE(client("EXISTS", "common-deleted").integer == 1) << "deletions were not asked for";

  const auto overwritten =
      ResultsOf(CliJson({"salvage", "replay", "latest", "--key", "tail-*", "--overwrite"}));
  EXPECT_EQ("written", overwritten.at("tail-number"));
  EXPECT_EQ("written", overwritten.at("tail-both"));
  EXPECT_EQ("deleted",
            ResultsOf(CliJson({"salvage", "replay", "latest", "--key", "common-deleted", "--deletions"}))
                .at("common-deleted"));
  const auto after = cluster().Keyspace("n2");
  for (const auto& [key, value] : before) {
    if (!key.starts_with("__namespace:tail-")) continue;
    ASSERT_TRUE(after.contains(key)) << key;
    EXPECT_EQ(value, after.at(key)) << key;
  }
  EXPECT_EQ(0U, after.count("__namespace:common-deleted"));
  EXPECT_EQ("007", client("GET", "tail-number").text);

  // Each of them is on record, before and after.
  const auto decisions = cluster().Decisions();
  ASSERT_EQ(DecisionKind::kReplay, decisions.front().decision.kind);
  ASSERT_TRUE(decisions.front().outcome);
  EXPECT_EQ(Outcome::kDone, decisions.front().outcome->outcome);
  EXPECT_EQ("1 key deleted", decisions.front().outcome->sentence);
  // What is replayed reaches the replica as any write does.
  EXPECT_TRUE(cluster().WaitInService("n1"));
  EXPECT_EQ(1U, cluster().Keyspace("n1").count("__namespace:tail-string"));
}

TEST_F(SalvageTest, AFullSyncKeepsTheTailAlsoOfNamespacesAndBehindPasswords) {
  ClusterOptions options;
  options.policy = kFullSyncAll;
  options.password = "secret-of-all";
  options.token = "token-of-all-apis";
  options.node_config["namespace.tenant"] = "token-of-tenant";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const DecisionRecord record = GiveUpATail([&](RedisClient& client) {
    RedisClient tenant(client.port());
    ASSERT_TRUE(tenant("AUTH", "token-of-tenant").IsOk());
    tenant("HSET", "tenants", "field", "value");
  });
  ASSERT_EQ(Verdict::kFull, VerdictOf(record));
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome) << record.outcome->sentence;
  ASSERT_TRUE(record.outcome->salvage);
  EXPECT_EQ(1U, cluster().FullSyncsServed());
  EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));

  const CommandOutput replayed =
      cluster().Cli({"salvage", "replay", record.outcome->salvage->id.substr(16), "--namespace", "tenant"});
  EXPECT_EQ(0, replayed.exit_code) << replayed.error << replayed.out;
  EXPECT_NE(std::string::npos, replayed.out.find("1 key written")) << replayed.out;
  RedisClient tenant(cluster().Node("n2").port());
  ASSERT_TRUE(tenant("AUTH", "token-of-tenant").IsOk());
  EXPECT_EQ("value", tenant("HGET", "tenants", "field").text);
  EXPECT_EQ(401, HttpCall(cluster().AgentPort("n1"), "GET", "/v1/salvage").status);
}

TEST_F(SalvageTest, ATailThatCannotBeKeptIsNotGivenUp) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  const std::string in_the_way = cluster().directory() + "/agent-n1/salvage";
  std::ofstream(in_the_way) << "a file";
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastRejoin("n1");
    return record && record->outcome->outcome == Outcome::kFailed;
  }));
  const auto record = cluster().LastRejoin("n1");
  EXPECT_NE(std::string::npos, record->outcome->sentence.find(in_the_way)) << record->outcome->sentence;
  EXPECT_NE(std::string::npos, record->outcome->sentence.find("stays parked")) << record->outcome->sentence;
  EXPECT_EQ("parked", cluster().Condition("n1"));
  EXPECT_EQ(0U, cluster().FullSyncsServed());

  fs::remove(in_the_way);

  ASSERT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(Outcome::kDone, cluster().LastRejoin("n1")->outcome->outcome);
  EXPECT_TRUE(cluster().LastRejoin("n1")->outcome->salvage);
}

TEST_F(SalvageTest, APolicyMayGiveUpATailThatCannotBeKept) {
  ClusterOptions options;
  options.agent_config = "salvage: {diskFloor: 1000Ti}\n";
  options.policy = std::string(kFullSyncAll) + "  salvage: try\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  const DecisionRecord record = Rejoin();
  EXPECT_EQ(Outcome::kDone, record.outcome->outcome);
  EXPECT_FALSE(record.outcome->salvage);
  EXPECT_NE(std::string::npos, record.outcome->sentence.find("given up without a salvage"))
      << record.outcome->sentence;
  EXPECT_NE(std::string::npos, record.outcome->sentence.find("salvage.diskFloor"))
      << record.outcome->sentence;
}

TEST_F(SalvageTest, TooLittleDiskIsSaidWithWhatToDo) {
  ClusterOptions options;
  options.agent_config = "salvage: {diskFloor: 1000Ti}\n";
  options.policy = kFullSyncAll;
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  ASSERT_FALSE(cluster().RestartNode("n1"));
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastRejoin("n1");
    return record && record->outcome->outcome == Outcome::kFailed;
  }));
  const std::string sentence = cluster().LastRejoin("n1")->outcome->sentence;
  EXPECT_NE(std::string::npos, sentence.find("salvage.diskFloor")) << sentence;
  EXPECT_NE(std::string::npos, sentence.find("free some space")) << sentence;
  EXPECT_EQ("parked", cluster().Condition("n1"));
  EXPECT_EQ(0U, cluster().FullSyncsServed());
}

TEST_F(SalvageTest, OnlyTheNewestIsKeptWhereThereIsRoomForNoMore) {
  ClusterOptions options;
  options.agent_config = "salvage: {keepBytes: 1, keepAtLeast: 0s}\n";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  const auto diverge = [&](const std::string& name) {
    Diverge([&](RedisClient& client) { WriteSingles(client, 3, name + "-tail-"); },
            [&](RedisClient& client) { WriteBatch(client, 50, name + "-missed-"); });
    return Rejoin();
  };
  const DecisionRecord first = diverge("first");
  ASSERT_TRUE(first.outcome->salvage);
  EXPECT_TRUE(fs::exists(first.outcome->salvage->path));
  {
    auto client = cluster().Client("n2");
    WriteSingles(client, 3, "between-");
  }
  ASSERT_TRUE(cluster().WaitSettled());
  ASSERT_TRUE(cluster().Switchover("n1").IsDone());
  ASSERT_TRUE(cluster().WaitSettled());
  const DecisionRecord second = diverge("second");
  ASSERT_TRUE(second.outcome->salvage);
  EXPECT_TRUE(fs::exists(second.outcome->salvage->path));
  EXPECT_FALSE(fs::exists(first.outcome->salvage->path));
}

TEST_F(SalvageTest, ADamagedSalvageIsSaidToBeDamagedAndPathsAreNotMadeOfIds) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 50, "missed-"); }));
  const DecisionRecord record = Rejoin();
  ASSERT_TRUE(record.outcome->salvage);
  const std::string base = "/v1/salvage/" + record.outcome->salvage->id;
  EXPECT_EQ(200, cluster().CallAgent("n1", "GET", base).status);
  EXPECT_EQ(200, cluster().CallAgent("n1", "GET", base + "/records?max=1").status);
  for (const char* bad : {"/v1/salvage/..%2f..%2fetc", "/v1/salvage/latest", "/v1/salvage/.new-x"}) {
    EXPECT_EQ(400, cluster().CallAgent("n1", "GET", bad).status) << bad;
  }
  EXPECT_EQ(400, cluster().CallAgent("n1", "GET", base + "/records?after=1").status);
  EXPECT_EQ(400, cluster().CallAgent("n1", "GET", base + "/records?max=0").status);
  EXPECT_EQ(400, cluster().CallAgent("n1", "GET", base + "/values?at=x").status);
  EXPECT_EQ(404, cluster().CallAgent("n1", "GET", "/v1/salvage/01JD3Z6Q7R8S9T0V1W2X3Y4Z5A").status);
  EXPECT_EQ(405, cluster().CallAgent("n1", "POST", base).status);
  EXPECT_EQ(400, cluster().CallAgent("n2", "POST", "/v1/salvage/replay", "{}").status);

  std::ofstream(record.outcome->salvage->path + "/values.jsonl", std::ios::app) << "more\n";
  const CommandOutput shown = cluster().Cli({"salvage", "show", "latest"});
  EXPECT_NE(0, shown.exit_code);
  EXPECT_NE(std::string::npos, shown.error.find("values.jsonl")) << shown.error;
  const CommandOutput replayed = cluster().Cli({"salvage", "replay", "latest", "--all"});
  EXPECT_NE(0, replayed.exit_code);
  auto client = cluster().Client("n2");
  EXPECT_TRUE(client("GET", "tail-0").IsNil());
}

// The master's WAL, and somebody who writes just when it has been read.
class WrittenMeanwhile : public wal::WalSource {
 public:
  explicit WrittenMeanwhile(std::function<void()> write) : write_(std::move(write)) {}
  Result<WalExtent> Extent() override { return WalExtent{}; }
  Result<void> ForEachBatch(SequenceRange, const wal::BatchVisitor&) override {
    write_();
    return {};
  }

 private:
  std::function<void()> write_;
};

TEST(SalvageReplayTest, AChangeBetweenTheLookAndTheWriteIsNotOverwritten) {
  NodeServer master;
  const auto error = master.Start();
  ASSERT_FALSE(error) << *error;
  RedisClient client = master.Client();
  client("SET", "key", "older");
  agent::SalvagedValue value;
  value.key.name_space = "__namespace";
  value.key.key = "key";
  value.key.type = "string";
  value.key.kept = KeptAs::kValue;
  value.elements = {"of the salvage"};
  node::ClientOptions options;
  options.port = master.port();
  const auto replay = [&](bool overwrite, wal::WalSource& source) {
    ReplayRequest request;
    request.overwrite = overwrite;
    auto answer = agent::ReplayValues(source, options, false, request, Sequence(0), {value}, 1000);
    EXPECT_TRUE(answer) << answer.error().Message();
    return answer ? answer->keys.at(0).result : ReplayResult::kFailed;
  };

  WrittenMeanwhile once([&] { client("SET", "key", "newer"); });
  EXPECT_EQ(ReplayResult::kChanged, replay(false, once));
  EXPECT_EQ("newer", client("GET", "key").text);
  EXPECT_EQ(ReplayResult::kChanged, replay(true, once)) << "it changes at every attempt";
  EXPECT_EQ("newer", client("GET", "key").text);

  WrittenMeanwhile other([&] { client("SET", "other", "newer"); });
  EXPECT_EQ(ReplayResult::kWritten, replay(false, other));
  EXPECT_EQ("of the salvage", client("GET", "key").text);
}

}  // namespace
}  // namespace walstitch::test
