// Whole command lines against a controller that is a map of answers.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "controller/cli/app.h"
#include "controller/core/log_chain.h"
#include "policies/model/json.h"
#include "tests/unit/cli/sample.h"

namespace walstitch::cli {
namespace {

struct Asked {
  std::string method;
  std::string target;
  std::string body;
  std::string token;
  std::chrono::milliseconds timeout;
};

class CommandTest : public testing::Test {
 protected:
  CommandTest() {
    unsetenv("WALSTITCH_CONTROLLER");
    unsetenv("WALSTITCH_TOKEN");
    directory_ = testing::TempDir() + "/cli_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~CommandTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << content;
    return directory_ + "/" + name;
  }

  // A data directory without any log.
  std::string DataDirectory() {
    std::filesystem::create_directories(directory_ + "/data/db");
    return directory_ + "/data";
  }

  int RunLine(const std::vector<std::string>& arguments) {
    out_.str("");
    error_.str("");
    asked_.clear();
    auto fetch = [this](const http::Url& url, std::string method, std::string target, std::string body,
                        http::Credentials credentials,
                        std::chrono::milliseconds timeout) -> Result<http::ClientResponse> {
      host_ = url.host + ":" + url.port;
      asked_.push_back({method, target, std::move(body), credentials.Token(), timeout});
      if (failure_) return Fail(*failure_);
      if (respond_) return respond_(target);
      auto found = answers_.find(method + " " + target);
      if (found == answers_.end()) return http::ClientResponse{404, R"({"error":"there is no such thing"})"};
      return found->second;
    };
    return static_cast<int>(RunCommandLine(arguments, out_, error_, fetch, terminal_));
  }

  [[nodiscard]] std::string Out() const { return out_.str(); }
  [[nodiscard]] std::string Error() const { return error_.str(); }

  void AnswerRecord(const std::string& verb, const DecisionRecord& record) {
    boost::json::object body;
    body["record"] = ToJson(record);
    answers_["POST /v1/groups/shop/" + verb] = {200, Dump(body)};
  }

  std::map<std::string, http::ClientResponse> answers_;
  std::function<http::ClientResponse(const std::string&)> respond_;
  std::optional<walstitch::Error> failure_;
  Terminal terminal_;
  std::vector<Asked> asked_;
  std::string host_;
  std::string directory_;

 private:
  std::ostringstream out_;
  std::ostringstream error_;
};

TEST_F(CommandTest, HelpOfEveryCommandHasAnExample) {
  for (const char* command : {"status",
                              "plan",
                              "failover",
                              "switchover",
                              "adopt",
                              "release",
                              "decisions",
                              "decisions list",
                              "decisions show",
                              "decisions verify",
                              "decisions export",
                              "decisions replay",
                              "policy",
                              "policy check",
                              "policy explain",
                              "wal",
                              "wal info",
                              "wal locate",
                              "wal batches",
                              "wal records",
                              "wal diff",
                              "wal stat",
                              "wal verify",
                              "pause",
                              "resume",
                              "unblock",
                              "maintenance",
                              "salvage",
                              "salvage list",
                              "salvage show",
                              "salvage replay"}) {
    std::vector<std::string> arguments;
    std::istringstream words(command);
    for (std::string word; words >> word;) arguments.push_back(word);
    arguments.emplace_back("--help");
    EXPECT_EQ(RunLine(arguments), 0) << command;
    EXPECT_NE(Out().find("Examples:\n  walstitch " + std::string(command)), std::string::npos) << Out();
    EXPECT_EQ(Error(), "");
  }
}

TEST_F(CommandTest, MainHelpDocumentsTheExitCodes) {
  EXPECT_EQ(RunLine({"--help"}), 0);
  for (const char* code : {"  0  ", "  1  ", "  2  ", "  3  ", "  4  "}) {
    EXPECT_NE(Out().find(code), std::string::npos);
  }
}

TEST_F(CommandTest, WrongUsageIsOneSentenceAndTwo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{},
       "walstitch: a command is expected: status, plan, failover, switchover, adopt, release, pause, resume, "
       "unblock, maintenance, decisions, salvage, policy, wal, completion (see walstitch --help)\n"},
      {{"stats"},
       "walstitch: 'stats' is no command: status, plan, failover, switchover, adopt, release, pause, resume, "
       "unblock, maintenance, decisions, salvage, policy, wal, completion (see walstitch --help)\n"},
      {{"decisions", "tell"},
       "walstitch: 'tell' is no command: list, show, verify, replay, export (see walstitch decisions "
       "--help)\n"},
      {{"failover"}, "walstitch: group is required (see walstitch failover --help)\n"},
      {{"status", "--timeout", "5"},
       "walstitch: --timeout: '5' has no unit; say for example 500ms, 5s or 2m\n"},
      {{"status", "--controller", "ftp://x"}, ""},
      {{"status", "--output", "xml"}, ""},
      {{"status", "--nonsense"}, ""},
      {{"status", "--token-file", "/nonexistent"}, ""},
      {{"wal", "locate", DataDirectory()}, "walstitch: which sequence? walstitch wal locate DIR SEQUENCE\n"},
      {{"wal", "locate", DataDirectory(), "x"},
       "walstitch: 'x' is no sequence: a whole number is expected\n"},
      {{"wal", "locate", "--server", "h:1"},
       "walstitch: which sequence? walstitch wal locate DIR SEQUENCE\n"},
      {{"wal", "locate", "--dir", "/tmp", "--sequence", "-1"}, ""},
      {{"wal", "info"}, "walstitch: say whose WAL: expected one DIR or --server HOST:PORT, got 0\n"},
      {{"wal", "diff", "/tmp"},
       "walstitch: say whose WAL: expected two of DIR or --server HOST:PORT, got 1\n"},
      {{"wal", "info", "/nonexistent"}, "walstitch: /nonexistent: no such directory\n"},
      {{"wal", "info", "--dir", "/nonexistent"}, "walstitch: /nonexistent: no such directory\n"},
      {{"wal", "info", "/dev/null"},
       "walstitch: /dev/null: is no directory: give Kvrocks' `dir`, the directory that contains db/\n"},
      {{"wal", "verify", "--server", "h:1"}, ""},
      {{"wal", "stat", DataDirectory(), "--delimiter", ""}, "walstitch: --delimiter must not be empty\n"},
      {{"wal", "records", DataDirectory(), "--keyspace", "x"},
       "walstitch: --keyspace needs the --policy that names it\n"},
      {{"wal", "records", DataDirectory(), "--type", "tree"}, ""},
      {{"wal", "info", "--server", "nowhere"}, "walstitch: --server 'nowhere': expected host:port\n"},
      {{"wal", "info", "--server", "h:0"}, "walstitch: --server 'h:0': expected host:port\n"},
      {{"decisions", "list", "--max", "0"}, ""},
      {{"decisions", "verify", "--expect", "zz"},
       "walstitch: --expect 'zz': expected INDEX:HASH, as verify prints it\n"},
      {{"decisions", "verify", "--file", "/nonexistent"}, "walstitch: --file /nonexistent: cannot be read\n"},
      {{"policy", "check", "/nonexistent"}, ""},
      {{"policy", "explain", "/nonexistent", "--key", "k"}, ""},
      {{"switchover", "shop", "--deadline", "soon"}, ""},
      {{"switchover", "shop", "--force"}, ""},
      {{"pause"}, "walstitch: group is required (see walstitch pause --help)\n"},
      {{"resume", "shop", "--reason", "x"}, ""},
      {{"unblock", "shop", "n1"}, ""},
      {{"maintenance", "shop", "n1"}, "walstitch: on|off is required (see walstitch maintenance --help)\n"},
      {{"maintenance", "shop", "n1", "yes"}, ""},
  };
  for (const auto& [arguments, sentence] : cases) {
    EXPECT_EQ(RunLine(arguments), 2) << testing::PrintToString(arguments) << Error();
    EXPECT_EQ(Out(), "");
    EXPECT_TRUE(Error().starts_with("walstitch: ")) << Error();
    EXPECT_EQ(Error().find('\n'), Error().size() - 1) << Error();
    if (!sentence.empty()) {
      EXPECT_EQ(Error(), sentence);
    }
    EXPECT_TRUE(asked_.empty()) << "nothing may be asked on wrong usage";
  }
}

TEST_F(CommandTest, StatusOfAllGroupsAndOfOne) {
  answers_["GET /v1/status"] = {200, R"({"groups":[)" + std::string(kSampleStatus) + "]}"};
  answers_["GET /v1/groups/shop"] = {200, kSampleStatus};
  EXPECT_EQ(RunLine({"status"}), 0) << Error();
  const std::string all = Out();
  EXPECT_TRUE(all.starts_with("group shop: master n2, epoch 7")) << all;
  EXPECT_EQ(RunLine({"status", "shop"}), 0) << Error();
  EXPECT_EQ(Out(), all);
  EXPECT_EQ(RunLine({"status", "--check"}), 1);
}

TEST_F(CommandTest, JsonOutputIsTheControllersAnswer) {
  answers_["GET /v1/groups/shop"] = {200, kSampleStatus};
  EXPECT_EQ(RunLine({"status", "shop", "--output", "json"}), 0);
  EXPECT_EQ(ParseJson(Out()).value(), ParseJson(kSampleStatus).value());
}

TEST_F(CommandTest, TheGroupsNameIsEncodedIntoThePath) {
  RunLine({"plan", "a/b c"});
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].target, "/v1/groups/a%2Fb%20c/plan");
}

TEST_F(CommandTest, TheControllersRefusalIsItsSentence) {
  answers_["POST /v1/groups/shop/failover"] = {
      409, R"({"error":"n1 is alive and master: a switchover is what you want","record":{"x":1}})"};
  EXPECT_EQ(RunLine({"failover", "shop"}), 1);
  EXPECT_EQ(Error(), "walstitch: n1 is alive and master: a switchover is what you want\n");
  EXPECT_EQ(Out(), "");
  EXPECT_EQ(RunLine({"failover", "shop", "-o", "json"}), 1);
  EXPECT_NE(Out().find("\"record\""), std::string::npos);
}

TEST_F(CommandTest, EachStatusHasItsCode) {
  const std::vector<std::pair<int, int>> cases = {{400, 2}, {404, 2}, {409, 1}, {500, 1}, {503, 3}, {504, 3}};
  for (const auto& [status, code] : cases) {
    answers_["GET /v1/status"] = {status, R"({"error":"because"})"};
    EXPECT_EQ(RunLine({"status"}), code) << status;
    EXPECT_EQ(Error(), "walstitch: because\n");
  }
}

TEST_F(CommandTest, AMissingTokenIsSaid) {
  answers_["GET /v1/status"] = {401, R"({"error":"no token"})"};
  EXPECT_EQ(RunLine({"status"}), 2);
  EXPECT_EQ(
      Error(),
      "walstitch: the controller wants a token: --token-file FILE, or WALSTITCH_TOKEN_FILE (no token)\n");
}

TEST_F(CommandTest, AnotherServerOnThePortIsNotTakenForAController) {
  answers_["GET /v1/status"] = {200, "<html>"};
  EXPECT_EQ(RunLine({"status"}), 3);
  answers_["GET /v1/status"] = {404, "<html>"};
  EXPECT_EQ(RunLine({"status"}), 2);
  EXPECT_NE(Error().find("is it a Walstitch controller?"), std::string::npos) << Error();
  answers_["GET /v1/status"] = {200, "{}"};
  EXPECT_EQ(RunLine({"status"}), 3);
  EXPECT_NE(Error().find("not understood"), std::string::npos) << Error();
}

TEST_F(CommandTest, AControllerThatIsNotThereIsThree) {
  failure_ = walstitch::Error(ErrorCode::kUnavailable, "127.0.0.1:7700: Connection refused");
  EXPECT_EQ(RunLine({"status"}), 3);
  EXPECT_EQ(RunLine({"failover", "shop"}), 3);
  EXPECT_EQ(Error(),
            "walstitch: the controller at http://127.0.0.1:7700 did not answer: 127.0.0.1:7700: Connection "
            "refused\n");
}

TEST_F(CommandTest, AnOrderWithoutAnAnswerIsUnknownAndAQuestionIsNot) {
  failure_ = walstitch::Error(ErrorCode::kTimeout, "no answer after 5 ms");
  EXPECT_EQ(RunLine({"switchover", "shop"}), 4);
  EXPECT_NE(Error().find("it may be at work or done"), std::string::npos) << Error();
  EXPECT_EQ(RunLine({"switchover", "shop", "--dry-run"}), 3);
  EXPECT_EQ(RunLine({"status"}), 3);
}

TEST_F(CommandTest, OrdersCarryWhatWasTyped) {
  AnswerRecord("switchover", SampleFailover());
  EXPECT_EQ(RunLine({"switchover", "shop", "--to", "n2", "--deadline", "5s"}), 0) << Error();
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(ParseJson(asked_[0].body).value(), ParseJson(R"({"to":"n2","deadline_ms":5000})").value());
  EXPECT_EQ(asked_[0].timeout.count(), 65000);
  AnswerRecord("failover", SampleFailover());
  EXPECT_EQ(RunLine({"--timeout", "2s", "failover", "shop", "--force"}), 0) << Error();
  EXPECT_EQ(ParseJson(asked_[0].body).value(), ParseJson(R"({"force":true})").value());
  EXPECT_EQ(asked_[0].timeout.count(), 2000);
  for (const char* verb : {"adopt", "release"}) {
    AnswerRecord(verb, SampleFailover());
    EXPECT_EQ(RunLine({verb, "shop"}), 0) << Error();
    EXPECT_EQ(asked_[0].body, "{}");
  }
}

TEST_F(CommandTest, OrdersOfAGroupCarryWhatWasTyped) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"pause", "shop"}, "{}"},
      {{"pause", "shop", "--reason", "new \"switches\""}, R"({"reason":"new \"switches\""})"},
      {{"resume", "shop"}, "{}"},
      {{"unblock", "shop"}, "{}"},
      {{"maintenance", "shop", "n3", "on", "--reason", "disk"}, R"({"node":"n3","on":true,"reason":"disk"})"},
      {{"maintenance", "shop", "n3", "off"}, R"({"node":"n3","on":false})"},
  };
  for (const auto& [arguments, body] : cases) {
    AnswerRecord(arguments[0], SampleFailover());
    EXPECT_EQ(RunLine(arguments), 0) << testing::PrintToString(arguments) << Error();
    EXPECT_TRUE(Out().starts_with("failover from n1 to n2, group shop: done")) << Out();
    ASSERT_EQ(asked_.size(), 1u);
    EXPECT_EQ(asked_[0].method, "POST");
    EXPECT_EQ(asked_[0].target, "/v1/groups/shop/" + arguments[0]);
    EXPECT_EQ(ParseJson(asked_[0].body).value(), ParseJson(body).value());
  }
}

TEST_F(CommandTest, OrdersOfAGroupEndAsTheOtherOrdersDo) {
  EXPECT_EQ(RunLine({"pause", "shop"}), 2) << "an older controller does not know the path";
  answers_["POST /v1/groups/shop/unblock"] = {409, R"({"error":"shop is not blocked","record":{"x":1}})"};
  EXPECT_EQ(RunLine({"unblock", "shop", "-o", "json"}), 1);
  EXPECT_EQ(Error(), "walstitch: shop is not blocked\n");
  EXPECT_NE(Out().find("\"record\""), std::string::npos);
  answers_["POST /v1/groups/shop/resume"] = {200, "{}"};
  EXPECT_EQ(RunLine({"resume", "shop"}), 4);
  auto record = SampleFailover();
  record.outcome.reset();
  AnswerRecord("maintenance", record);
  EXPECT_EQ(RunLine({"maintenance", "shop", "n1", "on"}), 4);
  failure_ = walstitch::Error(ErrorCode::kTimeout, "no answer after 5 ms");
  EXPECT_EQ(RunLine({"pause", "shop"}), 4);
  EXPECT_NE(Error().find("it may be at work or done"), std::string::npos) << Error();
}

TEST_F(CommandTest, TheOutcomeOnRecordIsTheExitCode) {
  auto record = SampleFailover();
  record.outcome->outcome = Outcome::kFailed;
  AnswerRecord("failover", record);
  EXPECT_EQ(RunLine({"failover", "shop"}), 1);
  EXPECT_NE(Out().find("Outcome: failed\n"), std::string::npos);
  record.outcome->outcome = Outcome::kUnknown;
  AnswerRecord("failover", record);
  EXPECT_EQ(RunLine({"failover", "shop"}), 4);
  record.outcome.reset();
  AnswerRecord("failover", record);
  EXPECT_EQ(RunLine({"failover", "shop"}), 4);
}

TEST_F(CommandTest, ADryRunShowsADecisionAndChangesNothing) {
  boost::json::object body;
  body["decision"] = ToJson(SampleFailover().decision);
  answers_["POST /v1/groups/shop/failover"] = {200, Dump(body)};
  EXPECT_EQ(RunLine({"failover", "shop", "--dry-run"}), 0) << Error();
  EXPECT_EQ(ParseJson(asked_[0].body).value(), ParseJson(R"({"dry_run":true})").value());
  EXPECT_TRUE(Out().starts_with("would be decided: failover from n1 to n2, group shop\n")) << Out();
  EXPECT_TRUE(Out().ends_with("\nnothing was changed\n")) << Out();
}

TEST_F(CommandTest, APlanThatWouldHoldIsFour) {
  auto decision = SampleRejoin().decision;
  boost::json::object item;
  item["node"] = "n1";
  item["sentence"] = "would wait";
  item["decision"] = ToJson(decision);
  boost::json::object plan;
  plan["group"] = "shop";
  plan["sentence"] = "one node is to rejoin";
  plan["items"] = boost::json::array{item};
  answers_["GET /v1/groups/shop/plan"] = {200, Dump(plan)};
  EXPECT_EQ(RunLine({"plan", "shop"}), 0) << Error();
  decision.verdict->verdict = Verdict::kHold;
  item["decision"] = ToJson(decision);
  plan["items"] = boost::json::array{item};
  answers_["GET /v1/groups/shop/plan"] = {200, Dump(plan)};
  EXPECT_EQ(RunLine({"plan", "shop"}), 4) << Error();
}

TEST_F(CommandTest, TokensComeFromAFile) {
  RunLine({"status", "--token-file", Write("token", "from-file\n")});
  EXPECT_EQ(asked_[0].token, "from-file");
  setenv("WALSTITCH_TOKEN_FILE", Write("other", "from-other-file\n").c_str(), 1);
  RunLine({"status"});
  EXPECT_EQ(asked_[0].token, "from-other-file");
  unsetenv("WALSTITCH_TOKEN_FILE");
  EXPECT_EQ(RunLine({"status", "--token-file", Write("empty", "\n")}), 2);
}

TEST_F(CommandTest, APasswordInTheEnvironmentIsRefusedAndNotRepeated) {
  setenv("WALSTITCH_NODE_PASSWORD", "from-environment", 1);
  EXPECT_EQ(RunLine({"status"}), 2);
  EXPECT_NE(Error().find("WALSTITCH_NODE_PASSWORD_FILE"), std::string::npos) << Error();
  EXPECT_EQ(Error().find("from-environment"), std::string::npos) << Error();
  unsetenv("WALSTITCH_NODE_PASSWORD");
}

TEST_F(CommandTest, ATokenInTheEnvironmentIsRefusedAndNotRepeated) {
  setenv("WALSTITCH_TOKEN", "from-environment", 1);
  EXPECT_EQ(RunLine({"status"}), 2);
  EXPECT_NE(Error().find("WALSTITCH_TOKEN_FILE"), std::string::npos) << Error();
  EXPECT_EQ(Error().find("from-environment"), std::string::npos) << Error();
  unsetenv("WALSTITCH_TOKEN");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(CommandTest, TlsFilesBelongTogetherAndAreChecked) {
  const std::string file = Write("ca.crt", "no certificate");
  EXPECT_EQ(RunLine({"status", "--certificate-file", file}), 2);
  EXPECT_EQ(Error(), "walstitch: --certificate-file and --key-file belong together: give both or none\n");
  EXPECT_EQ(RunLine({"status", "--ca-file", file}), 2);
  EXPECT_NE(Error().find(file + ": there is no certificate in it"), std::string::npos) << Error();
  answers_["GET /v1/status"] = {403, R"({"error":"this token may view"})"};
  EXPECT_EQ(RunLine({"status", "--controller", "https://127.0.0.1:7700"}), 2);
  EXPECT_EQ(Error(), "walstitch: the controller refuses this: this token may view\n");
}

TEST_F(CommandTest, TheControllerComesFromTheOptionOrTheEnvironment) {
  RunLine({"status"});
  EXPECT_EQ(host_, "127.0.0.1:7700");
  setenv("WALSTITCH_CONTROLLER", "http://10.0.0.9:7701", 1);
  RunLine({"status"});
  EXPECT_EQ(host_, "10.0.0.9:7701");
  RunLine({"--controller", "http://10.0.0.8:7702", "status"});
  EXPECT_EQ(host_, "10.0.0.8:7702");
  unsetenv("WALSTITCH_CONTROLLER");
}

TEST_F(CommandTest, DecisionsAreListedAndShown) {
  boost::json::object list;
  list["decisions"] = boost::json::array{ToJson(SampleRejoin())};
  answers_["GET /v1/decisions?max=50&group=shop&node=n1"] = {200, Dump(list)};
  EXPECT_EQ(RunLine({"decisions", "list", "shop", "--node", "n1"}), 0) << Error();
  EXPECT_NE(Out().find("01JD3Z"), std::string::npos);
  answers_["GET /v1/decisions?max=1"] = {200, Dump(list)};
  EXPECT_EQ(RunLine({"decisions", "show"}), 0) << Error();
  const std::string latest = Out();
  boost::json::object one;
  one["record"] = ToJson(SampleRejoin());
  answers_["GET /v1/decisions/01JD3Z"] = {200, Dump(one)};
  EXPECT_EQ(RunLine({"decisions", "show", "01JD3Z"}), 0) << Error();
  EXPECT_EQ(Out(), latest);
  EXPECT_EQ(RunLine({"decisions", "show", "nope"}), 2);
}

// They end up behind a prompt: whoever answers in the controller's place must not put a command there.
TEST_F(CommandTest, NamesForCompletionsArePlainWords) {
  boost::json::array groups;
  for (const char* name : {"shop", "b_2.x-y", "x$(touch pwned)", "a;b", "a b", "-rf", "a\nb", "caf\u00e9"}) {
    groups.push_back({{"group", name},
                      {"managed", "managed"},
                      {"epoch", 1},
                      {"master", ""},
                      {"findings", boost::json::array()},
                      {"nodes", boost::json::array()},
                      {"open_decisions", boost::json::array()},
                      {"busy", ""},
                      {"waits", ""}});
  }
  boost::json::object body;
  body["groups"] = std::move(groups);
  answers_["GET /v1/status"] = {200, Dump(body)};
  EXPECT_EQ(RunLine({"names", "groups"}), 0) << Error();
  EXPECT_EQ(Out(), "b_2.x-y\nshop\n");
}

// A log as the controller would keep it, in pages of two.
class LogTest : public CommandTest {
 protected:
  LogTest() {
    for (int i = 0; i < 5; ++i) {
      boost::json::object body;
      body["n"] = i;
      auto sealed = core::Seal(head_, core::EntryKind::kDecision, "d" + std::to_string(i), 1000 + i, body);
      lines_.push_back(sealed.line);
      head_ = sealed.head;
    }
    respond_ = [this](const std::string& target) {
      const std::size_t from = std::stoul(target.substr(target.find("from=") + 5));
      boost::json::array entries;
      for (std::size_t i = from; i <= lines_.size() && entries.size() < 2; ++i)
        entries.emplace_back(lines_[i - 1]);
      boost::json::object answer;
      answer["entries"] = std::move(entries);
      answer["head"] = {{"index", head_.index}, {"hash", head_.hash}};
      return http::ClientResponse{200, Dump(answer)};
    };
  }

  std::string Exported() {
    EXPECT_EQ(RunLine({"decisions", "export"}), 0) << Error();
    return Out();
  }

  std::vector<std::string> lines_;
  core::LogHead head_;
};

TEST_F(LogTest, ADamagedLineSteersNoTerminal) {
  lines_[2] = "{\"n\": \"\x1b[2J\"}";
  EXPECT_NE(Exported().find("\x1b[2J"), std::string::npos) << "a file gets the line as it stands";
  terminal_.out = true;
  const std::string shown = Exported();
  EXPECT_EQ(shown.find('\x1b'), std::string::npos) << shown;
  EXPECT_NE(shown.find("\\x1b[2J"), std::string::npos) << shown;
}

TEST_F(LogTest, AWholeChainVerifiesPageByPage) {
  EXPECT_EQ(RunLine({"decisions", "verify"}), 0) << Error();
  EXPECT_EQ(Out(), "ok: 5 entries, each with the hash of the one before it; head 5:" + head_.hash + "\n");
  EXPECT_EQ(asked_.size(), 3u);
}

TEST_F(LogTest, AnEmptyLogVerifies) {
  lines_.clear();
  head_ = {};
  EXPECT_EQ(RunLine({"decisions", "verify"}), 0) << Error();
}

TEST_F(LogTest, AChangedEntryShows) {
  auto at = lines_[2].find("\"time_ms\":1002");
  lines_[2].replace(at, 14, "\"time_ms\":1003");
  EXPECT_EQ(RunLine({"decisions", "verify"}), 1);
  EXPECT_NE(Error().find("entry 4"), std::string::npos) << Error();
}

TEST_F(LogTest, AMissingEntryShows) {
  lines_.erase(lines_.begin() + 1);
  EXPECT_EQ(RunLine({"decisions", "verify"}), 1);
  EXPECT_NE(Error().find("entry 2"), std::string::npos) << Error();
}

TEST_F(LogTest, ACutEndShows) {
  lines_.pop_back();
  EXPECT_EQ(RunLine({"decisions", "verify"}), 1);
  EXPECT_EQ(RunLine({"decisions", "verify", "-o", "json"}), 1);
  EXPECT_EQ(ParseJson(Out())->at("ok"), false);
}

// One rejoin that was padded, and what a policy that wants full syncs says to it.
class ReplayTest : public LogTest {
 protected:
  ReplayTest() {
    lines_.clear();
    head_ = {};
    const DecisionRecord record = SampleRejoin();
    Seal(core::EntryKind::kDecision, record.decision.id, ToJson(record.decision));
    Seal(core::EntryKind::kOutcome, record.decision.id, ToJson(*record.outcome));
    Seal(core::EntryKind::kDecision, "other", ToJson(SampleFailover().decision));
    strict_ = Write("strict.yaml",
                    "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: strict}\n"
                    "spec: {default: fullsync}\n");
    loose_ = Write("loose.yaml",
                   "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: loose}\n"
                   "spec: {default: ignore, prefer: [aligned, padded, full]}\n");
  }

  void Seal(core::EntryKind kind, const std::string& id, const boost::json::value& body) {
    auto sealed = core::Seal(head_, kind, id, 1000, body);
    lines_.push_back(sealed.line);
    head_ = sealed.head;
  }

  std::string strict_;
  std::string loose_;
};

TEST_F(ReplayTest, OtherVerdictsAndTheirCostAreShown) {
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", strict_}), 0) << Error();
  EXPECT_NE(Out().find("1 rejoin on record"), std::string::npos) << Out();
  EXPECT_NE(Out().find("1 verdict is another"), std::string::npos) << Out();
  EXPECT_NE(Out().find("1: 1 of unknown size"), std::string::npos) << Out();
  EXPECT_NE(Out().find("may differ  1 key, records of 2.1 KiB  0 keys, records of 0 B"), std::string::npos)
      << Out();
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", strict_, "--check"}), 1);
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", loose_, "--check"}), 0) << Out();
  EXPECT_NE(Out().find("every verdict is the same"), std::string::npos) << Out();
}

TEST_F(ReplayTest, AnExportedLogIsReplayedWithoutAController) {
  const std::string file = Write("decisions.log", Exported());
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", strict_, "--file", file, "-o", "json"}), 0)
      << Error();
  EXPECT_TRUE(asked_.empty());
  const auto json = ParseJson(Out());
  EXPECT_EQ(json->at("replayed").at("full_syncs"), 1);
  EXPECT_EQ(json->at("rejoins").at(0).at("recorded"), "padded");
  EXPECT_EQ(json->at("rejoins").at(0).at("verdict").at("verdict"), "full");
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", strict_, "--file", file, "--group", "other"}), 0);
  EXPECT_EQ(Out(), "no rejoin is on record\n");
  EXPECT_EQ(RunLine({"decisions", "replay", "latest", "--policy", strict_, "--file", file}), 2);
}

TEST_F(ReplayTest, OneDecisionIsReplayedWithItsReasons) {
  boost::json::object one;
  one["record"] = ToJson(SampleRejoin());
  respond_ = nullptr;
  answers_["GET /v1/decisions/01JD3Z"] = {200, Dump(one)};
  EXPECT_EQ(RunLine({"decisions", "replay", "01JD3Z", "--policy", strict_, "--check"}), 1);
  EXPECT_NE(
      Out().find("  recorded: padded, by policy shop (0123456789ab)\n  replayed: full, by policy strict"),
      std::string::npos)
      << Out();
  EXPECT_NE(Out().find("[keyspace-fullsync]"), std::string::npos) << Out();
  EXPECT_NE(Out().find("Keyspaces touched"), std::string::npos) << Out();

  boost::json::object other;
  other["record"] = ToJson(SampleFailover());
  answers_["GET /v1/decisions/01JD40"] = {200, Dump(other)};
  EXPECT_EQ(RunLine({"decisions", "replay", "01JD40", "--policy", strict_}), 2);
  EXPECT_NE(Error().find("is a failover: only a rejoin has evidence"), std::string::npos) << Error();
}

TEST_F(ReplayTest, BadPolicyAndDamagedLogAreSaid) {
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", "/nonexistent.yaml"}), 2);
  EXPECT_EQ(RunLine({"decisions", "replay"}), 2) << "which policy?";
  const std::string elsewhere = Write("elsewhere.yaml",
                                      "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: e}\n"
                                      "spec: {groups: [bank], default: ignore}\n");
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", elsewhere}), 0);
  EXPECT_TRUE(Out().starts_with("no file is for group shop: the default policy holds for it\n")) << Out();
  EXPECT_EQ(RunLine({"decisions", "replay", "--policy", strict_, "--file", Write("bad.log", "nonsense\n")}),
            1);
}

TEST_F(LogTest, ALogThatGrowsMeanwhileIsNoDamage) {
  auto respond = respond_;
  respond_ = [this, respond, grown = false](const std::string& target) mutable {
    auto answer = respond(target);
    if (!grown && target.find("from=5") != std::string::npos) {
      grown = true;  // this page was made before, its head is not the last one
      auto sealed = core::Seal(head_, core::EntryKind::kDecision, "d5", 1005, boost::json::object());
      lines_.push_back(sealed.line);
      head_ = sealed.head;
      boost::json::object json = ParseJson(answer.body)->as_object();
      json["head"] = {{"index", head_.index}, {"hash", head_.hash}};
      answer.body = Dump(json);
    }
    return answer;
  };
  EXPECT_EQ(RunLine({"decisions", "verify"}), 0) << Error();
  EXPECT_TRUE(Out().starts_with("ok: 6 entries")) << Out();
}

TEST_F(LogTest, AHeadNotedDownEarlierMustBeInTheChain) {
  const std::string noted = "5:" + head_.hash;
  EXPECT_EQ(RunLine({"decisions", "verify", "--expect", noted}), 0) << Error();
  // The whole log is written anew, and fits in itself.
  core::LogHead head;
  for (auto& line : lines_) {
    auto sealed = core::Seal(head, core::EntryKind::kDecision, "other", 1, boost::json::object());
    line = sealed.line;
    head = sealed.head;
  }
  head_ = head;
  EXPECT_EQ(RunLine({"decisions", "verify"}), 0) << Error();
  EXPECT_EQ(RunLine({"decisions", "verify", "--expect", noted}), 1);
  EXPECT_NE(Error().find("rewritten"), std::string::npos) << Error();
  EXPECT_EQ(RunLine({"decisions", "verify", "--expect", "9" + noted.substr(1)}), 1);
  EXPECT_NE(Error().find("taken away"), std::string::npos) << Error();
}

TEST_F(LogTest, AnExportVerifiesFromItsFile) {
  const std::string exported = Exported();
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", Write("whole", exported)}), 0) << Error();
  const std::string without_head = exported.substr(0, exported.rfind("{\"head\""));
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", Write("no_head", without_head)}), 1);
  EXPECT_NE(Error().find("cut off"), std::string::npos) << Error();
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", Write("behind", exported + lines_[0] + "\n")}), 1);
  EXPECT_EQ(
      RunLine({"decisions", "verify", "--file", Write("shorter", exported.substr(exported.find('\n') + 1))}),
      1);
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", Write("nonsense", "\xff\x00\n{}")}), 1);
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", Write("head_only", "{\"head\":7}\n")}), 1);
  EXPECT_EQ(RunLine({"decisions", "verify", "--file", directory_}), 2) << Error();
}

constexpr const char* kPolicy = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: shop}
spec:
  groups: ["shop-*"]
  keyspaces:
    - name: sessions
      match: {namespaces: [default], keys: ["sess:*"]}
      onDivergence: ignore
      limits: {records: 50000}
)";

TEST_F(CommandTest, AValidPolicyIsOk) {
  const std::string path = Write("shop.yaml", kPolicy);
  EXPECT_EQ(RunLine({"policy", "check", path}), 0) << Error();
  EXPECT_TRUE(Out().starts_with("ok: 1 keyspace, default fullsync, for groups shop-*, policy shop, content "))
      << Out();
  EXPECT_TRUE(Out().ends_with(
      "\n  a failover: promotes the most advanced, whatever it lacks; rescues up to 1 GiB within 30s\n"))
      << Out();
  EXPECT_EQ(RunLine({"policy", "check", directory_, "-o", "json"}), 0) << Error();
  EXPECT_EQ(ParseJson(Out())->at("ok"), true);
  EXPECT_EQ(ParseJson(Out())->at("policies").at(0).at("failover"),
            ParseJson(R"({"rescue_timeout_ms":30000,"rescue_bytes":1073741824})").value());
}

TEST_F(CommandTest, ACheckedPolicySaysWhatAFailoverMayLeaveBehind) {
  const std::string path =
      Write("shop.yaml", std::string(kPolicy) + "  failover: {maxLag: 1, rescue: {bytes: 0}}\n");
  EXPECT_EQ(RunLine({"policy", "check", path}), 0) << Error();
  EXPECT_TRUE(Out().ends_with("\n  a failover: promotes who lacks at most 1 record; rescues nothing\n"))
      << Out();
  EXPECT_EQ(RunLine({"policy", "check", path, "-o", "json"}), 0) << Error();
  EXPECT_EQ(ParseJson(Out())->at("policies").at(0).at("failover").at("max_lag"), 1);
}

TEST_F(CommandTest, AnInvalidPolicyIsTheLoadersSentenceAndOne) {
  std::string bad = kPolicy;
  bad.replace(bad.find("ignore"), 6, "ignroe");
  const std::string path = Write("shop.yaml", bad);
  EXPECT_EQ(RunLine({"policy", "check", path}), 1);
  EXPECT_NE(Error().find(path + ":9:"), std::string::npos) << Error();
  EXPECT_EQ(RunLine({"policy", "explain", path, "--key", "k"}), 2);
}

TEST_F(CommandTest, FilesOfDifferentGroupsAreNotMixedUp) {
  Write("a.yaml", kPolicy);
  std::string other = kPolicy;
  other.replace(other.find("shop-*"), 6, "blog-*");
  other.replace(other.find("name: shop"), 10, "name: blog");
  Write("b.yaml", other);
  EXPECT_EQ(RunLine({"policy", "check", directory_}), 0) << Error();
  EXPECT_NE(Out().find("/a.yaml\nok: "), std::string::npos) << Out();
  EXPECT_NE(Out().find("/b.yaml\nok: "), std::string::npos) << Out();
  EXPECT_EQ(RunLine({"policy", "explain", directory_, "--key", "sess:1"}), 2);
  EXPECT_EQ(RunLine({"policy", "explain", directory_, "--key", "sess:1", "--group", "blog-1"}), 0) << Error();
  EXPECT_NE(Out().find("policy blog"), std::string::npos) << Out();
  EXPECT_EQ(RunLine({"policy", "explain", directory_, "--key", "sess:1", "--group", "wiki"}), 0) << Error();
  EXPECT_TRUE(Out().starts_with("no file is for group wiki: the default policy holds for it\n")) << Out();
}

}  // namespace
}  // namespace walstitch::cli
