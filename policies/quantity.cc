#include "policies/quantity.h"

#include <charconv>
#include <limits>
#include <span>
#include <system_error>
#include <utility>

namespace walstitch {
namespace {

using Unit = std::pair<std::string_view, std::uint64_t>;

constexpr Unit kByteUnits[] = {{"", 1},
                               {"k", 1000},
                               {"M", 1000'000},
                               {"G", 1000'000'000},
                               {"T", 1000'000'000'000},
                               {"Ki", 1ULL << 10},
                               {"Mi", 1ULL << 20},
                               {"Gi", 1ULL << 30},
                               {"Ti", 1ULL << 40}};
constexpr Unit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};

tl::unexpected<QuantityProblem> Malformed() { return tl::unexpected(QuantityProblem::kMalformed); }
tl::unexpected<QuantityProblem> TooLarge() { return tl::unexpected(QuantityProblem::kTooLarge); }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The digits that the text begins with; what follows them is left in it.
Quantity<std::uint64_t> TakeDigits(std::string_view& text) {
  std::uint64_t value = 0;
  if (text.empty() || !IsDigit(text[0])) return Malformed();
  // 010 is eight to some and ten to others.
  if (text.size() > 1 && text[0] == '0' && IsDigit(text[1])) return Malformed();
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure == std::errc::result_out_of_range) return TooLarge();
  if (failure != std::errc()) return Malformed();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

Quantity<std::uint64_t> WithUnit(std::string_view text, std::span<const Unit> units, std::uint64_t largest) {
  auto number = TakeDigits(text);
  if (!number) return number;
  for (const auto& [name, factor] : units) {
    if (text != name) continue;
    if (*number > largest / factor) return TooLarge();
    return *number * factor;
  }
  return Malformed();
}

}  // namespace

Quantity<std::uint64_t> WholeFromText(std::string_view text) {
  auto number = TakeDigits(text);
  if (!number) return number;
  if (!text.empty()) return Malformed();
  return number;
}

Quantity<std::uint64_t> ByteCountFromText(std::string_view text) {
  return WithUnit(text, kByteUnits, std::numeric_limits<std::uint64_t>::max());
}

Quantity<std::int64_t> MillisecondsFromText(std::string_view text) {
  auto milliseconds = WithUnit(text, kTimeUnits, std::numeric_limits<std::int64_t>::max());
  if (!milliseconds) return tl::unexpected(milliseconds.error());
  return static_cast<std::int64_t>(*milliseconds);
}

Quantity<std::int64_t> PermilleFromText(std::string_view text) {
  if (text.empty() || text.back() != '%') return Malformed();
  text.remove_suffix(1);
  const auto percent = TakeDigits(text);
  if (!percent) return tl::unexpected(percent.error());
  std::int64_t tenths = 0;
  if (!text.empty()) {
    if (text.size() != 2 || text[0] != '.' || !IsDigit(text[1])) return Malformed();
    tenths = text[1] - '0';
  }
  if (*percent > 100 || (*percent == 100 && tenths > 0)) return TooLarge();
  return static_cast<std::int64_t>(*percent) * 10 + tenths;
}

std::string ByteCountText(std::uint64_t bytes) {
  constexpr Unit kUnits[] = {{"Ti", 1ULL << 40}, {"Gi", 1ULL << 30}, {"Mi", 1ULL << 20}, {"Ki", 1ULL << 10}};
  for (const auto& [name, factor] : kUnits) {
    if (bytes != 0 && bytes % factor == 0) return std::to_string(bytes / factor) + std::string(name);
  }
  return std::to_string(bytes);
}

std::string PercentText(std::int64_t permille) {
  const std::string tenths = permille % 10 == 0 ? "" : "." + std::to_string(permille % 10);
  return std::to_string(permille / 10) + tenths + "%";
}

std::string DurationText(std::int64_t ms) {
  if (ms == 0) return "0s";
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0) return std::to_string(ms / 60'000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace walstitch
