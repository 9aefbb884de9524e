#include "agents/http/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "agents/http/file_stamp.h"
#include "policies/config_reader.h"

namespace walstitch::http {

namespace {

constexpr std::size_t kMaxTokens = 64;        // of one file
constexpr std::size_t kMaxTokenBytes = 8192;  // a header holds 16 KiB

using Hash = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Of one length, whatever the token's: comparing two tells nothing of either.
Hash HashOf(std::string_view token) {
  Hash hash{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash.data());
  return hash;
}

Result<std::vector<std::string>> ReadTokens(const std::string& path) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  auto tokens = ParseTokens(*content);
  OPENSSL_cleanse(content->data(), content->size());
  if (!tokens) return Fail(tokens.error(), path);
  return tokens;
}

}  // namespace

Result<std::vector<std::string>> ParseTokens(std::string_view content) {
  std::vector<std::string> tokens;
  for (std::size_t line = 1; !content.empty(); ++line) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    std::string_view token = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    while (!token.empty() && (token.back() == '\r' || token.back() == ' ' || token.back() == '\t'))
      token.remove_suffix(1);
    if (token.empty()) continue;
    const bool sendable = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!sendable || token.size() > kMaxTokenBytes) {
      return Fail(ErrorCode::kInvalid,
                  "line " + std::to_string(line) +
                      " is no token: expected visible ASCII characters without spaces, at "
                      "most " +
                      std::to_string(kMaxTokenBytes));
    }
    if (tokens.size() == kMaxTokens)
      return Fail(ErrorCode::kInvalid, "it has more than " + std::to_string(kMaxTokens) + " tokens");
    tokens.emplace_back(token);
  }
  if (tokens.empty()) return Fail(ErrorCode::kInvalid, "there is no token in it: it is empty");
  return tokens;
}

class TokenFile::Impl {
 public:
  Impl(std::string path, FileWatch* watch) : path_(std::move(path)), watch_(watch) {}

  Result<void> Read() {
    auto tokens = ReadTokens(path_);
    if (!tokens) return Fail(tokens.error());
    tokens_ = std::move(*tokens);
    return {};
  }

  std::vector<std::string> Tokens(bool now) {
    const std::lock_guard lock(mutex_);
    if (watch_->Changed(now)) {
      const std::string was_wrong = std::exchange(wrong_, "");
      const std::vector<std::string> before = tokens_;
      if (auto read = Read(); !read) {
        // It may have been for want of file descriptors, and the file is good.
        watch_->TryAgain();
        wrong_ = read.error().Message();
        if (wrong_ != was_wrong)
          spdlog::error("A changed token file is not taken, and the tokens it held stay in force: {}.",
                        wrong_);
      } else if (tokens_ != before || !was_wrong.empty()) {
        spdlog::info("The tokens of {} are in force: {}.", path_, tokens_.size());
      }
    }
    return tokens_;
  }

 private:
  std::string path_;
  std::unique_ptr<FileWatch> watch_;
  std::mutex mutex_;
  std::vector<std::string> tokens_;
  std::string wrong_;  // why the file is not taken; empty: it is
};

TokenFile::TokenFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenFile::~TokenFile() = default;

Result<std::shared_ptr<TokenFile>> TokenFile::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>(path, new FileWatch({path}));
  if (auto read = impl->Read(); !read) return Fail(read.error());
  return std::shared_ptr<TokenFile>(new TokenFile(std::move(impl)));
}

std::vector<std::string> TokenFile::Tokens(bool now) { return impl_->Tokens(now); }

namespace {

// The tokens of one source, as hashes.
class Keeper {
 public:
  static Result<std::shared_ptr<Keeper>> Make(const TokenSource& source) {
    auto keeper = std::make_shared<Keeper>();
    keeper->caller_ = {source.name, source.role};
    if (source.file.empty()) {
      keeper->hashes_ = {HashOf(source.text)};
      return keeper;
    }
    auto file = TokenFile::Open(source.file);
    if (!file) return Fail(file.error());
    keeper->file_ = std::move(*file);
    return keeper;
  }

  [[nodiscard]] const Caller& Whose() const { return caller_; }

  // Every one is compared, whether one was found or not.
  bool Holds(const Hash& hash) {
    int same = 0;
    if (file_) {
      for (const std::string& token : file_->Tokens()) {
        const Hash known = HashOf(token);
        same |= static_cast<int>(CRYPTO_memcmp(known.data(), hash.data(), hash.size()) == 0);
      }
    }
    for (const Hash& known : hashes_)
      same |= static_cast<int>(CRYPTO_memcmp(known.data(), hash.data(), hash.size()) == 0);
    return same != 0;
  }

 private:
  Caller caller_;
  std::vector<Hash> hashes_;
  std::shared_ptr<TokenFile> file_;
};

}  // namespace

Result<Admission> MakeAdmission(const std::vector<TokenSource>& sources) {
  std::vector<std::shared_ptr<Keeper>> keepers;
  for (const TokenSource& source : sources) {
    auto keeper = Keeper::Make(source);
    if (!keeper) return Fail(keeper.error());
    keepers.push_back(std::move(*keeper));
  }
  return Admission([keepers = std::move(keepers)](std::string_view token) -> std::optional<Caller> {
    const Hash hash = HashOf(token);
    std::optional<Caller> whose;
    for (const auto& keeper : keepers) {
      if (keeper->Holds(hash) && !whose) whose = keeper->Whose();
    }
    if (token.empty()) return std::nullopt;
    return whose;
  });
}

}  // namespace walstitch::http
