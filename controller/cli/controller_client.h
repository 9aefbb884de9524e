// Asks the controller. Every way in which that can go wrong becomes a Refusal: the exit code and the
// sentence for it, and the body if there was one.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "agents/http/http_client.h"
#include "controller/cli/console.h"
#include "controller/cli/exit_code.h"
#include "policies/model/result.h"

namespace walstitch::cli {

// http::FetchBlocking, or what a test puts in its place.
using Fetcher = std::function<Result<http::ClientResponse>(
    const http::Url& url, std::string method, std::string target, std::string body,
    http::Credentials credentials, std::chrono::milliseconds timeout)>;

struct ControllerOptions {
  std::string url = "http://127.0.0.1:7700";
  http::Credentials credentials;
  std::optional<std::chrono::milliseconds> timeout;  // --timeout; absent: what fits the request
};

struct Refusal {
  ExitCode code = ExitCode::kUnreachable;
  std::string sentence;
  std::optional<boost::json::value> body;
};

// The controller answered in words of another version. An order that `changes` something may have been
// carried out all the same.
Refusal NotUnderstood(const std::string& what, bool changes = false);
// Its sentence on stderr; gives back its code.
ExitCode Complain(const Console& console, const Refusal& refusal);

template <typename T>
using Answer = tl::expected<T, Refusal>;

class ControllerClient {
 public:
  ControllerClient(ControllerOptions options, Fetcher fetch)
      : options_(std::move(options)), fetch_(std::move(fetch)) {}

  // A question: it may be asked again without harm.
  [[nodiscard]] Answer<boost::json::object> Get(
      const std::string& target, std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

  // An order. No answer to it means that its effect is unknown: kUnknown, not kUnreachable. One that
  // `changes` nothing (a dry run) is a question.
  [[nodiscard]] Answer<boost::json::object> Post(const std::string& target, const boost::json::value& body,
                                                 std::chrono::milliseconds timeout, bool changes) const;

 private:
  [[nodiscard]] Answer<boost::json::object> Ask(const std::string& method, const std::string& target,
                                                std::string body, std::chrono::milliseconds timeout,
                                                bool changes) const;

  ControllerOptions options_;
  Fetcher fetch_;
};

}  // namespace walstitch::cli
