#include "controller/core/cost.h"

#include <set>
#include <utility>

namespace walstitch::core {

Divergence DivergenceOf(const Evidence& evidence) {
  Divergence divergence;
  std::set<std::pair<std::string_view, std::string_view>> keys;
  const auto add = [&](const Touched& touched) {
    divergence.range_deletes += touched.range_deletes;
    divergence.truncated |= touched.truncated;
    for (const auto& key : touched.keys) {
      if (key.internal.empty()) keys.emplace(key.name_space, key.key);
    }
  };
  if (evidence.tail) {
    divergence.tail_records = evidence.tail->records;
    add(*evidence.tail);
  }
  if (evidence.missed) {
    divergence.missed_records = evidence.missed->records;
    add(*evidence.missed);
  }
  divergence.keys = keys.size();
  return divergence;
}

std::string Count(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string Describe(const Divergence& divergence) {
  std::string text = Count(divergence.tail_records + divergence.missed_records, "record") + " on ";
  if (divergence.truncated) text += "at least ";
  text += divergence.keys == 0 && !divergence.truncated ? "no key" : Count(divergence.keys, "key");
  if (divergence.range_deletes > 0) {
    text += " and on all that " + Count(divergence.range_deletes, "range delete") +
            (divergence.range_deletes == 1 ? " covers" : " cover");
  }
  return text;
}

}  // namespace walstitch::core
