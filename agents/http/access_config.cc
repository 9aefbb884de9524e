#include "agents/http/access_config.h"

#include <boost/asio/ip/address.hpp>
#include <set>
#include <utility>

#include "policies/name.h"

namespace walstitch::http {

namespace {

void CheckFile(ConfigReader& reader, std::string_view key, const std::string& file) {
  if (file.empty()) return;
  if (auto opened = TokenFile::Open(file); !opened) reader.Refuse(key, opened.error().Message());
}

void ReadTokens(ConfigReader& api, std::vector<TokenSource>& tokens) {
  std::set<std::string> names;
  api.Each("tokens", "More tokens, each with a name for the audit and a role.", [&](ConfigReader& part) {
    TokenSource token;
    token.name.clear();
    std::string role = "view";
    part.RequiredText("name", token.name, "Whose it is: 1 to 64 of a-z A-Z 0-9 - _ .");
    if (!token.name.empty() && !IsName(token.name))
      part.Refuse("name", "name: expected 1 to 64 of a-z A-Z 0-9 - _ .");
    if (!names.insert(token.name).second)
      part.Refuse("name", "name: '" + token.name + "' is there twice: a file may hold several tokens");
    part.Choice("role", {"view", "operate"}, role,
                "`view` reads how things are; `operate` may change them, and read what users have written.");
    token.role = role == "view" ? AccessRole::kView : AccessRole::kOperate;
    part.RequiredText("file", token.file, "The file that holds it, or several of them, one a line.");
    CheckFile(part, "file", token.file);
    tokens.push_back(std::move(token));
  });
}

void ReadServerTls(ConfigReader& api, std::optional<TlsFiles>& tls) {
  api.Section("tls",
              Rare("With it the API speaks TLS, and nothing else. Files are read again when they change."),
              [&](ConfigReader& part) {
                TlsFiles files;
                part.RequiredText("certificateFile", files.certificate,
                                  Rare("PEM: its own certificate, then those between it and its authority."));
                part.RequiredText("keyFile", files.key, Rare("PEM: the certificate's private key."));
                part.Text("clientCaFile", files.authority,
                          Rare("PEM: the certificates that clients' ones must come from. Without it clients "
                               "need none."));
                if (!files.certificate.empty() && !files.key.empty()) {
                  if (auto loaded = TlsIdentity::Load(TlsEnd::kServer, files); !loaded)
                    part.RefuseWhole("tls: " + loaded.error().Message());
                }
                tls = std::move(files);
              });
}

}  // namespace

TokenSource ApiAccess::Own() const {
  for (const TokenSource& token : tokens) {
    if (token.role == AccessRole::kOperate) return token;
  }
  return {};
}

void ReadTokenFile(ConfigReader& reader, std::string_view file_key, std::string_view in_clear,
                   TokenSource& token, const KeyWords& words) {
  reader.RefuseInClear(in_clear, file_key);
  reader.Text(file_key, token.file, words);
  CheckFile(reader, file_key, token.file);
}

void ReadApiAccess(ConfigReader& api, ApiAccess& access) {
  TokenSource token;
  ReadTokenFile(
      api, "tokenFile", "token", token,
      "A file of bearer tokens that may do everything, one a line. It is read again when it changes.");
  if (!token.Empty()) access.tokens.push_back(std::move(token));
  ReadTokens(api, access.tokens);
  ReadServerTls(api, access.tls);
  api.Flag("withoutToken", access.without_token,
           Rare("`true`: it may listen elsewhere than on loopback without asking anybody for a token."));
  if (access.without_token && !access.tokens.empty())
    api.Refuse("withoutToken", "withoutToken: true, and tokens are named: take one of them away");
}

void ReadClientTls(ConfigReader& reader, std::string_view key, std::optional<TlsFiles>& files,
                   const KeyWords& words) {
  reader.Section(key, words, [&](ConfigReader& part) {
    TlsFiles read;
    part.RequiredText(
        "caFile", read.authority,
        Rare("PEM: the certificates that the servers' ones must come from; no others are trusted."));
    part.Text("certificateFile", read.certificate,
              Rare("PEM: the own certificate, for servers that ask for one (`clientCaFile`)."));
    part.Text("keyFile", read.key, Rare("PEM: its private key."));
    part.Text("serverName", read.server_name,
              Rare("The name that servers' certificates must be for. Without it: the host that is dialled."));
    if (read.certificate.empty() != read.key.empty()) {
      part.Refuse(read.key.empty() ? "certificateFile" : "keyFile",
                  "certificateFile and keyFile belong together: give both or none");
    } else if (!read.authority.empty()) {
      if (auto loaded = TlsIdentity::Load(TlsEnd::kClient, read); !loaded)
        part.RefuseWhole(std::string(key) + ": " + loaded.error().Message());
    }
    files = std::move(read);
  });
}

bool IsLoopback(std::string_view host) {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  return !error && address.is_loopback();
}

std::string WhyNotListen(std::string_view host, const ApiAccess& access) {
  if (IsLoopback(host) || !access.tokens.empty() || access.without_token) return "";
  if (access.tls && !access.tls->authority.empty()) return "";
  return "the API would listen on " + std::string(host) +
         " and obey whoever reaches it: name a token (tokenFile, tokens) or a clientCaFile in api.tls, "
         "listen on "
         "127.0.0.1, or say withoutToken: true";
}

Result<void> Guard(const ApiAccess& access, ServerOptions* options) {
  if (!access.tokens.empty()) {
    auto admission = MakeAdmission(access.tokens);
    if (!admission) return Fail(admission.error());
    options->admission = std::move(*admission);
  }
  if (access.tls) {
    auto tls = TlsIdentity::Load(TlsEnd::kServer, *access.tls);
    if (!tls) return Fail(tls.error());
    options->tls = std::move(*tls);
  }
  return {};
}

}  // namespace walstitch::http
