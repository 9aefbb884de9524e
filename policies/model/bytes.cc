#include "policies/model/bytes.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace walstitch {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

std::optional<unsigned> HexValue(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

constexpr char kBase64Digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint32_t> Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
  if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a') + 26;
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0') + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

void AppendHex(std::string* out, char c) {
  auto byte = static_cast<unsigned char>(c);
  out->push_back(kHexDigits[byte >> 4]);
  out->push_back(kHexDigits[byte & 15]);
}

}  // namespace

std::string ToPrintable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (char c : bytes) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c >= 0x20 && c <= 0x7e) {
      out.push_back(c);
    } else {
      out += "\\x";
      AppendHex(&out, c);
    }
  }
  return out;
}

Result<std::string> FromPrintable(std::string_view text) {
  auto fail = [](std::size_t at, const std::string& what) {
    return Fail(ErrorCode::kInvalid, "printable text, character " + std::to_string(at + 1) + ": " + what);
  };
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c != '\\') {
      if (c < 0x20 || c > 0x7e) return fail(i, "not printable ASCII; expected \\xHH");
      out.push_back(c);
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '\\') {
      out.push_back('\\');
      i += 1;
      continue;
    }
    if (i + 3 < text.size() && text[i + 1] == 'x') {
      auto high = HexValue(text[i + 2]);
      auto low = HexValue(text[i + 3]);
      if (high && low) {
        out.push_back(static_cast<char>(*high << 4 | *low));
        i += 3;
        continue;
      }
    }
    return fail(i, "a backslash that begins neither \\\\ nor \\xHH");
  }
  return out;
}

std::string ToHex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char c : bytes) AppendHex(&out, c);
  return out;
}

Result<std::string> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return Fail(ErrorCode::kInvalid,
                "hex: " + std::to_string(text.size()) + " digits; expected an even number of them");
  }
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    auto high = HexValue(text[i]);
    auto low = HexValue(text[i + 1]);
    if (!high || !low) {
      return Fail(ErrorCode::kInvalid,
                  "hex: character " + std::to_string(high ? i + 2 : i + 1) + " is not a hexadecimal digit");
    }
    out.push_back(static_cast<char>(*high << 4 | *low));
  }
  return out;
}

std::string ToBase64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - i, 3);
    std::uint32_t group = 0;  // 24 bits, zeroes at the end
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8) | (k < size ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(k <= size ? kBase64Digits[(group >> (18 - 6 * k)) & 63U] : '=');
    }
  }
  return out;
}

Result<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return Fail(ErrorCode::kInvalid,
                "base64: " + std::to_string(text.size()) + " characters; expected a multiple of four");
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t digits = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const auto value = k < digits ? Base64Value(text[i + k]) : 0U;
      if (!value) {
        return Fail(ErrorCode::kInvalid,
                    "base64: character " + std::to_string(i + k + 1) + " is not a digit of it");
      }
      group = (group << 6) | *value;
    }
    for (std::size_t k = 0; k + 1 < digits; ++k) out.push_back(static_cast<char>(group >> (16 - 8 * k)));
    // Of several spellings of the same bytes one is right.
    if ((group & (0xffffffU >> (8 * (digits - 1)))) != 0) {
      return Fail(ErrorCode::kInvalid, "base64: bits are left over at the end");
    }
  }
  return out;
}

std::array<std::uint8_t, 32> Sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned int length = 0;
  // Fails only if OpenSSL cannot give SHA-256 at all: there is nothing to go on with then.
  int ok = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
  WALSTITCH_CHECK(ok == 1 && length == digest.size());
  return digest;
}

std::string Sha256Hex(std::string_view bytes) {
  std::string out;
  for (std::uint8_t byte : Sha256(bytes)) AppendHex(&out, static_cast<char>(byte));
  return out;
}

class Sha256Stream::Impl {
 public:
  Impl() : context_(EVP_MD_CTX_new()) {
    WALSTITCH_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1);
  }
  ~Impl() { EVP_MD_CTX_free(context_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Add(std::string_view bytes) {
    WALSTITCH_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  }

  std::string FinishHex() {
    std::array<unsigned char, 32> digest{};
    unsigned int length = 0;
    WALSTITCH_CHECK(EVP_DigestFinal_ex(context_, digest.data(), &length) == 1 && length == digest.size());
    std::string out;
    for (const unsigned char byte : digest) AppendHex(&out, static_cast<char>(byte));
    return out;
  }

 private:
  EVP_MD_CTX* context_;
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;
void Sha256Stream::Add(std::string_view bytes) { impl_->Add(bytes); }
std::string Sha256Stream::FinishHex() { return impl_->FinishHex(); }

std::string HumanBytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be rounded to "1024.0": the next unit says it better.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", value);
  std::string number = text;
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number + " " + kUnits[unit];
}

}  // namespace walstitch
