// Who this end of a TLS connection is, and whom it trusts, from files: a certificate with its key, and the
// authority that the other end's certificate must come from. TLS 1.2 at least. The files are looked at again,
// once a second at most; what is new counts for new connections, and those that stand go on. Files that do
// not fit together, or are not whole yet, are refused with a sentence in the log, and what is in force stays.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "policies/model/result.h"

namespace boost::asio::ssl {
class context;
}

namespace walstitch::http {

// Paths of PEM files.
struct TlsFiles {
  std::string
      certificate;  // the own one first, then those between it and its authority; empty: none is shown
  std::string key;  // of the own one
  // The certificates that the other end's must come from. A client without: what the system trusts. A server
  // without: clients need no certificate.
  std::string authority;
  // Of a client: the name that the server's certificate must be for. Empty: the host that was dialled.
  std::string server_name;
  bool operator==(const TlsFiles&) const = default;
};

enum class TlsEnd { kServer, kClient };

// Thread-safe.
class TlsIdentity {
 public:
  // An Error names the file, and says what is wrong with it.
  static Result<std::shared_ptr<TlsIdentity>> Load(TlsEnd end, TlsFiles files);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  // For one new connection, which must hold it.
  std::shared_ptr<boost::asio::ssl::context> Context();
  // Looks at the files, if that was not done within a second. Context() does, too.
  void Look();
  // Until the own certificate has expired: below 0, it has. nullopt: none is shown.
  [[nodiscard]] std::optional<std::int64_t> SecondsLeft() const;
  // Why the files as they are now are not in force; empty: they are.
  [[nodiscard]] std::string Problem() const;
  [[nodiscard]] const TlsFiles& Files() const;
  // Of a server: whether clients are asked for a certificate.
  [[nodiscard]] bool AsksForCertificates() const { return !Files().authority.empty(); }

 private:
  class Impl;
  explicit TlsIdentity(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::http
