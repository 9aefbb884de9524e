#include "policies/model/types.h"

namespace walstitch {
namespace {

constexpr std::string_view kNames[] = {"string",    "hash",      "list",        "set",
                                       "zset",      "bitmap",    "sortedint",   "stream",
                                       "MBbloom--", "ReJSON-RL", "hyperloglog", "TDIS-TYPE"};

struct EverydayName {
  std::string_view name;
  std::string_view type;
};
constexpr EverydayName kEverydayNames[] = {
    {"bloom", "MBbloom--"}, {"json", "ReJSON-RL"}, {"tdigest", "TDIS-TYPE"}};

}  // namespace

std::span<const std::string_view> KvrocksTypeNames() { return kNames; }

std::optional<std::string_view> CanonicalTypeName(std::string_view name) {
  for (std::string_view known : kNames) {
    if (known == name) return known;
  }
  for (const auto& everyday : kEverydayNames) {
    if (everyday.name == name) return everyday.type;
  }
  return std::nullopt;
}

}  // namespace walstitch
