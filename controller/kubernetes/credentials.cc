#include "controller/kubernetes/credentials.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace walstitch::kubernetes {
namespace {

constexpr std::size_t kMaxFileBytes = 1U << 20;

std::string Trimmed(std::string text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t last = text.find_last_not_of(kSpace);
  text.erase(last == std::string::npos ? 0 : last + 1);
  text.erase(0, std::min(text.find_first_not_of(kSpace), text.size()));
  return text;
}

// A name of a namespace: an RFC 1123 label.
bool IsLabel(std::string_view text) {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') return false;
  }
  return true;
}

}  // namespace

Result<std::string> ServiceAccount::ReadFile(const std::string& name) const {
  const std::string path = directory_ + "/" + name;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) {
    text.resize(kMaxFileBytes + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    return Fail(
        ErrorCode::kUnavailable,
        "the service account's file " + path + " cannot be read: " + std::strerror(errno) +
            "; in a pod it is there when automountServiceAccountToken or a projected volume provides it");
  }
  if (text.size() > kMaxFileBytes)
    return Fail(ErrorCode::kInvalid, "the service account's file " + path + " is larger than a MiB");
  text = Trimmed(std::move(text));
  if (text.empty()) return Fail(ErrorCode::kInvalid, "the service account's file " + path + " is empty");
  return text;
}

Result<std::string> ServiceAccount::Token() const {
  auto token = ReadFile("token");
  if (!token) return token;
  for (const char c : *token) {
    if (c <= ' ' || c >= '\x7f') {
      return Fail(ErrorCode::kInvalid, "the service account's file " + directory_ +
                                           "/token holds more than one line of printable characters: it "
                                           "must hold the token alone");
    }
  }
  return token;
}

Result<std::string> ServiceAccount::CaPem() const { return ReadFile("ca.crt"); }

Result<std::string> ServiceAccount::Namespace() const {
  auto name = ReadFile("namespace");
  if (name && !IsLabel(*name)) {
    return Fail(ErrorCode::kInvalid,
                "the service account's file " + directory_ + "/namespace does not hold a namespace's name");
  }
  return name;
}

Result<http::Origin> ApiServerOrigin(const std::string& url, const std::optional<std::string>& service_host,
                                     const std::optional<std::string>& service_port) {
  if (!url.empty()) return http::ParseOrigin(url);
  if (!service_host || !service_port || service_host->empty() || service_port->empty()) {
    return Fail(ErrorCode::kInvalid,
                "the address of Kubernetes' API server is not known: KUBERNETES_SERVICE_HOST and "
                "KUBERNETES_SERVICE_PORT are not set, so this is no pod; give its URL");
  }
  const bool v6 = service_host->find(':') != std::string::npos && service_host->front() != '[';
  auto origin =
      http::ParseOrigin("https://" + (v6 ? "[" + *service_host + "]" : *service_host) + ":" + *service_port);
  if (!origin) return Fail(origin.error(), "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT");
  return origin;
}

}  // namespace walstitch::kubernetes
