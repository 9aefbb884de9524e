// What a client shows to a server, and by what it knows it: a bearer token, and a TLS identity.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/http/tls.h"
#include "agents/http/tokens.h"
#include "policies/model/result.h"

namespace walstitch::http {

// Cheap to copy; the copies are one. Thread-safe.
class Credentials {
 public:
  Credentials() = default;  // no token, and no TLS: https:// is out of reach
  // A token alone; empty: none.
  Credentials(std::string token) : token_(std::move(token)) {}  // NOLINT(google-explicit-constructor)
  Credentials(const char* token) : token_(token) {}             // NOLINT(google-explicit-constructor)
  Credentials(std::string token, std::shared_ptr<TlsIdentity> tls)
      : token_(std::move(token)), tls_(std::move(tls)) {}
  // Reads the files. `tls` without any file: servers are known by what the system trusts.
  static Result<Credentials> Load(const TokenSource& token, const std::optional<TlsFiles>& tls);

  // The one to show; empty: none.
  [[nodiscard]] std::string Token() const;
  // A server has refused that one: what else to show, in this order. The file is read at once.
  [[nodiscard]] std::vector<std::string> Instead(const std::string& refused) const;
  [[nodiscard]] const std::shared_ptr<TlsIdentity>& Tls() const { return tls_; }

 private:
  std::string token_;
  std::shared_ptr<TokenFile> file_;  // then it counts, and not token_
  std::shared_ptr<TlsIdentity> tls_;
};

}  // namespace walstitch::http
