#include "controller/cli/controller_client.h"

#include <boost/json.hpp>

#include "controller/cli/text.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

ExitCode CodeOf(int status, bool changes) {
  switch (status) {
    case 400:
    case 401:
    case 403:
    case 404:
    case 405:
    case 413:
      return ExitCode::kUsage;
    case 409:
      return ExitCode::kNo;
    case 502:
    case 503:
      return ExitCode::kUnreachable;
    case 408:
    case 504:
      return changes ? ExitCode::kUnknown : ExitCode::kUnreachable;
    default:
      return ExitCode::kNo;
  }
}

// The address that a controller which stands by gives of the one that leads. What was asked in TLS is not
// asked again without.
std::optional<http::Url> LeaderOf(const http::ClientResponse& response, bool tls) {
  if (response.status != 503) return std::nullopt;
  const auto json = ParseJson(response.body);
  const auto* object = json ? json->if_object() : nullptr;
  const auto* leader = object == nullptr ? nullptr : object->if_contains("leader");
  if (leader == nullptr || !leader->is_string()) return std::nullopt;
  auto url = http::ParseUrl(leader->get_string());
  return url && (url->tls || !tls) ? std::optional(*url) : std::nullopt;
}

}  // namespace

Refusal NotUnderstood(const std::string& what, bool changes) {
  return {changes ? ExitCode::kUnknown : ExitCode::kUnreachable,
          "the controller's answer is not understood (another version?): " + what, std::nullopt};
}

ExitCode Complain(const Console& console, const Refusal& refusal) {
  return console.Complain(refusal.code, refusal.sentence);
}

Answer<boost::json::object> ControllerClient::Get(const std::string& target,
                                                  std::chrono::milliseconds timeout) const {
  return Ask("GET", target, "", options_.timeout.value_or(timeout), false);
}

Answer<boost::json::object> ControllerClient::Post(const std::string& target, const boost::json::value& body,
                                                   std::chrono::milliseconds timeout, bool changes) const {
  return Ask("POST", target, Dump(body), options_.timeout.value_or(timeout), changes);
}

Answer<boost::json::object> ControllerClient::Ask(const std::string& method, const std::string& target,
                                                  std::string body, std::chrono::milliseconds timeout,
                                                  bool changes) const {
  auto refuse = [](ExitCode code, std::string sentence,
                   std::optional<boost::json::value> answer = std::nullopt) {
    return tl::unexpected<Refusal>(Refusal{code, std::move(sentence), std::move(answer)});
  };
  auto url = http::ParseUrl(options_.url);
  if (!url) return refuse(ExitCode::kUsage, "--controller: " + url.error().Message());
  auto response = fetch_(*url, method, target, body, options_.credentials, timeout);
  // Of several controllers one leads, and the others say which. Once: two that name each other know nothing.
  if (const auto leader = response ? LeaderOf(*response, url->tls) : std::nullopt) {
    response = fetch_(*leader, method, target, std::move(body), options_.credentials, timeout);
  }
  if (!response) {
    const Error& error = response.error();
    if (changes && error.Code() == ErrorCode::kTimeout) {
      return refuse(
          ExitCode::kUnknown,
          "the controller was asked but has not answered (" + error.Message() +
              "); it may be at work or done: see `walstitch status` and `walstitch decisions list`");
    }
    return refuse(error.Code() == ErrorCode::kInvalid ? ExitCode::kUsage : ExitCode::kUnreachable,
                  "the controller at " + options_.url + " did not answer: " + error.Message());
  }
  auto json = ParseJson(response->body);
  const boost::json::object* object = json ? json->if_object() : nullptr;
  if (response->status >= 200 && response->status < 300) {
    if (object != nullptr) return *object;
    return refuse(changes ? ExitCode::kUnknown : ExitCode::kUnreachable,
                  options_.url + target + " answers something that is not a Walstitch controller's");
  }
  std::string sentence;
  if (object != nullptr) {
    const auto* error = object->if_contains("error");
    if (error != nullptr && error->is_string()) sentence = std::string_view(error->get_string());
  }
  if (response->status == 403) {
    sentence = "the controller refuses this" + (sentence.empty() ? "" : ": " + sentence);
  } else if (response->status == 401) {
    sentence = "the controller wants " +
               std::string(options_.credentials.Token().empty() ? "a token" : "another token") +
               ": --token-file FILE, or WALSTITCH_TOKEN_FILE" +
               (sentence.empty() ? "" : " (" + sentence + ")");
  } else if (sentence.empty()) {
    sentence = options_.url + target + " answers with HTTP status " + std::to_string(response->status) +
               ": is it a Walstitch controller?";
  }
  return refuse(CodeOf(response->status, changes), std::move(sentence),
                object != nullptr ? std::optional<boost::json::value>(*json) : std::nullopt);
}

}  // namespace walstitch::cli
