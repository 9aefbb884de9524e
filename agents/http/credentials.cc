#include "agents/http/credentials.h"

#include <algorithm>

namespace walstitch::http {

Result<Credentials> Credentials::Load(const TokenSource& token, const std::optional<TlsFiles>& tls) {
  Credentials credentials(token.text);
  if (!token.file.empty()) {
    auto file = TokenFile::Open(token.file);
    if (!file) return Fail(file.error());
    credentials.file_ = std::move(*file);
  }
  if (tls) {
    auto identity = TlsIdentity::Load(TlsEnd::kClient, *tls);
    if (!identity) return Fail(identity.error());
    credentials.tls_ = std::move(*identity);
  }
  return credentials;
}

std::string Credentials::Token() const { return file_ ? file_->Tokens().front() : token_; }

std::vector<std::string> Credentials::Instead(const std::string& refused) const {
  if (!file_) return {};
  std::vector<std::string> tokens = file_->Tokens(true);
  tokens.erase(std::remove(tokens.begin(), tokens.end(), refused), tokens.end());
  return tokens;
}

}  // namespace walstitch::http
