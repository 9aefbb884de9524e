#include "tests/support/kubernetes/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>

namespace walstitch::test {
namespace {

void Must(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string("certificates: ") + what);
}

template <typename Write>
std::string Pem(Write write) {
  BIO* memory = BIO_new(BIO_s_mem());
  Must(write(memory) == 1, "cannot write PEM");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory, &bytes);
  std::string text(bytes, static_cast<std::size_t>(size));
  BIO_free(memory);
  return text;
}

std::string KeyPem(EVP_PKEY* key) {
  return Pem(
      [&](BIO* out) { return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

std::string CertificatePem(X509* certificate) {
  return Pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

EVP_PKEY* MakeKey() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  Must(key != nullptr, "cannot make a key");
  return key;
}

void AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  Must(extension != nullptr, "cannot make an extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509* MakeCertificate(const std::string& common_name, EVP_PKEY* key, int days, long begins_s = -3600) {
  static std::atomic<long> serial{1};
  X509* certificate = X509_new();
  Must(certificate != nullptr, "cannot make a certificate");
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  constexpr long kDay = 24L * 60 * 60;
  X509_gmtime_adj(X509_getm_notBefore(certificate), days < 0 ? -3 * kDay : begins_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * kDay);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct CertificateAuthority::Keys {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
};

CertificateAuthority::CertificateAuthority(const std::string& name) : keys_(new Keys) {
  keys_->key = MakeKey();
  keys_->certificate = MakeCertificate(name, keys_->key, 1);
  X509* certificate = keys_->certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
  AddExtension(certificate, certificate, NID_subject_key_identifier, "hash");
  Must(X509_sign(certificate, keys_->key, EVP_sha256()) != 0, "cannot sign");
  pem_ = CertificatePem(certificate);
}

CertificateAuthority::~CertificateAuthority() {
  X509_free(keys_->certificate);
  EVP_PKEY_free(keys_->key);
  delete keys_;
}

Certificate CertificateAuthority::Issue(const std::string& common_name, const std::vector<std::string>& names,
                                        int days, long begins_s) const {
  EVP_PKEY* key = MakeKey();
  X509* certificate = MakeCertificate(common_name, key, days, begins_s);
  X509_set_issuer_name(certificate, X509_get_subject_name(keys_->certificate));
  AddExtension(certificate, keys_->certificate, NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(certificate, keys_->certificate, NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(certificate, keys_->certificate, NID_authority_key_identifier, "keyid");
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ",") + name;
  if (!all.empty()) AddExtension(certificate, keys_->certificate, NID_subject_alt_name, all);
  Must(X509_sign(certificate, keys_->key, EVP_sha256()) != 0, "cannot sign");
  Certificate issued{KeyPem(key), CertificatePem(certificate)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return issued;
}

std::string MakeRsaKeyPem() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048});
  Must(key != nullptr, "cannot make an RSA key");
  std::string pem = KeyPem(key);
  EVP_PKEY_free(key);
  return pem;
}

std::vector<std::string> LoopbackNames() { return {"IP:127.0.0.1", "IP:::1", "DNS:localhost"}; }

void WritePrivateFile(const std::string& path, const std::string& content) {
  const std::string fresh = path + ".new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) throw std::runtime_error("cannot write " + fresh);
  const auto written = ::write(file, content.data(), content.size());
  ::close(file);
  if (written != static_cast<ssize_t>(content.size()) || std::rename(fresh.c_str(), path.c_str()) != 0)
    throw std::runtime_error("cannot write " + path);
}

}  // namespace walstitch::test
