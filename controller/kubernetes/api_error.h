// What a call to Kubernetes' API came to when it did not succeed. Pure: made of what the server answered.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "agents/http/rest_client.h"
#include "controller/kubernetes/resource.h"
#include "policies/model/result.h"

namespace walstitch::kubernetes {

// What kind of failure it is, where a caller must tell them apart.
enum class ApiErrorKind {
  kUnreachable,      // there was no answer: the server is away, slow, or not trusted
  kUnauthorized,     // 401: the token is not taken
  kForbidden,        // 403: the token's user may not do that
  kNotFound,         // 404: no such object, or no such resource (a CRD that is not installed)
  kAlreadyExists,    // 409 to a create
  kConflict,         // 409: it has changed since it was read (the resourceVersion is not the one any more)
  kExpired,          // 410: the resourceVersion or the continue token is too old
  kInvalid,          // 400, 405, 413, 415, 422: the server will never take it
  kTooManyRequests,  // 429
  kServerError,      // 5xx
  kGarbled,          // an answer that the API does not give: no JSON, another kind, a proxy's page
};

struct ApiError {
  ApiErrorKind kind = ApiErrorKind::kUnreachable;
  int http_status = 0;  // 0: there was no answer
  std::string reason;   // of the Status object: "AlreadyExists", "Expired", or empty
  std::string message;  // one sentence, with what was asked
  std::optional<std::chrono::milliseconds> retry_after;
  // The call was to change something, and may have done so.
  bool effect_unknown = false;

  // kTimeout if the effect is unknown; kUnavailable if it may pass; kNotFound, kConflict, kStale (expired),
  // else kInvalid.
  [[nodiscard]] Error ToError() const;
};

template <typename T>
using ApiResult = tl::expected<T, ApiError>;

inline tl::unexpected<ApiError> Fail(ApiError error) { return tl::unexpected<ApiError>(std::move(error)); }

// The error that a response other than 2xx tells of. `what` begins the sentence: "GET /api/v1/…". `write`:
// the request was to change something.
ApiError ErrorOf(const http::RestResponse& response, std::string_view what, bool write);

// The same for a Status object that came in another way: in the stream of a watch.
ApiError ErrorOfStatus(const Object& status, std::string_view what);

// There was no response.
ApiError ErrorOf(const Error& error, std::string_view what, bool write);

// "3" as the Retry-After field has it: whole seconds, at most an hour; everything else is nothing.
std::optional<std::chrono::milliseconds> ParseRetryAfter(std::string_view text);

// May the same request be sent again, and after how long? `attempt` is 1 after the first one; `random` is in
// [0, 1). A write is repeated only if it certainly had no effect and the server said when to come back: 429.
std::optional<std::chrono::milliseconds> RetryDelay(const ApiError& error, bool write, int attempt,
                                                    double random);

// An exponential backoff with jitter: between half of it and the whole of min(first · 2^(failures−1), most).
std::chrono::milliseconds Backoff(int failures, std::chrono::milliseconds first,
                                  std::chrono::milliseconds most, double random);

}  // namespace walstitch::kubernetes
