// Who may speak to an API, and how, as configuration files say it; the same for agent and controller. Errors
// have file, line and column. The files that are named are read once here, so that a check of the
// configuration finds what is wrong with them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/http/http_server.h"
#include "agents/http/tls.h"
#include "agents/http/tokens.h"
#include "policies/config_reader.h"
#include "policies/model/result.h"

namespace walstitch::http {

struct ApiAccess {
  std::vector<TokenSource> tokens;
  std::optional<TlsFiles> tls;
  bool without_token = false;  // nobody needs to say who they are, wherever it listens

  // The first that may operate, for whoever is one of several that share it; none: an empty one.
  [[nodiscard]] TokenSource Own() const;
};

// tokenFile, tokens, tls and withoutToken of `api`.
void ReadApiAccess(ConfigReader& api, ApiAccess& access);
// Tokens in the file that `file_key` names, or none. Written out in `in_clear` they are refused.
void ReadTokenFile(ConfigReader& reader, std::string_view file_key, std::string_view in_clear,
                   TokenSource& token, const KeyWords& words);
// {caFile, certificateFile, keyFile, serverName}, of a client; nullopt if `key` is absent.
void ReadClientTls(ConfigReader& reader, std::string_view key, std::optional<TlsFiles>& files,
                   const KeyWords& words);

// Whether only this machine can connect: localhost, 127.0.0.0/8, ::1.
bool IsLoopback(std::string_view host);
// Why nobody may listen on `host` like that; empty: one may.
std::string WhyNotListen(std::string_view host, const ApiAccess& access);

// Makes the server ask as the configuration says.
Result<void> Guard(const ApiAccess& access, ServerOptions* options);

}  // namespace walstitch::http
