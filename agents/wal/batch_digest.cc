#include "agents/wal/batch_digest.h"

#include <algorithm>
#include <array>

#include "policies/model/result.h"

namespace walstitch::wal {

// OpenSSL fails here only if it cannot give SHA-256 at all: there is nothing to go on with then.
BatchDigester::BatchDigester() : context_(EVP_MD_CTX_new()) {
  WALSTITCH_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void BatchDigester::Add(std::string_view bytes) {
  WALSTITCH_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

BatchDigest BatchDigester::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> whole{};
  unsigned int length = 0;
  BatchDigest digest;
  WALSTITCH_CHECK(EVP_DigestFinal_ex(context_.get(), whole.data(), &length) == 1 &&
                  length >= digest.bytes.size());
  std::copy_n(whole.begin(), digest.bytes.size(), digest.bytes.begin());
  return digest;
}

BatchDigest DigestOf(std::string_view batch) {
  BatchDigester digester;
  digester.Add(batch);
  return digester.Finish();
}

}  // namespace walstitch::wal
