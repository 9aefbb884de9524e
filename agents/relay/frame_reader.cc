#include "agents/relay/frame_reader.h"

#include <charconv>
#include <string>

namespace walstitch::relay {

namespace {

constexpr std::size_t kMaxLengthLine = 11;  // "$1073741824"

std::uint64_t LittleEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

}  // namespace

Result<std::optional<Frame>> ReadFrame(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  if (bytes.front() != '$') return Fail(ErrorCode::kDamaged, "malformed frame: it does not begin with '$'");
  const std::size_t line = bytes.substr(0, kMaxLengthLine + 2).find("\r\n");
  if (line == std::string_view::npos) {
    if (bytes.size() < kMaxLengthLine + 2) return std::nullopt;
    return Fail(ErrorCode::kDamaged, "malformed frame: a length that does not end");
  }
  const std::string_view digits = bytes.substr(1, line - 1);
  std::uint64_t length = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (digits.empty() || digits.front() == '0' || error != std::errc() ||
      stop != digits.data() + digits.size()) {
    return Fail(ErrorCode::kDamaged, "malformed frame: a length that is no number greater than 0");
  }
  if (length > kMaxBatchBytes) {
    return Fail(ErrorCode::kDamaged,
                "malformed frame: " + std::to_string(length) + " bytes, more than 1 GiB");
  }

  Frame frame;
  frame.bytes = line + 2 + length + 2;
  const std::string_view body = bytes.substr(line + 2);
  if (body.size() >= length + 2 && body.substr(length, 2) != "\r\n") {
    return Fail(ErrorCode::kDamaged,
                "malformed frame: no line end after " + std::to_string(length) + " bytes");
  }
  if (length < kBatchHeaderBytes) {
    // Judged whole: neither of the two is as long as a batch's header.
    if (body.size() < length + 2) return std::nullopt;
    const std::string_view word = body.substr(0, length);
    if (word == "ping") return frame;
    if (word == "_getack") {
      frame.kind = FrameKind::kGetAck;
      return frame;
    }
    return Fail(ErrorCode::kDamaged, "malformed frame: " + std::to_string(length) +
                                         " bytes that are neither a heartbeat nor a batch");
  }
  if (body.size() < kBatchHeaderBytes) return std::nullopt;
  frame.kind = FrameKind::kBatch;
  frame.first = Sequence(LittleEndian(body.substr(0, 8)));
  frame.count = static_cast<std::uint32_t>(LittleEndian(body.substr(8, 4)));
  return frame;
}

}  // namespace walstitch::relay
