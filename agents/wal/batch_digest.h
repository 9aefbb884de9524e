// The digest of a batch's bytes (policies/model/batch.h), at once or piece by piece.
//
// Not thread-safe.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string_view>

#include "policies/model/batch.h"

namespace walstitch::wal {

class BatchDigester {
 public:
  BatchDigester();
  void Add(std::string_view bytes);
  // Of all that was added; nothing may be added after it.
  BatchDigest Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

BatchDigest DigestOf(std::string_view batch);

}  // namespace walstitch::wal
