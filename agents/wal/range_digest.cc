#include "agents/wal/range_digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <algorithm>
#include <string>
#include <utility>

#include "agents/wal/marker.h"

namespace walstitch::wal {
namespace {

// Poly1305 of one text after the other under one key. OpenSSL's failures are none of the input's: there is
// nothing to go on with then.
class Poly1305 {
 public:
  explicit Poly1305(const DigestKey& key) : key_(key) {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
    WALSTITCH_CHECK(mac != nullptr);
    context_ = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    WALSTITCH_CHECK(context_ != nullptr);
    staged_.reserve(kStage);
  }
  ~Poly1305() { EVP_MAC_CTX_free(context_); }
  Poly1305(const Poly1305&) = delete;
  Poly1305& operator=(const Poly1305&) = delete;

  void Start() {
    WALSTITCH_CHECK(EVP_MAC_init(context_, key_.bytes.data(), key_.bytes.size(), nullptr) == 1);
  }

  // A call of OpenSSL is dear against a batch of a hundred bytes: small ones are collected.
  void Add(std::string_view bytes) {
    if (bytes.size() > kStage - staged_.size()) Flush();
    if (bytes.size() >= kStage) {
      Update(bytes);
    } else {
      staged_.append(bytes);
    }
  }

  std::array<std::uint8_t, 16> Finish() {
    Flush();
    std::array<std::uint8_t, 16> digest{};
    std::size_t length = 0;
    WALSTITCH_CHECK(EVP_MAC_final(context_, digest.data(), &length, digest.size()) == 1);
    WALSTITCH_CHECK(length == digest.size());
    return digest;
  }

 private:
  static constexpr std::size_t kStage = std::size_t{64} << 10;

  void Update(std::string_view bytes) {
    const void* data = bytes.data();
    WALSTITCH_CHECK(EVP_MAC_update(context_, static_cast<const unsigned char*>(data), bytes.size()) == 1);
  }
  void Flush() {
    if (!staged_.empty()) Update(staged_);
    staged_.clear();
  }

  DigestKey key_;
  EVP_MAC_CTX* context_ = nullptr;
  std::string staged_;
};

}  // namespace

Result<std::uint64_t> MaxBytesFor(WalSource& source) {
  Result<WalExtent> extent = source.Extent();
  if (!extent) return Fail(extent.error());
  return extent->source == "pollupdates" ? kMaxPolledBytes : kMaxReadBytes;
}

Result<RangeDigests> DigestRange(WalSource& source, SequenceRange range, std::uint32_t parts,
                                 const DigestKey& key, std::uint64_t max_bytes) {
  WALSTITCH_CHECK(parts >= 1 && parts <= kMaxDigestParts);
  RangeDigests answer;
  answer.parts.reserve(parts);
  Poly1305 poly(key);
  PartDigest part;  // the one under way
  Sequence part_end = PartOf(range, parts, 0).to;
  std::uint64_t bytes = 0;
  bool enough = false;
  const auto close = [&] {
    if (part.batches > 0) part.digest = poly.Finish();
    answer.parts.push_back(part);
    part = {};
    const auto next = static_cast<std::uint32_t>(answer.parts.size());
    if (next < parts) part_end = PartOf(range, parts, next).to;
  };
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    if (batch.count == 0 || batch.first < range.from) return true;
    if (batch.first >= range.to) return false;
    while (batch.first >= part_end) close();
    if (bytes >= max_bytes && part.batches == 0 && !answer.parts.empty()) {
      enough = true;
      return false;
    }
    if (part.batches == 0) {
      part.first = batch.first;
      poly.Start();
    }
    ++part.batches;
    part.end = batch.End();
    poly.Add(batch.bytes);
    bytes += batch.bytes.size();
    return true;
  });
  if (!read) return Fail(read.error());
  while (!enough && answer.parts.size() < parts) close();
  return answer;
}

Result<MarkedBatches> ListMarked(WalSource& source, SequenceRange range, std::size_t max_batches,
                                 std::uint64_t max_bytes) {
  WALSTITCH_CHECK(max_batches > 0);
  MarkedBatches answer;
  answer.looked_to = range.from;
  std::uint64_t bytes = 0;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    if (MayHoldMarker(batch.bytes)) {
      BatchInfo info = Describe(batch);
      if (!info.marker.empty()) answer.batches.push_back(std::move(info));
    }
    answer.looked_to = std::min(batch.End(), range.to);
    bytes += batch.bytes.size();
    return answer.batches.size() < max_batches && bytes < max_bytes;
  });
  if (!read) return Fail(read.error());
  return answer;
}

Result<std::string> BatchBytes(WalSource& source, SequenceRange range, std::size_t max_bytes) {
  std::string bytes;
  Result<void> read = source.ForEachBatch(range, [&](const BatchView& batch) {
    if (batch.count > 0) bytes += batch.bytes.substr(0, max_bytes - bytes.size());
    return bytes.size() < max_bytes;
  });
  if (!read) return Fail(read.error());
  return bytes;
}

}  // namespace walstitch::wal
