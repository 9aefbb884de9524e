// A real control plane of two processes, etcd and kube-apiserver, on loopback: no kubelet, no controllers.
// With RBAC, and certificates made for this run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/support/environment.h"
#include "tests/support/process.h"

namespace walstitch::test {

class RealApiServer {
 public:
  static constexpr const char* kAdminToken = "admin-token";

  // Where the programs are: $KUBE_APISERVER_BIN and $ETCD_BIN. Empty, or why there is no real server to test
  // on.
  static std::string WhyNot();

  // Starts both and waits until the API answers; `tokens`: token to user, beside the administrator's. Throws
  // std::runtime_error with the end of the logs.
  explicit RealApiServer(const std::map<std::string, std::string>& tokens);

  [[nodiscard]] std::uint16_t Port() const { return port_; }
  [[nodiscard]] std::string Url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] const std::string& CaPem() const { return ca_pem_; }

  // The API server alone; its store stays.
  void StopApiServer();
  void StartApiServer();
  // Every resourceVersion so far is too old from now on: the store is compacted, and the API server, which
  // serves watches from a cache of its own, started anew.
  void ExpireHistory();

 private:
  void WaitUntilReady();

  TempDirectory directory_;
  std::uint16_t port_ = 0;
  std::uint16_t etcd_port_ = 0;
  std::string ca_pem_;
  Process etcd_;
  Process api_server_;
};

}  // namespace walstitch::test
