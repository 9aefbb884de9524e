// The descriptions of both APIs say what the handlers know, no more and no less: paths, methods, roles, and
// the fields of every shared word. What handlers answer is held to them by the tests of the handlers.
#include "policies/openapi.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <set>
#include <span>
#include <string>

#include "agents/agent/api.h"
#include "agents/wal/range_digest.h"
#include "controller/api/api.h"
#include "controller/core/finding.h"
#include "tests/support/api_description.h"
#include "tests/unit/docs/shape.h"

namespace walstitch {
namespace {

namespace json = boost::json;

std::string RoleOf(const http::Route& route) {
  if (!route.role) return "open";
  return *route.role == http::AccessRole::kView ? "view" : "operate";
}

// "GET /v1/status view"
std::set<std::string> Listed(std::span<const http::Route> routes) {
  std::set<std::string> list;
  for (const http::Route& route : routes) {
    list.insert(std::string(route.method) + " " + std::string(route.pattern) + " " + RoleOf(route));
  }
  return list;
}

std::set<std::string> Described(const json::value& document) {
  std::set<std::string> list;
  for (const auto& path : document.at("paths").as_object()) {
    for (const auto& operation : path.value().as_object()) {
      std::string method(operation.key());
      for (char& c : method) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      list.insert(method + " " + std::string(path.key()) + " " +
                  std::string(operation.value().at("x-walstitch-role").as_string()));
    }
  }
  return list;
}

// A schema without what is said to people.
json::value Bare(const json::value& schema) {
  if (const auto* object = schema.if_object()) {
    json::object bare;
    for (const auto& [key, value] : *object) {
      // As a property's name it is a word of the API.
      if (key == "description" && value.is_string()) continue;
      bare[key] = Bare(value);
    }
    return bare;
  }
  if (const auto* array = schema.if_array()) {
    json::array bare;
    for (const auto& value : *array) bare.push_back(Bare(value));
    return bare;
  }
  return schema;
}

void ExpectNone(const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) ADD_FAILURE() << problem;
}

TEST(OpenApi, ControllersDocumentIsValid) {
  ExpectNone(test::ApiDescription(OpenApiDocument(api::kOpenApi)).ProblemsOfDocument());
}

TEST(OpenApi, AgentsDocumentIsValid) {
  ExpectNone(test::ApiDescription(OpenApiDocument(agent::kOpenApi)).ProblemsOfDocument());
}

TEST(OpenApi, ControllersPathsAreTheOnesThatItKnows) {
  EXPECT_EQ(Described(json::parse(OpenApiDocument(api::kOpenApi))), Listed(api::Routes()));
}

TEST(OpenApi, AgentsPathsAreTheOnesThatItKnows) {
  EXPECT_EQ(Described(json::parse(OpenApiDocument(agent::kOpenApi))), Listed(agent::Routes()));
}

TEST(OpenApi, SharedWordsAreDescribedAsTheyAreWritten) {
  std::map<std::string, json::value> shapes;
#define WALSTITCH_SHAPE(word) shapes[#word] = docs::WordShape<word>();
  WALSTITCH_WORDS(WALSTITCH_SHAPE)
#undef WALSTITCH_SHAPE
  const json::value shared = json::parse({kSharedSchemas.data(), kSharedSchemas.size()});
  for (const auto& [name, shape] : shapes) {
    const auto* schema = shared.as_object().if_contains(name);
    ASSERT_NE(schema, nullptr) << name << " is missing in policies/openapi/schemas.json";
    EXPECT_EQ(Bare(*schema), shape) << name << ": policies/openapi/schemas.json does not say what is written";
  }
  for (const auto& entry : shared.as_object()) {
    const std::string name(entry.key());
    EXPECT_TRUE(shapes.contains(name) || name == "Action") << name << " is no shared word";
  }
}

TEST(OpenApi, EveryActionIsAnAlternative) {
  const json::value shared = json::parse({kSharedSchemas.data(), kSharedSchemas.size()});
  const json::value& action = shared.at("Action");
  EXPECT_EQ(action.at("oneOf").as_array().size(), std::variant_size_v<Action>);
  EXPECT_EQ(action.at("discriminator").at("mapping").as_object().size(), std::variant_size_v<Action>);
  for (const auto& entry : action.at("discriminator").at("mapping").as_object()) {
    const std::string name =
        std::string(entry.value().as_string()).substr(std::string("#/components/schemas/").size());
    EXPECT_EQ(shared.at(name).at("properties").at("action").at("const"), json::value(entry.key()));
  }
}

TEST(OpenApi, EveryFindingIsNamed) {
  const json::value document = json::parse(OpenApiDocument(api::kOpenApi));
  std::set<std::string> named;
  for (const auto& code : document.at("components")
                              .at("schemas")
                              .at("Finding")
                              .at("properties")
                              .at("code")
                              .at("enum")
                              .as_array()) {
    named.emplace(code.as_string());
  }
  std::set<std::string> known;
  for (int i = 0; i <= static_cast<int>(core::FindingCode::kDiskLow); ++i) {
    known.emplace(ToString(static_cast<core::FindingCode>(i)));
  }
  EXPECT_EQ(named, known);
}

// The status of every answer that an operation is described with.
std::set<std::string> AnswersOf(const json::value& operation) {
  std::set<std::string> answers;
  for (const auto& answer : operation.at("responses").as_object()) answers.emplace(answer.key());
  return answers;
}

// The server refuses a body that is too large, and any where strangers may ask (http_server.cc).
TEST(OpenApi, ABodyThatIsTooLargeIsAnAnswerWhereverOneIsRefused) {
  for (const std::string_view text : {api::kOpenApi, agent::kOpenApi}) {
    const json::value document = json::parse(OpenApiDocument(text));
    for (const auto& path : document.at("paths").as_object()) {
      for (const auto& operation : path.value().as_object()) {
        const bool open = operation.value().at("x-walstitch-role").as_string() == "open";
        const bool takes_one = operation.value().as_object().contains("requestBody");
        EXPECT_EQ(AnswersOf(operation.value()).contains("413"), open || takes_one)
            << std::string(operation.key()) << " " << std::string(path.key());
      }
    }
  }
}

TEST(OpenApi, SaysWhatTheServerSaysToWhatIsNoRequest) {
  for (const std::string_view text : {api::kOpenApi, agent::kOpenApi}) {
    const json::value document = json::parse(OpenApiDocument(text));
    const std::string words(document.at("info").at("description").as_string());
    EXPECT_NE(words.find("400, 413, 431 or 505"), std::string::npos) << words;
    EXPECT_EQ(words.find("408"), std::string::npos) << words;
  }
}

TEST(OpenApi, AnOrderTakesNoFieldsThatTheControllerRefuses) {
  const test::ApiDescription description(OpenApiDocument(api::kOpenApi));
  const json::value& schemas = description.Document().at("components").at("schemas");
  EXPECT_TRUE(description.ProblemsOf(json::parse(R"({"to": "n2"})"), schemas.at("Order")).empty());
  for (const char* name : {"Order", "ReplayOrder"}) {
    EXPECT_EQ(schemas.at(name).at("additionalProperties"), json::value(false)) << name;
  }
  EXPECT_EQ(description.ProblemsOf(json::parse(R"({"too": "n2"})"), schemas.at("Order")).size(), 1U);
  EXPECT_EQ(description.ProblemsOf(json::parse(R"({"deadline_ms": 600001})"), schemas.at("Order")).size(),
            1U);
}

TEST(OpenApi, DigestsAreAskedForInAsManyPartsAsTheAgentTakes) {
  const json::value document = json::parse(OpenApiDocument(agent::kOpenApi));
  for (const auto& parameter :
       document.at("paths").at("/v1/wal/digests").at("get").at("parameters").as_array()) {
    if (parameter.at("name").as_string() != "parts") continue;
    EXPECT_EQ(parameter.at("schema").at("maximum"), json::value(wal::kMaxDigestParts));
    return;
  }
  ADD_FAILURE() << "no parameter 'parts'";
}

// The checker itself: what it lets pass is not checked.
TEST(OpenApi, WhatIsNotAsDescribedIsFound) {
  const test::ApiDescription description(OpenApiDocument(agent::kOpenApi));
  const auto problems = [&](int status, const std::string& body) {
    return description.ProblemsOfAnswer("GET", "/readyz", status, body).size();
  };
  EXPECT_EQ(problems(200, R"({"ready":true,"sentence":"it is the master"})"), 0U);
  EXPECT_EQ(problems(200, R"({"ready":true})"), 1U);
  EXPECT_EQ(problems(200, R"({"ready":false,"sentence":""})"), 1U);
  EXPECT_EQ(problems(200, R"({"ready":true,"sentence":7})"), 1U);
  EXPECT_EQ(problems(200, R"({"ready":true,"sentence":"","more":1})"), 1U);
  EXPECT_EQ(problems(200, "no"), 1U);
  EXPECT_EQ(problems(503, R"({"error":"it is loading"})"), 0U);
  EXPECT_EQ(problems(418, "{}"), 1U);
  EXPECT_EQ(problems(413, R"({"error":"this path takes no body"})"), 0U);
  EXPECT_EQ(description.ProblemsOfAnswer("GET", "/v1/report", 413, R"({"error":"too large"})").size(), 1U);
  EXPECT_EQ(problems(431, R"({"error":"too large"})"), 1U);
  EXPECT_EQ(description.ProblemsOfAnswer("GET", "/elsewhere", 200, "{}").size(), 1U);
  EXPECT_EQ(description.ProblemsOfAnswer("GET", "/elsewhere", 404, "{}").size(), 0U);
}

}  // namespace
}  // namespace walstitch
