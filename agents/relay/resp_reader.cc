#include "agents/relay/resp_reader.h"

#include <charconv>
#include <cstdint>

namespace walstitch::relay {

namespace {

constexpr std::size_t kMaxLine = 16;  // "*64", "$1048576": no honest one is longer

// Reads "<prefix><digits>\r\n" at `position`, and moves it behind. nullopt: more bytes are needed.
Result<std::optional<std::uint64_t>> ReadNumber(std::string_view bytes, std::size_t& position, char prefix) {
  const std::string_view rest = bytes.substr(position);
  if (rest.empty()) return std::nullopt;
  if (rest.front() != prefix) {
    return Fail(ErrorCode::kInvalid, std::string("malformed command: expected '") + prefix + "'");
  }
  const std::size_t end = rest.substr(0, kMaxLine + 2).find("\r\n");
  if (end == std::string_view::npos) {
    if (rest.size() < kMaxLine + 2) return std::nullopt;
    return Fail(ErrorCode::kInvalid, "malformed command: a length that does not end");
  }
  const std::string_view digits = rest.substr(1, end - 1);
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || stop != digits.data() + digits.size()) {
    return Fail(ErrorCode::kInvalid, "malformed command: a length that is no number");
  }
  position += end + 2;
  return number;
}

}  // namespace

void RespReader::Append(std::string_view bytes) {
  if (read_ > 0) {
    bytes_.erase(0, read_);
    read_ = 0;
  }
  bytes_.append(bytes);
}

Result<std::optional<RespCommand>> RespReader::Next() {
  std::size_t position = read_;
  auto too_long = [&] { return bytes_.size() - read_ > kMaxCommandBytes; };
  auto more = [&]() -> Result<std::optional<RespCommand>> {
    if (too_long()) return Fail(ErrorCode::kInvalid, "malformed command: longer than 1 MiB");
    return std::nullopt;
  };

  const auto arguments = ReadNumber(bytes_, position, '*');
  if (!arguments) return Fail(arguments.error());
  if (!*arguments) return more();
  if (**arguments == 0 || **arguments > kMaxArguments) {
    return Fail(ErrorCode::kInvalid, "malformed command: " + std::to_string(**arguments) + " arguments");
  }
  RespCommand command;
  for (std::uint64_t i = 0; i < **arguments; ++i) {
    const auto length = ReadNumber(bytes_, position, '$');
    if (!length) return Fail(length.error());
    if (!*length) return more();
    if (**length > kMaxCommandBytes || position - read_ + **length > kMaxCommandBytes) {
      return Fail(ErrorCode::kInvalid, "malformed command: longer than 1 MiB");
    }
    if (bytes_.size() - position < **length + 2) return more();
    command.push_back(bytes_.substr(position, **length));
    position += **length;
    if (bytes_.compare(position, 2, "\r\n") != 0) {
      return Fail(ErrorCode::kInvalid, "malformed command: an argument longer than its length");
    }
    position += 2;
  }
  read_ = position;
  return command;
}

std::string RespReader::TakeRest() {
  std::string rest = bytes_.substr(read_);
  bytes_.clear();
  read_ = 0;
  return rest;
}

std::string EncodeResp(const RespCommand& command) {
  std::string bytes = "*" + std::to_string(command.size()) + "\r\n";
  for (const std::string& argument : command) {
    bytes += "$" + std::to_string(argument.size()) + "\r\n";
    bytes += argument;
    bytes += "\r\n";
  }
  return bytes;
}

}  // namespace walstitch::relay
