#include "tests/support/bulk_load.h"

#include <algorithm>
#include <random>

namespace walstitch::test {
namespace {

// Few enough that neither side ever waits for the other with full socket buffers: answers are small.
constexpr size_t kPipelined = 64;

std::string RandomText(size_t bytes, std::mt19937_64& random) {
  static constexpr char kAlphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  std::string text(bytes, '\0');
  uint64_t bits = 0;
  for (size_t i = 0; i < bytes; ++i) {
    if (i % 10 == 0) bits = random();
    text[i] = kAlphabet[bits & 63];
    bits >>= 6;
  }
  return text;
}

}  // namespace

std::optional<std::string> Load(RedisClient& client, const BulkLoad& load) {
  std::mt19937_64 random(load.seed);
  for (size_t done = 0; done < load.keys;) {
    const size_t sent = std::min(kPipelined, load.keys - done);
    for (size_t i = 0; i < sent; ++i) {
      const std::string key = load.prefix + std::to_string(done + i);
      if (!client.Send({"SET", key, RandomText(load.value_bytes, random)})) return "cannot send to the node";
    }
    for (size_t i = 0; i < sent; ++i) {
      const Reply reply = client.ReadReply();
      if (!reply.IsOk()) return "SET was answered " + ToString(reply);
    }
    done += sent;
  }
  return std::nullopt;
}

}  // namespace walstitch::test
