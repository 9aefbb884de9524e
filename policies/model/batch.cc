#include "policies/model/batch.h"

#include "policies/model/result.h"

namespace walstitch {

SequenceRange PartOf(SequenceRange range, std::uint32_t parts, std::uint32_t i) {
  WALSTITCH_CHECK(parts > 0 && i < parts);
  const std::uint64_t size = range.Size();
  const std::uint64_t each = size / parts;
  const std::uint64_t longer = size % parts;  // so many parts, the first ones, are one longer
  const auto start = [&](std::uint64_t part) {
    return range.from + part * each + (part < longer ? part : longer);
  };
  return {start(i), start(std::uint64_t{i} + 1)};
}

}  // namespace walstitch
