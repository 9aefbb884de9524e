#include "encoding.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>

namespace walstitch::refnode {
namespace {

// A version is the time of creation in microseconds and an 11-bit counter that
// starts at a random place: a promoted replica whose clock is behind must not
// hand out a version twice.
uint64_t NextVersion() {
  static std::atomic<uint64_t> counter{std::random_device{}()};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  return (micros << 11) + (counter.fetch_add(1) % (1U << 11));
}

}  // namespace

std::string_view TypeName(ValueType type) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "none",   "string",    "hash",   "list",      "set",       "zset",
      "bitmap", "sortedint", "stream", "MBbloom--", "ReJSON-RL", "hyperloglog"};
  const auto index = static_cast<size_t>(type);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

void PutFixed32(std::string* out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

void PutFixed64(std::string* out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

bool TakeFixed32(std::string_view* input, uint32_t* value) {
  if (input->size() < 4) return false;
  *value = 0;
  for (int i = 0; i < 4; ++i) *value = (*value << 8) | static_cast<uint8_t>((*input)[i]);
  input->remove_prefix(4);
  return true;
}

bool TakeFixed64(std::string_view* input, uint64_t* value) {
  if (input->size() < 8) return false;
  *value = 0;
  for (int i = 0; i < 8; ++i) *value = (*value << 8) | static_cast<uint8_t>((*input)[i]);
  input->remove_prefix(8);
  return true;
}

std::string EncodeScore(double score) {
  uint64_t bits = 0;
  std::memcpy(&bits, &score, sizeof bits);
  constexpr uint64_t kSign = uint64_t{1} << 63;
  bits = (bits & kSign) != 0 ? ~bits : bits | kSign;
  std::string out;
  PutFixed64(&out, bits);
  return out;
}

double DecodeScore(std::string_view bytes) {
  uint64_t bits = 0;
  if (!TakeFixed64(&bytes, &bits)) return 0;
  constexpr uint64_t kSign = uint64_t{1} << 63;
  bits = (bits & kSign) != 0 ? bits & ~kSign : ~bits;
  double score = 0;
  std::memcpy(&score, &bits, sizeof score);
  return score;
}

std::string NamespacedKey(std::string_view ns, std::string_view user_key) {
  std::string out;
  out.reserve(1 + ns.size() + user_key.size());
  out.push_back(static_cast<char>(ns.size()));
  out.append(ns).append(user_key);
  return out;
}

bool SplitNamespacedKey(std::string_view key, std::string_view* ns, std::string_view* user_key) {
  if (key.empty()) return false;
  const size_t length = static_cast<uint8_t>(key[0]);
  if (key.size() < 1 + length) return false;
  *ns = key.substr(1, length);
  *user_key = key.substr(1 + length);
  return true;
}

std::string ElementKey(std::string_view namespaced_key, uint64_t version, std::string_view element) {
  std::string_view ns;
  std::string_view user_key;
  std::string out;
  if (!SplitNamespacedKey(namespaced_key, &ns, &user_key)) return out;
  out.reserve(namespaced_key.size() + 12 + element.size());
  out.append(namespaced_key.substr(0, 1 + ns.size()));
  PutFixed32(&out, static_cast<uint32_t>(user_key.size()));
  out.append(user_key);
  PutFixed64(&out, version);
  out.append(element);
  return out;
}

bool SplitElementKey(std::string_view element_key, std::string* namespaced_key, uint64_t* version) {
  if (element_key.empty()) return false;
  const size_t ns_end = 1 + static_cast<uint8_t>(element_key[0]);
  if (element_key.size() < ns_end + 4) return false;
  std::string_view rest = element_key.substr(ns_end);
  uint32_t key_length = 0;
  TakeFixed32(&rest, &key_length);
  if (rest.size() < size_t{key_length} + 8) return false;
  namespaced_key->assign(element_key.substr(0, ns_end));
  namespaced_key->append(rest.substr(0, key_length));
  rest.remove_prefix(key_length);
  return TakeFixed64(&rest, version);
}

std::string_view ElementOf(std::string_view element_key) {
  if (element_key.empty()) return {};
  const size_t ns_end = 1 + static_cast<uint8_t>(element_key[0]);
  if (element_key.size() < ns_end + 4) return {};
  std::string_view rest = element_key.substr(ns_end);
  uint32_t key_length = 0;
  TakeFixed32(&rest, &key_length);
  if (rest.size() < size_t{key_length} + 8) return {};
  return rest.substr(size_t{key_length} + 8);
}

std::string AfterPrefix(std::string prefix) {
  while (!prefix.empty()) {
    const auto last = static_cast<uint8_t>(prefix.back());
    if (last != 0xff) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

Metadata Metadata::Fresh(ValueType type) {
  Metadata metadata;
  metadata.flags = static_cast<uint8_t>(0x80 | static_cast<uint8_t>(type));
  if (!metadata.IsSingleValue()) metadata.version = NextVersion();
  if (type == ValueType::kList) metadata.head = metadata.tail = UINT64_MAX / 2;
  return metadata;
}

bool Metadata::IsSingleValue() const { return Type() == ValueType::kString || Type() == ValueType::kJson; }

bool Metadata::MayBeEmpty() const {
  return IsSingleValue() || Type() == ValueType::kStream || Type() == ValueType::kBloomFilter ||
         Type() == ValueType::kHyperLogLog;
}

bool Metadata::Expired(uint64_t now_ms) const {
  if (!MayBeEmpty() && size == 0) return true;
  return expire_ms != 0 && expire_ms < now_ms;
}

int64_t Metadata::TtlMs(uint64_t now_ms) const {
  if (expire_ms == 0) return -1;
  if (expire_ms < now_ms) return -2;
  return static_cast<int64_t>(expire_ms - now_ms);
}

std::string Metadata::Encode() const {
  std::string out(1, static_cast<char>(flags));
  const auto put_common = [&](uint64_t value) {
    if (Is64Bit()) {
      PutFixed64(&out, value);
    } else {
      PutFixed32(&out, static_cast<uint32_t>(value));
    }
  };
  put_common(Is64Bit() || expire_ms == 0 ? expire_ms : (expire_ms < 1000 ? 1 : (expire_ms + 499) / 1000));
  if (IsSingleValue()) return out;
  PutFixed64(&out, version);
  put_common(size);
  if (Type() == ValueType::kList) {
    PutFixed64(&out, head);
    PutFixed64(&out, tail);
  }
  return out;
}

bool Metadata::Decode(std::string_view bytes, size_t* consumed) {
  const std::string_view whole = bytes;
  if (bytes.empty()) return false;
  flags = static_cast<uint8_t>(bytes[0]);
  bytes.remove_prefix(1);
  const auto take_common = [&](uint64_t* value) {
    if (Is64Bit()) return TakeFixed64(&bytes, value);
    uint32_t narrow = 0;
    if (!TakeFixed32(&bytes, &narrow)) return false;
    *value = narrow;
    return true;
  };
  if (!take_common(&expire_ms)) return false;
  if (!Is64Bit()) expire_ms *= 1000;
  if (!IsSingleValue()) {
    if (!TakeFixed64(&bytes, &version) || !take_common(&size)) return false;
    if (Type() == ValueType::kList && (!TakeFixed64(&bytes, &head) || !TakeFixed64(&bytes, &tail))) {
      return false;
    }
  }
  if (consumed != nullptr) *consumed = whole.size() - bytes.size();
  return true;
}

uint64_t NowMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

}  // namespace walstitch::refnode
