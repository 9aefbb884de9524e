#include "controller/kubernetes/api_error.h"

#include <gtest/gtest.h>

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ApiError Of(int status, const std::string& body, bool write = false, const std::string& retry_after = "") {
  http::RestResponse response;
  response.status = status;
  response.body = body;
  response.content_type = "application/json";
  response.retry_after = retry_after;
  return ErrorOf(response, "PUT /x", write);
}

std::string Status(int code, const std::string& reason) {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"it is so","reason":")" + reason +
         R"(","code":)" + std::to_string(code) + "}";
}

TEST(ApiErrorTest, EachStatusIsOfTheKindThatItTells) {
  struct Case {
    int status;
    const char* reason;
    ApiErrorKind kind;
    ErrorCode code;
  };
  for (const Case& each :
       {Case{400, "BadRequest", ApiErrorKind::kInvalid, ErrorCode::kInvalid},
        Case{401, "Unauthorized", ApiErrorKind::kUnauthorized, ErrorCode::kUnavailable},
        Case{403, "Forbidden", ApiErrorKind::kForbidden, ErrorCode::kInvalid},
        Case{404, "NotFound", ApiErrorKind::kNotFound, ErrorCode::kNotFound},
        Case{409, "AlreadyExists", ApiErrorKind::kAlreadyExists, ErrorCode::kConflict},
        Case{409, "Conflict", ApiErrorKind::kConflict, ErrorCode::kConflict},
        Case{410, "Gone", ApiErrorKind::kExpired, ErrorCode::kStale},
        Case{410, "Expired", ApiErrorKind::kExpired, ErrorCode::kStale},
        Case{422, "Invalid", ApiErrorKind::kInvalid, ErrorCode::kInvalid},
        Case{429, "TooManyRequests", ApiErrorKind::kTooManyRequests, ErrorCode::kUnavailable},
        Case{503, "ServiceUnavailable", ApiErrorKind::kServerError, ErrorCode::kUnavailable},
        Case{302, "", ApiErrorKind::kGarbled, ErrorCode::kUnavailable}}) {
    const ApiError error = Of(each.status, Status(each.status, each.reason));
    EXPECT_EQ(error.kind, each.kind) << each.status;
    EXPECT_EQ(error.http_status, each.status);
    EXPECT_EQ(error.reason, each.reason);
    EXPECT_EQ(error.message, "PUT /x: it is so");
    EXPECT_EQ(error.ToError().Code(), each.code) << each.status;
    EXPECT_FALSE(error.effect_unknown);
  }
}

TEST(ApiErrorTest, AWriteThatEndedInTheServerIsUnknown) {
  EXPECT_TRUE(Of(500, Status(500, "InternalError"), true).effect_unknown);
  EXPECT_TRUE(Of(502, "<html>", true).effect_unknown);
  EXPECT_TRUE(Of(504, "", true).effect_unknown);
  EXPECT_FALSE(Of(429, Status(429, "TooManyRequests"), true).effect_unknown);
  EXPECT_FALSE(Of(409, Status(409, "Conflict"), true).effect_unknown);
  EXPECT_TRUE(ErrorOf(Error(ErrorCode::kTimeout, "late"), "PUT /x", true).effect_unknown);
  EXPECT_FALSE(ErrorOf(Error(ErrorCode::kUnavailable, "refused"), "PUT /x", true).effect_unknown);
  EXPECT_FALSE(ErrorOf(Error(ErrorCode::kTimeout, "late"), "GET /x", false).effect_unknown);
}

TEST(ApiErrorTest, RetryAfterIsReadFromTheFieldAndFromTheDetails) {
  EXPECT_EQ(Of(429, Status(429, ""), false, "3").retry_after, seconds(3));
  EXPECT_EQ(Of(429, R"({"kind":"Status","details":{"retryAfterSeconds":2}})").retry_after, seconds(2));
  for (const char* text : {"", "-1", "soon", "3.5", "99999", "3601", " 3"})
    EXPECT_EQ(ParseRetryAfter(text), std::nullopt) << text;
  EXPECT_EQ(ParseRetryAfter("0"), seconds(0));
  EXPECT_EQ(ParseRetryAfter("3600"), seconds(3600));
}

TEST(ApiErrorTest, OnlyWhatHadNoEffectIsSentAgain) {
  ApiError error;
  for (const auto kind : {ApiErrorKind::kServerError, ApiErrorKind::kUnreachable, ApiErrorKind::kGarbled}) {
    error.kind = kind;
    EXPECT_TRUE(RetryDelay(error, false, 1, 0.5));
    EXPECT_FALSE(RetryDelay(error, true, 1, 0.5));
  }
  for (const auto kind : {ApiErrorKind::kConflict, ApiErrorKind::kNotFound, ApiErrorKind::kForbidden,
                          ApiErrorKind::kInvalid, ApiErrorKind::kExpired, ApiErrorKind::kUnauthorized}) {
    error.kind = kind;
    EXPECT_FALSE(RetryDelay(error, false, 1, 0.5));
  }
  error.kind = ApiErrorKind::kTooManyRequests;
  error.retry_after = seconds(2);
  EXPECT_GE(*RetryDelay(error, true, 1, 0.5), seconds(2));
  EXPECT_FALSE(RetryDelay(error, false, 4, 0.5)) << "and not for ever";
  error.retry_after = seconds(60);
  EXPECT_FALSE(RetryDelay(error, false, 1, 0.5)) << "so long, the caller decides";
}

TEST(ApiErrorTest, TheBackoffGrowsToItsBoundAndIsSpread) {
  EXPECT_EQ(Backoff(1, milliseconds(100), milliseconds(1000), 1.0), milliseconds(100));
  EXPECT_EQ(Backoff(1, milliseconds(100), milliseconds(1000), 0.0), milliseconds(50));
  EXPECT_EQ(Backoff(3, milliseconds(100), milliseconds(1000), 1.0), milliseconds(400));
  EXPECT_EQ(Backoff(1000000, milliseconds(100), milliseconds(1000), 1.0), milliseconds(1000));
  EXPECT_EQ(Backoff(0, milliseconds(100), milliseconds(1000), 1.0), milliseconds(100));
}

}  // namespace
}  // namespace walstitch::kubernetes
