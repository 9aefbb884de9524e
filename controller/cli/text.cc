#include "controller/cli/text.h"

#include <charconv>
#include <cstdio>
#include <optional>

#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::cli {
namespace {

// The length of the well-formed UTF-8 sequence at the beginning of `text`, 0 if there is none.
std::size_t Utf8Length(std::string_view text) {
  auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  auto continues = [&](std::size_t from, std::size_t to) {
    if (text.size() < to) return false;
    for (std::size_t i = from; i < to; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  if (text.empty()) return 0;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1, 2) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!continues(1, 3)) return 0;
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;
    if (lead == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!continues(1, 4)) return 0;
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

std::string FormatTime(std::int64_t unix_ms) {
  constexpr std::int64_t kYear10000 = 253402300800000;
  if (unix_ms < 0 || unix_ms >= kYear10000) return std::to_string(unix_ms) + " ms";
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(unix_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::int64_t ms = (time - day).count();
  char text[64];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02u %02d:%02d:%02d.%03d UTC", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(ms / 3600000), static_cast<int>(ms / 60000 % 60),
                static_cast<int>(ms / 1000 % 60), static_cast<int>(ms % 1000));
  return text;
}

std::string FormatDuration(std::int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  char text[64];
  if (ms < 60000) {
    // Cut, not rounded: 59.96 s must not become "60.0 s".
    std::snprintf(text, sizeof(text), "%lld.%lld s", static_cast<long long>(ms / 1000),
                  static_cast<long long>(ms % 1000 / 100));
    return text;
  }
  // The larger unit, and the smaller one where it is not 0.
  struct Units {
    long long size;
    const char* name;
    long long part_size;
    const char* part_name;
  };
  constexpr Units kUnits[] = {{86400, "d", 3600, "h"}, {3600, "h", 60, "min"}, {60, "min", 1, "s"}};
  const auto seconds = static_cast<long long>(ms / 1000);
  for (const Units& units : kUnits) {
    // "30 h" says more than "1 d 6 h".
    if (seconds < units.size || (units.size == 86400 && seconds < 2 * units.size)) continue;
    const long long part = seconds % units.size / units.part_size;
    std::snprintf(text, sizeof(text), "%lld %s", seconds / units.size, units.name);
    return part == 0 ? std::string(text)
                     : std::string(text) + " " + std::to_string(part) + " " + units.part_name;
  }
  return text;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  auto fail = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalid,
                "'" + ToPrintable(text) + "' " + std::string(why) + "; say for example 500ms, 5s or 2m");
  };
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return fail("is not a duration");
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  std::uint64_t factor = 0;
  if (unit == "ms") {
    factor = 1;
  } else if (unit == "s") {
    factor = 1000;
  } else if (unit == "m" || unit == "min") {
    factor = 60000;
  } else if (unit == "h") {
    factor = 3600000;
  } else {
    return fail(unit.empty() ? "has no unit" : "is not a duration");
  }
  constexpr std::uint64_t kDay = 86400000;
  if (number == 0) return fail("is too short");
  if (number > kDay / factor) return fail("is longer than a day");
  return std::chrono::milliseconds(number * factor);
}

std::string Count(std::uint64_t number, std::string_view singular, std::string_view plural) {
  std::string text = std::to_string(number) + " ";
  if (number == 1) return text.append(singular);
  if (!plural.empty()) return text.append(plural);
  return text.append(singular) + "s";
}

std::string ShowNamespace(std::string_view name_space) {
  return name_space == kDefaultNamespace ? "default" : ToPrintable(name_space);
}

std::string Clean(std::string_view text, bool keep_line_feeds) {
  std::string out;
  out.reserve(text.size());
  auto escape = [&](char c) {
    char hex[8];
    std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += hex;
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = Utf8Length(text.substr(i));
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool control =
        length == 0 || byte < 0x20 || byte == 0x7f ||
        (length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0);  // C1
    if (length <= 1 && control && !(keep_line_feeds && byte == '\n')) {
      escape(text[i]);
    } else if (length == 2 && control) {
      escape(text[i]);
      escape(text[i + 1]);
    } else {
      out.append(text.substr(i, length));
    }
    i += length == 0 ? 1 : length;
  }
  return out;
}

std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++width) {
    const std::size_t length = Utf8Length(text.substr(i));
    i += length == 0 ? 1 : length;
  }
  return width;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

}  // namespace walstitch::cli
