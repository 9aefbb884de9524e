#include "controller/sentinel/resp.h"

#include <algorithm>
#include <charconv>

namespace walstitch::sentinel {

namespace {

constexpr std::size_t kMaxNumberLine = 16;  // "*128", "$16384": no honest one is longer

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads "<prefix><number>\r\n" at `position`, and moves it behind. nullopt: more bytes are needed.
Result<std::optional<std::int64_t>> ReadNumber(std::string_view bytes, std::size_t& position, char prefix,
                                               const char* problem) {
  const std::string_view rest = bytes.substr(position);
  if (rest.empty()) return std::nullopt;
  if (rest.front() != prefix) {
    const bool printable = rest.front() > 0x20 && rest.front() < 0x7f;
    return Fail(ErrorCode::kInvalid, std::string("Protocol error: expected '") + prefix + "', got '" +
                                         (printable ? rest.front() : '?') + "'");
  }
  const std::size_t end = rest.substr(0, kMaxNumberLine + 2).find("\r\n");
  if (end == std::string_view::npos) {
    if (rest.size() < kMaxNumberLine + 2) return std::nullopt;
    return Fail(ErrorCode::kInvalid, problem);
  }
  const std::string_view digits = rest.substr(1, end - 1);
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || stop != digits.data() + digits.size())
    return Fail(ErrorCode::kInvalid, problem);
  position += end + 2;
  return number;
}

// One word of an inline command in double quotes, behind the first of them. False: they do not end.
bool ReadDoubleQuoted(std::string_view line, std::size_t& at, std::string& word) {
  for (; at < line.size(); ++at) {
    if (line[at] == '"') return ++at, true;
    if (line[at] != '\\' || at + 1 == line.size()) {
      word += line[at];
      continue;
    }
    const char escaped = line[++at];
    const int high = at + 2 < line.size() ? HexDigit(line[at + 1]) : -1;
    const int low = high < 0 ? -1 : HexDigit(line[at + 2]);
    if (escaped == 'x' && low >= 0) {
      word += static_cast<char>(high * 16 + low);
      at += 2;
    } else if (escaped == 'n') {
      word += '\n';
    } else if (escaped == 'r') {
      word += '\r';
    } else if (escaped == 't') {
      word += '\t';
    } else {
      word += escaped;
    }
  }
  return false;
}

bool ReadSingleQuoted(std::string_view line, std::size_t& at, std::string& word) {
  for (; at < line.size(); ++at) {
    if (line[at] == '\'') return ++at, true;
    if (line[at] == '\\' && at + 1 < line.size() && line[at + 1] == '\'') ++at;
    word += line[at];
  }
  return false;
}

// nullopt: quotes that do not end, or are followed by no blank.
std::optional<Request> SplitWords(std::string_view line) {
  Request words;
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size()) return words;
    std::string word;
    while (at < line.size() && !IsBlank(line[at])) {
      const char c = line[at++];
      if (c != '"' && c != '\'') {
        word += c;
        continue;
      }
      const bool ended = c == '"' ? ReadDoubleQuoted(line, at, word) : ReadSingleQuoted(line, at, word);
      if (!ended || (at < line.size() && !IsBlank(line[at]))) return std::nullopt;
    }
    words.push_back(std::move(word));
  }
}

void AppendLine(std::string& out, char prefix, std::string_view text) {
  out += prefix;
  for (const char c : text) out += c == '\r' || c == '\n' ? ' ' : c;
  out += "\r\n";
}

void AppendBulk(std::string& out, std::string_view text) {
  out += "$" + std::to_string(text.size()) + "\r\n";
  out += text;
  out += "\r\n";
}

void AppendReply(std::string& out, const Reply& reply, bool third) {
  using Kind = Reply::Kind;
  const auto all = [&](char prefix, std::size_t count) {
    out += prefix + std::to_string(count) + "\r\n";
    for (const Reply& item : reply.items) AppendReply(out, item, third);
  };
  switch (reply.kind) {
    case Kind::kSimple:
      return AppendLine(out, '+', reply.text);
    case Kind::kError:
      return AppendLine(out, '-', reply.text);
    case Kind::kInteger:
      return AppendLine(out, ':', std::to_string(reply.integer));
    case Kind::kBulk:
      return AppendBulk(out, reply.text);
    case Kind::kVerbatim:
      if (!third) return AppendBulk(out, reply.text);
      out += "=" + std::to_string(reply.text.size() + 4) + "\r\ntxt:" + reply.text + "\r\n";
      return;
    case Kind::kNull:
      out += third ? "_\r\n" : "$-1\r\n";
      return;
    case Kind::kNullArray:
      out += third ? "_\r\n" : "*-1\r\n";
      return;
    case Kind::kArray:
      return all('*', reply.items.size());
    case Kind::kMap:
      return third ? all('%', reply.items.size() / 2) : all('*', reply.items.size());
    case Kind::kSet:
      return all(third ? '~' : '*', reply.items.size());
    case Kind::kPush:
      return all(third ? '>' : '*', reply.items.size());
  }
}

}  // namespace

void RequestReader::Append(std::string_view bytes) {
  if (read_ > 0) {
    bytes_.erase(0, read_);
    read_ = 0;
  }
  bytes_.append(bytes);
}

Result<std::optional<Request>> RequestReader::Next() {
  while (read_ < bytes_.size()) {
    auto request = bytes_[read_] == '*' ? NextArray() : NextInline();
    // An empty array and an empty line ask for nothing, and Redis answers nothing.
    if (!request || !*request || !(*request)->empty()) return request;
  }
  return std::nullopt;
}

Result<std::optional<Request>> RequestReader::NextArray() {
  std::size_t position = read_;
  const auto more = [&]() -> Result<std::optional<Request>> {
    if (bytes_.size() - read_ > limits_.bytes)
      return Fail(ErrorCode::kInvalid, "Protocol error: too big a request");
    return std::nullopt;
  };
  const auto count = ReadNumber(bytes_, position, '*', "Protocol error: invalid multibulk length");
  if (!count) return Fail(count.error());
  if (!*count) return more();
  if (**count > static_cast<std::int64_t>(limits_.arguments))
    return Fail(ErrorCode::kInvalid, "Protocol error: invalid multibulk length");
  Request request;
  for (std::int64_t i = 0; i < **count; ++i) {
    const auto length = ReadNumber(bytes_, position, '$', "Protocol error: invalid bulk length");
    if (!length) return Fail(length.error());
    if (!*length) return more();
    if (**length < 0) return Fail(ErrorCode::kInvalid, "Protocol error: invalid bulk length");
    const auto size = static_cast<std::size_t>(**length);
    if (size > limits_.bytes || position - read_ + size > limits_.bytes)
      return Fail(ErrorCode::kInvalid, "Protocol error: invalid bulk length");
    if (bytes_.size() - position < size + 2) return more();
    if (bytes_.compare(position + size, 2, "\r\n") != 0)
      return Fail(ErrorCode::kInvalid, "Protocol error: a bulk string longer than its length");
    request.push_back(bytes_.substr(position, size));
    position += size + 2;
  }
  read_ = position;
  return request;
}

Result<std::optional<Request>> RequestReader::NextInline() {
  const std::string_view rest = std::string_view(bytes_).substr(read_);
  const std::size_t end = rest.substr(0, limits_.bytes).find('\n');
  // What is no text is nobody who types: a TLS client, or noise.
  const std::string_view seen = rest.substr(0, std::min(end, limits_.bytes));
  const bool text = std::all_of(seen.begin(), seen.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\r';
  });
  if (!text) return Fail(ErrorCode::kInvalid, "Protocol error: neither an array nor a line of text");
  if (end == std::string_view::npos) {
    if (rest.size() >= limits_.bytes)
      return Fail(ErrorCode::kInvalid, "Protocol error: too big inline request");
    return std::nullopt;
  }
  std::string_view line = rest.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  // A browser that was talked into it sends these; Redis closes then, too.
  if (line.starts_with("POST ") || line.starts_with("GET /") || line.starts_with("Host:"))
    return Fail(ErrorCode::kInvalid, "Protocol error: this is Sentinel's protocol, and no HTTP");
  auto words = SplitWords(line);
  if (!words) return Fail(ErrorCode::kInvalid, "Protocol error: unbalanced quotes in request");
  if (words->size() > limits_.arguments)
    return Fail(ErrorCode::kInvalid, "Protocol error: too many words in an inline request");
  read_ += end + 1;
  return std::optional<Request>(std::move(*words));
}

std::string Encode(const Reply& reply, Protocol protocol) {
  std::string out;
  AppendReply(out, reply, protocol == Protocol::kResp3);
  return out;
}

}  // namespace walstitch::sentinel
