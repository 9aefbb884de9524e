// Errors from outside (network, disk, files, users) are values with context, innermost last:
// "node n2: SLAVEOF: timed out after 500 ms". A broken assumption of our own is not an Error: it
// stops the program (WALSTITCH_CHECK), in release builds too, and never on bytes from outside.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace walstitch {

// What kind of failure it is, where a caller must tell them apart. Strings are stable: see ToString.
enum class ErrorCode {
  kInvalid,      // the input is malformed, or breaks a rule; the same call will fail again
  kNotFound,     // what was asked for does not exist
  kStale,        // an epoch or an id that is older than what is known already
  kConflict,     // valid, but not in the present state
  kUnavailable,  // the other side could not be reached, or is not ready; may pass
  kTimeout,      // no answer in time: the effect is unknown
  kDamaged,      // bytes that are there and cannot be right (checksum, structure)
  kIo,           // the operating system said no
};

std::string_view ToString(ErrorCode code);

class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] ErrorCode Code() const { return code_; }
  [[nodiscard]] const std::string& Message() const { return message_; }

  // The same error, seen from further out: "<context>: <message>".
  [[nodiscard]] Error Within(std::string_view context) const {
    return {code_, std::string(context) + ": " + message_};
  }

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
inline tl::unexpected<Error> Fail(const Error& error, std::string_view context) {
  return tl::unexpected<Error>(error.Within(context));
}

}  // namespace walstitch

#define WALSTITCH_CHECK(condition)                                                            \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      std::fprintf(stderr, "%s:%d: broken assumption: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
