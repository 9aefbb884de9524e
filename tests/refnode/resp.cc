#include "resp.h"

#include <charconv>

namespace walstitch::refnode {
namespace {

constexpr int64_t kMaxBulks = 1024 * 1024;
constexpr size_t kMaxInlineBytes = 16 * 1024;
constexpr size_t kMaxLineBytes = 64 * 1024;

template <typename T>
bool ParseNumber(std::string_view text, T* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::optional<std::string_view> RequestParser::TakeLine(bool lf_is_enough, bool* had_cr) {
  size_t end = buffer_.find('\n', position_);
  if (!lf_is_enough) {
    end = buffer_.find("\r\n", position_);
    if (end != std::string::npos) ++end;
  }
  if (end == std::string::npos) return std::nullopt;
  std::string_view line(buffer_.data() + position_, end - position_);
  *had_cr = !line.empty() && line.back() == '\r';
  if (*had_cr) line.remove_suffix(1);
  position_ = end + 1;
  return line;
}

bool RequestParser::Step(std::optional<std::string>* error) {
  bool had_cr = false;
  switch (state_) {
    case State::kStart: {
      const auto line = TakeLine(true, &had_cr);
      if (!line) return false;
      if (line->empty()) return true;
      if (line->front() == '*') {
        int64_t count = 0;
        if (!ParseNumber(line->substr(1), &count) || !had_cr || count > kMaxBulks) {
          *error = "Protocol error: invalid multibulk length";
          return false;
        }
        if (count <= 0) return true;
        bulks_left_ = count;
        request_bytes_ = 0;
        current_.clear();
        state_ = State::kBulkLength;
        return true;
      }
      if (line->size() > kMaxInlineBytes) {
        *error = "Protocol error: invalid bulk length";
        return false;
      }
      Args words;
      for (size_t i = 0; i < line->size();) {
        const size_t begin = line->find_first_not_of(" \t", i);
        if (begin == std::string_view::npos) break;
        const size_t end = std::min(line->find_first_of(" \t", begin), line->size());
        words.emplace_back(line->substr(begin, end - begin));
        i = end;
      }
      if (!words.empty()) ready_.push_back(std::move(words));
      return true;
    }
    case State::kBulkLength: {
      const auto line = TakeLine(false, &had_cr);
      if (!line) return false;
      if (line->empty() || line->front() != '$') {
        *error = "Protocol error: expected '$'";
        return false;
      }
      if (!ParseNumber(line->substr(1), &bulk_length_) || bulk_length_ > max_request_bytes_ ||
          request_bytes_ + bulk_length_ > max_request_bytes_) {
        *error = "Protocol error: invalid bulk length";
        return false;
      }
      request_bytes_ += bulk_length_;
      state_ = State::kBulkData;
      return true;
    }
    case State::kBulkData: {
      if (buffer_.size() - position_ < bulk_length_ + 2) return false;
      current_.emplace_back(buffer_, position_, bulk_length_);
      position_ += bulk_length_ + 2;
      if (--bulks_left_ == 0) {
        ready_.push_back(std::move(current_));
        current_.clear();
        state_ = State::kStart;
      } else {
        state_ = State::kBulkLength;
      }
      return true;
    }
  }
  return false;
}

std::optional<std::string> RequestParser::Feed(std::string_view bytes) {
  buffer_.append(bytes);
  std::optional<std::string> error;
  while (Step(&error)) {
  }
  if (error) return error;
  buffer_.erase(0, position_);
  position_ = 0;
  // A line that never ends must not grow the buffer for ever.
  if (state_ != State::kBulkData && buffer_.size() > kMaxLineBytes) {
    return "Protocol error: invalid bulk length";
  }
  return std::nullopt;
}

std::optional<Args> RequestParser::Next() {
  if (ready_.empty()) return std::nullopt;
  Args request = std::move(ready_.front());
  ready_.pop_front();
  return request;
}

namespace resp {

std::string Simple(std::string_view text) { return "+" + std::string(text) + "\r\n"; }
std::string Error(std::string_view text) { return "-" + std::string(text) + "\r\n"; }
std::string Integer(int64_t number) { return ":" + std::to_string(number) + "\r\n"; }
std::string Nil() { return "$-1\r\n"; }
std::string Ok() { return "+OK\r\n"; }
std::string ArrayHeader(size_t count) { return "*" + std::to_string(count) + "\r\n"; }

std::string Bulk(std::string_view text) {
  std::string out = "$" + std::to_string(text.size()) + "\r\n";
  out.append(text).append("\r\n");
  return out;
}

std::string BulkArray(const std::vector<std::string>& items) {
  std::string out = ArrayHeader(items.size());
  for (const std::string& item : items) out += Bulk(item);
  return out;
}

std::string BulkArrayEmptyAsNil(const std::vector<std::string>& items) {
  std::string out = ArrayHeader(items.size());
  for (const std::string& item : items) out += item.empty() ? Nil() : Bulk(item);
  return out;
}

}  // namespace resp
}  // namespace walstitch::refnode
