// A fake API server, a service account on disk, and a client that uses both: the test's thread runs the
// client.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>

#include "controller/kubernetes/api_client.h"
#include "tests/support/environment.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/fake_apiserver.h"

namespace walstitch::kubernetes {

// Runs the coroutine to its end.
template <typename T>
T Await(boost::asio::io_context& context, boost::asio::awaitable<T> coroutine,
        std::chrono::milliseconds patience = std::chrono::seconds(60)) {
  std::optional<T> result;
  boost::asio::co_spawn(context, std::move(coroutine), [&result](std::exception_ptr exception, T value) {
    if (exception) std::rethrow_exception(exception);
    result = std::move(value);
  });
  const auto deadline = std::chrono::steady_clock::now() + patience;
  context.restart();
  while (!result && std::chrono::steady_clock::now() < deadline)
    context.run_one_for(std::chrono::milliseconds(100));
  if (!result) throw std::runtime_error("the coroutine did not end in time");
  return std::move(*result);
}

// Runs the context until the condition is true; its last answer.
inline bool RunUntil(boost::asio::io_context& context, const std::function<bool()>& condition,
                     std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  context.restart();
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    context.run_one_for(std::chrono::milliseconds(10));
    if (context.stopped()) context.restart();
  }
  return true;
}

inline Object FromText(const std::string& text) { return boost::json::parse(text).as_object(); }

inline Object PodNamed(const std::string& name, const std::string& group = "shop") {
  Object pod = FromText(R"({"apiVersion":"v1","kind":"Pod","metadata":{},
    "spec":{"containers":[{"name":"kvrocks","image":"kvrocks"}]}})");
  pod["metadata"].as_object()["name"] = name;
  pod["metadata"].as_object()["labels"] = Object{{"walstitch.io/group", group}};
  return pod;
}

inline Object LeaseNamed(const std::string& name, const std::string& holder) {
  Object lease = FromText(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{},
    "spec":{"leaseDurationSeconds":15,"renewTime":"2030-01-01T00:00:00.000000Z"}})");
  lease["metadata"].as_object()["name"] = name;
  lease["spec"].as_object()["holderIdentity"] = holder;
  return lease;
}

inline constexpr const char* kUser = "system:serviceaccount:default:walstitch";
inline constexpr const char* kToken = "walstitch-token";

inline constexpr const char* kRole = R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: walstitch}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch]}
  - {apiGroups: [""], resources: [pods/status], verbs: [patch]}
  - {apiGroups: [apps], resources: [statefulsets], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [walstitch], verbs: [get, update]}
)";

class ApiTest : public ::testing::Test {
 protected:
  ApiTest() : server_(Options()) {
    server_.Start();
    server_.AddToken(kToken, kUser);
    server_.Allow(kUser, test::RulesFromYaml(kRole));
    server_.WriteServiceAccount(directory_.path(), test::FakeApiServer::kAdminToken);
    server_.WriteServiceAccount(limited_directory_.path(), kToken);
  }

  static test::FakeApiOptions Options() {
    test::FakeApiOptions options;
    options.bookmarks = std::chrono::milliseconds(100);
    return options;
  }

  ApiClientOptions ClientOptions(const std::string& directory) const {
    ApiClientOptions options;
    options.server = *http::ParseOrigin(server_.Url());
    options.account = ServiceAccount(directory);
    options.namespace_name = "default";
    return options;
  }
  // With all rights; and with those of kRole.
  ApiClient Admin() { return {context_.get_executor(), ClientOptions(directory_.path())}; }
  ApiClient Limited() { return {context_.get_executor(), ClientOptions(limited_directory_.path())}; }

  template <typename T>
  T Wait(boost::asio::awaitable<T> coroutine) {
    return Await(context_, std::move(coroutine));
  }

  std::size_t Count(const std::string& verb, const std::string& resource) const {
    std::size_t count = 0;
    for (const auto& request : server_.Requests())
      count += request.verb == verb && request.resource == resource ? 1 : 0;
    return count;
  }

  boost::asio::io_context context_{1};
  test::TempDirectory directory_;
  test::TempDirectory limited_directory_;
  test::FakeApiServer server_;
};

}  // namespace walstitch::kubernetes
