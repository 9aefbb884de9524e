// What it costs when two nodes part: the records and keys that could differ after a partial sync, in
// numbers and in words for people. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policies/model/evidence.h"

namespace walstitch::core {

struct Divergence {
  std::uint64_t tail_records = 0;
  std::uint64_t missed_records = 0;
  std::uint64_t keys = 0;           // different user keys that tail or missed touch
  std::uint64_t range_deletes = 0;  // what they cover is not among the keys
  bool truncated = false;           // more keys than were listed
};

// Of what the evidence has; absent tail or missed count as nothing, the caller has refused them before.
Divergence DivergenceOf(const Evidence& evidence);

// "3 records on 2 keys", "5 records on at least 1000 keys and on all that 1 range delete covers",
// "4 records on no key".
std::string Describe(const Divergence& divergence);

// "1 record", "2 records"
std::string Count(std::uint64_t count, std::string_view noun);

}  // namespace walstitch::core
