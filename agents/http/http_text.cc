#include "agents/http/http_text.h"

#include <cstddef>
#include <cstdint>

#include "agents/http/connect.h"
#include "agents/http/http_client.h"
#include "agents/http/rest_client.h"

namespace walstitch::http {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool Unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool ValidPort(std::string_view port) {
  if (port.empty() || port.size() > 5) return false;
  std::uint32_t value = 0;
  for (char c : port) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value >= 1 && value <= 65535;
}

}  // namespace

Result<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return Fail(
            ErrorCode::kInvalid,
            "the request target has a '%' that two hex digits do not follow: write a plain '%' as %25");
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return Fail(ErrorCode::kInvalid, "the request target holds a NUL byte");
    decoded.push_back(c);
  }
  return decoded;
}

Result<Target> ParseTarget(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return Fail(ErrorCode::kInvalid, "the request target must begin with '/'");
  }
  text = text.substr(0, text.find('#'));
  std::size_t question = text.find('?');
  std::string_view path = text.substr(0, question);
  Target target;

  std::size_t begin = 1;
  while (begin <= path.size()) {
    std::size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    if (end > begin) {
      auto segment = PercentDecode(path.substr(begin, end - begin), false);
      if (!segment) return Fail(segment.error());
      target.path += "/" + *segment;
      target.segments.push_back(std::move(*segment));
    }
    begin = end + 1;
  }
  if (target.path.empty()) target.path = "/";

  if (question == std::string_view::npos) return target;
  std::string_view query = text.substr(question + 1);
  while (!query.empty()) {
    std::string_view field = query.substr(0, query.find('&'));
    query = field.size() < query.size() ? query.substr(field.size() + 1) : std::string_view();
    if (field.empty()) continue;
    std::size_t equals = field.find('=');
    auto name = PercentDecode(field.substr(0, equals), true);
    if (!name) return Fail(name.error());
    auto value = equals == std::string_view::npos ? Result<std::string>(std::string())
                                                  : PercentDecode(field.substr(equals + 1), true);
    if (!value) return Fail(value.error());
    if (!target.query.emplace(std::move(*name), std::move(*value)).second) {
      return Fail(ErrorCode::kInvalid, "a query parameter is given twice: give each one once");
    }
  }
  return target;
}

std::string BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    char c = authorization[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c != kScheme[i]) return {};
  }
  authorization.remove_prefix(kScheme.size());
  while (!authorization.empty() && authorization.front() == ' ') authorization.remove_prefix(1);
  while (!authorization.empty() && authorization.back() == ' ') authorization.remove_suffix(1);
  return std::string(authorization);
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    if (Unreserved(c)) {
      encoded.push_back(c);
    } else {
      auto byte = static_cast<unsigned char>(c);
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

namespace {

// What stands behind the scheme of `text`. `example` is for the errors.
Result<Url> ParseHostAndPort(std::string_view text, std::string_view scheme, std::string_view default_port,
                             std::string_view example) {
  auto fail = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalid, "address '" + std::string(text.substr(0, 200)) +
                                         "': " + std::string(why) + ", e.g. " + std::string(example));
  };
  std::string_view rest = text.substr(scheme.size());
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  for (char c : rest) {
    if (c <= ' ' || c == '/' || c == '?' || c == '#' || c == '@' || c == '\x7f') {
      return fail("expected host and port only, without a path or user");
    }
  }
  Url url;
  std::string_view port;
  if (!rest.empty() && rest.front() == '[') {
    std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return fail("the '[' is not closed");
    url.host = rest.substr(1, close - 1);
    rest = rest.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return fail("expected ':' and a port behind the ']'");
    port = rest.empty() ? rest : rest.substr(1);
    if (!rest.empty() && port.empty()) return fail("the port is missing");
  } else {
    std::size_t colon = rest.find(':');
    if (colon != std::string_view::npos && rest.find(':', colon + 1) != std::string_view::npos) {
      return fail("an IPv6 address goes into brackets");
    }
    url.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = rest.substr(colon + 1);
      if (port.empty()) return fail("the port is missing");
    }
  }
  if (url.host.empty()) return fail("the host is missing");
  if (port.empty()) port = default_port;
  if (!ValidPort(port)) return fail("the port must be a number from 1 to 65535");
  url.port = port;
  return url;
}

constexpr std::string_view kPlainScheme = "http://";
constexpr std::string_view kTlsScheme = "https://";

}  // namespace

Result<Url> ParseUrl(std::string_view text) {
  constexpr std::string_view kExample = "http://10.0.0.1:7667";
  const bool tls = text.starts_with(kTlsScheme);
  if (!tls && !text.starts_with(kPlainScheme)) {
    return Fail(ErrorCode::kInvalid, "address '" + std::string(text.substr(0, 200)) +
                                         "': expected it to begin with http:// or https://, e.g. " +
                                         std::string(kExample));
  }
  auto url = ParseHostAndPort(text, tls ? kTlsScheme : kPlainScheme, tls ? "443" : "80", kExample);
  if (url) url->tls = tls;
  return url;
}

std::string ToString(const Url& url) { return (url.tls ? "https://" : "http://") + HostField(url); }

Result<Origin> ParseOrigin(std::string_view text) {
  constexpr std::string_view kExample = "https://10.0.0.1:6443";
  const bool tls = text.starts_with(kTlsScheme);
  if (!tls && !text.starts_with(kPlainScheme)) {
    return Fail(ErrorCode::kInvalid, "address '" + std::string(text.substr(0, 200)) +
                                         "': expected it to begin with https:// or http://, e.g. " +
                                         std::string(kExample));
  }
  auto url = ParseHostAndPort(text, tls ? kTlsScheme : kPlainScheme, tls ? "443" : "80", kExample);
  if (!url) return Fail(url.error());
  return Origin{tls, std::move(url->host), std::move(url->port)};
}

std::string AddressedTo(std::string target, const std::string& group, const std::string& node) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  return target + "for=" + PercentEncode(group + "/" + node);
}

}  // namespace walstitch::http
