// Bearer tokens from a configuration or from files that are looked at again when they change: those that a
// server takes, and the one that a client shows. A file may hold several lines; all are valid, and a client
// shows the first. So a token is exchanged without a pause: add the new one, before the old one, wherever it
// is read; then take the old one away.
//
// No error and no log line repeats a token. Everything here is thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/access.h"
#include "policies/model/result.h"

namespace walstitch::http {

// Where a token comes from, whose it is, and what it is good for.
struct TokenSource {
  std::string name = "token";  // of whoever has it, for the audit
  AccessRole role = AccessRole::kOperate;
  std::string text;  // the token itself; or
  std::string file;  // a file of tokens, one a line
  [[nodiscard]] bool Empty() const { return text.empty() && file.empty(); }
};

// The tokens of a file's content, one a line; blank lines count for nothing. kInvalid: there is none, or one
// holds what cannot be sent as a token.
Result<std::vector<std::string>> ParseTokens(std::string_view content);

// A file of tokens. One that cannot be read any more, or holds none, leaves those in force that it held.
class TokenFile {
 public:
  static Result<std::shared_ptr<TokenFile>> Open(const std::string& path);
  ~TokenFile();
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;

  // Never empty. `now`: as the file is at this moment; otherwise as it was a second ago at most.
  std::vector<std::string> Tokens(bool now = false);

 private:
  class Impl;
  explicit TokenFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Decides whose a token is. The sources' files are read here and looked at again later. An Error: one of them
// cannot be read; it names the file.
Result<Admission> MakeAdmission(const std::vector<TokenSource>& sources);

}  // namespace walstitch::http
