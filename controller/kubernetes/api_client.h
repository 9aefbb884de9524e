// A client of Kubernetes' API for the objects of one namespace, as JSON. It repeats what may be repeated, and
// says of what it does not know whether it happened that it does not know.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/rest_client.h"
#include "controller/kubernetes/api_error.h"
#include "controller/kubernetes/credentials.h"
#include "controller/kubernetes/resource.h"
#include "policies/model/result.h"

namespace walstitch::kubernetes {

struct ApiClientOptions {
  http::Origin server;
  ServiceAccount account{kServiceAccountDirectory};
  std::string namespace_name;
  // In [0, 1): spreads repetitions. Called on the executor.
  std::function<double()> random = [] { return 0.5; };
  // Asks the server to refuse fields that it does not know instead of dropping them. For tests: an older
  // server than the one that was thought of is no error.
  bool strict_fields = false;
};

struct CallOptions {
  std::chrono::milliseconds timeout{10000};          // for the whole call with all its repetitions
  std::chrono::milliseconds attempt_timeout{10000};  // for one request
};

struct ListOptions {
  std::string label_selector;  // "walstitch.io/group", "walstitch.io/group=shop"
  std::string field_selector;
  std::size_t page = 500;  // objects in one answer; 0: all in one
};

enum class PatchKind {
  kMerge,           // RFC 7386; a list replaces the whole list
  kStrategicMerge,  // lists whose elements have a key are merged by it: conditions of a pod's status by their
                    // type. Kinds that are built in only
};

// Of a delete: only if the object is still this one. Empty fields ask for nothing.
struct DeleteConditions {
  std::string uid;
  std::string resource_version;
};

struct WatchRequest {
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;
  std::chrono::seconds server_timeout{60};  // then the server ends the stream
  std::chrono::milliseconds idle{75000};    // nothing for that long: the stream counts as lost
};

// Cheap to copy; the copies are one. Runs on one executor, which one thread runs. What is under way keeps
// what it needs, so the client may go before it.
class ApiClient {
 public:
  ApiClient(boost::asio::any_io_executor executor, ApiClientOptions options);

  boost::asio::awaitable<ApiResult<Object>> Get(ResourceType type, std::string name,
                                                CallOptions call = {}) const;

  // All of them, page by page. If they expire between two pages, it begins anew, at last in one page.
  boost::asio::awaitable<ApiResult<ObjectList>> List(ResourceType type, ListOptions options,
                                                     CallOptions call = {}) const;
  boost::asio::awaitable<ApiResult<ObjectList>> List(ResourceType type) const;

  // The object as it is stored. kAlreadyExists; after an unknown effect, the object may be there.
  boost::asio::awaitable<ApiResult<Object>> Create(ResourceType type, Object object,
                                                   CallOptions call = {}) const;

  // Replaces the object of that name whole. With a metadata.resourceVersion in it: only if it is still at
  // that version, else kConflict. Keep the metadata.uid in it as well: if the object was deleted, a server
  // creates a Lease by a replace, whatever its resourceVersion; only a uid makes it refuse (kConflict).
  boost::asio::awaitable<ApiResult<Object>> Replace(ResourceType type, std::string name, Object object,
                                                    CallOptions call = {}) const;

  // With a metadata.resourceVersion in the patch: only if it is still at that version. `subresource`:
  // "status", or empty.
  boost::asio::awaitable<ApiResult<Object>> Patch(ResourceType type, std::string name, Object patch,
                                                  PatchKind kind, std::string subresource,
                                                  CallOptions call = {}) const;

  // kNotFound if it is not there.
  boost::asio::awaitable<ApiResult<void>> Delete(ResourceType type, std::string name,
                                                 DeleteConditions conditions, CallOptions call = {}) const;
  boost::asio::awaitable<ApiResult<void>> Delete(ResourceType type, std::string name) const;

  // One stream of a watch: its lines as they come, until it ends. See watch.h for one that never gives up.
  boost::asio::awaitable<ApiResult<void>> Stream(ResourceType type, WatchRequest request,
                                                 std::function<void()> opened,
                                                 std::function<bool(std::string_view)> line,
                                                 http::Interrupt interrupt) const;

  // Ends what is under way. What is begun later fails at once.
  void Stop() const;

  [[nodiscard]] const std::string& Namespace() const;
  [[nodiscard]] const http::Origin& Server() const;
  // In [0, 1), from the options.
  [[nodiscard]] double Random() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::kubernetes
