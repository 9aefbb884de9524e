// Input that is wrong: each is refused with one clear sentence, and nothing is changed by it.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "policies/model/json.h"
#include "tests/integration/cluster_fixture.h"
#include "tests/support/replication_peer.h"

namespace walstitch::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::string Content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What one of our programs says to a file, and with which exit code it ends.
CommandOutput RunWithFile(const std::string& program, const std::vector<std::string>& before,
                          const std::string& text) {
  TempDirectory directory;
  const std::string file = directory.path() + "/file.yaml";
  std::ofstream(file) << text;
  std::vector<std::string> arguments = {BinaryPath(program)};
  arguments.insert(arguments.end(), before.begin(), before.end());
  arguments.push_back(file);
  Process process;
  CommandOutput output;
  if (auto error = process.Start(arguments, directory.path() + "/output")) {
    output.error = *error;
    return output;
  }
  process.Wait(seconds(20));
  output.exit_code = process.ExitStatus().value_or(-1);
  output.out = Content(directory.path() + "/output");
  return output;
}

// One line (the file's name, a place, what was expected), and no more.
void ExpectOneSentence(const std::string& text) {
  EXPECT_NE("", text);
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
}

struct BadFile {
  const char* name;
  const char* program;
  const char* text;
  const char* says;  // must be in the sentence
};
std::ostream& operator<<(std::ostream& out, const BadFile& file) { return out << file.name; }

class BadFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFileTest, IsRefusedWithItsPlace) {
  const BadFile& param = GetParam();
  const CommandOutput output = RunWithFile(param.program, {"--config"}, param.text);
  EXPECT_EQ(2, output.exit_code);
  EXPECT_TRUE(Contains(output.out, "file.yaml")) << output.out;
  EXPECT_TRUE(Contains(output.out, param.says)) << output.out;
  ExpectOneSentence(output.out);
}

INSTANTIATE_TEST_SUITE_P(
    Configs, BadFileTest,
    ::testing::Values(
        BadFile{"AgentNotYaml", "walstitch-agent", "node: [unclosed", "file.yaml:"},
        BadFile{"AgentEmpty", "walstitch-agent", "", "file.yaml"},
        BadFile{"AgentUnknownKey", "walstitch-agent",
                "node: n1\ngroup: g\nstateDir: /tmp/x\nrelais: {port: 1}\n", "relais"},
        BadFile{"AgentPortTooHigh", "walstitch-agent",
                "node: n1\ngroup: g\nstateDir: /tmp/x\nrelay: {port: 65536}\n", "port"},
        BadFile{"AgentSamePorts", "walstitch-agent",
                "node: n1\ngroup: g\nstateDir: /tmp/x\nrelay: {port: 7000}\napi: {port: 7000}\n", "ports"},
        BadFile{"AgentForEverybody", "walstitch-agent",
                "node: n1\ngroup: g\nstateDir: /tmp/x\napi: {host: 0.0.0.0}\n", "obey whoever reaches it"},
        BadFile{"ControllerForEverybody", "walstitch-controller",
                "stateDir: /tmp/x\napi: {host: 0.0.0.0}\ngroups: [{name: g, nodes: [{name: n, agent: "
                "'http://127.0.0.1:1'}]}]\n",
                "obey whoever reaches it"},
        BadFile{"ControllerNotYaml", "walstitch-controller", "groups: {", "file.yaml:"},
        BadFile{"ControllerNoGroups", "walstitch-controller", "stateDir: /tmp/x\n", "groups"},
        BadFile{"ControllerNodeTwice", "walstitch-controller",
                "stateDir: /tmp/x\ngroups:\n  - name: g\n    nodes:\n"
                "      - {name: n1, agent: \"http://h:1\"}\n      - {name: n1, agent: \"http://h:2\"}\n",
                "twice"},
        BadFile{"ControllerHookInPlain", "walstitch-controller",
                "stateDir: /tmp/x\nwebhooks: [{name: a, url: \"http://10.0.0.1/\", secretFile: /s}]\n",
                "use https://"},
        BadFile{"ControllerHookEvents", "walstitch-controller",
                "stateDir: /tmp/x\nwebhooks:\n"
                "  - {name: a, url: \"https://h/\", secretFile: /s, events: [everything]}\n",
                "expected decision, outcome"},
        BadFile{
            "ControllerBadUrl", "walstitch-controller",
            "stateDir: /tmp/x\ngroups:\n  - name: g\n    nodes:\n      - {name: n1, agent: \"ftp://h:1\"}\n",
            "http://"}),
    [](const auto& file) { return std::string(file.param.name); });

TEST(BadPolicies, AreRefusedByTheCommandLine) {
  for (const char* text :
       {"apiVersion: walstitch/v2\nkind: TolerancePolicy\nmetadata: {name: x}\nspec: {}\n",
        "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: x}\nspec: {default: never}\n",
        "spec: [", ""}) {
    const CommandOutput output = RunWithFile("walstitch", {"policy", "check"}, text);
    EXPECT_EQ(1, output.exit_code) << text << output.out;
    EXPECT_TRUE(Contains(output.out, "file.yaml")) << output.out;
  }
}

class BadInputTest : public ClusterTest {
 protected:
  // What must not change by anything that is refused.
  struct Standing {
    std::string master;
    uint64_t epoch = 0;
    size_t decisions = 0;
    std::map<std::string, uint64_t> last;
    bool operator==(const Standing&) const = default;
  };

  Standing Now() {
    Standing now{cluster().Master(), cluster().Epoch(), cluster().Decisions().size(), {}};
    for (const std::string& node : cluster().Nodes()) now.last[node] = cluster().Node(node).LastSequence();
    return now;
  }

  void ExpectError(const HttpAnswer& answer, int status, const std::string& about) {
    EXPECT_EQ(status, answer.status) << about << ": " << answer.body;
    auto json = ParseJson(answer.body);
    ASSERT_TRUE(json && json->is_object()) << about << ": " << answer.body;
    const auto* error = json->get_object().if_contains("error");
    ASSERT_TRUE(error != nullptr && error->is_string()) << about << ": " << answer.body;
    EXPECT_FALSE(error->get_string().empty());
    EXPECT_EQ(std::string::npos, std::string(error->get_string()).find('\n')) << error->get_string();
  }
};

TEST_F(BadInputTest, ControllerRefusesWhatItDoesNotUnderstand) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Standing before = Now();
  const std::string failover = "/v1/groups/shop/failover";
  for (const std::string& body :
       std::vector<std::string>{"{", "[]", "null", "\"n2\"", "{\"to\":7}", "{\"force\":\"yes\"}",
                                "{\"unknown\":1}", "{\"deadline_ms\":0}", "{\"deadline_ms\":-1}",
                                std::string(100, '['), "{\"to\":\"\xff\"}", std::string("\0\0", 2)}) {
    ExpectError(cluster().CallController("POST", failover, body), 400, body);
  }
  ExpectError(cluster().CallController("POST", "/v1/groups/nowhere/failover", "{}"), 404, "group");
  ExpectError(cluster().CallController("GET", "/v1/groups/nowhere"), 404, "group");
  ExpectError(cluster().CallController("GET", "/v1/nothing"), 404, "path");
  ExpectError(cluster().CallController("GET", "/v1/decisions/nothing"), 404, "decision");
  ExpectError(cluster().CallController("GET", "/v1/decisions?max=many"), 400, "max");
  ExpectError(cluster().CallController("GET", "/v1/decisions?group=nowhere"), 404, "group");
  ExpectError(cluster().CallController("GET", failover), 405, "method");
  ExpectError(cluster().CallController("POST", "/v1/status", "{}"), 405, "method");
  EXPECT_EQ(before, Now());

  // Understood, but nothing that could be done: refused, and the refusals are recorded.
  ExpectError(cluster().CallController("POST", "/v1/groups/shop/switchover", "{\"to\":\"n9\"}"), 409, "node");
  ExpectError(cluster().CallController("POST", "/v1/groups/shop/switchover", "{\"to\":\"n1\"}"), 409, "node");
  ExpectError(cluster().CallController("POST", "/v1/groups/shop/adopt", "{}"), 409, "adopt");
  EXPECT_EQ("n1", cluster().Master());
  EXPECT_EQ(before.epoch, cluster().Epoch());
  EXPECT_EQ(before.last, Now().last);
}

TEST_F(BadInputTest, AgentRefusesWhatItDoesNotUnderstand) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Standing before = Now();
  const auto command = [](const std::string& node, const std::string& group, int64_t epoch,
                          const std::string& action) {
    return "{\"id\":\"test-" + node + action + std::to_string(epoch) +
           "\",\"epoch\":" + std::to_string(epoch) + ",\"group\":\"" + group + "\",\"node\":\"" + node +
           "\",\"action\":{\"action\":\"" + action + "\"},\"deadline_ms\":1000}";
  };
  const auto call = [&](const std::string& body) {
    return cluster().CallAgent("n2", "POST", "/v1/command", body);
  };

  for (const std::string& body :
       std::vector<std::string>{"", "{", "[]", "{}", "{\"id\":1}", std::string(100, '['),
                                command("n2", "shop", 1, "explode"), command("n2", "shop", -1, "park")}) {
    ExpectError(call(body), 400, body);
  }
  ExpectError(call(command("n2", "other", 1, "park")), 409, "another group");
  ExpectError(call(command("n1", "shop", 1, "park")), 409, "another node");
  ExpectError(call(command("n2", "shop", 0, "park")), 409, "a stale epoch");
  ExpectError(cluster().CallAgent("n2", "GET", "/v1/wal/batches?from=x&to=2"), 400, "from");
  ExpectError(cluster().CallAgent("n2", "GET", "/v1/wal/batches?from=5&to=2"), 400, "to");
  ExpectError(cluster().CallAgent("n2", "GET", "/v1/wal/nothing"), 404, "path");
  ExpectError(cluster().CallAgent("n2", "DELETE", "/v1/report"), 405, "method");
  EXPECT_EQ(before, Now());
  EXPECT_EQ("following", cluster().Condition("n2"));
}

TEST_F(BadInputTest, ACommandOfAnOldEpochChangesNothingAfterAFailover) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_TRUE(cluster().Switchover("n2").IsDone());
  ASSERT_TRUE(cluster().WaitSettled());

  const HttpAnswer answer = cluster().CallAgent(
      "n1", "POST", "/v1/command",
      R"({"id":"late","epoch":1,"group":"shop","node":"n1","action":{"action":"promote"},"deadline_ms":1000})");

  ExpectError(answer, 409, "stale");
  EXPECT_TRUE(Contains(answer.body, "epoch 1 is lower than 2")) << answer.body;
  EXPECT_EQ("slave", cluster().Node("n1").Info("replication", "role"));
}

TEST_F(BadInputTest, WithoutItsTokenNobodyIsHeard) {
  ClusterOptions options;
  options.token = "a-secret-token";
  ASSERT_NO_FATAL_FAILURE(StartCluster(options));  // the controller and its agents know it
  const Standing before = Now();
  for (const uint16_t port : {cluster().ControllerPort(), cluster().AgentPort("n1")}) {
    for (const std::map<std::string, std::string>& headers :
         std::vector<std::map<std::string, std::string>>{{}, {{"Authorization", "Bearer wrong"}}}) {
      const HttpAnswer answer = HttpCall(port, "POST", "/v1/command", "{}", headers);
      ExpectError(answer, 401, "token");
      EXPECT_FALSE(Contains(answer.body, options.token));
    }
  }
  EXPECT_EQ(before, Now());
  EXPECT_EQ(0, cluster().Cli({"status", "shop"}).exit_code);
}

TEST_F(BadInputTest, BrokenPolicyLeavesTheOneInForce) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const auto policy_error = [&] {
    const boost::json::value status = cluster().Status();
    const auto* error = status.at("policy").as_object().if_contains("error");
    return error == nullptr ? std::string() : std::string(error->as_string());
  };
  for (const std::string& text : std::vector<std::string>{
           "spec: [", "", "kind: Other\n", std::string(kIgnoreAll) + "  default: sometimes\n",
           std::string(kIgnoreAll) + "  keyspaces: []\n", std::string("\0\xff\xfe", 3)}) {
    cluster().WritePolicy(kIgnoreAll);
    ASSERT_TRUE(cluster().WaitUntil([&] { return policy_error().empty(); }));
    cluster().WritePolicy(text);
    ASSERT_TRUE(cluster().WaitUntil([&] { return !policy_error().empty(); })) << "taken: " << text;
    EXPECT_TRUE(Contains(policy_error(), "policy.yaml")) << policy_error();
    EXPECT_EQ(std::string::npos, policy_error().find('\n')) << policy_error();
    EXPECT_EQ("ignore-all", cluster().Status().at("policy").at("name").as_string());
  }

  // And it really is in force.
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { client("SET", "tail", "1"); },
                                  [](RedisClient& client) { WriteBatch(client, 3, "missed-"); }));
  EXPECT_EQ(Verdict::kSpliced, VerdictOf(Rejoin()));
}

TEST_F(BadInputTest, GarbageAtTheRelaysPortIsNobodysProblem) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Standing before = Now();
  for (const std::string& bytes : std::vector<std::string>{
           "GET / HTTP/1.1\r\n\r\n", "*1\r\n$-5\r\nPING\r\n", "*99999999999\r\n", "*-1\r\n", "$4\r\nping\r\n",
           "*2\r\n$5\r\nPSYNC\r\n$3\r\nabc\r\n", "*2\r\n$5\r\nPSYNC\r\n$20\r\n99999999999999999999\r\n",
           "*1\r\n$11\r\n_fetch_meta\r\n", "*2\r\n$11\r\n_fetch_file\r\n$9\r\n../secret\r\n",
           std::string(5000, '\xff'), std::string(100000, '*'), std::string("\0\0\0\0", 4)}) {
    RawConnection connection(cluster().RelayPort("n2"));
    ASSERT_TRUE(connection.IsOpen());
    connection.Send(bytes);
    connection.ReadLine(std::chrono::milliseconds(50));
  }
  for (const std::string& bytes :
       std::vector<std::string>{"\r\n\r\n", "POST /v1/command HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                std::string(100000, 'A'), std::string("\x16\x03\x01\x02", 4)}) {
    for (const uint16_t port : {cluster().AgentPort("n2"), cluster().ControllerPort()}) {
      RawConnection connection(port);
      ASSERT_TRUE(connection.IsOpen());
      connection.Send(bytes);
      connection.ReadLine(std::chrono::milliseconds(50));
    }
  }
  auto client = cluster().Client("n1");
  ASSERT_TRUE(client("SET", "still", "here").IsOk());
  ASSERT_TRUE(cluster().WaitInService("n2"));
  EXPECT_EQ(before.epoch, cluster().Epoch());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

// WAL bytes that cannot be right must never pass for a common history.
TEST_F(BadInputTest, DamagedWalOfTheSurvivorIsNotPaddedOver) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  ASSERT_NO_FATAL_FAILURE(Diverge([](RedisClient& client) { WriteSingles(client, 3, "tail-"); },
                                  [](RedisClient& client) { WriteBatch(client, 5, "missed-"); }));
  // The survivor's live log, seen by its agent only: a byte in the middle of the batch.
  std::string log;
  for (const auto& entry : fs::directory_iterator(cluster().Node("n2").db_directory())) {
    if (entry.path().extension() == ".log" && fs::file_size(entry.path()) > 100) log = entry.path().string();
  }
  ASSERT_NE("", log);
  {
    auto client = cluster().Client("n2");
    WriteSingles(client, 2, "after-");
    const std::string bytes = Content(log);
    const size_t at = bytes.rfind("missed-4");
    ASSERT_NE(std::string::npos, at);
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('X');
  }

  const auto error = cluster().RestartNode("n1");
  ASSERT_FALSE(error) << *error;
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto record = cluster().LastDecision("n1");
    return record && record->decision.kind == DecisionKind::kRejoin && record->decision.verdict;
  }));

  // RocksDB makes no checkpoint of a database whose WAL is damaged, so the full sync itself waits for an
  // operator; what matters here is that nothing was padded or resumed.
  const auto record = cluster().LastDecision("n1");
  EXPECT_EQ(Verdict::kFull, VerdictOf(*record));
  const std::string& sentence = record->decision.verdict->reasons.front().sentence;
  EXPECT_TRUE(Contains(sentence, "checksum")) << sentence;
  EXPECT_EQ(std::string::npos, sentence.find('\n')) << sentence;
  EXPECT_EQ(0u, cluster().ReportOf("n1")->relay.frames_forwarded);
}

TEST_F(BadInputTest, CommandLineSaysWhatIsWrong) {
  ASSERT_NO_FATAL_FAILURE(StartCluster());
  const Standing before = Now();
  const std::vector<std::pair<std::vector<std::string>, int>> calls = {
      {{"failover"}, 2},
      {{"explode", "shop"}, 2},
      {{"failover", "nowhere"}, 2},
      {{"status", "nowhere"}, 2},
      {{"decisions", "show", "none"}, 2},
      {{"switchover", "shop", "--deadline", "soon"}, 2},
  };
  for (const auto& [arguments, exit_code] : calls) {
    const CommandOutput output = cluster().Cli(arguments);
    EXPECT_EQ(exit_code, output.exit_code) << arguments[0] << ": " << output.error;
    EXPECT_NE("", output.error) << arguments[0];
  }
  EXPECT_EQ(before, Now());
  cluster().KillController();
  EXPECT_EQ(3, cluster().Cli({"status"}).exit_code);
}

}  // namespace
}  // namespace walstitch::test
