#include "agents/agent/api.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <exception>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policies/model/json.h"
#include "policies/openapi.h"
#include "tests/support/api_description.h"

namespace walstitch::agent {
namespace {

namespace asio = boost::asio;

// Five batches of ten records: [1, 11), [11, 21), ...
class FiveBatches : public wal::WalSource {
 public:
  Result<WalExtent> Extent() override {
    WalExtent extent;
    extent.oldest = Sequence(1);
    extent.last = Sequence(50);
    extent.source = "files";
    return extent;
  }
  Result<void> ForEachBatch(SequenceRange range, const wal::BatchVisitor& visit) override {
    if (range.from > Sequence(51)) return Fail(ErrorCode::kNotFound, "beyond the last sequence");
    for (std::uint64_t first = 1; first < 50; first += 10) {
      std::string bytes(12, '\0');
      if (Sequence(first + 10) <= range.from || Sequence(first) >= range.to) continue;
      if (!visit({Sequence(first), 10, bytes})) break;
    }
    return {};
  }
};

struct FakeBackend : ApiBackend {
  [[nodiscard]] std::string Identity() const override { return "shop/n1"; }
  asio::awaitable<std::string> Metrics() override { co_return "walstitch_agent_ready 1\n"; }
  Report CurrentReport() override {
    Report report;
    report.node = "n1";
    return report;
  }
  asio::awaitable<Report> FreshReport() override {
    Report report;
    report.node = "fresh";
    co_return report;
  }
  asio::awaitable<Result<CommandResult>> Submit(Command command) override {
    if (command.epoch < 5) co_return Fail(ErrorCode::kStale, "the epoch is too low");
    CommandResult result;
    result.id = command.id;
    result.outcome = Outcome::kFailed;
    result.error = "it did not work";
    co_return result;
  }
  asio::awaitable<Result<std::string>> AskWal(WalService::Question question) override {
    FiveBatches source;
    co_return question(source);
  }
  asio::awaitable<Result<std::string>> AskDeadWal(WalService::Question question) override {
    if (alive) co_return Fail(ErrorCode::kConflict, "the database is open");
    FiveBatches source;
    co_return question(source);
  }
  asio::awaitable<Result<wal::Stay>> AskStay(Sequence sequence) override {
    if (sequence > Sequence(50)) co_return Fail(ErrorCode::kNotFound, "sequence 51 is in no log");
    wal::Stay stay;
    stay.cause = sequence < Sequence(20) ? wal::PurgeCause::kSize : wal::PurgeCause::kNever;
    if (sequence < Sequence(20)) stay.left_ms = 4000;
    co_return stay;
  }
  asio::awaitable<Result<UpstreamRole>> AskUpstreamRole() override {
    if (!follows) co_return Fail(ErrorCode::kConflict, "the relay of n1 follows nobody");
    UpstreamRole answer;
    answer.upstream = {"10.0.0.2", 6666};
    answer.role = Role::kReplica;
    co_return answer;
  }
  asio::awaitable<PromiseAnswer> Promise(PromiseRequest request) override {
    PromiseAnswer answer;
    answer.promised = request.epoch > 5;
    answer.epoch = 5;
    co_return answer;
  }
  asio::awaitable<http::Response> HandleSalvage(http::Request request) override {
    co_return http::Response{200, "{\"salvage\":" + std::to_string(request.segments.size()) + "}",
                             "application/json"};
  }
  asio::awaitable<Result<UndoEvidence>> PlanUndo(UndoQuestion question) override {
    if (question.survivor.empty()) co_return Fail(ErrorCode::kConflict, "the tail holds a FLUSHDB");
    UndoEvidence plan;
    plan.records = question.last - question.fork;
    co_return plan;
  }
  asio::awaitable<Result<WrittenAnswer>> Written(WrittenQuestion question) override {
    WrittenAnswer answer;
    answer.last = question.from;
    for (std::uint64_t i = 0; i < question.raw.size(); ++i) answer.wrote.push_back(i);
    co_return answer;
  }
  asio::awaitable<Result<ValuesAnswer>> Values(KeysQuestion question) override {
    ValuesAnswer answer;
    answer.from = Sequence(7);
    answer.last = Sequence(9);
    answer.values.resize(question.keys.size());
    co_return answer;
  }
  asio::awaitable<Result<RepairableAnswer>> Repairable(KeysQuestion question) override {
    RepairableAnswer answer;
    answer.cannot.push_back({question.keys.size() - 1, "it is too large"});
    co_return answer;
  }
  [[nodiscard]] bool SlotEncoded() const override { return true; }

  bool alive = false;
  bool follows = true;
};

class ApiTest : public ::testing::Test {
 protected:
  http::Response Ask(const std::string& method, std::vector<std::string> segments,
                     std::map<std::string, std::string> query = {}, std::string body = "") {
    http::Request request;
    request.method = method;
    request.segments = std::move(segments);
    for (const auto& segment : request.segments) request.path += "/" + segment;
    request.query = std::move(query);
    request.body = std::move(body);
    const std::string request_path = request.path;
    asio::io_context context(1);
    http::Response response;
    asio::co_spawn(context, HandleRequest(&backend_, std::move(request)),
                   [&](std::exception_ptr broken, http::Response value) {
                     if (broken) std::rethrow_exception(broken);
                     response = std::move(value);
                   });
    context.run();
    if (response.content_type == "application/json") {
      EXPECT_TRUE(ParseJson(response.body)) << response.body;
    }
    // What the backend says of salvages here is made up.
    if (request_path.starts_with("/v1/salvage")) return response;
    static const test::ApiDescription description(OpenApiDocument(kOpenApi));
    for (const auto& problem :
         description.ProblemsOfAnswer(method, request_path, response.status, response.body)) {
      ADD_FAILURE() << problem;
    }
    return response;
  }
  http::Response Wal(const std::string& what, std::map<std::string, std::string> query = {}) {
    return Ask("GET", {"v1", "wal", what}, std::move(query));
  }
  std::string CommandBody(std::uint64_t epoch) {
    Command command;
    command.id = "c1";
    command.epoch = epoch;
    command.group = "shop";
    command.node = "n1";
    command.action = ParkAction{};
    return Dump(ToJson(command));
  }

  FakeBackend backend_;
};

TEST_F(ApiTest, ReportIsGiven) {
  auto report = ReportFromJson(*ParseJson(Ask("GET", {"v1", "report"}).body));
  ASSERT_TRUE(report) << report.error().Message();
  EXPECT_EQ(report->node, "n1");
  auto fresh = ReportFromJson(*ParseJson(Ask("GET", {"v1", "report"}, {{"fresh", "1"}}).body));
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->node, "fresh");
  EXPECT_EQ(Ask("GET", {"v1", "report"}, {{"fresh", "yes"}}).status, 400);
}

// An address may be another agent's by now.
TEST_F(ApiTest, RequestThatIsForAnotherNodeIsRefused) {
  EXPECT_EQ(Ask("GET", {"v1", "report"}, {{"for", "shop/n1"}}).status, 200);
  const http::Response other = Ask("GET", {"v1", "report"}, {{"for", "shop/n2"}});
  EXPECT_EQ(other.status, 503);
  EXPECT_NE(other.body.find("this is the agent of shop/n1, and not of shop/n2"), std::string::npos)
      << other.body;
  EXPECT_EQ(Ask("POST", {"v1", "command"}, {{"for", "bank/n1"}}, CommandBody(5)).status, 503);
}

TEST_F(ApiTest, CommandIsAnsweredWithItsResult) {
  http::Response response = Ask("POST", {"v1", "command"}, {}, CommandBody(5));
  EXPECT_EQ(response.status, 200);
  auto result = CommandResultFromJson(*ParseJson(response.body));
  ASSERT_TRUE(result) << result.error().Message();
  EXPECT_EQ(result->outcome, Outcome::kFailed);
}

TEST_F(ApiTest, PromiseIsAnswered) {
  const std::string body = Dump(ToJson(PromiseRequest{"shop", "n2", "n1", 6, {}}));
  auto answer = PromiseAnswerFromJson(*ParseJson(Ask("POST", {"v1", "promise"}, {}, body).body));
  ASSERT_TRUE(answer) << answer.error().Message();
  EXPECT_TRUE(answer->promised);
  EXPECT_EQ(answer->epoch, 5U);
  EXPECT_EQ(Ask("POST", {"v1", "promise"}, {}, "{}").status, 400);
  EXPECT_EQ(Ask("POST", {"v1", "promise"}, {}, "no").status, 400);
  EXPECT_EQ(Ask("GET", {"v1", "promise"}).status, 405);
}

TEST_F(ApiTest, HowLongASequenceStaysIsTold) {
  EXPECT_EQ(Wal("stays", {{"at", "10"}}).body, R"({"left_ms":4000,"cause":"size"})");
  EXPECT_EQ(Wal("stays", {{"at", "30"}}).body, R"({"cause":"never"})");
  EXPECT_EQ(Wal("stays", {{"at", "51"}}).status, 404);
  EXPECT_EQ(Wal("stays").status, 400);
}

TEST_F(ApiTest, WhatTheUpstreamIsIsTold) {
  EXPECT_EQ(Ask("GET", {"v1", "upstream", "role"}).body, R"({"upstream":"10.0.0.2:6666","role":"replica"})");
  EXPECT_EQ(Ask("POST", {"v1", "upstream", "role"}).status, 405);
  EXPECT_EQ(Ask("GET", {"v1", "upstream"}).status, 404);
  backend_.follows = false;
  const http::Response response = Ask("GET", {"v1", "upstream", "role"});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body, R"({"error":"the relay of n1 follows nobody","code":"conflict"})");
}

TEST_F(ApiTest, StaleEpochIsAConflict) {
  http::Response response = Ask("POST", {"v1", "command"}, {}, CommandBody(4));
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body, R"({"error":"the epoch is too low","code":"stale"})");
}

TEST_F(ApiTest, MalformedCommandsAreBadRequests) {
  std::string good = CommandBody(5);
  for (std::string body :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"), std::string("null"),
        std::string("\xff"), good + "x", std::string(100000, '['),
        std::string(R"({"id":"a","epoch":5,"group":"shop","node":"n1","action":{"action":"explode"}})"),
        std::string(R"({"id":"a","epoch":-5,"group":"shop","node":"n1","action":{"action":"park"}})")}) {
    EXPECT_EQ(Ask("POST", {"v1", "command"}, {}, body).status, 400) << body.substr(0, 200);
  }
}

TEST_F(ApiTest, WrongMethodsAndPathsAreTold) {
  EXPECT_EQ(Ask("GET", {"v1", "command"}).status, 405);
  EXPECT_EQ(Ask("POST", {"v1", "report"}).status, 405);
  EXPECT_EQ(Ask("DELETE", {"v1", "wal", "extent"}).status, 405);
  EXPECT_EQ(Ask("GET", {"v2"}).status, 404);
  EXPECT_EQ(Ask("GET", {}).status, 404);
  EXPECT_EQ(Ask("GET", {"v1", "wal"}).status, 404);
  EXPECT_EQ(Ask("GET", {"v1", "wal", "secrets"}).status, 404);
  EXPECT_EQ(Ask("GET", {"v1", "stream"}).status, 400);
  EXPECT_EQ(Ask("GET", {"healthz"}).status, 200);
}

TEST_F(ApiTest, NumbersAreTextForPrometheus) {
  const http::Response response = Ask("GET", {"metrics"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "walstitch_agent_ready 1\n");
  EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(Ask("POST", {"metrics"}).status, 405);
}

TEST_F(ApiTest, ExtentSaysHowKeysAreEncoded) {
  http::Response response = Wal("extent");
  EXPECT_EQ(response.status, 200);
  auto json = ParseJson(response.body);
  EXPECT_EQ(WalExtentFromJson(*json)->last, Sequence(50));
  EXPECT_TRUE(json->at("slot_encoded").as_bool());
}

TEST_F(ApiTest, BatchesComeInPages) {
  auto json = ParseJson(Wal("batches", {{"from", "1"}, {"to", "51"}, {"max", "3"}}).body);
  EXPECT_EQ(json->at("batches").as_array().size(), 3U);
  EXPECT_TRUE(json->at("more").as_bool());
  json = ParseJson(Wal("batches", {{"from", "31"}, {"to", "51"}, {"max", "3"}}).body);
  EXPECT_EQ(json->at("batches").as_array().size(), 2U);
  EXPECT_FALSE(json->at("more").as_bool());
}

const std::string kKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TEST_F(ApiTest, DigestsOfPartsAreGiven) {
  const auto ask = [&](const std::string& key) {
    return Wal("digests", {{"from", "1"}, {"to", "51"}, {"parts", "2"}, {"key", key}});
  };
  const http::Response response = ask(kKey);
  EXPECT_EQ(response.status, 200) << response.body;
  auto digests = RangeDigestsFromJson(*ParseJson(response.body));
  ASSERT_TRUE(digests) << digests.error().Message();
  ASSERT_EQ(digests->parts.size(), 2U);
  EXPECT_EQ(digests->parts[0].batches, 3U);  // at 1, 11, 21
  EXPECT_EQ(digests->parts[0].first, Sequence(1));
  EXPECT_EQ(digests->parts[0].end, Sequence(31));
  EXPECT_EQ(digests->parts[1].batches, 2U);
  EXPECT_EQ(ask(kKey).body, response.body);
  EXPECT_NE(ask(kKey.substr(2) + "ff").body, response.body);
}

TEST_F(ApiTest, AKeyThatIsNoneIsRefusedAndNotRepeated) {
  for (const std::string& key : {std::string(), kKey.substr(1), kKey + "00", kKey.substr(1) + "g"}) {
    const http::Response response =
        Wal("digests", {{"from", "1"}, {"to", "51"}, {"parts", "2"}, {"key", key}});
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body,
              R"({"error":"the query parameter 'key' must be 64 hexadecimal digits","code":"invalid"})");
  }
  EXPECT_EQ(Wal("digests", {{"from", "1"}, {"to", "51"}, {"parts", "2"}}).status, 400);
}

TEST_F(ApiTest, MarkedBatchesAreGiven) {
  const http::Response response = Wal("marked", {{"from", "1"}, {"to", "45"}});
  EXPECT_EQ(response.body, R"({"batches":[],"looked_to":45})");
}

TEST_F(ApiTest, BytesAreGivenUpToAMaximum) {
  auto bytes = RangeBytesFromJson(*ParseJson(Wal("bytes", {{"from", "11"}, {"to", "22"}}).body));
  ASSERT_TRUE(bytes) << bytes.error().Message();
  EXPECT_EQ(bytes->bytes, std::string(24, '\0'));
  bytes = RangeBytesFromJson(*ParseJson(Wal("bytes", {{"from", "1"}, {"to", "51"}, {"max", "13"}}).body));
  EXPECT_EQ(bytes->bytes.size(), 13U);
}

TEST_F(ApiTest, TheTailOfADeadServerIsGiven) {
  auto tail = TailBatchesFromJson(*ParseJson(Wal("tail", {{"from", "11"}, {"max_bytes", "1"}}).body));
  ASSERT_TRUE(tail) << tail.error().Message();
  EXPECT_EQ(tail->batches.size(), 1U);
  EXPECT_EQ(tail->next, Sequence(21));
  EXPECT_TRUE(tail->more);
}

TEST_F(ApiTest, TheTailOfALivingServerIsRefused) {
  backend_.alive = true;
  EXPECT_EQ(Wal("tail", {{"from", "11"}}).status, 409);
}

TEST_F(ApiTest, WhatALivingServerHoldsIsLent) {
  backend_.alive = true;
  auto lent = TailBatchesFromJson(*ParseJson(Wal("lent", {{"from", "11"}, {"max_bytes", "1"}}).body));
  ASSERT_TRUE(lent) << lent.error().Message();
  EXPECT_EQ(lent->batches.size(), 1U);
  EXPECT_EQ(lent->next, Sequence(21));
  EXPECT_EQ(Wal("lent", {{"from", "12"}}).status, 409) << "within a batch";
}

TEST_F(ApiTest, BoundaryIsGiven) {
  EXPECT_EQ(Wal("boundary", {{"at", "12"}}).body, R"({"boundary":21})");
  EXPECT_EQ(Wal("boundary", {{"at", "99"}}).status, 404);
}

TEST_F(ApiTest, BadNumbersAreBadRequests) {
  for (std::string number : {"", "x", "-1", "1.5", " 1", "99999999999999999999", "18446744073709551615"}) {
    EXPECT_EQ(Wal("boundary", {{"at", number}}).status, 400) << number;
    EXPECT_EQ(Wal("replication_id", {{"at", number}}).status, 400) << number;
    EXPECT_EQ(Wal("batches", {{"from", number}, {"to", "2"}}).status, 400) << number;
    EXPECT_EQ(Wal("touched", {{"from", "1"}, {"to", number}}).status, 400) << number;
    EXPECT_EQ(Wal("batches", {{"from", "1"}, {"to", "2"}, {"max", number}}).status, 400) << number;
    EXPECT_EQ(Wal("marked", {{"from", "1"}, {"to", "2"}, {"max", number}}).status, 400) << number;
    EXPECT_EQ(Wal("bytes", {{"from", "1"}, {"to", "2"}, {"max", number}}).status, 400) << number;
    EXPECT_EQ(Wal("digests", {{"from", "1"}, {"to", "2"}, {"parts", number}, {"key", kKey}}).status, 400)
        << number;
  }
  EXPECT_EQ(Wal("digests", {{"from", "1"}, {"to", "2"}, {"parts", "0"}, {"key", kKey}}).status, 400);
  EXPECT_EQ(Wal("digests", {{"from", "1"}, {"to", "2"}, {"parts", "1025"}, {"key", kKey}}).status, 400);
  EXPECT_EQ(Wal("digests", {{"from", "2"}, {"to", "1"}, {"parts", "1"}, {"key", kKey}}).status, 400);
  EXPECT_EQ(Wal("marked", {{"from", "1"}, {"to", "2"}, {"max", "1001"}}).status, 400);
  EXPECT_EQ(Wal("bytes", {{"from", "1"}, {"to", "2"}, {"max", "1048577"}}).status, 400);
  EXPECT_EQ(Wal("batches").status, 400);
  EXPECT_EQ(Wal("batches", {{"from", "2"}, {"to", "1"}}).status, 400);
  EXPECT_EQ(Wal("batches", {{"from", "1"}, {"to", "2"}, {"max", "0"}}).status, 400);
  EXPECT_EQ(Wal("touched", {{"from", "1"}, {"to", "2"}, {"max_keys", "1000000000"}}).status, 400);
}

TEST_F(ApiTest, QuestionsOfAnUndoArePostedAndBadOnesAreRefused) {
  UndoQuestion question;
  question.fork = Sequence(10);
  question.last = Sequence(13);
  EXPECT_EQ(Ask("POST", {"v1", "undo"}, {}, Dump(ToJson(question))).status, 409);
  question.survivor = "http://127.0.0.1:1";
  const auto planned = Ask("POST", {"v1", "undo"}, {}, Dump(ToJson(question)));
  ASSERT_EQ(planned.status, 200) << planned.body;
  EXPECT_EQ(UndoEvidenceFromJson(*ParseJson(planned.body))->records, 3U);
  WrittenQuestion written;
  written.from = Sequence(11);
  written.raw = {{1, std::string("\0key", 4)}};
  const auto answer = Ask("POST", {"v1", "wal", "written"}, {}, Dump(ToJson(written)));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(WrittenAnswerFromJson(*ParseJson(answer.body))->wrote, std::vector<std::uint64_t>{0});
  EXPECT_EQ(Ask("GET", {"v1", "undo"}).status, 405);
  for (const char* const body : {"", "{", "{}", R"({"from": -1, "raw": [], "names": []})"}) {
    EXPECT_EQ(Ask("POST", {"v1", "undo"}, {}, body).status, 400) << body;
    EXPECT_EQ(Ask("POST", {"v1", "wal", "written"}, {}, body).status, 400) << body;
  }
}

TEST_F(ApiTest, EveryPathOfTheListIsAnswered) {
  for (const http::Route& route : Routes()) {
    std::vector<std::string> segments;
    for (std::size_t at = 0; at < route.pattern.size();) {
      const std::size_t end = std::min(route.pattern.find('/', at + 1), route.pattern.size());
      segments.emplace_back(route.pattern.substr(at + 1, end - at - 1));
      at = end;
    }
    const http::Response response = Ask(std::string(route.method), segments);
    EXPECT_NE(response.status, 404) << route.pattern << ": " << response.body;
    EXPECT_NE(response.status, 405) << route.pattern << ": " << response.body;
  }
  EXPECT_EQ(Ask("GET", {"v1", "nothing"}).status, 404);
}

TEST_F(ApiTest, DescriptionIsGiven) {
  const http::Response response = Ask("GET", {"openapi.json"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(ParseJson(response.body)->at("openapi").as_string(), "3.1.0");
}

// What a stranger, a token to view and a token to operate may ask: -, v, o; with ! the audit is told.
TEST(AgentNeeds, EveryRouteHasItsRole) {
  const auto need = [](std::string_view method, std::vector<std::string> segments) {
    const http::Need of = NeedOf(method, segments);
    const std::string role = !of.role ? "-" : *of.role == http::AccessRole::kView ? "v" : "o";
    return role + (of.changes ? "!" : "");
  };
  EXPECT_EQ(need("GET", {"healthz"}), "-");
  EXPECT_EQ(need("GET", {"readyz"}), "-");
  EXPECT_EQ(need("GET", {"metrics"}), "v");
  EXPECT_EQ(need("HEAD", {"metrics"}), "v");
  EXPECT_EQ(need("GET", {"openapi.json"}), "v");
  EXPECT_EQ(need("HEAD", {"openapi.json"}), "v");
  EXPECT_EQ(need("GET", {"v1", "report"}), "v");
  EXPECT_EQ(need("GET", {"v1", "stream"}), "o!");
  EXPECT_EQ(need("POST", {"v1", "command"}), "o!");
  EXPECT_EQ(need("POST", {"v1", "promise"}), "o");
  EXPECT_EQ(need("POST", {"v1", "salvage", "x", "replay"}), "o!");
  EXPECT_EQ(need("DELETE", {"v1", "salvage", "x"}), "o!");
  EXPECT_EQ(need("GET", {"v1", "salvage"}), "o");
  EXPECT_EQ(need("GET", {"v1", "wal", "records"}), "o");
  EXPECT_EQ(need("GET", {"v1", "wal", "tail"}), "o");
  EXPECT_EQ(need("POST", {"v1", "keys", "values"}), "o");
  EXPECT_EQ(need("GET", {"what", "comes", "one", "day"}), "o");
  EXPECT_EQ(need("POST", {"healthz"}), "-");
}

}  // namespace
}  // namespace walstitch::agent
