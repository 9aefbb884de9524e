#include "tests/support/pods/admin.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <exception>
#include <stdexcept>
#include <utility>

#include "agents/http/http_client.h"
#include "agents/http/rest_client.h"

namespace walstitch::test {

ApiAdmin::ApiAdmin(std::string url, std::string ca_pem, std::string token, std::string name_space)
    : url_(std::move(url)),
      ca_pem_(std::move(ca_pem)),
      token_(std::move(token)),
      name_space_(std::move(name_space)) {}

std::string ApiAdmin::PathOf(const std::string& group, const std::string& plural, const std::string& name,
                             const std::string& subresource) const {
  std::string path = group == "core" ? "/api/v1" : "/apis/" + group;
  if (!name_space_.empty()) path += "/namespaces/" + name_space_;
  path += "/" + plural;
  if (!name.empty()) path += "/" + name;
  if (!subresource.empty()) path += "/" + subresource;
  return path;
}

ApiAdmin::Answer ApiAdmin::Ask(const std::string& method, const std::string& target, const std::string& body,
                               const std::string& content_type) const {
  boost::asio::io_context context(1);
  http::RestClient client(context.get_executor(), *http::ParseOrigin(url_));
  if (auto trusted = client.Trust(ca_pem_); !trusted) throw std::runtime_error(trusted.error().Message());
  http::RestRequest request;
  request.method = method;
  request.target = target;
  request.body = body;
  request.content_type = content_type;
  request.token = token_;
  request.timeout = std::chrono::milliseconds(2000);
  std::optional<Result<http::RestResponse>> response;
  boost::asio::co_spawn(context, client.Send(std::move(request)),
                        [&](std::exception_ptr problem, Result<http::RestResponse> got) {
                          if (problem) std::rethrow_exception(problem);
                          response = std::move(got);
                        });
  while (!response && context.run_one() > 0) {
  }
  if (!response || !*response) {
    throw std::runtime_error(method + " " + target + ": " +
                             (response ? response->error().Message() : std::string("no answer")));
  }
  Answer answer;
  answer.status = (*response)->status;
  boost::system::error_code problem;
  answer.body = boost::json::parse((*response)->body, problem);
  const bool good = answer.status >= 200 && answer.status < 300;
  if (!good && answer.status != 404) {
    throw std::runtime_error(method + " " + target + ": " + std::to_string(answer.status) + " " +
                             (*response)->body);
  }
  return answer;
}

boost::json::object ApiAdmin::Create(const std::string& group, const std::string& plural,
                                     const boost::json::object& object) {
  const Answer answer =
      Ask("POST", PathOf(group, plural, ""), boost::json::serialize(object), "application/json");
  if (answer.status == 404) throw std::runtime_error("POST " + PathOf(group, plural, "") + ": 404");
  return answer.body.as_object();
}

std::optional<boost::json::object> ApiAdmin::Get(const std::string& group, const std::string& plural,
                                                 const std::string& name) {
  const Answer answer = Ask("GET", PathOf(group, plural, name), "", "");
  if (answer.status == 404) return std::nullopt;
  return answer.body.as_object();
}

std::vector<boost::json::object> ApiAdmin::List(const std::string& group, const std::string& plural,
                                                const std::string& selector) {
  std::string target = PathOf(group, plural, "");
  if (!selector.empty()) target += "?labelSelector=" + http::PercentEncode(selector);
  const Answer answer = Ask("GET", target, "", "");
  std::vector<boost::json::object> objects;
  if (answer.status == 404) return objects;
  for (const auto& item : answer.body.at("items").as_array()) objects.push_back(item.as_object());
  return objects;
}

boost::json::object ApiAdmin::Patch(const std::string& group, const std::string& plural,
                                    const std::string& name, const boost::json::object& patch,
                                    const std::string& subresource, bool strategic) {
  const std::string path = PathOf(group, plural, name, subresource);
  const Answer answer =
      Ask("PATCH", path, boost::json::serialize(patch),
          strategic ? "application/strategic-merge-patch+json" : "application/merge-patch+json");
  if (answer.status == 404) throw std::runtime_error("PATCH " + path + ": 404");
  return answer.body.as_object();
}

void ApiAdmin::Delete(const std::string& group, const std::string& plural, const std::string& name) {
  (void)Ask("DELETE", PathOf(group, plural, name),
            R"({"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0})", "application/json");
}

void ApiAdmin::CreateClusterWide(const std::string& group, const std::string& plural,
                                 const boost::json::object& object) {
  (void)Ask("POST", "/apis/" + group + "/" + plural, boost::json::serialize(object), "application/json");
}

}  // namespace walstitch::test
