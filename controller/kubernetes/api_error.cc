#include "controller/kubernetes/api_error.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <cmath>

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxAttempts = 4;
constexpr milliseconds kFirstDelay{100};
constexpr milliseconds kMostDelay{2000};
constexpr milliseconds kMostRetryAfter{10000};

ApiErrorKind KindOf(int status, std::string_view reason) {
  switch (status) {
    case 401:
      return ApiErrorKind::kUnauthorized;
    case 403:
      return ApiErrorKind::kForbidden;
    case 404:
      return ApiErrorKind::kNotFound;
    case 409:
      return reason == "AlreadyExists" ? ApiErrorKind::kAlreadyExists : ApiErrorKind::kConflict;
    case 410:
      return ApiErrorKind::kExpired;
    case 429:
      return ApiErrorKind::kTooManyRequests;
    default:
      break;
  }
  if (status >= 500) return ApiErrorKind::kServerError;
  if (status >= 400) return ApiErrorKind::kInvalid;
  return ApiErrorKind::kGarbled;
}

std::optional<milliseconds> RetryAfterOf(const Object& status) {
  const Object* details = ObjectAt(status, "details");
  const auto* seconds = details == nullptr ? nullptr : details->if_contains("retryAfterSeconds");
  if (seconds == nullptr || !seconds->is_int64() || seconds->get_int64() <= 0) return std::nullopt;
  return milliseconds(std::min<std::int64_t>(seconds->get_int64(), 3600) * 1000);
}

int CodeOf(const Object& status) {
  const auto* code = status.if_contains("code");
  if (code == nullptr || !code->is_int64()) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(code->get_int64(), 0, 999));
}

}  // namespace

Error ApiError::ToError() const {
  if (effect_unknown) return {ErrorCode::kTimeout, message};
  switch (kind) {
    case ApiErrorKind::kUnreachable:
    case ApiErrorKind::kTooManyRequests:
    case ApiErrorKind::kServerError:
    case ApiErrorKind::kGarbled:
    case ApiErrorKind::kUnauthorized:
      return {ErrorCode::kUnavailable, message};
    case ApiErrorKind::kNotFound:
      return {ErrorCode::kNotFound, message};
    case ApiErrorKind::kAlreadyExists:
    case ApiErrorKind::kConflict:
      return {ErrorCode::kConflict, message};
    case ApiErrorKind::kExpired:
      return {ErrorCode::kStale, message};
    case ApiErrorKind::kForbidden:
    case ApiErrorKind::kInvalid:
      break;
  }
  return {ErrorCode::kInvalid, message};
}

ApiError ErrorOfStatus(const Object& status, std::string_view what) {
  ApiError error;
  error.http_status = CodeOf(status);
  error.reason = TextAt(status, "reason");
  error.kind = KindOf(error.http_status, error.reason);
  // In the stream of a watch the code may be left out.
  if (error.reason == "Expired" || error.reason == "Gone") error.kind = ApiErrorKind::kExpired;
  error.retry_after = RetryAfterOf(status);
  const std::string message = TextAt(status, "message");
  error.message =
      std::string(what) + ": " +
      (message.empty() ? "status " + std::to_string(error.http_status) + " " + error.reason : message);
  return error;
}

ApiError ErrorOf(const http::RestResponse& response, std::string_view what, bool write) {
  ApiError error;
  const auto status = ParseObject(response.body);
  if (status && TextAt(*status, "kind") == "Status") {
    error = ErrorOfStatus(*status, what);
  } else {
    error.message = std::string(what) + ": HTTP status " + std::to_string(response.status) +
                    ", not from the API itself (";
    error.message += response.body.empty() ? "it has no body" : "its body is no Status object";
    if (!response.content_type.empty()) error.message += ", its type " + response.content_type.substr(0, 100);
    error.message += "): is there a proxy between, or does this server not know the resource?";
  }
  error.http_status = response.status;
  error.kind = KindOf(response.status, error.reason);
  if (const auto after = ParseRetryAfter(response.retry_after)) error.retry_after = after;
  // 1. A write reaches the store, and the answer of the store is late. 2. The server says 500 or 504. 3. The
  // write is there all the same. A proxy that says 502 or 503 knows no better.
  error.effect_unknown =
      write && (error.kind == ApiErrorKind::kServerError || error.kind == ApiErrorKind::kGarbled);
  return error;
}

ApiError ErrorOf(const Error& error, std::string_view what, bool write) {
  ApiError unreachable;
  unreachable.kind = ApiErrorKind::kUnreachable;
  unreachable.message = std::string(what) + ": " + error.Message();
  unreachable.effect_unknown = write && error.Code() != ErrorCode::kUnavailable;
  return unreachable;
}

std::optional<milliseconds> ParseRetryAfter(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::int64_t seconds = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = seconds * 10 + (c - '0');
  }
  if (seconds > 3600) return std::nullopt;
  return milliseconds(seconds * 1000);
}

milliseconds Backoff(int failures, milliseconds first, milliseconds most, double random) {
  const int doublings = std::clamp(failures - 1, 0, 30);
  const double whole = std::min(static_cast<double>(first.count()) * std::pow(2.0, doublings),
                                static_cast<double>(most.count()));
  return milliseconds(static_cast<std::int64_t>(whole * (0.5 + 0.5 * std::clamp(random, 0.0, 1.0))));
}

std::optional<milliseconds> RetryDelay(const ApiError& error, bool write, int attempt, double random) {
  if (attempt >= kMaxAttempts) return std::nullopt;
  const bool busy = error.kind == ApiErrorKind::kTooManyRequests;
  const bool may_pass = error.kind == ApiErrorKind::kServerError ||
                        error.kind == ApiErrorKind::kUnreachable || error.kind == ApiErrorKind::kGarbled;
  if (!busy && (write || !may_pass)) return std::nullopt;
  if (error.retry_after) {
    if (*error.retry_after > kMostRetryAfter) return std::nullopt;
    // Not all at once who were told the same.
    return *error.retry_after + milliseconds(static_cast<std::int64_t>(100 * std::clamp(random, 0.0, 1.0)));
  }
  if (busy && write) return Backoff(attempt, milliseconds(1000), kMostDelay, random);
  return Backoff(attempt, kFirstDelay, kMostDelay, random);
}

}  // namespace walstitch::kubernetes
