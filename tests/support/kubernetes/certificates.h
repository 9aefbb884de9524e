// A certificate authority made for one run of a test, and what it issues. Keys are P-256, valid for a day.
#pragma once

#include <string>
#include <vector>

namespace walstitch::test {

struct Certificate {
  std::string key_pem;
  std::string certificate_pem;
};

// A fresh RSA key of 2048 bits, PEM: for signing service account tokens.
std::string MakeRsaKeyPem();

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  [[nodiscard]] const std::string& Pem() const { return pem_; }
  // `names` as OpenSSL writes them: "IP:127.0.0.1", "DNS:localhost". `days` below 0: it has expired. It is
  // valid `begins_s` seconds from now on, by default for an hour already.
  [[nodiscard]] Certificate Issue(const std::string& common_name, const std::vector<std::string>& names,
                                  int days = 1, long begins_s = -3600) const;

 private:
  struct Keys;
  Keys* keys_;
  std::string pem_;
};

// IPv4 and IPv6 loopback, and localhost.
std::vector<std::string> LoopbackNames();

// Writes it, only for the owner to read; replaces the file at once. Throws.
void WritePrivateFile(const std::string& path, const std::string& content);

}  // namespace walstitch::test
