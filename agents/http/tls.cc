#include "agents/http/tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <ctime>
#include <mutex>
#include <utility>
#include <vector>

#include "agents/http/file_stamp.h"
#include "policies/config_reader.h"

namespace walstitch::http {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

// The last week of a certificate is one to warn in; of one that lives shorter, its last fifth.
constexpr std::int64_t kWarnSeconds = 7 * 24 * 3600;
constexpr std::int64_t kWarnPart = 5;
constexpr std::chrono::hours kWarnAgain{24};

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bytes) const { BIO_free(bytes); }
};
template <typename T>
using Held = std::unique_ptr<T, Free>;

// What OpenSSL would ask a terminal for.
int NoPassphrase(char*, int, int, void*) { return -1; }

Error Wrong(const std::string& path, const std::string& what) {
  ERR_clear_error();
  return {ErrorCode::kInvalid, path + ": " + what};
}

Result<std::vector<Held<X509>>> ReadCertificates(const std::string& path) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  const Held<BIO> bytes(BIO_new_mem_buf(content->data(), static_cast<int>(content->size())));
  std::vector<Held<X509>> certificates;
  while (X509* certificate = PEM_read_bio_X509(bytes.get(), nullptr, NoPassphrase, nullptr))
    certificates.emplace_back(certificate);
  // The end of the text is no error.
  const unsigned long error = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (certificates.empty()) {
    return Fail(
        Wrong(path, "there is no certificate in it: expected PEM, one or more blocks BEGIN CERTIFICATE"));
  }
  if (!ended)
    return Fail(
        Wrong(path, "certificate " + std::to_string(certificates.size() + 1) + " in it is not whole"));
  ERR_clear_error();
  return certificates;
}

Result<Held<EVP_PKEY>> ReadKey(const std::string& path) {
  auto content = ReadConfigFile(path);
  if (!content) return Fail(content.error());
  const Held<BIO> bytes(BIO_new_mem_buf(content->data(), static_cast<int>(content->size())));
  Held<EVP_PKEY> key(PEM_read_bio_PrivateKey(bytes.get(), nullptr, NoPassphrase, nullptr));
  OPENSSL_cleanse(content->data(), content->size());
  if (!key) {
    return Fail(Wrong(path,
                      "there is no private key in it that can be read: expected PEM, a block BEGIN PRIVATE "
                      "KEY without a passphrase"));
  }
  return key;
}

std::optional<std::int64_t> UnixTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return static_cast<std::int64_t>(timegm(&parts));
}

struct Made {
  std::shared_ptr<asio::ssl::context> context;
  std::optional<std::int64_t> begins;   // seconds since 1970
  std::optional<std::int64_t> expires;  // the same
  std::int64_t warn_seconds = 0;        // before that
};

Result<Made> Make(TlsEnd end, const TlsFiles& files) {
  Made made;
  made.context = std::make_shared<asio::ssl::context>(
      end == TlsEnd::kServer ? asio::ssl::context::tls_server : asio::ssl::context::tls_client);
  SSL_CTX* context = made.context->native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // A session that is taken up again is not checked again, and could outlive its certificate.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // idle connections are to be small
  if (!files.certificate.empty() || !files.key.empty() || end == TlsEnd::kServer) {
    auto certificates = ReadCertificates(files.certificate);
    if (!certificates) return Fail(certificates.error());
    auto key = ReadKey(files.key);
    if (!key) return Fail(key.error());
    X509* own = certificates->front().get();
    if (SSL_CTX_use_certificate(context, own) != 1)
      return Fail(Wrong(files.certificate, "its certificate is refused by OpenSSL: is its key too short?"));
    for (std::size_t i = 1; i < certificates->size(); ++i)
      SSL_CTX_add1_chain_cert(context, (*certificates)[i].get());
    if (SSL_CTX_use_PrivateKey(context, key->get()) != 1 || SSL_CTX_check_private_key(context) != 1)
      return Fail(Wrong(files.key, "the key does not belong to the certificate in " + files.certificate));
    made.expires = UnixTime(X509_get0_notAfter(own));
    made.begins = UnixTime(X509_get0_notBefore(own));
    if (made.expires && made.begins)
      made.warn_seconds = std::min(kWarnSeconds, (*made.expires - *made.begins) / kWarnPart);
  }
  if (!files.authority.empty()) {
    auto certificates = ReadCertificates(files.authority);
    if (!certificates) return Fail(certificates.error());
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    for (const auto& certificate : *certificates) {
      X509_STORE_add_cert(store, certificate.get());
      if (end == TlsEnd::kServer) SSL_CTX_add_client_CA(context, certificate.get());
    }
    // What the operator named is trusted, whether it is at the root of its chain or not.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  } else if (end == TlsEnd::kClient) {
    SSL_CTX_set_default_verify_paths(context);
  }
  // A client that shows none gets to the paths that are open to all, and no further: http_server.cc.
  const bool verifies = end == TlsEnd::kClient || !files.authority.empty();
  SSL_CTX_set_verify(context, verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  ERR_clear_error();
  return made;
}

std::int64_t SecondsUntil(std::int64_t unix_time) {
  return unix_time - static_cast<std::int64_t>(std::time(nullptr));
}

}  // namespace

class TlsIdentity::Impl {
 public:
  Impl(TlsEnd end, TlsFiles files)
      : end_(end), files_(std::move(files)), watch_({files_.certificate, files_.key, files_.authority}) {}

  Result<void> Read() {
    auto made = Make(end_, files_);
    if (!made) return Fail(made.error());
    made_ = std::move(*made);
    return {};
  }

  void Look() {
    if (watch_.Changed()) {
      auto made = Make(end_, files_);
      const auto left = [](const Made& what) { return what.expires ? SecondsUntil(*what.expires) : 1; };
      const std::lock_guard lock(mutex_);
      if (made && left(*made) <= 0 && left(made_) > 0)
        made = Fail(ErrorCode::kInvalid, files_.certificate + ": the certificate has expired");
      if (made && made->begins && SecondsUntil(*made->begins) > 0 && left(made_) > 0) {
        made = Fail(ErrorCode::kInvalid,
                    files_.certificate + ": the certificate is not valid yet: it is taken when it is");
      }
      if (!made) {
        // Its time may come, or file descriptors may be there again.
        watch_.TryAgain();
        const std::string before = std::exchange(problem_, made.error().Message());
        if (problem_ != before)
          spdlog::error("Changed TLS files are not taken, and what is in force stays: {}.", problem_);
      } else {
        made_ = std::move(*made);
        problem_.clear();
        warned_.reset();
        spdlog::info(
            "Changed TLS files are in force for new connections: {}{}.",
            files_.certificate.empty() ? files_.authority : files_.certificate,
            made_.expires ? ", good for " + std::to_string(left(made_) / 3600) + " hours" : std::string());
      }
    }
    const std::lock_guard lock(mutex_);
    if (!made_.expires || SecondsUntil(*made_.expires) > made_.warn_seconds) return;
    const auto now = steady_clock::now();
    if (warned_ && now - *warned_ < kWarnAgain) return;
    warned_ = now;
    const std::int64_t left = SecondsUntil(*made_.expires);
    if (left <= 0) {
      spdlog::error("The certificate in {} has expired: the other ends of TLS connections refuse it.",
                    files_.certificate);
    } else {
      spdlog::warn("The certificate in {} expires in {} hours: put a new one, with its key, in its place.",
                   files_.certificate, left / 3600);
    }
  }

  TlsEnd end_;
  TlsFiles files_;
  FileWatch watch_;
  mutable std::mutex mutex_;
  Made made_;
  std::string problem_;
  std::optional<steady_clock::time_point> warned_;
};

TlsIdentity::TlsIdentity(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsIdentity::~TlsIdentity() = default;

Result<std::shared_ptr<TlsIdentity>> TlsIdentity::Load(TlsEnd end, TlsFiles files) {
  auto impl = std::make_unique<Impl>(end, std::move(files));
  if (auto read = impl->Read(); !read) return Fail(read.error());
  return std::shared_ptr<TlsIdentity>(new TlsIdentity(std::move(impl)));
}

void TlsIdentity::Look() { impl_->Look(); }

std::shared_ptr<asio::ssl::context> TlsIdentity::Context() {
  impl_->Look();
  const std::lock_guard lock(impl_->mutex_);
  return impl_->made_.context;
}

std::optional<std::int64_t> TlsIdentity::SecondsLeft() const {
  const std::lock_guard lock(impl_->mutex_);
  if (!impl_->made_.expires) return std::nullopt;
  return SecondsUntil(*impl_->made_.expires);
}

std::string TlsIdentity::Problem() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->problem_;
}

const TlsFiles& TlsIdentity::Files() const { return impl_->files_; }

}  // namespace walstitch::http
