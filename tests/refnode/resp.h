// RESP2: requests as they come off a socket, and the replies.
//
// RequestParser is incremental and bounded: what it holds never exceeds the
// bytes received, and a request beyond the limits is a protocol error. After an
// error it must be thrown away with its connection. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace walstitch::refnode {

using Args = std::vector<std::string>;

class RequestParser {
 public:
  explicit RequestParser(size_t max_request_bytes) : max_request_bytes_(max_request_bytes) {}

  // Takes what was received; the text of a protocol error, if it is one.
  std::optional<std::string> Feed(std::string_view bytes);
  // The next complete request, oldest first.
  std::optional<Args> Next();

 private:
  enum class State { kStart, kBulkLength, kBulkData };

  // Handles one line or bulk; false when more bytes are needed.
  bool Step(std::optional<std::string>* error);
  std::optional<std::string_view> TakeLine(bool lf_is_enough, bool* had_cr);

  const size_t max_request_bytes_;
  State state_ = State::kStart;
  std::string buffer_;
  size_t position_ = 0;
  int64_t bulks_left_ = 0;
  size_t bulk_length_ = 0;
  size_t request_bytes_ = 0;
  Args current_;
  std::deque<Args> ready_;
};

namespace resp {

std::string Simple(std::string_view text);
// `text` begins with its code, as in "ERR syntax error".
std::string Error(std::string_view text);
std::string Integer(int64_t number);
std::string Bulk(std::string_view text);
std::string Nil();
std::string ArrayHeader(size_t count);
std::string BulkArray(const std::vector<std::string>& items);
// Kvrocks answers some lists with nil in the place of empty items.
std::string BulkArrayEmptyAsNil(const std::vector<std::string>& items);
std::string Ok();

}  // namespace resp
}  // namespace walstitch::refnode
