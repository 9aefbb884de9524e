#include "agents/http/access_config.h"

#include <spdlog/spdlog.h>

#include <boost/asio/ip/address.hpp>
#include <set>
#include <utility>

namespace walstitch::http {

namespace {

constexpr std::size_t kMaxName = 64;

bool IsName(std::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  for (char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
    if (!good) return false;
  }
  return true;
}

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

void ReadToken(ConfigReader& reader, std::string_view key, std::string_view file_key, TokenSource& token,
               const KeyWords& words) {
  KeyWords in_clear = words;
  in_clear.rare = true;
  reader.Text(key, token.text, in_clear);
  const std::string in_file =
      "The file that holds `" + std::string(key) + "`, instead of it: one or several, one a line.";
  KeyWords file_words(in_file.c_str());
  file_words.rare = words.rare;
  reader.Text(file_key, token.file, file_words);
  if (!token.text.empty() && !token.file.empty())
    return reader.Refuse(file_key,
                         "give " + std::string(key) + " or " + std::string(file_key) + ", not both");
  if (!token.text.empty()) {
    const auto tokens = ParseTokens(token.text);
    if (!tokens || tokens->size() != 1 || tokens->front() != token.text)
      reader.Refuse(key, std::string(key) + ": expected visible ASCII characters without spaces");
  }
  CheckFile(reader, file_key, token.file);
}

void ReadApiAccess(ConfigReader& api, ApiAccess& access) {
  TokenSource token;
  ReadToken(
      api, "token", "tokenFile", token,
      "A bearer token that may do everything, in this very file: better in one of its own, `tokenFile`.");
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
  for (const TokenSource& token : access.tokens) {
    if (token.text.empty()) continue;
    spdlog::warn(
        "api.token stands in the configuration itself: name a file in api.tokenFile, so that whoever reads "
        "the one "
        "need not know the other, and it can be exchanged without a restart.");
  }
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
