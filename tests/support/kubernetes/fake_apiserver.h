// A strict API server of Kubernetes in the test's process, for the few resources that the product uses: TLS
// with a certificate of its own authority, bearer tokens, RBAC, versions, watches, and faults that can be
// switched on while it runs. It shares no code with the product. Where a real server is lenient, it is not.
// Thread-safe; a thread for each connection.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/kubernetes/fake_rules.h"

namespace walstitch::test {

// One kind of misbehaviour for the requests that fit. Empty fields fit all.
struct ApiFault {
  enum class Action {
    kDelayBefore,  // waits before it does anything
    kDelayAfter,   // does it, and waits before it answers
    kCloseBefore,  // closes the connection before it does anything
    kCloseAfter,   // does it, and closes without an answer
    kStatus,  // answers `status` and does nothing; for a watch with `in_stream`, as an event of its stream
    kBody,    // answers `status` with `body`, whatever that is, and does nothing; of a watch: a line
    kHang,    // never answers, until the faults are cleared
  };
  Action action = Action::kStatus;
  std::string verb;      // get, list, watch, create, update, patch, delete
  std::string resource;  // "pods", "pods/status"
  std::string name;
  std::string user;
  int times = 1;  // below 0: until the faults are cleared
  std::chrono::milliseconds delay{0};
  int status = 500;
  std::string reason;
  int retry_after_seconds = 0;
  bool in_stream = false;
  std::string body;
  std::string content_type = "text/html";
};

struct ApiRequest {
  std::string user;
  std::string verb;
  std::string resource;  // with its subresource
  std::string name;
  std::string query;
  std::string content_type;
  std::string body;
  int status = 0;  // 0: without an answer, or with one that is still under way
};

struct FakeApiOptions {
  std::uint16_t port = 0;  // 0: a free one
  std::string namespace_name = "default";
  std::size_t history = 1000;                    // changes that a watch can go back
  std::chrono::milliseconds bookmarks{500};      // between two of them
  std::vector<std::string> certificate_names{};  // empty: loopback
  int certificate_days = 1;
};

class FakeApiServer {
 public:
  // Who may do everything.
  static constexpr const char* kAdminToken = "admin-token";

  explicit FakeApiServer(FakeApiOptions options = {});
  ~FakeApiServer();
  FakeApiServer(const FakeApiServer&) = delete;
  FakeApiServer& operator=(const FakeApiServer&) = delete;

  // Listens, on the same port each time. Throws.
  void Start();
  // Refuses connections and ends those that are open. What is stored stays.
  void Stop();
  [[nodiscard]] std::uint16_t Port() const;
  [[nodiscard]] std::string Url() const;  // https://127.0.0.1:port
  [[nodiscard]] const std::string& CaPem() const;
  // Writes token, ca.crt and namespace, as the kubelet does.
  void WriteServiceAccount(const std::string& directory, const std::string& token) const;

  void AddToken(const std::string& token, const std::string& user);
  void RemoveToken(const std::string& token);
  // What the user may do from now on; a user without rules may do nothing.
  void Allow(const std::string& user, std::vector<AccessRule> rules);
  // Serves the resource of a CustomResourceDefinition. Throws.
  void AddCrd(const boost::json::object& crd);
  // The resources of walstitch.io, with any fields.
  void AddWalstitchResources();

  void AddFault(ApiFault fault);
  // Also lets go on what hangs.
  void ClearFaults();
  // Watches stay open and tell nothing more, not even bookmarks: what a dead connection looks like.
  void SilenceWatches(bool silent);
  void CloseWatches();
  // Every connection ends, in the middle of whatever it is.
  void CloseConnections();
  // If not: connections are made, and nobody serves them.
  void Accept(bool accept);
  // Every resourceVersion and continue token so far is too old from now on.
  void ExpireHistory();

  [[nodiscard]] std::vector<ApiRequest> Requests() const;
  [[nodiscard]] std::size_t OpenWatches() const;
  // How many connections were made, ever.
  [[nodiscard]] std::size_t Connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::test
