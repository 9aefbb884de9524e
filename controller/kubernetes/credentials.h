// Where the API server is and what the controller shows it: the service account that Kubernetes mounts into a
// pod. Stateless; the files are read anew each time, because the kubelet replaces them before they expire.
#pragma once

#include <optional>
#include <string>

#include "agents/http/rest_client.h"
#include "policies/model/result.h"

namespace walstitch::kubernetes {

constexpr const char* kServiceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

// A directory with the files token, ca.crt and namespace.
class ServiceAccount {
 public:
  explicit ServiceAccount(std::string directory) : directory_(std::move(directory)) {}

  // Errors are kUnavailable where the file cannot be read (it may come back), kInvalid where what is in it
  // cannot be right; both name the file.
  [[nodiscard]] Result<std::string> Token() const;
  [[nodiscard]] Result<std::string> CaPem() const;
  [[nodiscard]] Result<std::string> Namespace() const;

 private:
  [[nodiscard]] Result<std::string> ReadFile(const std::string& name) const;

  std::string directory_;
};

// `url` if it is not empty (https://host:port); else from the two variables that the kubelet sets in every
// container, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which the caller read: absent, they are not
// set. kInvalid, with what to do.
Result<http::Origin> ApiServerOrigin(const std::string& url, const std::optional<std::string>& service_host,
                                     const std::optional<std::string>& service_port);

}  // namespace walstitch::kubernetes
