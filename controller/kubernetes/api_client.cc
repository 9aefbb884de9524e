#include "controller/kubernetes/api_client.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <unordered_set>
#include <utility>

#include "agents/http/http_client.h"

namespace walstitch::kubernetes {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr int kMaxRestarts = 3;            // of a list that expired between its pages
constexpr std::size_t kMaxItems = 200000;  // of a list

// "?a=b&c=d" from what is not empty.
std::string Query(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string query;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    query += (query.empty() ? "?" : "&") + name + "=" + http::PercentEncode(value);
  }
  return query;
}

struct Call {
  std::string method;
  std::string path;  // for the errors
  std::string query;
  std::string content_type = "application/json";
  std::string body;

  [[nodiscard]] bool Write() const { return method != "GET"; }
  [[nodiscard]] std::string What() const { return method + " " + path; }
};

}  // namespace

class ApiClient::Impl {
 public:
  Impl(asio::any_io_executor executor, ApiClientOptions given)
      : options(std::move(given)), rest(std::move(executor), options.server) {}

  // The token as it is now, with what is trusted as it is now.
  Result<std::string> Authorize() {
    auto token = options.account.Token();
    if (!token) return token;
    if (options.server.tls) {
      auto pem = options.account.CaPem();
      if (!pem) return pem;
      if (auto trusted = rest.Trust(*pem); !trusted) return walstitch::Fail(trusted.error());
    }
    return token;
  }

  static asio::awaitable<ApiResult<Object>> Ask(std::shared_ptr<Impl> self, Call call, CallOptions limits) {
    const auto deadline = steady_clock::now() + limits.timeout;
    bool token_was_old = false;
    for (int attempt = 1;; ++attempt) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
      const auto patience = std::max(std::min(left, limits.attempt_timeout), milliseconds(1));
      std::string token;
      auto answer = co_await Once(self, call, patience, &token);
      if (answer) co_return answer;
      ApiError error = answer.error();
      // The kubelet may have replaced the token between our look at it and the server's.
      if (error.kind == ApiErrorKind::kUnauthorized && !token_was_old) {
        const auto now = self->options.account.Token();
        token_was_old = true;
        if (now && *now != token && !self->stopped && steady_clock::now() < deadline) continue;
      }
      const auto delay = RetryDelay(error, call.Write(), attempt, self->options.random());
      if (!delay || self->stopped || steady_clock::now() + *delay >= deadline)
        co_return Fail(std::move(error));
      co_await self->Sleep(*delay);
      if (self->stopped) co_return Fail(std::move(error));
    }
  }

  static asio::awaitable<ApiResult<Object>> Once(std::shared_ptr<Impl> self, Call call, milliseconds timeout,
                                                 std::string* token) {
    auto authorized = self->Authorize();
    if (!authorized) {
      const Error unsent(ErrorCode::kUnavailable, authorized.error().Message());
      co_return Fail(ErrorOf(unsent, call.What(), call.Write()));
    }
    *token = *authorized;
    http::RestRequest request;
    request.method = call.method;
    request.target = call.path + call.query;
    request.content_type = call.content_type;
    request.body = std::move(call.body);
    request.token = std::move(*authorized);
    request.fields = {{"Accept", "application/json"}};
    request.timeout = timeout;
    auto response = co_await self->rest.Send(std::move(request));
    if (!response) co_return Fail(ErrorOf(response.error(), call.What(), call.Write()));
    if (response->status < 200 || response->status > 299)
      co_return Fail(ErrorOf(*response, call.What(), call.Write()));
    auto object = ParseObject(response->body);
    if (!object) co_return Fail(Garbled(call, response->status, object.error().Message()));
    if (TextAt(*object, "kind").empty() || TextAt(*object, "apiVersion").empty())
      co_return Fail(Garbled(call, response->status, "the object has no kind and apiVersion"));
    co_return std::move(*object);
  }

  static ApiError Garbled(const Call& call, int status, const std::string& why) {
    ApiError error;
    error.kind = ApiErrorKind::kGarbled;
    error.http_status = status;
    error.message = call.What() + ": the answer with HTTP status " + std::to_string(status) +
                    " is not the API's: " + why + ": is there a proxy between?";
    error.effect_unknown = call.Write();
    return error;
  }

  // Until then, or until Stop().
  asio::awaitable<void> Sleep(milliseconds time) {
    const auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor, time);
    sleeping.insert(timer);
    boost::system::error_code ignored;
    co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    sleeping.erase(timer);
  }

  static asio::awaitable<ApiResult<ObjectList>> List(std::shared_ptr<Impl> self, ResourceType type,
                                                     ListOptions wanted, CallOptions limits) {
    const auto deadline = steady_clock::now() + limits.timeout;
    const std::string path = ResourcePath(type, self->options.namespace_name);
    for (int restarts = 0;; ++restarts) {
      ObjectList list;
      const bool whole = wanted.page == 0 || restarts >= kMaxRestarts;
      bool expired = false;
      std::string more;
      do {
        CallOptions left = limits;
        left.timeout = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
        Call call;
        call.method = "GET";
        call.path = path;
        call.query = Query({{"labelSelector", wanted.label_selector},
                            {"fieldSelector", wanted.field_selector},
                            {"limit", whole ? "" : std::to_string(wanted.page)},
                            {"continue", more}});
        auto page = co_await Ask(self, call, left);
        if (!page) {
          expired = page.error().kind == ApiErrorKind::kExpired && restarts < kMaxRestarts && !more.empty();
          if (!expired) co_return Fail(page.error());
          break;
        }
        auto next = TakePage(&*page, &list);
        if (!next) co_return Fail(Garbled(call, 200, next.error().Message()));
        if (!next->empty() && *next == more)
          co_return Fail(Garbled(call, 200, "the same continue token came twice"));
        more = std::move(*next);
      } while (!more.empty());
      if (!expired) co_return list;
    }
  }

  // The continue token, empty after the last page.
  static Result<std::string> TakePage(Object* page, ObjectList* list) {
    const Object* metadata = ObjectAt(*page, "metadata");
    if (metadata == nullptr) return walstitch::Fail(ErrorCode::kInvalid, "the list has no metadata");
    list->resource_version = TextAt(*metadata, "resourceVersion");
    if (list->resource_version.empty())
      return walstitch::Fail(ErrorCode::kInvalid, "the list has no resourceVersion");
    auto* items = page->if_contains("items");
    // A list of nothing may be null.
    if (items != nullptr && !items->is_null() && !items->is_array())
      return walstitch::Fail(ErrorCode::kInvalid, "the list's items are no array");
    if (items != nullptr && items->is_array()) {
      if (list->items.size() + items->get_array().size() > kMaxItems)
        return walstitch::Fail(ErrorCode::kInvalid, "the list is longer than can be right");
      for (auto& item : items->get_array()) {
        if (!item.is_object() || NameOf(item.get_object()).empty())
          return walstitch::Fail(ErrorCode::kInvalid, "an item of the list is no object with a name");
        list->items.push_back(std::move(item.get_object()));
      }
    }
    return TextAt(*metadata, "continue");
  }

  static asio::awaitable<ApiResult<void>> Delete(std::shared_ptr<Impl> self, Call call, CallOptions limits) {
    auto answer = co_await Ask(self, std::move(call), limits);
    if (!answer) co_return Fail(answer.error());
    co_return ApiResult<void>();
  }

  static asio::awaitable<ApiResult<void>> Stream(std::shared_ptr<Impl> self, ResourceType type,
                                                 WatchRequest wanted, std::function<void()> opened,
                                                 std::function<bool(std::string_view)> line,
                                                 http::Interrupt interrupt) {
    Call call;
    call.method = "GET";
    call.path = ResourcePath(type, self->options.namespace_name);
    call.query = Query({{"watch", "true"},
                        {"allowWatchBookmarks", "true"},
                        {"labelSelector", wanted.label_selector},
                        {"fieldSelector", wanted.field_selector},
                        {"resourceVersion", wanted.resource_version},
                        {"timeoutSeconds", std::to_string(wanted.server_timeout.count())}});
    const std::string what = "watch of " + call.path;
    auto token = self->Authorize();
    if (!token) co_return Fail(ErrorOf(token.error(), what, false));
    http::RestRequest request;
    request.target = call.path + call.query;
    request.token = std::move(*token);
    request.fields = {{"Accept", "application/json"}};
    http::StreamLimits limits;
    limits.idle = wanted.idle;
    auto response = co_await self->rest.StreamLines(std::move(request), limits, std::move(opened),
                                                    std::move(line), std::move(interrupt));
    if (!response) co_return Fail(ErrorOf(response.error(), what, false));
    if (response->status != 200) co_return Fail(ErrorOf(*response, what, false));
    co_return ApiResult<void>();
  }

  void Stop() {
    stopped = true;
    rest.Stop();
    for (const auto& timer : sleeping) timer->cancel();
  }

  [[nodiscard]] std::string WriteQuery() const {
    return options.strict_fields ? std::string("?fieldValidation=Strict") : std::string();
  }

  ApiClientOptions options;
  http::RestClient rest;
  std::unordered_set<std::shared_ptr<asio::steady_timer>> sleeping;
  bool stopped = false;
};

ApiClient::ApiClient(asio::any_io_executor executor, ApiClientOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

asio::awaitable<ApiResult<Object>> ApiClient::Get(ResourceType type, std::string name,
                                                  CallOptions call) const {
  Call get{"GET", ResourcePath(type, impl_->options.namespace_name, name), "", "", ""};
  return Impl::Ask(impl_, std::move(get), call);
}

asio::awaitable<ApiResult<ObjectList>> ApiClient::List(ResourceType type, ListOptions options,
                                                       CallOptions call) const {
  return Impl::List(impl_, std::move(type), std::move(options), call);
}

asio::awaitable<ApiResult<ObjectList>> ApiClient::List(ResourceType type) const {
  return Impl::List(impl_, std::move(type), ListOptions(), CallOptions());
}

asio::awaitable<ApiResult<Object>> ApiClient::Create(ResourceType type, Object object,
                                                     CallOptions call) const {
  Call create{"POST", ResourcePath(type, impl_->options.namespace_name), impl_->WriteQuery(),
              "application/json", boost::json::serialize(object)};
  return Impl::Ask(impl_, std::move(create), call);
}

asio::awaitable<ApiResult<Object>> ApiClient::Replace(ResourceType type, std::string name, Object object,
                                                      CallOptions call) const {
  Call replace{"PUT", ResourcePath(type, impl_->options.namespace_name, name), impl_->WriteQuery(),
               "application/json", boost::json::serialize(object)};
  return Impl::Ask(impl_, std::move(replace), call);
}

asio::awaitable<ApiResult<Object>> ApiClient::Patch(ResourceType type, std::string name, Object patch,
                                                    PatchKind kind, std::string subresource,
                                                    CallOptions call) const {
  std::string content_type;
  switch (kind) {
    case PatchKind::kMerge:
      content_type = "application/merge-patch+json";
      break;
    case PatchKind::kStrategicMerge:
      content_type = "application/strategic-merge-patch+json";
      break;
  }
  Call change{"PATCH", ResourcePath(type, impl_->options.namespace_name, name, subresource),
              impl_->WriteQuery(), std::move(content_type), boost::json::serialize(patch)};
  return Impl::Ask(impl_, std::move(change), call);
}

asio::awaitable<ApiResult<void>> ApiClient::Delete(ResourceType type, std::string name,
                                                   DeleteConditions conditions, CallOptions call) const {
  Call remove{"DELETE", ResourcePath(type, impl_->options.namespace_name, name), "", "application/json", ""};
  Object wanted;
  if (!conditions.uid.empty()) wanted["uid"] = conditions.uid;
  if (!conditions.resource_version.empty()) wanted["resourceVersion"] = conditions.resource_version;
  if (!wanted.empty()) {
    Object body;
    body["kind"] = "DeleteOptions";
    body["apiVersion"] = "v1";
    body["preconditions"] = std::move(wanted);
    remove.body = boost::json::serialize(body);
  }
  return Impl::Delete(impl_, std::move(remove), call);
}

asio::awaitable<ApiResult<void>> ApiClient::Delete(ResourceType type, std::string name) const {
  return Delete(std::move(type), std::move(name), DeleteConditions());
}

asio::awaitable<ApiResult<void>> ApiClient::Stream(ResourceType type, WatchRequest request,
                                                   std::function<void()> opened,
                                                   std::function<bool(std::string_view)> line,
                                                   http::Interrupt interrupt) const {
  return Impl::Stream(impl_, std::move(type), std::move(request), std::move(opened), std::move(line),
                      std::move(interrupt));
}

void ApiClient::Stop() const { impl_->Stop(); }
const std::string& ApiClient::Namespace() const { return impl_->options.namespace_name; }
const http::Origin& ApiClient::Server() const { return impl_->options.server; }
double ApiClient::Random() const { return impl_->options.random(); }

}  // namespace walstitch::kubernetes
