// Fills a node with data that nothing can compress, fast: pipelined SETs of large values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/redis_client.h"

namespace walstitch::test {

struct BulkLoad {
  std::string prefix;  // keys are the prefix and a number from 0 on
  size_t keys = 0;
  size_t value_bytes = 64 << 10;  // letters, digits, - and _: six random bits in each byte
  uint64_t seed = 1;              // the same seed, the same values
};

// The text of the error, if any.
std::optional<std::string> Load(RedisClient& client, const BulkLoad& load);

}  // namespace walstitch::test
