#include "controller/shell/stored_line.h"

#include <zstd.h>

#include "policies/model/bytes.h"

namespace walstitch::shell {
namespace {

constexpr std::string_view kPacked = "zstd:";
constexpr int kLevel = 6;
constexpr unsigned long long kMostBytes = 64ULL << 20;

}  // namespace

std::string PackLine(const std::string& line) {
  if (line.size() < kLongLine) return line;
  std::string packed(ZSTD_compressBound(line.size()), '\0');
  const std::size_t size = ZSTD_compress(packed.data(), packed.size(), line.data(), line.size(), kLevel);
  WALSTITCH_CHECK(ZSTD_isError(size) == 0);
  packed.resize(size);
  return std::string(kPacked) + ToBase64(packed);
}

Result<std::string> UnpackLine(std::string_view text) {
  if (!text.starts_with(kPacked)) return std::string(text);  // a line begins with {
  const Error damaged(ErrorCode::kDamaged, "a packed line of the decision log cannot be unpacked");
  auto packed = FromBase64(text.substr(kPacked.size()));
  if (!packed) return Fail(damaged);
  const unsigned long long size = ZSTD_getFrameContentSize(packed->data(), packed->size());
  if (size > kMostBytes) return Fail(damaged);  // unknown and wrong are the greatest numbers
  std::string line(size, '\0');
  const std::size_t got = ZSTD_decompress(line.data(), line.size(), packed->data(), packed->size());
  if (ZSTD_isError(got) != 0 || got != size) return Fail(damaged);
  return line;
}

}  // namespace walstitch::shell
